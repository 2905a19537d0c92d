"""What is read off one map and one true mask, and intervals over people. A mask is the share of each cell it covers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from model_training.explain.subject import Array, Bools
from model_training.survival.bootstrap import Estimate, Rows, interval

DRAWS: Final = 1000
# A cell counts as hit when the mask covers at least this share of what it covers of its best cell.
WELL_COVERED: Final = 0.5


def mass(drawn: Array, covered: Array) -> float:
    """The share of the map's weight that lies on the mask, a cell's weight being even over its time."""
    weight = np.abs(drawn)
    return float((weight * covered).sum() / weight.sum()) if weight.sum() > 0 else 0.0


def chance(covered: Array, usable: Bools) -> float:
    """The mass of a map that is even over the usable leads: the share of them that the mask covers."""
    return float(covered[usable].mean())


def ceiling(covered: Array, usable: Bools) -> float:
    """The most that any map on these cells could reach over chance."""
    return float(covered[usable].max() / max(chance(covered, usable), 1e-12))


def core(difference_mv: Array) -> Bools:
    """The smallest set of samples that holds half of the squared difference."""
    power = np.asarray(difference_mv, dtype=np.float64).ravel() ** 2
    order = np.argsort(-power, kind="stable")
    held = np.cumsum(power[order])
    chosen = np.zeros(power.size, dtype=bool)
    if held[-1] > 0:
        chosen[order[: int(np.searchsorted(held, held[-1] / 2)) + 1]] = True
    return chosen.reshape(np.shape(difference_mv))


def points_at(drawn: Array, covered: Array) -> bool:
    """Whether the map's highest cell is one that the mask covers well; grazing it does not count."""
    highest = np.unravel_index(int(np.abs(drawn).argmax()), drawn.shape)
    return bool(covered.max() > 0 and covered[highest] >= WELL_COVERED * covered.max())


def points_by_chance(covered: Array, usable: Bools) -> float:
    """How often a cell drawn blindly among usable leads would hit."""
    return float((covered[usable] >= WELL_COVERED * covered.max()).mean()) if covered.max() > 0 else 0.0


def separation(drawn: Array, covered: Array, usable: Bools) -> float:
    """AUROC of the map between well covered cells and all others."""
    hit = (covered[usable] >= WELL_COVERED * covered.max()).ravel()
    if hit.all() or not hit.any():
        return float("nan")
    ranks, hits = rankdata(np.abs(drawn)[usable].ravel()), int(hit.sum())
    return float((ranks[hit].sum() - hits * (hits + 1) / 2) / (hits * (hit.size - hits)))


def rank_correlation(first: Array, second: Array) -> float:
    """Spearman's rho of two maps' heights, 0 where one of them is flat."""
    one, two = np.abs(first).ravel(), np.abs(second).ravel()
    if np.ptp(one) == 0 or np.ptp(two) == 0:
        return 0.0
    return float(spearmanr(one, two).statistic)


def concordance(score: Array, truth: Array) -> float:
    """Among pairs whose truth differs, the share that the score puts in the same order; ties count one half."""
    apart = truth[:, None] > truth[None]
    ahead = score[:, None] - score[None]
    return float(np.where(ahead == 0, 0.5, ahead > 0)[apart].mean()) if apart.any() else float("nan")


def mean_interval(values: Array, seed: int = 0, people: NDArray[Any] | None = None) -> Estimate:
    """The mean with a 95 % interval over people."""
    who = np.arange(len(values)) if people is None else people
    return of_people(lambda rows: float(np.mean(values[rows])), who, seed)


def of_people(figure: Callable[[Rows], float], who: NDArray[Any], seed: int = 0) -> Estimate:
    return interval(figure, who, seed, DRAWS)


def rank_correlation_signed(first: Array, second: Array) -> float:
    """Spearman's rho with the signs kept, 0 where one of them does not vary."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(spearmanr(first, second).statistic)
