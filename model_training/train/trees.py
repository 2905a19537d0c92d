"""Trees on what is measured of an ECG: its intervals, axes and voltages, and its median beat in steps of 20 ms.

What readers of ECGs have long named is handed to them; a network has to find it in the recordings, and errs on others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from ecg.beats import BEFORE_MS
from ecg.contract import View
from ecg.leads import LEADS
from ecg.measure import LeadVoltages, Measurements
from model_training.data.cohort import CohortError
from model_training.data.prepared import Prepared
from model_training.recipe import Recipe

Values = NDArray[np.float64]
Labels = NDArray[np.float32]
RECIPE: Final = "median-beat"
STEP_MS, FIRST_MS, LAST_MS = 20.0, -200.0, 640.0  # of the beat, from R
TREES, LEAVES, RATE = 150, 12, 0.06
FEWEST_IN_A_LEAF, PENALTY, SHARE_OF_COLUMNS = 20, 5.0, 0.15
_BY_LEAD: Final = "voltages"
_WHOLE: Final = tuple(field.name for field in fields(Measurements) if field.name != _BY_LEAD)
_OF_A_LEAD: Final = tuple(field.name for field in fields(LeadVoltages))


def measured(made: Prepared, recipe: Recipe, ecg_ids: Sequence[str]) -> Labels:
    """(n, columns) of the named recordings, in their order; NaN where a recording or its lead tells nothing."""
    if recipe.input.view is not View.MEDIAN_BEAT:
        raise CohortError(f"trees look at one beat; the recipe {recipe.name} makes another view")
    beats = _in_steps(made.tensors(np.arange(len(made))), recipe.input.sampling_rate_hz)
    heard = made.lead_masks(np.arange(len(made)))[..., None] > 0
    voltages = np.array([_voltages(row) for row in made.table[f"measured_{_BY_LEAD}"]], dtype=np.float32)
    by_lead = np.where(heard, np.concatenate((voltages, beats), axis=2), np.nan)
    whole = made.table[[f"measured_{name}" for name in _WHOLE]].to_numpy(dtype=np.float32)
    known = np.concatenate((whole, by_lead.reshape(len(made), -1)), axis=1)
    place = {name: row for row, name in enumerate(made.table["ecg_id"])}
    unknown = np.full(known.shape[1], np.nan, dtype=np.float32)
    return np.stack([known[place[name]] if name in place else unknown for name in ecg_ids]).astype(np.float32)


def _in_steps(beats_mv: Labels, rate_hz: float) -> Labels:
    """(n, 12, steps) mean voltage of each step of (n, 12, samples), R at BEFORE_MS."""
    width = round(STEP_MS * rate_hz / 1000)
    first = round((BEFORE_MS + FIRST_MS) * rate_hz / 1000)
    steps = round((LAST_MS - FIRST_MS) / STEP_MS)
    inside = beats_mv[..., first : first + steps * width]
    return np.asarray(inside.reshape(*inside.shape[:2], steps, width).mean(axis=-1), dtype=np.float32)


def _voltages(by_lead: dict[str, dict[str, Any]] | None) -> list[list[float]]:
    """(12, 4), NaN where not measurable."""
    found = by_lead or {}
    nothing: dict[str, Any] = dict.fromkeys(_OF_A_LEAD)
    return [[_number((found.get(lead) or nothing)[name]) for name in _OF_A_LEAD] for lead in LEADS]


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


@dataclass(frozen=True, slots=True)
class Trees:
    """One boosted forest for each class; a class that all or none of the training people have has none."""

    forests: tuple[HistGradientBoostingClassifier, ...]

    @classmethod
    def fit(cls, x: Labels, labels: Labels, seed: int = 0) -> Trees:
        """No recording is set aside to stop by: the next of the same person would be learned from."""
        return cls(tuple(_forest(seed).fit(x, column) for column in labels.T))

    def scores(self, x: Labels) -> Values:
        """(n, classes) probabilities."""
        return np.stack([forest.predict_proba(x)[:, 1] for forest in self.forests], axis=1)


def _forest(seed: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        learning_rate=RATE, max_iter=TREES, max_leaf_nodes=LEAVES, min_samples_leaf=FEWEST_IN_A_LEAF,
        l2_regularization=PENALTY, max_features=SHARE_OF_COLUMNS, early_stopping=False, random_state=seed,
    )  # fmt: skip
