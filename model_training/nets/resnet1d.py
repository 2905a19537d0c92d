"""ResNet1d after Wang: three short residual blocks over all leads; small, and hard to beat on PTB-XL."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model_training.nets.interface import N_LEADS, Network, Seen


class Basic(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(inside, outside, 5, stride, 2, bias=False),
            nn.BatchNorm1d(outside),
            nn.ReLU(),
            nn.Conv1d(outside, outside, 3, 1, 1, bias=False),
            nn.BatchNorm1d(outside),
        )
        self.match = (
            nn.Identity()
            if stride == 1 and inside == outside
            else nn.Sequential(nn.Conv1d(inside, outside, 1, stride, bias=False), nn.BatchNorm1d(outside))
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.match(x))


class ResNet1dWang(Network):
    def __init__(self, width: int = 128, blocks: int = 3) -> None:
        super().__init__()
        self.embedding_size = 2 * width
        self.stem = nn.Sequential(nn.Conv1d(N_LEADS, width, 7, 1, 3, bias=False), nn.BatchNorm1d(width), nn.ReLU())
        self.blocks = nn.Sequential(*(Basic(width, width, 1 if block == 0 else 2) for block in range(blocks)))

    def forward(self, ecg: Tensor, lead_mask: Tensor) -> Seen:
        x = self.blocks(self.stem(ecg * lead_mask[..., None]))
        return Seen(torch.cat((x.mean(dim=-1), x.amax(dim=-1)), dim=1))
