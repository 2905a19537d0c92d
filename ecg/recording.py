"""What a file says (`Recording`) and what the rest of the house works on (`TwelveLead`): frozen and shape-checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecg.errors import Malformed
from ecg.leads import INDEX, LEADS

Samples = NDArray[np.float32]
Sex = Literal["female", "male"]


class Unit(StrEnum):
    """The unit of a waveform as recorded; UNKNOWN stands for bare ADC counts."""

    VOLT = "V"
    MILLIVOLT = "mV"
    MICROVOLT = "uV"
    NANOVOLT = "nV"
    UNKNOWN = "unknown"


MV_PER: dict[Unit, float] = {Unit.VOLT: 1e3, Unit.MILLIVOLT: 1.0, Unit.MICROVOLT: 1e-3, Unit.NANOVOLT: 1e-6}


class Source(StrEnum):
    """Which waveform of the file the answer rests on."""

    RHYTHM = "rhythm"
    MEDIAN_BEAT = "median_beat"


def _frozen(samples: ArrayLike) -> Samples:
    """A read-only, contiguous float32 view or copy, so that nobody downstream can change a recording."""
    array = np.ascontiguousarray(samples, dtype=np.float32)
    if array is samples and array.flags.writeable:
        array = array.view()
    array.flags.writeable = False
    return array


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """Simultaneous leads at one rate, named as the file names them. NaN marks a sample that the file calls missing."""

    leads: tuple[str, ...]
    samples: Samples
    sampling_rate_hz: float
    unit: Unit

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples", _frozen(self.samples))
        if self.samples.ndim != 2 or self.samples.shape[0] != len(self.leads) or not self.leads:
            raise Malformed(
                f"{len(self.leads)} lead names for samples of shape {self.samples.shape}", where="the waveform"
            )
        if self.samples.shape[1] == 0:
            raise Malformed("no samples", where="the waveform")

    @property
    def duration_s(self) -> float:
        return float(self.samples.shape[1] / self.sampling_rate_hz)


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One file, as recorded: a rhythm strip, a median beat, or both. Holds no name, id or birth date."""

    format: str
    rhythm: Waveform | None
    median_beat: Waveform | None = None
    age_years: float | None = None
    sex: Sex | None = None
    recorded_at: datetime | None = None
    device: str | None = None
    paced: bool | None = None

    def __post_init__(self) -> None:
        if self.rhythm is None and self.median_beat is None:
            raise Malformed("the file holds no ECG waveform", where="the file")


@dataclass(frozen=True, slots=True, eq=False)
class TwelveLead:
    """Twelve leads in canonical order, float32 millivolts, at the rate they were recorded."""

    samples_mv: Samples
    sampling_rate_hz: float
    source: Source = Source.RHYTHM
    derived: tuple[str, ...] = ()
    median_beat: TwelveLead | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples_mv", _frozen(self.samples_mv))
        if self.samples_mv.ndim != 2 or self.samples_mv.shape[0] != len(LEADS) or self.samples_mv.shape[1] == 0:
            raise ValueError(f"twelve leads expected, got samples of shape {self.samples_mv.shape}")
        if not self.sampling_rate_hz > 0:
            raise ValueError(f"sampling rate must be positive, got {self.sampling_rate_hz}")

    @property
    def duration_s(self) -> float:
        return float(self.samples_mv.shape[1] / self.sampling_rate_hz)

    def lead(self, name: str) -> Samples:
        samples: Samples = self.samples_mv[INDEX[name]]
        return samples


def stacked(leads: Sequence[Samples]) -> Samples:
    """Leads of one length as one array; a file whose leads differ in length is broken."""
    lengths = {lead.shape[-1] for lead in leads}
    if len(lengths) != 1:
        raise Malformed(f"leads differ in length: {sorted(lengths)}", where="the waveform")
    return np.stack(leads).astype(np.float32, copy=False)
