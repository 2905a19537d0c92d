"""A convolutional variational auto-encoder whose latent mean feeds the Cox head: the paper's generative competitor."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model_training.nets.interface import N_LEADS, Network, Seen

SHRINK = 16


class Latent(NamedTuple):
    mean: Tensor
    log_variance: Tensor


class ConvVAE(Network):
    """`forward` answers with the latent mean; `reconstruct` draws from the latent, for the evidence bound."""

    def __init__(self, samples: int, size: int = 512, width: int = 40) -> None:
        super().__init__()
        self.embedding_size, self.samples, self.places = size, samples, -(-samples // SHRINK)
        widths = (N_LEADS, width, width, 2 * width, 2 * width)
        self.down = nn.Sequential(*(_down(i, o) for i, o in pairwise(widths)))
        self.latent = nn.Linear(2 * width * self.places, 2 * size)
        self.spread = nn.Linear(size, 2 * width * self.places)
        back = (2 * width, 2 * width, width, width, N_LEADS)
        self.up = nn.ModuleList(nn.ConvTranspose1d(i, o, 4, 2, 1) for i, o in pairwise(back))

    def encode(self, ecg: Tensor, lead_mask: Tensor) -> Latent:
        padded = F.pad(ecg * lead_mask[..., None], (0, self.places * SHRINK - self.samples))
        mean, log_variance = self.latent(self.down(padded).flatten(1)).chunk(2, dim=1)
        return Latent(mean, log_variance.clamp(-10, 10))

    def decode(self, drawn: Tensor) -> Tensor:
        x: Tensor = self.spread(drawn).unflatten(1, (-1, self.places))
        for number, layer in enumerate(self.up):
            x = layer(x if number == 0 else F.elu(x))
        return x[..., : self.samples]

    def reconstruct(self, latent: Latent) -> Tensor:
        return self.decode(latent.mean + torch.randn_like(latent.mean) * (0.5 * latent.log_variance).exp())

    def forward(self, ecg: Tensor, lead_mask: Tensor) -> Seen:
        return Seen(self.encode(ecg, lead_mask).mean)


def _down(inside: int, outside: int) -> nn.Module:
    return nn.Sequential(nn.Conv1d(inside, outside, 5, 2, 2, bias=False), nn.BatchNorm1d(outside), nn.ELU())
