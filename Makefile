# Every verb of the house. `make help` lists them.
PYTHON ?= python3.11
HOST ?= 127.0.0.1
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
# All that is installed, and the kernels compiled where there is a compiler.
READY := $(VENV)/.dev $(VENV)/.kernels
LOCK = $(BIN)/uv pip compile pyproject.toml --python-version 3.11 --no-header -q

.DEFAULT_GOAL := help
.PHONY: help setup serve test check bench load fuzz soak audit lock secrets sbom clean

help:  ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.service: requirements/service.txt | $(BIN)/python
	@test -e $(VENV)/.dev || $(BIN)/pip install -q --require-hashes -r requirements/service.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	$(BIN)/pip install -q -r requirements/dev.txt
	$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.service

# Not compiled is no reason to stop: numpy then does the same work.
$(VENV)/.kernels: $(wildcard ecg/native/*.[ch]) | $(VENV)/.service
	-$(BIN)/python -m ecg.native
	@touch $@

setup: $(READY)  ## install everything: service, training, development

serve: $(VENV)/.service $(VENV)/.kernels  ## serve the shipped model (HOST, PORT); installs what the service needs, no torch
	HOST=$(HOST) PORT=$(PORT) $(BIN)/python -m service

test: $(READY)  ## run the whole suite
	$(BIN)/python -m pytest -q -n 2

check: $(READY)  ## lint, types, import law
	$(BIN)/ruff format --check . && $(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## measure what the speed claims rest on
	$(BIN)/python -m bench

load: $(READY)  ## a bounded load run on loopback with pass/fail limits (LOAD_USERS, LOAD_SECONDS)
	tests/load/run.sh

fuzz: $(READY)  ## fuzz every format, the signal path, the web door and the connection (FUZZ_MINUTES); counts go to tests/fuzz/README.md
	$(BIN)/python -m tests.fuzz.run --minutes $(or $(FUZZ_MINUTES),10)

soak: $(READY)  ## good and hostile traffic at 70 % of capacity (SOAK_MINUTES); writes docs/results/soak.md
	$(BIN)/python -m tests.soak.soak --minutes $(or $(SOAK_MINUTES),60)

# Of the training, not reachable by strangers: assertions narrow types, git and the browser are called with fixed words, and
# encoders are read from local files alone.
audit: $(VENV)/.dev  ## security lint, licences, secrets; known vulnerabilities of the pins (AUDIT_OFFLINE=1 leaves those out)
	$(BIN)/bandit -q -c pyproject.toml -r ecg service
	$(BIN)/bandit -q -r model_training -s B101,B404,B405,B603,B607,B615
	$(BIN)/python -m tests.supply.licences
	$(BIN)/python -m tests.supply.secrets
	test -n "$(AUDIT_OFFLINE)" || $(BIN)/pip-audit --require-hashes --disable-pip -r requirements/service.txt

lock: $(VENV)/.dev  ## pin every dependency anew from pyproject.toml
	$(LOCK) --generate-hashes -o requirements/service.txt
	$(LOCK) --no-annotate --extra training --extra ray --extra dev -c requirements/service.txt -o requirements/dev.txt
	$(LOCK) --no-annotate --extra training -c requirements/dev.txt -o requirements/training.txt
	sed -i -E '/^(nvidia-|cuda-|triton)/d; s/^(torch==[0-9.]+)\+cpu/\1/' requirements/dev.txt requirements/training.txt  # either build of torch will do

secrets: $(VENV)/.service  ## write docker/secrets/ for docker compose, once
	docker/make_secrets.sh

sbom: $(VENV)/.dev  ## what the service is made of, as CycloneDX: build/sbom.json
	@mkdir -p build
	$(BIN)/cyclonedx-py requirements requirements/service.txt --pyproject pyproject.toml -o build/sbom.json

clean:  ## remove what was built here
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
