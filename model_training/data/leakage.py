"""Whether the answer hides where it must not: people or signals across a split, outcomes told by bookkeeping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_training.data.cohort import Cohort, Outcome

_ALARM_Z = 4.0


@dataclass(frozen=True, slots=True)
class Leak:
    kind: str
    detail: str


def find(cohort: Cohort, folds: NDArray[np.int64]) -> list[Leak]:
    """Every leak that the table shows; repeated signals need the prepared cohort."""
    return shared_patients(cohort, folds) + telling_bookkeeping(cohort)


def shared_patients(cohort: Cohort, folds: NDArray[np.int64]) -> list[Leak]:
    """Patients with recordings in more than one fold."""
    spread = pd.Series(folds).groupby(cohort.table["patient_id"].to_numpy()).nunique()
    shared = spread[spread > 1]
    return [Leak("patient in several folds", f"{len(shared)} patients")] if len(shared) else []


def repeated_signals(table: pd.DataFrame) -> list[Leak]:
    """The very same signal under more than one patient: no split by patient keeps such recordings apart.

    `table` is a prepared cohort's, whose `signal_digest` hashes the harmonised samples.
    """
    patients = table.groupby("signal_digest")["patient_id"].nunique()
    repeated = int((patients > 1).sum())
    return [Leak("same signal under several patients", f"{repeated} signals")] if repeated else []


def telling_bookkeeping(cohort: Cohort) -> list[Leak]:
    """Columns that should say nothing of the outcome, but do: the order of rows, ids, sites and devices.

    The time of recording is left out, since follow-up ends at a date and so depends on it by right.
    """
    table = cohort.table
    known = table["event"] != Outcome.UNKNOWN
    event = (table["event"] == Outcome.EVENT)[known].to_numpy(dtype=float)
    if not 0 < event.sum() < len(event):
        return []
    candidates = {
        "position in the table": np.arange(len(event), dtype=float),
        "ecg_id": table.loc[known, "ecg_id"].rank().to_numpy(),
        "patient_id": table.loc[known, "patient_id"].rank().to_numpy(),
    }
    leaks = [
        Leak("outcome told by bookkeeping", f"{name}: AUROC {auc:.3f}, z {z:.1f}")
        for name, values in candidates.items()
        for auc, z in [_auroc_z(values, event)]
        if abs(z) > _ALARM_Z
    ]
    for column in ("site", "device"):
        for value, z in _rate_z(table.loc[known, column], event):
            leaks.append(Leak("outcome rate differs by source", f"{column} {value or 'unknown'}: z {z:.1f}"))
    return leaks


def _auroc_z(values: NDArray[np.float64], event: NDArray[np.float64]) -> tuple[float, float]:
    """Mann-Whitney AUROC of the values for the event, and its z under no association."""
    ranks = pd.Series(values).rank().to_numpy()
    cases, controls = event.sum(), len(event) - event.sum()
    u = ranks[event == 1].sum() - cases * (cases + 1) / 2
    spread = np.sqrt(cases * controls * (cases + controls + 1) / 12)
    return float(u / (cases * controls)), float((u - cases * controls / 2) / spread)


def _rate_z(source: pd.Series, event: NDArray[np.float64]) -> list[tuple[str, float]]:
    """Sources whose event rate lies far from the overall one, with the z of the difference."""
    rate = event.mean()
    found = []
    for value, rows in pd.Series(event).groupby(source.to_numpy()):
        z = (rows.mean() - rate) / np.sqrt(rate * (1 - rate) / len(rows))
        if abs(z) > _ALARM_Z and len(rows) < len(event):
            found.append((str(value), float(z)))
    return found
