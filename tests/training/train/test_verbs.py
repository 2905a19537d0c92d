"""The chain from nothing to an artefact, verb by verb, as a researcher without data would walk it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from ecg.predictor import Predictor
from model_training import recipe as recipes
from model_training.cli import app
from model_training.nets.config import DualAttentionConfig
from model_training.nets.dual_attention import DualAttention
from model_training.train import arms, pretrain

PEOPLE = 1_300
HEAD = """
stage = "head"

[fit]
epochs = 1
threads = 1
show_progress = false
"""
ABLATE = """
events = [20, 0]
seeds = [0]
tables = true

[finetune]
stage = "head"

[finetune.fit]
epochs = 1
"""


def run(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated hospital, prepared, and a run on it."""
    home = tmp_path_factory.mktemp("home")
    (home / "head.toml").write_text(HEAD)
    (home / "ablate.toml").write_text(ABLATE)
    run("simulate", home / "hospital", "--people", PEOPLE, "--seed", 5, "--workers", 2)
    told = run(
        "finetune", home / "hospital", "--config", home / "head.toml", "--out", home / "run", "--cache", home / "cache"
    )
    assert "head alone" in told
    return home


@pytest.mark.slow
def test_from_nothing_to_an_artefact(home: Path) -> None:
    """simulate, finetune, evaluate, export, card: the file loads, and everything says SIMULATED."""
    run("evaluate", home / "run", home / "hospital", "--cache", home / "cache")
    [found] = json.loads((home / "run" / "evaluation.json").read_text())
    assert "SIMULATED" in found["label"]
    assert 0 < found["oracle"]["recovery"]["value"] < 1.2
    assert "SIMULATED" in (home / "run" / "evaluation.md").read_text()
    run("export", home / "run", "--name", "hf-smoke", "--population", "nobody", "--out", home / "models")
    path = home / "models" / "hf-smoke-1.0.0.onnx"
    contract = Predictor.load(path).contract
    assert contract.model.simulated_outcomes
    assert contract.model.intended_use.value == "demonstration"
    path.with_suffix(".md").unlink()
    run("card", home / "run", path)
    assert "SIMULATED" in path.with_suffix(".md").read_text()


@pytest.mark.slow
def test_a_run_that_was_not_evaluated_does_not_leave(home: Path, tmp_path: Path) -> None:
    """A model without figures is no artefact."""
    (tmp_path / "run").mkdir()
    asked = ["export", tmp_path / "run", "--name", "hf-x", "--population", "nobody", "--out", tmp_path]
    done = CliRunner().invoke(app, [str(each) for each in asked])
    assert done.exit_code == 2
    assert "evaluated" in done.output


@pytest.mark.slow
def test_the_experiment_table_goes_on_where_it_stopped(home: Path) -> None:
    """Heads and plain models at two numbers of events; finished cells are kept, a lost one is made again alike."""
    torch.manual_seed(0)
    network = DualAttention(DualAttentionConfig.from_toml(arms.NETS / "lead_additive.toml"))
    encoder = home / "none"
    encoder.mkdir()
    config = arms.read_config('arm = "none"\n[fit]\nepochs = 1\n')
    pretrain.save_encoder(encoder / pretrain.ENCODER, network, config, recipes.load("rhythm-100hz").digest)
    words = (
        "ablate", home / "hospital", "--config", home / "ablate.toml", "--encoder", encoder,
        "--out", home / "cells", "--results", home / "results", "--cache", home / "cache",
    )  # fmt: skip
    run(*words)
    page = (home / "results" / "ablation-hospital.md").read_text()
    assert "SIMULATED" in page
    first = json.loads((home / "results" / "ablation-hospital.json").read_text())
    assert {line["events"] for line in first["lines"]} >= {20}
    assert len(first["lines"]) == 2 * 4
    drawn = (home / "results" / "attention-hospital.svg").read_text()
    assert "SIMULATED" in drawn
    assert "highest tenth of risk" in drawn
    lost = next((home / "cells" / "hospital").glob("cox-on-ecg-*-20-0.npy"))
    kept = {each: each.stat().st_mtime_ns for each in (home / "cells" / "hospital").glob("*.npy") if each != lost}
    lost.unlink()
    run(*words)
    assert json.loads((home / "results" / "ablation-hospital.json").read_text()) == first
    assert all(each.stat().st_mtime_ns == when for each, when in kept.items())
