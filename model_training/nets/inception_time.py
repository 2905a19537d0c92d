"""InceptionTime: six modules of three long filters and a pooled path, a shortcut over every three."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model_training.nets.interface import N_LEADS, Network, Seen

KERNELS = (39, 19, 9)


class Inception(nn.Module):
    def __init__(self, inside: int, filters: int, narrow: int) -> None:
        super().__init__()
        self.narrow = nn.Conv1d(inside, narrow, 1, bias=False)
        self.filters = nn.ModuleList(
            nn.Conv1d(narrow, filters, kernel, padding=kernel // 2, bias=False) for kernel in KERNELS
        )
        self.pooled = nn.Sequential(nn.MaxPool1d(3, 1, 1), nn.Conv1d(inside, filters, 1, bias=False))
        self.norm = nn.BatchNorm1d((len(KERNELS) + 1) * filters)

    def forward(self, x: Tensor) -> Tensor:
        narrow = self.narrow(x)
        paths = [filters(narrow) for filters in self.filters]
        return F.relu(self.norm(torch.cat([*paths, self.pooled(x)], dim=1)))


class InceptionTime(Network):
    def __init__(self, filters: int = 32, narrow: int = 32, depth: int = 6) -> None:
        super().__init__()
        wide = (len(KERNELS) + 1) * filters
        self.embedding_size = 2 * wide
        self.blocks = nn.ModuleList(
            nn.Sequential(*(Inception(self._inside(first + i, wide), filters, narrow) for i in range(3)))
            for first in range(0, depth, 3)
        )
        self.shortcuts = nn.ModuleList(
            nn.Sequential(nn.Conv1d(self._inside(first, wide), wide, 1, bias=False), nn.BatchNorm1d(wide))
            for first in range(0, depth, 3)
        )

    @staticmethod
    def _inside(module: int, wide: int) -> int:
        return N_LEADS if module == 0 else wide

    def forward(self, ecg: Tensor, lead_mask: Tensor) -> Seen:
        x = ecg * lead_mask[..., None]
        for block, shortcut in zip(self.blocks, self.shortcuts, strict=True):
            x = F.relu(block(x) + shortcut(x))
        return Seen(torch.cat((x.mean(dim=-1), x.amax(dim=-1)), dim=1))
