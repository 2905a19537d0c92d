"""Arbitrary numbers as a recording: what the harmoniser, the beat finder, the gate and the measures make of them."""

from __future__ import annotations

import struct
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ecg import beats, harmonise, preprocess, quality
from ecg.contract import Step
from ecg.errors import EcgError
from ecg.leads import LEADS
from ecg.predictor import Predictor
from ecg.recording import Recording, Unit, Waveform
from tests.conftest import ROOT
from tests.fuzz.law import lawful

RATES_HZ = (
    500.0,
    250.0,
    1000.0,
    50.0,
    128.0,
    360.0,
    257.3,
    999.99,
    20_000.0,
    49.9,
    0.0,
    -500.0,
    np.inf,
    np.nan,
    1e-300,
)
UNITS = tuple(Unit)
NAMES = (*LEADS, "-aVR", "MDC_ECG_LEAD_II", "v 7", "", "III neg", "X", "ii")
EXTREMES = (0.0, -0.0, np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e-45, 1e6, 32767.0, -32768.0, 1e-9)
MOST_SAMPLES = 5_000
_HEAD = struct.Struct("<BBHBBf")


@cache
def heart() -> NDArray[np.float32]:
    """A sound recording that the bytes then spoil."""
    from tests.ecg.hearts import normal_mv

    return np.asarray(normal_mv(72.0), dtype=np.float32)[:, :MOST_SAMPLES]


@cache
def recipe() -> tuple[Step, ...]:
    """The steps of the smallest artefact that is shipped."""
    smallest = min((ROOT / "models").glob("*.onnx"), key=lambda each: each.stat().st_size)
    return Predictor.load(smallest).contract.preprocessing


def recording(data: bytes) -> Recording:
    """Head: rate, unit, length, how samples are made, which leads, scale. Then the samples or what spoils them."""
    if len(data) < _HEAD.size:
        data = data.ljust(_HEAD.size, b"\0")
    rate, unit, length, kind, order, scale = _HEAD.unpack_from(data)
    body = data[_HEAD.size :]
    samples = _samples(body, 1 + length % MOST_SAMPLES, kind, scale)
    names = LEADS if order < 128 else tuple(NAMES[(order * 7 + 5 * row) % len(NAMES)] for row in range(12))
    keep = 12 if order % 8 else 1 + order % 12
    waveform = Waveform(names[:keep], samples[:keep], _rate_hz(rate, scale), UNITS[unit % len(UNITS)])
    return Recording("fuzz", None if kind & 64 else waveform, waveform if kind & (64 | 32) else None)


def _rate_hz(choice: int, scale: float) -> float:
    return float(RATES_HZ[choice % len(RATES_HZ)]) if choice < 192 else abs(scale) * 1000


def _samples(body: bytes, length: int, kind: int, scale: float) -> NDArray[np.float32]:
    match kind % 4:
        case 0:  # numbers as they come
            raw = np.frombuffer(body[: len(body) // 4 * 4], "<f4")
            given = np.resize(raw if raw.size else np.zeros(1, np.float32), (12, length)).astype(np.float32)
            return np.where(np.isnan(given), np.float32(np.nan), given)  # no reader hands on a signalling NaN
        case 1:  # counts times a scale
            raw = np.frombuffer(body[: len(body) // 2 * 2], "<i2")
            counts = np.resize(raw if raw.size else np.zeros(1, np.int16), (12, length))
            with np.errstate(all="ignore"):
                return (counts * np.float32(scale)).astype(np.float32)
        case _:  # a heart with stretches replaced
            return _spoilt(np.resize(heart(), (12, length)) if kind % 4 == 2 else heart()[:, :length].copy(), body)


def _spoilt(samples: NDArray[np.float32], body: bytes) -> NDArray[np.float32]:
    for at in range(0, len(body) - 5, 6):
        lead, start, n, value = struct.unpack_from("<BHBH", body, at)
        rows = slice(None) if lead >= 192 else lead % 12
        first = start % samples.shape[1]
        extreme = EXTREMES[value] if value < len(EXTREMES) else np.float32((value - 32768) / 1000)
        samples[rows, first : first + 1 + n * 8] = extreme
    return samples


def judged(recording: Recording, *, require: bool = False) -> None:
    """The trip up to the tensor. What the gate rejects is still measured and prepared: neither may break."""
    twelve = harmonise.to_twelve(recording)
    found = beats.find(twelve)
    report = quality.inspect(twelve, quality.RECOMMENDED, found)
    if require:
        report.require()
    beats.measure(found)
    try:
        prepared = preprocess.prepare(twelve, recipe(), found)
    except EcgError:
        return
    accepted = report.verdict is not quality.Verdict.REJECTED
    assert not accepted or np.isfinite(prepared[report.lead_mask]).all(), "a tensor with holes passed the gate"


def target(data: bytes) -> None:
    try:
        given = recording(data)
    except EcgError:
        return
    lawful(lambda: judged(given))
