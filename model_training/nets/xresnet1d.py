"""XResNet1d101: the strongest convolutional baseline of the PTB-XL benchmark; leads are mixed from the first layer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model_training.nets.interface import N_LEADS, Network, Seen


def _conv(inside: int, outside: int, kernel: int, stride: int = 1, act: bool = True, zero: bool = False) -> nn.Module:
    norm = nn.BatchNorm1d(outside)
    nn.init.constant_(norm.weight, 0.0 if zero else 1.0)
    layers: list[nn.Module] = [nn.Conv1d(inside, outside, kernel, stride, kernel // 2, bias=False), norm]
    return nn.Sequential(*layers, nn.ReLU()) if act else nn.Sequential(*layers)


class Bottleneck(nn.Module):
    """Narrow, filter, widen; a block starts as the identity because its last norm starts at 0."""

    def __init__(self, inside: int, narrow: int, outside: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(inside, narrow, 1),
            _conv(narrow, narrow, kernel, stride),
            _conv(narrow, outside, 1, act=False, zero=True),
        )
        self.pool = nn.AvgPool1d(2, ceil_mode=True) if stride > 1 else nn.Identity()
        self.match = nn.Identity() if inside == outside else _conv(inside, outside, 1, act=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.match(self.pool(x)))


class XResNet1d101(Network):
    """Three stem convolutions, then 3 + 4 + 23 + 3 bottlenecks of one width; average and maximum concatenated."""

    def __init__(
        self, narrow: int = 64, wide: int = 256, kernel: int = 5, depths: tuple[int, ...] = (3, 4, 23, 3)
    ) -> None:
        super().__init__()
        self.embedding_size = 2 * wide
        self.stem = nn.Sequential(
            _conv(N_LEADS, 32, kernel, 2), _conv(32, 32, kernel), _conv(32, 64, kernel), nn.MaxPool1d(3, 2, 1)
        )
        blocks: list[nn.Module] = []
        inside = 64
        for stage, depth in enumerate(depths):
            for block in range(depth):
                blocks.append(Bottleneck(inside, narrow, wide, kernel, 2 if block == 0 and stage > 0 else 1))
                inside = wide
        self.blocks = nn.Sequential(*blocks)

    def forward(self, ecg: Tensor, lead_mask: Tensor) -> Seen:
        x = self.blocks(self.stem(ecg * lead_mask[..., None]))
        return Seen(torch.cat((x.mean(dim=-1), x.amax(dim=-1)), dim=1))
