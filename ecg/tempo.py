"""Is the declared sampling rate the true one? A heart played too slowly or too fast is no heart's at that pace.

A heart that beats slowly has hardly wider complexes than another, and its T wave comes little later: the QT interval
grows far less than the beat. Played at half speed all three double. So the length of a beat, the width of its QRS and
the time of its ST-T are weighed together; how, lies in tempo.json, with the command that made it. A heart played too
fast is told by complexes that are narrower than any.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from ecg import native
from ecg.beats import BEFORE_MS, Beats
from ecg.recording import Samples

CONSTANTS: Final = Path(__file__).with_name("tempo.json")
# Of 1,900 real recordings 0.2 % look fast by these; of those played at double speed 92 %.
_FAST_QRS_MS: Final = 11.0
_FAST_HEART_BPM: Final = 90.0
_QRS_REACH_MS: Final = 150.0
_ST_T_FROM_MS: Final = 140.0
# What comes later belongs to the next beat.
_ST_T_SHARE_OF_BEAT: Final = 0.8
_EVERY: Final = 4  # the ST-T changes so slowly that one sample in four tells as much


@dataclass(frozen=True, slots=True)
class Tempo:
    """`qrs_ms` is a spread in time, about a quarter of what is read as the duration; `st_t_ms` is counted from R."""

    rr_ms: float
    qrs_ms: float
    st_t_ms: float

    @property
    def evidence(self) -> tuple[float, float, float]:
        """As logarithms, to which another speed adds the same whatever the heart."""
        return math.log(self.rr_ms), math.log(max(self.qrs_ms, 1.0)), math.log(self.st_t_ms)


@dataclass(frozen=True, slots=True)
class _Known:
    weights: tuple[float, ...]
    offset: float
    slow_from: float
    narrowest_slowed_qrs_ms: float


@cache
def _known() -> _Known:
    stored = json.loads(CONSTANTS.read_text())
    return _Known(tuple(stored["weights"]), stored["offset"], stored["slow_from"], stored["narrowest_slowed_qrs_ms"])


def suspicion(beats: Beats) -> str | None:
    """Why the declared rate may be wrong, with what was measured."""
    found = of(beats)
    if found is None:
        return None
    known, rate = _known(), 60_000 / found.rr_ms
    score = sum(weight * each for weight, each in zip(known.weights, found.evidence, strict=True)) + known.offset
    # A long QT at a low rate is a heart's own where its complexes, at double the speed, would be narrower than any.
    if score > known.slow_from and found.qrs_ms > known.narrowest_slowed_qrs_ms:
        wide = f"complexes spread over {found.qrs_ms:.0f} ms and ST-T {found.st_t_ms:.0f} ms after R"
        return f"{wide} at {rate:.0f} bpm: the declared sampling rate may be too low"
    if found.qrs_ms < _FAST_QRS_MS and rate > _FAST_HEART_BPM:
        return f"complexes {found.qrs_ms:.0f} ms wide at {rate:.0f} bpm: the declared sampling rate may be too high"
    return None


def of(beats: Beats) -> Tempo | None:
    """None where there is no typical beat or no rate."""
    if beats.median_mv is None or beats.heart_rate_bpm is None:
        return None
    rr_ms = 60_000 / beats.heart_rate_bpm
    rate_hz = beats.sampling_rate_hz
    return Tempo(rr_ms, slope_width_ms(beats.median_mv, rate_hz), _st_t_ms(beats.median_mv, rr_ms, rate_hz))


def slope_width_ms(median_mv: Samples, rate_hz: float) -> float:
    """Spread in time of the squared slope around R, all leads together: it grows with the width of the QRS."""
    middle, reach = round(BEFORE_MS / 1000 * rate_hz), round(_QRS_REACH_MS / 1000 * rate_hz)
    if native.compiled:
        return native.slope_width(median_mv, middle - reach, middle + reach) * 1000 / rate_hz
    steps = np.diff(median_mv[:, middle - reach : middle + reach], axis=1)
    power = np.einsum("ij,ij->j", steps, steps).astype(np.float64)
    time_ms = np.arange(power.size) * 1000 / rate_hz
    total = max(float(power.sum()), 1e-12)
    centre = float((power * time_ms).sum()) / total
    return float(np.sqrt((power * (time_ms - centre) ** 2).sum() / total))


def _st_t_ms(median_mv: Samples, rr_ms: float, rate_hz: float) -> float:
    """Centre in time of what follows the QRS, all leads together, each around its own middle value."""
    step_ms = _EVERY * 1000 / rate_hz
    latest_ms = max(_ST_T_SHARE_OF_BEAT * rr_ms, 2 * _ST_T_FROM_MS)
    first, last = (math.ceil((each + BEFORE_MS) / step_ms) for each in (_ST_T_FROM_MS, latest_ms))
    last = min(last, -(-median_mv.shape[1] // _EVERY))
    centre = native.centre(median_mv, _EVERY, first, last) if native.compiled else _centre(median_mv, first, last)
    return _ST_T_FROM_MS if centre < 0 else first * step_ms - BEFORE_MS + step_ms * centre


def _centre(median_mv: Samples, first: int, last: int) -> float:
    """In coarse steps from the first; -1 where nothing is above the middle values or below them."""
    coarse = median_mv[:, ::_EVERY]
    count = coarse.shape[1]
    above = coarse[:, first:last] - np.partition(coarse, count // 2, axis=1)[:, count // 2, None]
    power = np.einsum("ij,ij->j", above, above)
    total = float(power.sum())
    return float(np.einsum("j,j->", power, np.arange(power.size))) / total if total > 0 else -1.0
