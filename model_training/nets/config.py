"""The switches of the dual attention network: one frozen description, read from TOML, no forks in the code."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from ecg.contract import View


class Amplitude(StrEnum):
    """How voltage reaches the network: as it is, as it is but with small waves brought nearer to large ones, thrown
    away lead by lead, or thrown away and handed in beside."""

    MILLIVOLT = "millivolt"
    COMPRESSED = "compressed"
    Z_SCORE = "z_score"
    SIDE_CHANNEL = "side_channel"


class Stem(StrEnum):
    """Each lead's own first filters at the full rate (the paper), or one strided filter bank for all leads."""

    LEAD_SPECIFIC = "lead_specific"
    SHARED = "shared"


class Block(StrEnum):
    """Residual convolutions (the paper), the same with less around them, or depthwise and pointwise in turn."""

    DENSE = "dense"
    LEAN = "lean"
    SEPARABLE = "separable"


class Positions(StrEnum):
    SINUSOIDAL = "sinusoidal"
    LEARNED = "learned"
    ROTARY = "rotary"
    NONE = "none"


class Arrangement(StrEnum):
    """Lead and temporal attention side by side and summed (the paper), or one after the other."""

    PARALLEL = "parallel"
    SEQUENTIAL = "sequential"


class DropoutKind(StrEnum):
    """One mask for the whole batch, so that a Cox risk set is compared under one mask; or one for each record."""

    BATCHWISE = "batchwise"
    PLAIN = "plain"


class ReadOut(StrEnum):
    """Average and maximum over time (the paper), or attention pooling whose weights are the lead weights."""

    AVERAGE_AND_MAXIMUM = "average_and_maximum"
    ATTENTION = "attention"


class LeadContext(StrEnum):
    """What one lead learns from the others: content added to its tokens, or only how much it counts."""

    CONTENT = "content"
    WEIGHT = "weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class DualAttentionConfig:
    """Everything that shapes the graph. `lead_size` 0 takes a lead's flattened tokens as its lead token.

    `evidence_size` of the embedding's numbers are sums of what each short window says by itself, 0 for none; the rest
    knows the whole recording.
    """

    view: View
    sampling_rate_hz: float
    samples: int
    amplitude: Amplitude
    stem: Stem
    stem_channels: int
    stem_kernel: int
    stem_stride: int
    block: Block
    channels: tuple[int, ...]
    kernel: int
    strides: tuple[int, ...]
    lead_attention: bool
    temporal_attention: bool
    arrangement: Arrangement
    lead_context: LeadContext
    norm_first: bool
    positions: Positions
    lead_size: int
    lead_heads: int
    temporal_heads: int
    mlp_ratio: int
    dropout: float
    dropout_kind: DropoutKind
    read_out: ReadOut
    read_out_heads: int
    embedding_size: int
    evidence_size: int
    evidence_heads: int
    honour_lead_mask: bool
    ignore_padding: bool

    def __post_init__(self) -> None:
        if len(self.channels) != len(self.strides):
            raise ValueError(f"{len(self.channels)} blocks but {len(self.strides)} strides")
        for name in ("lead_heads", "temporal_heads"):
            size = self.lead_token_size if name == "lead_heads" else self.channels[-1]
            if size % getattr(self, name):
                raise ValueError(f"{name}={getattr(self, name)} does not divide {size}")
        if self.evidence_size and self.read_out is not ReadOut.ATTENTION:
            raise ValueError("evidence adds up: it needs the attention read-out beside it")

    @property
    def token_samples(self) -> int:
        """Samples from one token to the next."""
        step = self.stem_stride
        for stride in self.strides:
            step *= stride
        return step

    @property
    def tokens(self) -> int:
        return -(-self.samples // self.token_samples)

    @property
    def padding(self) -> tuple[int, int]:
        """Zeros set before and after the recording so that tokens fill it evenly."""
        missing = self.tokens * self.token_samples - self.samples
        return missing // 2, missing - missing // 2

    @property
    def context_size(self) -> int:
        return self.embedding_size - self.evidence_size

    @property
    def windows_a_token(self) -> int:
        return self.token_samples // self.stem_stride

    @property
    def cells(self) -> int:
        """Of a map, in each lead: one a window where there is evidence, else one a token."""
        return self.tokens * (self.windows_a_token if self.evidence_size else 1)

    @property
    def cell_step_ms(self) -> float:
        samples = self.stem_stride if self.evidence_size else self.token_samples
        return 1000 * samples / self.sampling_rate_hz

    @property
    def cell_start_ms(self) -> float:
        """Where the first cell begins, on the recording's clock."""
        return -1000 * self.padding[0] / self.sampling_rate_hz

    @property
    def lead_token_size(self) -> int:
        return self.lead_size or self.channels[-1] * self.tokens

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Strict: an unknown or missing switch is an error, a word that is no choice too."""
        known = {field.name for field in fields(cls)}
        if wrong := known.symmetric_difference(values):
            raise ValueError(f"switches unknown or missing: {sorted(wrong)}")
        return cls(**{name: _typed(name, value) for name, value in values.items()})

    @classmethod
    def from_toml(cls, path: Path) -> Self:
        return cls.from_dict(tomllib.loads(path.read_text())["network"])

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


_CHOICES: dict[str, type[StrEnum]] = {
    "view": View,
    "amplitude": Amplitude,
    "stem": Stem,
    "block": Block,
    "arrangement": Arrangement,
    "lead_context": LeadContext,
    "positions": Positions,
    "dropout_kind": DropoutKind,
    "read_out": ReadOut,
}


def _typed(name: str, value: Any) -> Any:
    if name in _CHOICES:
        return _CHOICES[name](value)
    return tuple(value) if isinstance(value, list) else value
