"""The maps that attention has to be compared with: occlusion of the served graph, and gradients of its weights."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from ecg.contract import Contract
from model_training.explain.deletion import typical_twin
from model_training.explain.subject import Array, Model, Samples, Subject, energy, log_hazards, stacked, token_of_sample
from model_training.nets.dual_attention import DualAttention
from model_training.nets.risk_model import RiskModel

STEPS: Final = 8  # of the path of integrated gradients
Maps = Callable[[Sequence[Subject]], Array]


def energy_map(contract: Contract) -> Maps:
    return lambda subjects: np.stack([energy(each, contract) for each in subjects])


def random_map(contract: Contract) -> Maps:
    """Blind: numbers that follow from the recording and say nothing of it, anew for each."""

    def drawn(subjects: Sequence[Subject]) -> Array:
        shape = (12, contract.explanation.tokens)
        return np.stack([np.random.default_rng(zlib.crc32(each.tensor.tobytes())).random(shape) for each in subjects])

    return drawn


@dataclass(frozen=True, slots=True, eq=False)
class Occlusion:
    """What the log-hazard loses when one cell becomes a typical beat's. Needs the served graph alone."""

    model: Model
    typical_mv: Samples

    def __call__(self, subjects: Sequence[Subject]) -> Array:
        return np.stack([self._one(each) for each in subjects])

    def _one(self, of: Subject) -> Array:
        contract = self.model.contract
        tokens, token = contract.explanation.tokens, token_of_sample(contract)
        twin = typical_twin(of, self.typical_mv, contract)
        leads = np.flatnonzero(of.lead_mask)
        occluded = np.repeat(of.tensor[None], len(leads) * tokens, axis=0)
        for row, lead in enumerate(leads):
            for k in range(tokens):
                there = token == k
                occluded[row * tokens + k, lead, there] = twin[lead, there]
        masks = np.repeat(of.lead_mask[None], len(occluded), axis=0)
        lost = log_hazards(self.model, *stacked([of]))[0] - log_hazards(self.model, occluded, masks)
        drawn = np.zeros((12, tokens))
        drawn[leads] = lost.reshape(len(leads), tokens)
        return drawn


@dataclass(frozen=True, slots=True, eq=False)
class Gradients:
    """Maps that need the weights. The path and the product start at the typical beat under the person's rhythm."""

    weights: RiskModel
    contract: Contract
    typical_mv: Samples

    def gradient_x_input(self, subjects: Sequence[Subject]) -> Array:
        return self._along(subjects, np.array([1.0]))

    def integrated(self, subjects: Sequence[Subject]) -> Array:
        """By the midpoint rule over eight steps."""
        return self._along(subjects, (np.arange(STEPS) + 0.5) / STEPS)

    def _along(self, subjects: Sequence[Subject], doses: Array) -> Array:
        drawn = []
        for each in subjects:
            twin = typical_twin(each, self.typical_mv, self.contract)
            away = (each.tensor - twin).astype(np.float64)
            path = torch.from_numpy(np.stack([twin + np.float32(dose) * (each.tensor - twin) for dose in doses]))
            mask = torch.from_numpy(each.lead_mask.astype(np.float32)).expand(len(path), -1)
            leaf = path.requires_grad_()
            (gradient,) = torch.autograd.grad(self.weights(leaf, mask).log_hazard.sum(), leaf)
            drawn.append(self._summed(gradient.mean(dim=0).double().numpy() * away))
        return np.stack(drawn)

    def _summed(self, by_sample: Array) -> Array:
        token, tokens = token_of_sample(self.contract), self.contract.explanation.tokens
        return np.stack([np.bincount(token, weights=row, minlength=tokens) for row in by_sample])

    def grad_cam(self, subjects: Sequence[Subject]) -> Array:
        """Channels weighted by their mean gradient over all cells of the record; what lowers the risk is cut off."""
        assert isinstance(self.weights.network, DualAttention)
        tensors, masks = stacked(subjects)
        mask = torch.from_numpy(masks.astype(np.float32))
        with torch.no_grad():
            tokens = self.weights.network.encode(torch.from_numpy(tensors), mask)
        # where cells are windows, these are the features that the map's cells stand for
        field, there = "values", tokens.usable
        if tokens.usable_windows is not None:
            field, there = "windows", tokens.usable_windows
        leaf = getattr(tokens, field).detach().requires_grad_()
        judged = self.weights.after_tokens(tokens._replace(**{field: leaf}))
        (gradient,) = torch.autograd.grad(judged.log_hazard.sum(), leaf)
        channel = gradient.mean(dim=(1, 2), keepdim=True)
        drawn: Tensor = torch.relu((channel * leaf).sum(dim=-1)) * there
        return np.asarray(drawn.detach().double().numpy())


def differentiable(weights: RiskModel, contract: Contract, typical_mv: Samples) -> dict[str, Maps]:
    """The maps that a service could draw instead, if they met the tests."""
    gradients = Gradients(weights.eval().requires_grad_(False), contract, typical_mv)
    return {"integrated gradients": gradients.integrated, "gradient x input": gradients.gradient_x_input}


def of_weights(weights: RiskModel, contract: Contract, typical_mv: Samples) -> dict[str, Maps]:
    found = differentiable(weights, contract, typical_mv)
    if isinstance(weights.network, DualAttention):
        found["Grad-CAM"] = Gradients(weights, contract, typical_mv).grad_cam
    return found
