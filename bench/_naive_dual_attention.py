"""The paper's network written straightforwardly, twelve MultiheadAttention modules in a loop: only ever a yardstick."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model_training.nets.layers import sinusoids

LEADS, TOKENS, CHANNELS = 12, 19, 16


class _Residual(nn.Module):
    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inside, outside, (1, 5), (1, 2), (0, 2)), nn.BatchNorm2d(outside), nn.LeakyReLU(),
            nn.Conv2d(outside, outside, (1, 5), 1, (0, 2)), nn.BatchNorm2d(outside), nn.LeakyReLU(),
        )  # fmt: skip
        self.shortcut = nn.Sequential(nn.MaxPool2d((1, 2)), nn.Conv2d(inside, outside, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.body(x) + self.shortcut(x))


class _Transformer(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(size), nn.LayerNorm(size)
        self.attention = nn.MultiheadAttention(size, 8, batch_first=True)
        self.mlp = nn.Sequential(
            nn.Linear(size, 4 * size), nn.GELU(), nn.Dropout(0.2), nn.Linear(4 * size, size), nn.Dropout(0.2)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        normed = self.first(x)
        mixed, weights = self.attention(normed, normed, normed)
        x = x + mixed
        return x + self.mlp(self.second(x)), weights


class NaiveDualAttention(nn.Module):
    """Lead by lead, as one would write it down first."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv1d(12, 48, 5, padding=2, groups=12), nn.GroupNorm(12, 48), nn.GELU(),
            nn.Conv1d(48, 48, 5, padding=2, groups=12), nn.GroupNorm(12, 48), nn.GELU(),
        )  # fmt: skip
        self.encoder = nn.Sequential(*(_Residual(i, o) for i, o in ((4, 8), (8, 16), (16, 16), (16, 16), (16, 16))))
        self.lead = _Transformer(CHANNELS * TOKENS)
        self.temporal = nn.ModuleList(_Transformer(CHANNELS) for _ in range(LEADS))
        self.register_buffer("lead_place", sinusoids(LEADS, CHANNELS * TOKENS))
        self.register_buffer("time_place", sinusoids(TOKENS, CHANNELS))
        self.drop = nn.Dropout(0.2)
        self.average, self.maximum = nn.Conv1d(192, 256, 1), nn.Conv1d(192, 256, 1)
        self.head = nn.Sequential(
            nn.BatchNorm1d(512), nn.Dropout(0.25), nn.Linear(512, 3), nn.ReLU(), nn.BatchNorm1d(3), nn.Linear(3, 1)
        )

    def forward(self, ecg: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, 12, 608) to log-hazard and embedding."""
        ecg = (ecg - ecg.mean(-1, keepdim=True)) / (ecg.std(-1, keepdim=True) + 1e-6)
        x = self.encoder(self.stem(ecg).view(-1, 12, 4, 608).transpose(1, 2))
        leads = x.permute(0, 2, 1, 3)
        across, _ = self.lead(self.drop(leads.flatten(2) + self.lead_place))
        over = []
        for number, module in enumerate(self.temporal):
            out, _ = module(self.drop(leads[:, number].transpose(1, 2) + self.time_place))
            over.append(out.transpose(1, 2))
        fused = across.view_as(leads) + torch.stack(over, dim=1)
        flat = fused.flatten(1, 2)
        embedding = torch.cat((self.average(flat).mean(-1), self.maximum(flat).amax(-1)), dim=1)
        return self.head(embedding)[:, 0], embedding


class _Up(nn.Module):
    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(inside, outside, (1, 4), (1, 2), (0, 1))
        self.body = nn.Sequential(
            nn.Conv2d(outside, outside, (1, 5), padding=(0, 2)), nn.BatchNorm2d(outside), nn.LeakyReLU(),
            nn.Conv2d(outside, outside, (1, 5), padding=(0, 2)), nn.BatchNorm2d(outside), nn.LeakyReLU(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        x = self.up(x)
        return F.gelu(x + self.body(x))


class NaiveDecoder(nn.Module):
    """Linear to tokens, five residual blocks upwards, each lead normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.spread = nn.Sequential(nn.Linear(512, 76), nn.Linear(76, 912))
        widths = (4, 16, 16, 16, 8, 4)
        self.rise = nn.Sequential(*(_Up(i, o) for i, o in pairwise(widths)))
        self.out = nn.Conv2d(4, 1, (1, 5), padding=(0, 2))
        self.norm = nn.InstanceNorm1d(12, affine=True)

    def forward(self, embedding: Tensor) -> Tensor:
        x = self.rise(self.spread(embedding).view(-1, 4, 12, 19))
        normed: Tensor = self.norm(self.out(x)[:, 0])
        return normed
