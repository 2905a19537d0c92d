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
RIDGES: Final = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
_FOLDS: Final = 5
_ITERATIONS: Final = 200


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
            lost[place] += held.outcomes.n_events * float(_loss(head.log_hazard(embedded[test]), held))
    return ridges[int(lost.argmin())]


def _fit(embedded: NDArray[np.float32], target: Target, ridge: float, start: Array | None) -> CoxHead:
    mean, scale = embedded.mean(axis=0, dtype=np.float64), embedded.std(axis=0, dtype=np.float64) + 1e-6
    x = torch.from_numpy((embedded - mean) / scale)

    def objective(beta: Array) -> tuple[float, Array]:
        weights = torch.from_numpy(beta).requires_grad_()
        loss = _of(x @ weights, target) + 0.5 * ridge * weights.square().sum()
        loss.backward()
        assert weights.grad is not None
        return float(loss.detach()), weights.grad.numpy()

    first = np.zeros(x.shape[1]) if start is None else start
    found = minimize(objective, first, jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS})
    return CoxHead(mean, scale, np.asarray(found.x), ridge)


def _of(log_hazard: torch.Tensor, target: Target) -> torch.Tensor:
    time, event = torch.from_numpy(target.outcomes.time), torch.from_numpy(target.outcomes.happened)
    return stratified_loss(log_hazard, time, event, torch.from_numpy(target.stratum), Ties.BRESLOW)


def _loss(log_hazard: Array, target: Target) -> float:
    return float(_of(torch.from_numpy(log_hazard), target))


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
