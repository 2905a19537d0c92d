"""The Cox model of infinitely many outcomes: what a fit tends to when hazards are known and only people vary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_training.simulate.chance import Floats

_ROUNDS = 30


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """Of each person in each interval of time: the chance to fail in it, and to be at risk in its middle."""

    fails: Floats
    at_risk: Floats

    @classmethod
    def of(cls, survival: Floats, remains: Floats | None = None) -> Expected:
        """From survival free of the event (n, times + 1); `remains` is the chance not to be lost for other reasons."""
        seen = 1.0 if remains is None else (remains[:, 1:] + remains[:, :-1]) / 2
        return cls((survival[:, :-1] - survival[:, 1:]) * seen, (survival[:, :-1] + survival[:, 1:]) / 2 * seen)


def fit(x: Floats, expected: Expected) -> Floats:
    """Log hazard ratios of the columns, by Newton's method on the expected partial likelihood."""
    x = x - x.mean(axis=0)
    beta, total = np.zeros(x.shape[1]), expected.fails.sum(axis=0)
    for _ in range(_ROUNDS):
        weight = expected.at_risk * np.exp(x @ beta)[:, None]
        s0, s1 = weight.sum(axis=0), x.T @ weight
        mean = s1 / s0
        # score: sum over failures of x - E[x at risk]; information: variance of x at risk
        score = (x.T @ expected.fails).sum(axis=1) - mean @ total
        information = (x.T * (weight / s0 @ total)) @ x - (mean * total) @ mean.T
        step = np.clip(np.linalg.solve(information, score), -1.0, 1.0)
        beta = beta + step
        if np.abs(step).max() < 1e-9:
            break
    return np.asarray(beta)
