"""The import law holds, catches what breaks it, and the core starts fast without torch."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGES = ("ecg", "service", "model_training")
LINT = Path(sys.executable).with_name("lint-imports")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
WALL = """
import importlib.abc, sys
class Wall(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {'torch', 'onnx', 'pandas', 'wfdb', 'neurokit2', 'matplotlib', 'sklearn'}:
            raise ImportError(f'{name} is walled off')
sys.meta_path.insert(0, Wall())
"""
# What is planted, where, and which contract must catch it.
VIOLATIONS = {
    "a format uses a format": ("ecg/formats/edf.py", "from ecg.formats import fhir", "Formats do not know each other"),
    "the core imports torch": ("ecg/beats.py", "import torch", "never import torch"),
    "the service imports pandas": ("service/limits.py", "import pandas", "never import torch"),
    "the doors meet": ("service/limits.py", "import model_training.losses", "Two doors"),
    "training leans on the service": ("model_training/losses.py", "import service.limits", "Two doors"),
    "a lower floor looks up": ("ecg/leads.py", "from ecg import harmonise", "floors of the core"),
    "a floor looks sideways": ("ecg/risk.py", "from ecg import quality", "floors of the core"),
    "the core knows the web": ("ecg/errors.py", "import fastapi", "knows no web"),
    "a second importer of the runtime": ("ecg/explain.py", "import onnxruntime", "One importer of onnxruntime"),
    "a file without a floor": ("ecg/attic.py", '"""Somewhere."""', "floors of the core"),
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([LINT, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)


def in_a_fresh_process(code: str) -> str:
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_the_law_holds() -> None:
    """Every contract of .importlinter is kept."""
    found = lint(ROOT)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("what", VIOLATIONS)
def test_a_planted_violation_is_caught(tmp_path: Path, what: str) -> None:
    """In a copy of the tree, each kind of violation breaks the contract that forbids it."""
    where, line, contract = VIOLATIONS[what]
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    target = tmp_path / where
    text = target.read_text() if target.exists() else ""
    marker = "from __future__ import annotations\n"
    target.write_text(text.replace(marker, f"{marker}\n{line}\n", 1) if marker in text else f"{text}\n{line}\n")
    found = lint(tmp_path)
    assert found.returncode != 0
    told = " ".join(found.stdout.split())
    broken = told.split("Broken contracts")[-1] if "Broken contracts" in told else told
    assert contract in broken or "attic" in broken, found.stdout


def test_the_trip_needs_no_torch() -> None:
    """With a wall in front of torch and its company, every module of the core imports and an ECG is assessed."""
    told = in_a_fresh_process(
        WALL
        + """
import pkgutil, importlib, pathlib, numpy as np, ecg
for module in pkgutil.walk_packages(ecg.__path__, 'ecg.'):
    importlib.import_module(module.name)
from ecg import assess, probe
from ecg.leads import LEADS
from ecg.predictor import Predictor
from ecg.recording import Recording, Unit, Waveform
known = Recording('test', Waveform(LEADS, probe.known_ecg().samples_mv, 500.0, Unit.MILLIVOLT))
model = sorted(pathlib.Path('models').glob('*.onnx'))[0]
print(assess.assess(known, Predictor.load(model)).risk.score)
"""
    )
    assert 0 <= float(told) <= 100


def test_the_service_needs_no_torch() -> None:
    """The application is built with the same wall standing."""
    in_a_fresh_process(WALL + "import service.app")


def test_the_core_imports_fast() -> None:
    """Under half a second of processor time for everything up to an assessment: nothing heavy hides on the path."""
    spent = min(
        float(
            in_a_fresh_process(
                "import time; t = time.process_time(); import ecg.assess; print(time.process_time() - t)"
            )
        )
        for _ in range(3)
    )
    assert spent < 0.5


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is_for(path: Path) -> None:
    """Each file opens with a line on what the room is for."""
    if "migrations" in path.parts:
        return
    assert ast.get_docstring(ast.parse(path.read_text())), "no docstring"
