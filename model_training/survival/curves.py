"""Step curves from censored times: Kaplan-Meier, the censoring distribution, Aalen-Johansen under competing death."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
CENSORED, EVENT, DEATH = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Times and what ended them: 0 censored, 1 the event, 2 death before it. Discrimination counts 2 as censored."""

    time: Array
    event: NDArray[np.int64]

    @classmethod
    def of(cls, time: ArrayLike, event: ArrayLike) -> Outcomes:
        times, events = np.asarray(time, dtype=np.float64), np.asarray(event, dtype=np.int64)
        if times.shape != events.shape or times.ndim != 1:
            raise ValueError(f"times {times.shape} and events {events.shape} must be two equal columns")
        if not np.isfinite(times).all() or (times < 0).any():
            raise ValueError("times must be finite and not negative")
        if not np.isin(events, (CENSORED, EVENT, DEATH)).all():
            raise ValueError("events must be 0, 1 or 2")
        return cls(times, events)

    def __len__(self) -> int:
        return len(self.time)

    def __getitem__(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Outcomes:
        return Outcomes(self.time[rows], self.event[rows])

    @property
    def happened(self) -> NDArray[np.bool_]:
        return np.asarray(self.event == EVENT)

    @property
    def n_events(self) -> int:
        return int(self.happened.sum())


@dataclass(frozen=True, slots=True)
class Step:
    """A right-continuous step function, `start` before its first time."""

    times: Array
    values: Array
    start: float

    def __call__(self, at: ArrayLike) -> Array:
        place = np.searchsorted(self.times, np.asarray(at, dtype=np.float64), side="right") - 1
        return np.where(place >= 0, self.values[np.maximum(place, 0)], self.start)


@dataclass(frozen=True, slots=True)
class _Counts:
    """At each distinct time: who was at risk just before, and how many ended there and how."""

    times: Array
    at_risk: Array
    events: Array
    deaths: Array
    censored: Array


def _counts(outcomes: Outcomes) -> _Counts:
    times, place = np.unique(outcomes.time, return_inverse=True)

    def ended(kind: int) -> Array:
        return np.bincount(place, outcomes.event == kind, len(times)).astype(np.float64)

    ending = np.bincount(place, minlength=len(times))
    at_risk = len(outcomes) - np.concatenate(([0], np.cumsum(ending)[:-1]))
    return _Counts(times, at_risk.astype(np.float64), ended(EVENT), ended(DEATH), ended(CENSORED))


def kaplan_meier(outcomes: Outcomes) -> Step:
    """Survival free of the event, death counted as censoring."""
    counts = _counts(outcomes)
    return Step(counts.times, np.asarray(np.cumprod(1 - counts.events / counts.at_risk), dtype=np.float64), 1.0)


def censoring(outcomes: Outcomes) -> Step:
    """Probability of not being censored yet. At tied times events come before censorings; death counts as censoring."""
    counts = _counts(outcomes)
    left = counts.at_risk - counts.events
    lost = counts.censored + counts.deaths
    remains = np.where(left > 0, 1 - lost / np.maximum(left, 1), 1.0)
    return Step(counts.times, np.asarray(np.cumprod(remains), dtype=np.float64), 1.0)


def aalen_johansen(outcomes: Outcomes, kind: int = EVENT) -> Step:
    """Cumulative incidence of one way to end while the other competes: what happens, not what would without death."""
    counts = _counts(outcomes)
    ended = counts.events + counts.deaths
    # Still free of both just before each time, times the share that ends in this way there.
    free_before = np.concatenate(([1.0], np.cumprod(1 - ended / counts.at_risk)[:-1]))
    of_kind = counts.events if kind == EVENT else counts.deaths
    return Step(counts.times, _running_sum(free_before * of_kind / counts.at_risk), 0.0)


def breslow(outcomes: Outcomes, log_hazard: Array) -> Step:
    """Cumulative baseline hazard at log-hazard 0, ties by Breslow."""
    times, place = np.unique(outcomes.time, return_inverse=True)
    weight = np.bincount(place, np.exp(log_hazard), len(times))
    at_risk = np.cumsum(weight[::-1])[::-1]
    events = np.bincount(place, outcomes.happened, len(times))
    return Step(times, _running_sum(events / at_risk), 0.0)


def _running_sum(increments: Array) -> Array:
    return np.asarray(np.cumsum(increments), dtype=np.float64)
