"""How far predicted survival lies from what happened: IPCW Brier score, its integral, the gain over the average."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model_training.survival.curves import Array, Outcomes, censoring, kaplan_meier


def brier(reference: Outcomes, outcomes: Outcomes, survival: Array, times: Sequence[float]) -> Array:
    """Mean squared error of survival (n, times), each person weighted by the inverse chance of being seen so long."""
    g = censoring(reference)
    own = np.maximum(g(outcomes.time), 1e-300)
    scores = []
    for column, time in enumerate(times):
        failed = outcomes.happened & (outcomes.time <= time)
        free = outcomes.time > time
        squared = failed * survival[:, column] ** 2 / own + free * (1 - survival[:, column]) ** 2 / g(time)
        scores.append(squared.mean())
    return np.array(scores)


def integrated_brier(reference: Outcomes, outcomes: Outcomes, survival: Array, times: Sequence[float]) -> float:
    """The Brier score averaged over the time span by the trapezoidal rule."""
    scores = brier(reference, outcomes, survival, times)
    return float(np.trapezoid(scores, times) / (times[-1] - times[0]))


def index_of_accuracy(reference: Outcomes, outcomes: Outcomes, survival: Array, times: Sequence[float]) -> Array:
    """1 - Brier / Brier of the Kaplan-Meier curve for everyone: 0 is no better than the average, 1 is perfect."""
    null = np.tile(kaplan_meier(reference)(np.asarray(times)), (len(outcomes), 1))
    return np.asarray(1 - brier(reference, outcomes, survival, times) / brier(reference, outcomes, null, times))
