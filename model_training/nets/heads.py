"""What is asked of an embedding: risk, intervals, classes, alignment with text, the signal itself."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model_training.nets.config import DropoutKind, DualAttentionConfig
from model_training.nets.interface import N_LEADS
from model_training.nets.layers import dropout


class RiskHead(nn.Module):
    """Embedding to log-hazard. `hidden` 0 is affine (the risk then splits over an additive embedding); the paper has 3.

    `covariates` (batch, n), such as standardised age and sex, add a linear term of their own.
    """

    def __init__(
        self, embedding_size: int, hidden: int, rate: float = 0.25, kind: DropoutKind = DropoutKind.BATCHWISE,
        covariates: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.norm, self.drop = nn.BatchNorm1d(embedding_size), dropout(kind, rate)
        self.squeeze = nn.Linear(embedding_size, hidden) if hidden else None
        self.squeeze_norm = nn.BatchNorm1d(hidden) if hidden else None
        self.out = nn.Linear(hidden or embedding_size, 1)
        self.covariates = nn.Linear(covariates, 1, bias=False) if covariates else None

    def forward(self, embedding: Tensor, covariates: Tensor | None = None) -> Tensor:
        x = self.drop(self.norm(embedding))
        if self.squeeze is not None and self.squeeze_norm is not None:
            x = self.squeeze_norm(F.relu(self.squeeze(x)))
        log_hazard: Tensor = self.out(x)[:, 0]
        if self.covariates is not None and covariates is not None:
            log_hazard = log_hazard + self.covariates(covariates)[:, 0]
        return log_hazard

    @property
    def is_affine(self) -> bool:
        return self.squeeze is None

    def direction(self) -> tuple[Tensor, Tensor]:
        """For an affine head: gradient with respect to the embedding, and the population's mean embedding."""
        assert self.is_affine
        assert self.norm.running_var is not None
        assert self.norm.running_mean is not None
        scale = self.norm.weight * torch.rsqrt(self.norm.running_var + self.norm.eps)
        return self.out.weight[0] * scale, self.norm.running_mean


class DiscreteTimeHead(nn.Module):
    """Logit of the conditional probability of an event in each interval, given none before."""

    def __init__(self, embedding_size: int, intervals: int) -> None:
        super().__init__()
        self.norm, self.out = nn.BatchNorm1d(embedding_size), nn.Linear(embedding_size, intervals)

    def forward(self, embedding: Tensor) -> Tensor:
        logits: Tensor = self.out(self.norm(embedding))
        return logits


class ClassificationHead(nn.Module):
    """Logits of labels that do not exclude each other, such as the five superclasses."""

    def __init__(self, embedding_size: int, classes: int, rate: float = 0.25) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm1d(embedding_size), nn.Dropout(rate), nn.Linear(embedding_size, classes)
        )

    def forward(self, embedding: Tensor) -> Tensor:
        logits: Tensor = self.layers(embedding)
        return logits


class ProjectionHead(nn.Module):
    """Into the space where ECG and text are compared."""

    def __init__(self, inside: int, hidden: int = 256, outside: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inside, hidden), nn.ReLU(), nn.Linear(hidden, outside))

    def forward(self, embedding: Tensor) -> Tensor:
        projected: Tensor = self.layers(embedding)
        return projected


class Decoder(nn.Module):
    """Embedding back to twelve leads: a narrow linear map to tokens, then each lead is drawn at a growing rate.

    The last convolution draws several samples at each place, so that nothing runs at the full rate.
    """

    def __init__(self, config: DualAttentionConfig, narrow: int = 76, channels: int = 8, last: int = 8) -> None:
        super().__init__()
        self.config, self.channels = config, channels
        self.spread = nn.Sequential(
            nn.Linear(config.embedding_size, narrow), nn.Linear(narrow, N_LEADS * channels * config.tokens)
        )
        doublings = 0
        while config.token_samples % (2 << doublings) == 0 and config.token_samples >> (doublings + 1) >= last:
            doublings += 1
        self.rise = nn.Sequential(*(_Rise(channels) for _ in range(doublings)))
        self.out = nn.Conv2d(channels, config.token_samples >> doublings, (1, 5), padding=(0, 2))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, embedding: Tensor) -> Tensor:
        places = self.spread(embedding).unflatten(1, (N_LEADS, self.config.tokens, self.channels))
        drawn = self.out(self.rise(places.permute(0, 3, 1, 2))).permute(0, 2, 3, 1).flatten(2)
        before = self.config.padding[0]
        inside: Tensor = drawn[..., before : before + self.config.samples]
        return inside


class _Rise(nn.Module):
    """Twice the rate: two places from each, then a residual convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(channels, channels, (1, 2), (1, 2), bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.smooth = nn.Conv2d(channels, channels, (1, 5), padding=(0, 2))

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.norm(self.up(x)), 0.01)
        return x + F.leaky_relu(self.smooth(x), 0.01)
