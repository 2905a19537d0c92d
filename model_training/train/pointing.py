"""Pairs of recordings that differ in one trait, so that fine-tuning can ask the map of the risk to lie on what changed.

The simulator alone knows where that is. Only networks whose risk is a sum over leads and cells can be asked. SIMULATED.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ecg.contract import ExplanationFacts, QualityLimits, Step
from model_training.explain import pairs
from model_training.nets.dual_attention import DualAttention
from model_training.nets.interface import Seen
from model_training.nets.risk_model import RiskModel, exact_relevance
from model_training.recipe import Recipe
from model_training.train import ship

# other people than those whom the maps are tested on
SEED: Final = 730_001


@dataclass(frozen=True, slots=True)
class _Trip:
    preprocessing: tuple[Step, ...]
    quality: QualityLimits
    explanation: ExplanationFacts


class PairBatch(NamedTuple):
    """ecg (2 n, 12, samples) and lead_mask (2 n, 12): all before, then all after; covered (n, 12, cells)."""

    ecg: Tensor
    lead_mask: Tensor
    covered: Tensor

    def to(self, device: torch.device) -> PairBatch:
        return PairBatch(*(each.to(device) for each in self))


@dataclass(frozen=True, slots=True, eq=False)
class Twins:
    """ecg (n, 2, 12, samples), before and after; lead_mask (n, 2, 12); covered (n, 12, cells) up to 1 where it changed.

    Kept at half precision: there are many.
    """

    ecg: NDArray[np.float16]
    lead_mask: NDArray[np.float32]
    covered: NDArray[np.float16]

    def drawn(self, n: int, generator: torch.Generator) -> PairBatch:
        rows = torch.randint(len(self.ecg), (n,), generator=generator).numpy()
        ecg = self.ecg[rows].swapaxes(0, 1).reshape(2 * n, *self.ecg.shape[2:]).astype(np.float32)
        mask = self.lead_mask[rows].swapaxes(0, 1).reshape(2 * n, -1)
        covered = torch.from_numpy(self.covered[rows].astype(np.float32))
        return PairBatch(torch.from_numpy(ecg), torch.from_numpy(mask), covered)


def draw(network: DualAttention, recipe: Recipe, people: int, seed: int) -> Twins:
    """Every judged change in as many people; pairs that the gate refuses are left out."""
    trip = _Trip(recipe.steps, recipe.quality, ship.explanation_facts(network.config, ship.Shown()))
    traits = pairs.candidates(people, SEED + seed)
    found = [
        pair
        for change in pairs.JUDGED
        for i in range(len(traits))
        if (pair := pairs.drawn_pair(traits, i, change, SEED + seed, trip)) is not None
    ]
    return Twins(
        np.stack([np.stack((one.tensor, two.tensor)) for one, two, _ in found]).astype(np.float16),
        np.stack([np.stack((one.lead_mask, two.lead_mask)) for one, two, _ in found]).astype(np.float32),
        np.stack([covered / covered.max() for *_, covered in found]).astype(np.float16),
    )


def astray(model: RiskModel, seen: Seen, covered: Tensor) -> Tensor:
    """0 when all that the map changed between the two halves of a batch lies where the recordings changed.

    Minus the log of the share that lies there, of the amounts and of their squares: the first is about the map as a
    whole, the second about its peak. Neither asks how large the change is, which is for the hazard to say.
    """
    before, after = exact_relevance(seen.shares, *model.head.direction()).temporal.chunk(2)
    amount = (after - before).abs()
    return torch.stack([-_share_on(weight, covered).log().mean() for weight in (amount, amount.square())]).mean()


def _share_on(weight: Tensor, covered: Tensor) -> Tensor:
    on = (weight * covered).sum(dim=(1, 2))
    return (on / weight.sum(dim=(1, 2)).clamp(min=1e-12)).clamp(min=1e-6)
