"""Optimiser and learning rate: AdamW that decays matrices alone, and a rate that is a function of the step alone."""

from __future__ import annotations

import math
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field
from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR


class Shape(StrEnum):
    """How the learning rate goes after its warm-up."""

    CONSTANT = "constant"
    COSINE = "cosine"
    ONE_CYCLE = "one_cycle"


class OptimiserOptions(BaseModel):
    """`warm_up` is the fraction of all steps on which the rate rises to `learning_rate`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    learning_rate: float = Field(default=3e-3, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    shape: Shape = Shape.ONE_CYCLE
    warm_up: float = Field(default=0.2, ge=0, lt=1)
    clip_norm: float = Field(default=1.0, gt=0)


def optimiser(model: nn.Module, options: OptimiserOptions) -> AdamW:
    """Biases, norms and scalars are not decayed: shrinking them says nothing about complexity."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [each for each in trained if each.dim() > 1], "weight_decay": options.weight_decay},
        {"params": [each for each in trained if each.dim() <= 1], "weight_decay": 0.0},
    ]
    return AdamW([group for group in groups if group["params"]], lr=options.learning_rate, betas=options.betas)


def scheduler(optimiser: Optimizer, options: OptimiserOptions, steps: int) -> LambdaLR:
    return LambdaLR(optimiser, lambda step: factor(options, step, steps))


def factor(options: OptimiserOptions, step: int, steps: int) -> float:
    """The share of the full learning rate at a step."""
    rising = round(options.warm_up * steps)
    if step < rising:
        share = (step + 1) / rising
        # one cycle rises along half a cosine from 1/25, as it falls; the others rise straight
        return 0.04 + 0.96 * _half_cosine(1 - share) if options.shape is Shape.ONE_CYCLE else share
    if options.shape is Shape.CONSTANT:
        return 1.0
    return _half_cosine((step - rising) / max(1, steps - rising))


def _half_cosine(done: float) -> float:
    """From 1 at 0 to 0 at 1."""
    return 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, done))))
