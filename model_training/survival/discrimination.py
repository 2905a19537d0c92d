"""Whether those who fail score higher: Harrell's C, Uno's C, cumulative/dynamic AUC."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model_training.survival.curves import Array, Outcomes, censoring

TIED = 1e-8
_BLOCK = 512


def harrell_c(outcomes: Outcomes, score: Array) -> float:
    """The share of comparable pairs in which the one who failed first scores higher; ties in score count one half."""
    return _weighted_c(outcomes, score, np.ones(len(outcomes)), np.inf)


def uno_c(reference: Outcomes, outcomes: Outcomes, score: Array, tau: float) -> float:
    """As Harrell's, each pair weighted by the inverse squared chance of being seen: it does not drift with censoring.

    `reference` tells the censoring distribution, and must reach as far as `tau`.
    """
    seen = censoring(reference)(outcomes.time)
    counted = outcomes.happened & (outcomes.time < tau)
    if (seen[counted] <= 0).any():
        raise ValueError("events lie beyond the reference's follow-up: lower tau")
    weight = np.zeros(len(outcomes))
    weight[counted] = seen[counted] ** -2.0
    return _weighted_c(outcomes, score, weight, tau)


def _weighted_c(outcomes: Outcomes, score: Array, weight: Array, tau: float) -> float:
    cases = np.flatnonzero(outcomes.happened & (outcomes.time < tau))
    right = total = 0.0
    for start in range(0, len(cases), _BLOCK):
        block = cases[start : start + _BLOCK, None]
        # Comparable: the other one was still free when this one failed, or was censored at that very time.
        later = outcomes.time[None] > outcomes.time[block]
        tied = (outcomes.time[None] == outcomes.time[block]) & ~outcomes.happened[None]
        comparable = later | tied
        ahead = score[block] - score[None]
        wins = np.where(np.abs(ahead) <= TIED, 0.5, ahead > 0)
        right += float((weight[block] * comparable * wins).sum())
        total += float((weight[block] * comparable).sum())
    return right / total if total else float("nan")


def dynamic_auc(reference: Outcomes, outcomes: Outcomes, score: Array, times: Sequence[float]) -> Array:
    """At each time, the chance that someone who has failed by then scores higher than someone who has not (IPCW)."""
    seen = censoring(reference)(outcomes.time)
    found = []
    for time in times:
        cases = outcomes.happened & (outcomes.time <= time)
        controls = outcomes.time > time
        if not cases.any() or not controls.any() or (seen[cases] <= 0).any():
            found.append(float("nan"))
            continue
        ahead = score[cases][:, None] - score[controls][None]
        wins = np.where(np.abs(ahead) <= TIED, 0.5, ahead > 0)
        weight = 1 / seen[cases]
        found.append(float((weight @ wins.mean(axis=1)) / weight.sum()))
    return np.array(found)


def estimable(outcomes: Outcomes, time: float, least: int = 20) -> bool:
    """A horizon is reported only where enough failed before it and enough were followed beyond it."""
    failed = int((outcomes.happened & (outcomes.time <= time)).sum())
    return failed >= least and int((outcomes.time > time).sum()) >= least
