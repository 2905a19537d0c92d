"""The folder of a cohort with drawn outcomes: its description, and its truth read back. SIMULATED."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from model_training.data.cohort import SIMULATED
from model_training.data.simulated import ABOUT, ORACLE, read_about
from model_training.simulate.truth import COLUMNS, Truth

_RULES: Final = ("preset", "horizon_years", "scale", "fading_years")


def joined(truths: Sequence[Truth]) -> Truth:
    """The truths of several groups of people under one preset, one after the other."""
    first = truths[0]
    parts: dict[str, Any] = {name: np.concatenate([getattr(each, name) for each in truths]) for name in COLUMNS}
    return replace(first, **parts)


def read_truth(folder: Path) -> tuple[Truth, pd.DataFrame]:
    """The oracle: true hazards in the order of the cohort's table, and the traits that they come from."""
    about = read_about(folder)
    table = pd.read_parquet(folder / ORACLE)
    parts = {name: table[name].to_numpy() for name in COLUMNS}
    rules = {name: about[name] for name in _RULES}
    return Truth(**rules, **parts), table


def write_about(folder: Path, about: dict[str, Any], truth: Truth) -> None:
    """Says what the folder holds; every oracle number's horizon and incidence stand beside the label."""
    own = {name: getattr(truth, name) for name in _RULES} | {"incidence_by_horizon": truth.incidence}
    replace_file(
        folder / ABOUT,
        lambda path: path.write_text(json.dumps({"outcomes": SIMULATED, **about, **own}, indent=2), encoding="utf-8"),
    )


def replace_file(path: Path, write_to: Callable[[Path], object]) -> None:
    """Whole or not at all."""
    partial = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    write_to(partial)
    partial.replace(path)
