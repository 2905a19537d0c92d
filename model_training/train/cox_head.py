"""A Cox model on frozen embeddings: convex, so it has one answer, and the start of every fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.model_selection import GroupKFold

from model_training.losses import Ties, cox_partial_likelihood
from model_training.nets.heads import RiskHead
from model_training.survival.curves import Outcomes

Array = NDArray[np.float64]
RIDGES: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
_FOLDS: Final = 4
_ITERATIONS: Final = 100


@dataclass(frozen=True, slots=True)
class Target:
    """What is fitted: times and events, the cohort of each, and who belongs together."""

    outcomes: Outcomes
    stratum: NDArray[np.int64]
    patients: NDArray[np.object_]

    def __getitem__(self, rows: NDArray[np.int64]) -> Target:
        return Target(self.outcomes[rows], self.stratum[rows], self.patients[rows])


@dataclass(frozen=True, slots=True)
class CoxHead:
    """Log-hazard = ((embedding - mean) / scale) @ beta."""

    mean: Array
    scale: Array
    beta: Array
    ridge: float

    def log_hazard(self, embedded: NDArray[np.float32]) -> Array:
        return np.asarray((embedded - self.mean) / self.scale @ self.beta)

    def write_to(self, head: RiskHead) -> None:
        """The affine head that says the same."""
        if not head.is_affine:
            raise ValueError("a hidden layer cannot start from a linear fit")
        norm = head.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        with torch.no_grad():
            norm.running_mean.copy_(torch.from_numpy(self.mean))
            norm.running_var.copy_(torch.from_numpy(self.scale**2 - norm.eps))
            head.out.weight.copy_(torch.from_numpy(self.beta)[None])
            head.out.bias.zero_()


def stratified_loss(
    log_hazard: torch.Tensor, time: torch.Tensor, event: torch.Tensor, stratum: torch.Tensor, ties: Ties = Ties.EFRON
) -> torch.Tensor:
    """Mean over the events: people are compared within their cohort alone, whose baseline is its own."""
    total, events = log_hazard.sum() * 0, event.sum().clamp(min=1)
    for each in torch.unique(stratum):
        inside = stratum == each
        loss = cox_partial_likelihood(log_hazard[inside], time[inside], event[inside], ties)
        total = total + loss * event[inside].sum() / events
    return total


def fit(embedded: NDArray[np.float32], target: Target, ridges: Sequence[float] = RIDGES) -> CoxHead:
    """The ridge is chosen by the partial likelihood of patients left out, within the rows given."""
    best = ridges[0] if len(ridges) == 1 else _best_ridge(embedded, target, ridges)
    return _fit(embedded, target, best, None)


def _best_ridge(embedded: NDArray[np.float32], target: Target, ridges: Sequence[float]) -> float:
    folds = min(_FOLDS, len(np.unique(target.patients)), max(2, target.outcomes.n_events))
    splits = list(GroupKFold(folds, shuffle=True, random_state=0).split(embedded, groups=target.patients))
    lost = np.zeros(len(ridges))
    for train, test in splits:
        start: Array | None = None
        # from strong to weak, each fit starting at the last one's answer
        for place in np.argsort(ridges)[::-1]:
            head = _fit(embedded[train], target[train], ridges[place], start)
            start, held = head.beta, target[test]
            lost[place] += held.outcomes.n_events * _Likelihood.of(held).at(head.log_hazard(embedded[test]))[0]
    return ridges[int(lost.argmin())]


def _fit(embedded: NDArray[np.float32], target: Target, ridge: float, start: Array | None) -> CoxHead:
    mean, scale = embedded.mean(axis=0, dtype=np.float64), embedded.std(axis=0, dtype=np.float64) + 1e-6
    x = ((embedded - mean) / scale).astype(np.float32)
    likelihood = _Likelihood.of(target)

    def objective(beta: Array) -> tuple[float, Array]:
        loss, residual = likelihood.at((x @ beta.astype(np.float32)).astype(np.float64))
        pull = (residual.astype(np.float32) @ x).astype(np.float64)
        return loss + 0.5 * ridge * float(beta @ beta), pull + ridge * beta

    first = np.zeros(x.shape[1]) if start is None else start
    found = minimize(objective, first, jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS, "ftol": 1e-7})
    return CoxHead(mean, scale, np.asarray(found.x), ridge)


@dataclass(frozen=True, slots=True)
class _Likelihood:
    """Breslow's partial likelihood with everyone sorted once: by cohort, then from the longest time to the shortest."""

    strata: tuple[tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]], ...]
    events: int

    @classmethod
    def of(cls, target: Target) -> _Likelihood:
        strata = []
        for each in np.unique(target.stratum):
            inside = np.flatnonzero(target.stratum == each)
            order = inside[np.argsort(-target.outcomes.time[inside], kind="stable")]
            falling = -target.outcomes.time[order]
            last = np.searchsorted(falling, falling, side="right") - 1
            first = np.searchsorted(falling, falling, side="left")
            strata.append((order, target.outcomes.happened[order], first, last))
        return cls(tuple(strata), max(target.outcomes.n_events, 1))

    def at(self, log_hazard: Array) -> tuple[float, Array]:
        """Mean loss over events, and its derivative by each log-hazard: expected less observed events."""
        loss, residual = 0.0, np.zeros_like(log_hazard)
        for order, died, first, last in self.strata:
            risk = log_hazard[order]
            top = float(risk.max())
            hazard = np.exp(risk - top)
            at_risk = np.cumsum(hazard)[last]
            loss += float((np.log(at_risk) + top - risk)[died].sum())
            # baseline hazard gathered from the shortest time up to and including one's own
            gathered = np.cumsum((died / at_risk)[::-1])[::-1][first]
            residual[order] = hazard * gathered - died
        return loss / self.events, residual / self.events


def spread_of_resamples(
    embedded: NDArray[np.float32], target: Target, others: NDArray[np.float32], ridge: float, seed: int, draws: int = 20
) -> float:
    """Standard error of one person's log-hazard: how far models of resampled patients lie apart, on other people."""
    chance = np.random.default_rng(seed)
    _, person = np.unique(target.patients, return_inverse=True)
    answers = []
    for _ in range(draws):
        times_drawn = np.bincount(chance.integers(0, person.max() + 1, person.max() + 1), minlength=person.max() + 1)
        rows = np.repeat(np.arange(len(person)), times_drawn[person])
        answer = _fit(embedded[rows], target[rows], ridge, None).log_hazard(others)
        answers.append(answer - answer.mean())
    return float(np.sqrt(np.var(answers, axis=0, ddof=1).mean()))
