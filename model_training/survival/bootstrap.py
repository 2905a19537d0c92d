"""Intervals by resampling patients: for one figure, and paired for the difference of two models on the same people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Estimate:
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def interval(
    figure: Callable[[Rows], float], patients: NDArray[np.generic], seed: int, draws: int = 1_000, level: float = 0.95
) -> Estimate:
    """The figure on all rows, with a percentile interval over draws of whole patients."""
    everyone = np.arange(len(patients))
    values = [figure(rows) for rows in resamples(patients, seed, draws)]
    values = [value for value in values if np.isfinite(value)]
    tail = (1 - level) / 2
    low, high = np.quantile(values, (tail, 1 - tail)) if values else (np.nan, np.nan)
    return Estimate(float(figure(everyone)), float(low), float(high))


def paired(
    first: Callable[[Rows], float],
    second: Callable[[Rows], float],
    patients: NDArray[np.generic],
    seed: int,
    draws: int = 1_000,
    level: float = 0.95,
) -> Estimate:
    """first - second, both on the same draw, so that what makes a draw easy for both cancels out."""
    return interval(lambda rows: first(rows) - second(rows), patients, seed, draws, level)


def resamples(patients: NDArray[np.generic], seed: int, draws: int) -> list[Rows]:
    """Rows of each draw; a patient comes with all their rows or none, and perhaps several times."""
    _, group = np.unique(patients, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 2))
    generator = np.random.default_rng(seed)
    n = len(starts) - 1
    if n == len(patients):
        return [order[generator.integers(0, n, n)] for _ in range(draws)]
    members = [order[starts[each] : starts[each + 1]] for each in range(n)]
    return [np.concatenate([members[each] for each in generator.integers(0, n, n)]) for _ in range(draws)]
