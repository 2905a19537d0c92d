"""Models outside torch, on ECG measurements and age and sex: Cox by Newton's method, trees boosted on its gradient.

Columns are standardised and missing values set to the training median, with nothing learnt from who is scored later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

Table = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scaling:
    """Median, mean and SD of each column, from training alone."""

    fill: Table
    mean: Table
    sd: Table

    @classmethod
    def of(cls, x: Table) -> Self:
        fill = np.where(np.isnan(x).all(axis=0), 0.0, np.nanmedian(np.where(np.isnan(x).all(axis=0), 0.0, x), axis=0))
        whole = np.where(np.isnan(x), fill, x)
        sd = whole.std(axis=0)
        return cls(fill, whole.mean(axis=0), np.where(sd > 0, sd, 1.0))

    def apply(self, x: Table) -> Table:
        return np.asarray((np.where(np.isnan(x), self.fill, x) - self.mean) / self.sd)


@dataclass(frozen=True, slots=True)
class Cox:
    """A fitted Cox model: log-hazard is linear in the standardised columns. Ties after Breslow, `ridge` on beta."""

    scaling: Scaling
    beta: Table

    @classmethod
    def fit(cls, x: Table, time: Table, event: NDArray[np.bool_], ridge: float = 0.0, steps: int = 50) -> Self:
        scaling = Scaling.of(x)
        columns, beta = scaling.apply(x), np.zeros(x.shape[1])
        loss, gradient, curvature = _partial_likelihood(columns, beta, time, event, ridge)
        for _ in range(steps):
            step = np.linalg.solve(curvature + 1e-9 * np.eye(len(beta)), gradient)
            for halving in range(30):
                trial = _partial_likelihood(columns, beta - step / 2**halving, time, event, ridge)
                if trial[0] <= loss:
                    break
            beta = beta - step / 2**halving
            improved, (loss, gradient, curvature) = loss - trial[0], trial
            if improved < 1e-12:
                break
        return cls(scaling, beta)

    def log_hazard(self, x: Table) -> Table:
        return np.asarray(self.scaling.apply(x) @ self.beta)


def _partial_likelihood(
    x: Table, beta: Table, time: Table, event: NDArray[np.bool_], ridge: float
) -> tuple[float, Table, Table]:
    """Mean negative log partial likelihood with its gradient and Hessian."""
    order = np.argsort(-time, kind="stable")
    x, at, died, risk = x[order], time[order], event[order], (x @ beta)[order]
    hazard = np.exp(risk - risk.max())
    # at each person the sums over everyone whose time is no shorter: of the hazard, of hazard * x, of hazard * x x'
    end = np.searchsorted(-at, -at, side="right") - 1
    s0 = np.cumsum(hazard)[end]
    s1 = np.cumsum(hazard[:, None] * x, axis=0)[end]
    s2 = np.cumsum(hazard[:, None, None] * x[:, :, None] * x[:, None, :], axis=0)[end]
    mean = s1 / s0[:, None]
    spread = s2 / s0[:, None, None] - mean[:, :, None] * mean[:, None, :]
    n = max(int(died.sum()), 1)
    loss = (np.log(s0) + risk.max() - risk)[died].sum() / n + 0.5 * ridge * beta @ beta
    gradient = (mean - x)[died].sum(axis=0) / n + ridge * beta
    return float(loss), gradient, spread[died].sum(axis=0) / n + ridge * np.eye(len(beta))


def martingale_residuals(risk: Table, time: Table, event: NDArray[np.bool_]) -> Table:
    """Event minus expected events: the direction in which the partial likelihood (Breslow) rises."""
    order = np.argsort(-time, kind="stable")
    at, died, hazard = time[order], event[order].astype(float), np.exp(risk[order] - risk.max())
    end = np.searchsorted(-at, -at, side="right") - 1
    jump = died / np.cumsum(hazard)[end]
    # cumulative baseline hazard up to and including each person's own time: jumps at times no longer than it
    start = np.searchsorted(-at, -at, side="left")
    cumulative = np.cumsum(jump[::-1])[::-1][start]
    residuals = np.empty_like(risk)
    residuals[order] = died - hazard * cumulative
    return residuals


@dataclass(frozen=True, slots=True)
class BoostedCox:
    """Gradient boosting of small trees on the Cox partial likelihood; a share of people grows each tree."""

    scaling: Scaling
    trees: tuple[DecisionTreeRegressor, ...]
    rate: float

    @classmethod
    def fit(
        cls, x: Table, time: Table, event: NDArray[np.bool_], *, trees: int = 100, depth: int = 3, rate: float = 0.1,
        share: float = 0.5, leaf: int = 10, seed: int = 0,
    ) -> Self:  # fmt: skip
        scaling, chance = Scaling.of(x), np.random.default_rng(seed)
        columns, risk, grown = scaling.apply(x), np.zeros(len(x)), []
        for _ in range(trees):
            some = chance.random(len(x)) < share
            residuals = martingale_residuals(risk, time, event)
            tree = DecisionTreeRegressor(max_depth=depth, min_samples_leaf=leaf, random_state=seed)
            grown.append(tree.fit(columns[some], residuals[some]))
            risk = risk + rate * tree.predict(columns)
        return cls(scaling, tuple(grown), rate)

    def log_hazard(self, x: Table) -> Table:
        columns = self.scaling.apply(x)
        return np.asarray(self.rate * np.sum([tree.predict(columns) for tree in self.trees], axis=0))
