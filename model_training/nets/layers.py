"""Small parts that several networks share: dropout under one mask, positions, masked softmax."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from model_training.nets.config import DropoutKind

HIDDEN = -3e4  # exp() of it is exactly 0, also in half precision


class BatchwiseDropout(nn.Module):
    """One mask for the whole batch, so that the members of a Cox risk set are compared under one network."""

    def __init__(self, rate: float, batch_axis: int = 0) -> None:
        super().__init__()
        self.rate, self.batch_axis = rate, batch_axis

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        shape = list(x.shape)
        shape[self.batch_axis] = 1
        keep = torch.full(shape, 1 - self.rate, dtype=x.dtype, device=x.device)
        return x * (torch.bernoulli(keep) / (1 - self.rate))


def dropout(kind: DropoutKind, rate: float, batch_axis: int = 0) -> nn.Module:
    return BatchwiseDropout(rate, batch_axis) if kind is DropoutKind.BATCHWISE else nn.Dropout(rate)


def sinusoids(positions: int, size: int) -> Tensor:
    """sin and cos of position / 10000**(2i / size), side by side."""
    rates = torch.exp(torch.arange(0, size, 2) * (-math.log(10_000.0) / size))
    angles = torch.arange(positions)[:, None] * rates
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)[:, :size]


def rotation(positions: int, size: int) -> tuple[Tensor, Tensor]:
    """cos and sin (positions, size // 2) of the rotary embedding."""
    rates = torch.exp(torch.arange(0, size, 2)[: size // 2] * (-math.log(1_000.0) / size))
    angles = torch.arange(positions)[:, None] * rates
    return angles.cos(), angles.sin()


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair of channels by its position's angle: dot products then depend on distance alone."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)


def masked_softmax(scores: Tensor, usable: Tensor) -> Tensor:
    """Softmax over the last axis; what is not usable (0) gets weight exactly 0 while anything else is usable."""
    return torch.softmax(scores + (1 - usable) * HIDDEN, dim=-1)
