"""How good an encoder is, asked by PTB-XL's five superclasses: a linear probe of the embedding, frozen as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from model_training.nets.interface import Network
from model_training.train.material import AT_ONCE, Labels, Material, Rows
from model_training.train.objective import Pretraining

Values = NDArray[np.float64]
PENALTIES: Final = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)  # inverse strengths, as scikit-learn counts them


@torch.no_grad()
def embeddings(network: Network, material: Material, rows: Rows) -> Labels:
    """(n, d), with the leads that each recording has."""
    network.eval()
    device = next(network.parameters()).device
    found = []
    for start in range(0, len(rows), AT_ONCE):
        batch = material.batch(rows[start : start + AT_ONCE])
        found.append(network(batch.ecg.to(device), batch.lead_mask.to(device)).embedding.float().cpu().numpy())
    return np.concatenate(found)


@dataclass(frozen=True, slots=True)
class LinearProbe:
    """Logistic regression for each class on standardised embeddings."""

    mean: Labels
    scale: Labels
    models: tuple[LogisticRegression, ...]

    def scores(self, embedded: Labels) -> Values:
        """(n, classes), larger is likelier."""
        x = (embedded - self.mean) / self.scale
        return np.stack([model.decision_function(x) for model in self.models], axis=1)


def linear_probe(
    embedded: Labels, labels: Labels, groups: NDArray[np.object_], penalties: Sequence[float] = PENALTIES
) -> LinearProbe:
    """The strength of the penalty is chosen on the training people alone, each person on one side of every split."""
    mean, scale = embedded.mean(axis=0), embedded.std(axis=0) + 1e-6
    x = (embedded - mean) / scale
    best = penalties[0] if len(penalties) == 1 else _best_penalty(x, labels, groups, penalties)
    return LinearProbe(mean, scale, _fit(x, labels, best))


def _best_penalty(x: Labels, labels: Labels, groups: NDArray[np.object_], penalties: Sequence[float]) -> float:
    splits = list(GroupKFold(3).split(x, groups=groups))

    def judged(penalty: float) -> float:
        return float(np.mean([_held_out(x, labels, train, test, penalty) for train, test in splits]))

    return max(penalties, key=judged)


def _held_out(x: Labels, labels: Labels, train: Rows, test: Rows, penalty: float) -> float:
    models = _fit(x[train], labels[train], penalty)
    return macro_auroc(labels[test], np.stack([model.decision_function(x[test]) for model in models], axis=1))


def _fit(x: Labels, labels: Labels, penalty: float) -> tuple[LogisticRegression, ...]:
    return tuple(LogisticRegression(C=penalty, max_iter=500).fit(x, column) for column in labels.T)


def macro_auroc(labels: Labels, scores: Values) -> float:
    """Mean over the classes that have both kinds of people; not a number where none has."""
    n, present = len(labels), labels.sum(axis=0)
    both = (present > 0) & (present < n)
    if not both.any():
        return float("nan")
    # AUROC = (mean rank of those with the class - (their number + 1) / 2) / number of those without; ties share ranks
    ranked = (rankdata(scores[:, both], axis=0) * labels[:, both]).sum(axis=0) / present[both]
    return float(np.mean((ranked - (present[both] + 1) / 2) / (n - present[both])))


def probe_score(material: Material, train: Rows, validate: Rows) -> Callable[[Pretraining], dict[str, float]]:
    """What pretraining picks its best epoch by: a probe fitted on the training rows, judged on the others."""

    def score(model: Pretraining) -> dict[str, float]:
        fitted = linear_probe(
            embeddings(model.network, material, train), material.superclass[train], material.patients[train], (1e-3,)
        )
        found = fitted.scores(embeddings(model.network, material, validate))
        return {"probe_macro_auroc": macro_auroc(material.superclass[validate], found)}

    return score
