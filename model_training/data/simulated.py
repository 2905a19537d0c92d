"""Cohorts with SIMULATED outcomes: of simulated people, or of real PTB-XL recordings with outcomes drawn for them.

Both lie in a folder with `simulated.json`, a table, and apart from it an oracle that no training may read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from ecg.recording import Unit
from model_training.data.cohort import COLUMNS, HEART_FAILURE, SIMULATED, Cohort, CohortError, Signals, table_of
from model_training.data.flow import Flow
from model_training.data.signals import ArrayRows, Files

ABOUT: Final = "simulated.json"
TABLE: Final = "table.parquet"
ORACLE: Final = "oracle.parquet"
# What an oracle or a simulated person has and a study has not: a table that holds any of these has leaked.
HIDDEN: Final = frozenset(
    {
        "eta_ecg", "eta_other", "frailty", "fading", "true_risk", "person_key", "lv_mass", "fibrosis",
        "atrial_myopathy", "ischaemia", "strain",
    }
)  # fmt: skip


def load(root: Path) -> Cohort:
    """The cohort as a study would see it; its label says that the outcomes are simulated."""
    about = read_about(root)
    if not (root / TABLE).is_file():
        raise CohortError(f"{root} holds an unfinished simulation: run `simulate` again with the same options")
    stored = pd.read_parquet(root / TABLE)
    if leaked := HIDDEN & set(stored.columns):
        raise CohortError(f"{TABLE} holds what only the oracle may: {', '.join(sorted(leaked))}")
    signals = _signals(root, about, stored)
    columns = {name: stored[name].to_numpy() for name in COLUMNS if name in stored and name != "codes"}
    table = table_of({**columns, "codes": [json.loads(text) for text in stored["codes"]]}, len(stored))
    flow = Flow.of(f"{about['name']} ({SIMULATED})", table)
    return Cohort(about["name"], table, signals, flow, HEART_FAILURE, simulated=True)


def read_about(root: Path) -> dict[str, Any]:
    about: dict[str, Any] = json.loads((root / ABOUT).read_text(encoding="utf-8"))
    if about.get("outcomes") != SIMULATED:
        raise CohortError(f"{ABOUT} does not say that the outcomes are {SIMULATED}")
    return about


def _signals(root: Path, about: dict[str, Any], stored: pd.DataFrame) -> Signals:
    if source := about.get("recordings_of"):
        return Files(Path(source), tuple(stored["path"]))
    shards, place = np.unique(stored["shard"].to_numpy(), return_inverse=True)
    return ArrayRows(
        paths=tuple(root / shard_name(int(shard)) for shard in shards),
        rows=tuple(zip(place.tolist(), stored["slot"].tolist(), strict=True)),
        sampling_rate_hz=float(about["sampling_rate_hz"]),
        unit=Unit.MILLIVOLT,
        format="simulated",
        mv_per_count=float(about["mv_per_count"]),
        leads=tuple(about["leads"]),
    )


def shard_name(shard: int) -> str:
    return f"part-{shard:05d}.npy"
