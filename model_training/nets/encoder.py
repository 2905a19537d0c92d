"""One lead in, that lead's tokens out: the stem and the residual encoder, in which leads never meet.

Tensors are (batch, channels, 12, time) and every kernel is (1, k): the lead axis is only ever carried along.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model_training.nets.config import Amplitude, Block, DualAttentionConfig, Stem
from model_training.nets.interface import N_LEADS

SMALL_MV: Final = 0.6  # far below it compressed voltage is as it was, far above it grows as the square root
FLAT_MV = 1e-3  # a lead that varies less is flat: it stays flat, it is not blown up to SD 1


def z_scored(ecg: Tensor) -> tuple[Tensor, Tensor]:
    """Each lead over its own time to mean 0 and SD 1, and the log-SD (mV) that this throws away."""
    centred = ecg - ecg.mean(dim=-1, keepdim=True)
    sd = centred.square().mean(dim=-1, keepdim=True).sqrt().clamp(min=FLAT_MV)
    return centred / sd, sd[..., 0].log()


class LeadSpecificStem(nn.Module):
    """Two grouped convolutions, twelve groups throughout: the filters of a lead see that lead alone."""

    LEAD_AXES: ClassVar = {f"layers.{layer}.{name}": 0 for layer in (0, 1, 3, 4) for name in ("weight", "bias")}

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide, half = N_LEADS * channels, kernel // 2
        self.layers = nn.Sequential(
            nn.Conv1d(N_LEADS, wide, kernel, stride, half, groups=N_LEADS),
            nn.GroupNorm(N_LEADS, wide),
            nn.GELU(),
            nn.Conv1d(wide, wide, kernel, 1, half, groups=N_LEADS),
            nn.GroupNorm(N_LEADS, wide),
            nn.GELU(),
        )

    def forward(self, ecg: Tensor) -> Tensor:
        by_lead: Tensor = self.layers(ecg).unflatten(1, (N_LEADS, -1))
        return by_lead.transpose(1, 2)


class SharedStem(nn.Module):
    """One strided filter bank for all leads: `stride` samples become channels, then a filter runs over their places."""

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        places, rest = divmod(kernel, stride)
        if rest or places % 2 == 0:
            raise ValueError(f"stem_kernel must be an odd multiple of stem_stride, got {kernel} and {stride}")
        self.stride = stride
        self.filters = nn.Conv2d(stride, channels, (1, places), 1, (0, places // 2), bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, ecg: Tensor) -> Tensor:
        return F.relu(self.norm(self.filters(ecg.unflatten(-1, (-1, self.stride)).permute(0, 3, 1, 2))))


def _padding(kernel: int, stride: int) -> tuple[int, int]:
    """(0, p) such that a stride divides the length exactly."""
    return 0, (kernel - 1) // 2


class DenseBlock(nn.Module):
    """conv-norm-LeakyReLU twice, beside max-pool and a pointwise convolution; GELU after the sum."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, (1, kernel), (1, stride), _padding(kernel, stride), bias=False)
        self.first_norm = nn.BatchNorm2d(outside)
        self.second = nn.Conv2d(outside, outside, (1, kernel), 1, _padding(kernel, 1), bias=False)
        self.second_norm = nn.BatchNorm2d(outside)
        self.shortcut = nn.Conv2d(inside, outside, 1)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.first_norm(self.first(x)), 0.01)
        y = F.leaky_relu(self.second_norm(self.second(y)), 0.01)
        return F.gelu(y + self.shortcut(F.max_pool2d(x, (1, self.stride))))


class LeanBlock(nn.Module):
    """conv-norm-ReLU-conv-norm beside a strided pointwise convolution, ReLU after the sum: few trips to memory."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, (1, kernel), (1, stride), _padding(kernel, stride), bias=False)
        self.first_norm = nn.BatchNorm2d(outside)
        self.second = nn.Conv2d(outside, outside, (1, kernel), 1, _padding(kernel, 1), bias=False)
        self.second_norm = nn.BatchNorm2d(outside)
        self.shortcut = nn.Conv2d(inside, outside, 1, (1, stride))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.second_norm(self.second(y)) + self.shortcut(x))


class SeparableBlock(nn.Module):
    """Depthwise over time, pointwise over channels, twice; average-pooled shortcut; ReLU after the sum."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inside, inside, (1, kernel), (1, stride), _padding(kernel, stride), groups=inside, bias=False),
            nn.BatchNorm2d(inside),
            nn.Conv2d(inside, outside, 1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(),
            nn.Conv2d(outside, outside, (1, kernel), 1, _padding(kernel, 1), groups=outside, bias=False),
            nn.BatchNorm2d(outside),
            nn.Conv2d(outside, outside, 1, bias=False),
            nn.BatchNorm2d(outside),
        )
        self.pool = nn.AvgPool2d((1, stride)) if stride > 1 else nn.Identity()
        same = inside == outside
        self.match = (
            nn.Identity() if same else nn.Sequential(nn.Conv2d(inside, outside, 1, bias=False), nn.BatchNorm2d(outside))
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.match(self.pool(x)))


BLOCKS: dict[Block, Callable[[int, int, int, int], nn.Module]] = {
    Block.DENSE: DenseBlock,
    Block.LEAN: LeanBlock,
    Block.SEPARABLE: SeparableBlock,
}


class Encoded(NamedTuple):
    """tokens (batch, 12, tokens, channels), stem (batch, channels, 12, windows); which of both hold signal, 0 or 1."""

    tokens: Tensor
    usable: Tensor
    stem: Tensor
    usable_windows: Tensor


class LeadEncoder(nn.Module):
    """Pads, standardises, and turns each lead into (tokens, channels); says which tokens hold signal."""

    def __init__(self, config: DualAttentionConfig) -> None:
        super().__init__()
        self.config = config
        stem = LeadSpecificStem if config.stem is Stem.LEAD_SPECIFIC else SharedStem
        block = BLOCKS[config.block]
        widths = (config.stem_channels, *config.channels)
        self.stem = stem(config.stem_channels, config.stem_kernel, config.stem_stride)
        self.blocks = nn.Sequential(
            *(
                block(inside, outside, config.kernel, stride)
                for inside, outside, stride in zip(widths[:-1], widths[1:], config.strides, strict=True)
            )
        )
        self.size = nn.Linear(1, config.channels[-1]) if config.amplitude is Amplitude.SIDE_CHANNEL else None
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, ecg: Tensor, lead_mask: Tensor) -> Encoded:
        ecg = ecg * lead_mask[..., None]
        shape, log_size = self._amplitude(ecg)
        stem = self.stem(F.pad(shape, self.config.padding))
        tokens = self.blocks(stem).permute(0, 2, 3, 1)
        if self.size is not None and log_size is not None:
            tokens = tokens + self.size(log_size[..., None])[:, :, None]
        usable, windows = self._usable(ecg, tokens.shape[2]), self._usable(ecg, stem.shape[3])
        return Encoded(tokens, usable, stem, windows)

    def _amplitude(self, ecg: Tensor) -> tuple[Tensor, Tensor | None]:
        match self.config.amplitude:
            case Amplitude.MILLIVOLT:
                return ecg, None
            case Amplitude.COMPRESSED:
                return ecg / (1 + ecg.abs() / SMALL_MV).sqrt(), None
            case _:
                return z_scored(ecg)

    def _usable(self, ecg: Tensor, places: int) -> Tensor:
        present = F.pad(ecg, self.config.padding).unflatten(-1, (places, -1)).abs().amax(dim=-1) > 0
        return (present if self.config.ignore_padding else torch.ones_like(present)).to(ecg.dtype)
