"""EDF and EDF+ files written from scratch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg.leads import LEADS

FILENAME = "record.edf"
STEP_MV = 0.0001

FIELDS = ("label", "transducer", "unit", "pmin", "pmax", "dmin", "dmax", "prefilter", "samples", "reserved")
WIDTHS = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)


@dataclass
class Signal:
    label: str
    digital: NDArray[np.int16]
    per_record: int
    unit: str = "mV"
    pmin: str = "-3.2768"
    pmax: str = "3.2767"
    dmin: str = "-32768"
    dmax: str = "32767"


def make(samples_mv: NDArray[np.float64], rate_hz: float) -> bytes:
    return build(leads(samples_mv, rate_hz), rate_hz)


def leads(samples_mv: NDArray[np.float64], rate_hz: float, names: Sequence[str] = LEADS) -> list[Signal]:
    digital = np.clip(np.round(samples_mv / STEP_MV), -32768, 32767).astype("<i2")
    per_record = math.gcd(samples_mv.shape[1], round(rate_hz))
    return [Signal(f"ECG {name}", lead, per_record) for name, lead in zip(names, digital, strict=True)]


def build(signals: Sequence[Signal], rate_hz: float, kind: str = "", onsets: Sequence[float] | None = None) -> bytes:
    per_record = signals[0].per_record
    n_records = signals[0].digital.size // per_record
    duration_s = per_record / rate_hz
    signals = list(signals)
    if kind:
        times = onsets if onsets is not None else [number * duration_s for number in range(n_records)]
        stamps = b"".join((f"+{each:.6g}".encode() + b"\x14\x14\0").ljust(32, b"\0") for each in times)
        signals.append(Signal("EDF Annotations", np.frombuffer(stamps, "<i2"), 16, "", "-1", "1"))
    rows = [s.digital.reshape(n_records, s.per_record) for s in signals]
    body = np.concatenate(rows, axis=1).astype("<i2").tobytes()
    return header(signals, n_records, duration_s, kind) + body


def header(signals: Sequence[Signal], n_records: int, duration_s: float, kind: str) -> bytes:
    patient = "SECRET-ID F 02-JAN-1950 Doe_Jane" if kind else "Doe Jane"
    cells = [
        ("0", 8), (patient, 80), ("Startdate 06-MAY-2004", 80), ("06.05.04", 8), ("07.08.09", 8),
        (str(256 * (len(signals) + 1)), 8), (kind, 44), (str(n_records), 8),
        (f"{duration_s:.6g}", 8), (str(len(signals)), 4),
    ]  # fmt: skip
    for field, width in zip(FIELDS, WIDTHS, strict=True):
        for signal in signals:
            value = signal.per_record if field == "samples" else getattr(signal, field, "")
            cells.append((str(value), width))
    return b"".join(text.encode("latin-1")[:width].ljust(width) for text, width in cells)
