"""Folds by patient: the same person never stands on both sides of a split."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_training.data.cohort import Cohort, Outcome


def by_patient(cohort: Cohort, n_folds: int, seed: int) -> NDArray[np.int64]:
    """Fold 1..n of each recording. Patients with an event are dealt first: every fold has its share of events."""
    events = (cohort.table["event"] == Outcome.EVENT).groupby(cohort.table["patient_id"]).any()
    fold_of: dict[str, int] = {}
    for had_event in (True, False):
        people = sorted(events.index[events == had_event], key=lambda patient: _draw(str(patient), seed))
        # The second deal goes on where the first one stopped, so that fold sizes differ by one patient at most.
        start = len(fold_of)
        fold_of |= {patient: (start + place) % n_folds + 1 for place, patient in enumerate(people)}
    folds: NDArray[np.int64] = cohort.table["patient_id"].map(fold_of).to_numpy(dtype=np.int64)
    return folds


def nested_subsets(table: pd.DataFrame, sizes: tuple[int, ...], seed: int) -> dict[int, NDArray[np.int64]]:
    """Rows for each number of events, nested: each smaller set lies inside the larger; the event rate is kept."""
    events = table.index[table["event"] == Outcome.EVENT].to_numpy()
    others = table.index[table["event"] != Outcome.EVENT].to_numpy()
    generator = np.random.default_rng(seed)
    events, others = generator.permutation(events), generator.permutation(others)
    return {
        size: np.sort(np.concatenate([events[:size], others[: round(len(others) * size / len(events))]]))
        for size in sizes
        if size <= len(events)
    }


def _draw(patient: str, seed: int) -> str:
    """A patient's place in the deal depends on their name and the seed alone, not on who else is in the cohort."""
    return hashlib.sha256(f"{seed}:{patient}".encode()).hexdigest()
