"""Where the waves of a median beat begin and end: one onset and one offset a wave, from all leads at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg import native
from ecg.leads import INDEPENDENT_ROWS
from ecg.middle import median
from ecg.recording import Samples

Floats = NDArray[np.float32]

# QRS: the leads' common speed, over 16 ms, leaves its quiet level by this share of its peak and stays away for 16 ms.
# Where the T wave leaves no quiet behind a wide complex, a larger share finds the bend between them.
_QRS_SHARES: Final = (0.04, 0.06, 0.09, 0.13, 0.18)
_QRS_SLOPE_S: Final = 0.008
_QRS_NEAR_S: Final = 0.12
_QRS_HOLD_S: Final = 0.016
_QRS_LONGEST_S: Final = 0.22
_QRS_SHORTEST_S: Final = 0.04
# T: looked for from this long after the QRS until this long after R, or this share of the interval between beats.
_T_AFTER_QRS_S: Final = 0.06
_T_LATEST_S: Final = 0.64
_T_LATEST_OF_RR: Final = 0.72
_T_SHORTEST_S: Final = 0.08
_T_SMOOTH_S: Final = 0.03
_T_FAINTEST_MV: Final = 0.02
# It ends where, after its fastest way down, it has slowed to a share of that speed for so long, or turns back up.
_T_SLOPE_S: Final = 0.016
_T_FALL_S: Final = 0.14
_T_HOLD_S: Final = 0.016
_T_SHARE: Final = 0.12
_T_OVERSHOOT: Final = -0.2
# P: looked for in this stretch before the QRS; it begins and ends at this share of its speed.
_P_EARLIEST_S: Final = 0.38
_P_BEFORE_QRS_S: Final = 0.01
_P_LEAST_S: Final = 0.06
_P_SMOOTH_S: Final = 0.016
_P_EDGE_S: Final = 0.008
_P_SLOPE_S: Final = 0.012
_P_NEAR_S: Final = 0.07
_P_HOLD_S: Final = 0.024
_P_SHARE: Final = 0.35
# What is left of fibrillation in a median beat is lower than this; a P wave of a regular rhythm may be fainter.
_P_FAINTEST_MV: Final = 0.02
_P_FAINTEST_IRREGULAR_MV: Final = 0.05
_P_ABOVE_NOISE: Final = 3.0
_P_LONGEST_S: Final = 0.2
_P_SHORTEST_S: Final = 0.04
_LEVEL_S: Final = 0.016
# Without a T wave the heart is taken to rest from this share of the interval between beats on.
_REST_OF_RR: Final = 0.5
# In the order of `Constants` in native/delineate.c.
_CONSTANTS: Final = np.array([
    *_QRS_SHARES, _QRS_SLOPE_S, _QRS_NEAR_S, _QRS_HOLD_S, _QRS_LONGEST_S, _QRS_SHORTEST_S,
    _T_AFTER_QRS_S, _T_LATEST_S, _T_LATEST_OF_RR, _T_SHORTEST_S, _T_SMOOTH_S, _T_FAINTEST_MV, _T_SLOPE_S, _T_FALL_S,
    _T_SHARE, _T_HOLD_S, _T_OVERSHOOT, _LEVEL_S, _P_BEFORE_QRS_S, _P_EARLIEST_S, _P_LEAST_S, _P_SMOOTH_S, _P_EDGE_S,
    _P_ABOVE_NOISE, _P_SLOPE_S, _P_NEAR_S, _P_HOLD_S, _P_SHARE, _P_SHORTEST_S, _P_LONGEST_S, _REST_OF_RR,
])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Span:
    """From the first sample of a wave to the first sample after it."""

    onset: int
    offset: int


@dataclass(frozen=True, slots=True)
class Waves:
    """Samples of the median beat; None for a wave that cannot be told."""

    p: Span | None
    qrs: Span | None
    t: Span | None


def delineate(beat_mv: Samples, r: int, rr: float, rate_hz: float, *, irregular: bool = False) -> Waves:
    """The waves of a median beat with its R peak at sample `r`, in a rhythm of `rr` samples from beat to beat."""
    faintest_p_mv = _P_FAINTEST_IRREGULAR_MV if irregular else _P_FAINTEST_MV
    if native.compiled:
        found = native.delineate(beat_mv, r, rr, rate_hz, faintest_p_mv, _CONSTANTS)
        return Waves(*(Span(*each) if each[0] >= 0 else None for each in found))
    leads = beat_mv[INDEPENDENT_ROWS, :]
    qrs = _qrs(leads, r, rate_hz)
    if qrs is None:
        return Waves(None, None, None)
    t = _t(leads, qrs, r, rr, rate_hz)
    last_t = (t.offset if t else r + round(_REST_OF_RR * rr)) - round(rr)
    return Waves(_p(leads, qrs, last_t, faintest_p_mv, rate_hz), qrs, t)


def _qrs(leads: Samples, r: int, rate_hz: float) -> Span | None:
    speed = _speed(leads, round(_QRS_SLOPE_S * rate_hz))
    near = round(_QRS_NEAR_S * rate_hz)
    around = speed[max(0, r - near) : r + near]
    # Quiet is the calmer third of the time before the complex.
    before = np.sort(speed[max(0, r - 200 * near // 60) : max(1, r - near // 3)])
    quiet = median(before[: max(1, before.size // 3)])
    peak = float(around.max())
    for share in _QRS_SHARES:
        width = _stay_over(speed > quiet + share * (peak - quiet), r, rate_hz)
        if width is not None:
            return width
    return None


def _stay_over(over: NDArray[np.bool_], r: int, rate_hz: float) -> Span | None:
    """The stretch around R without a long pause, if it is as long as a QRS can be."""
    hold, longest = round(_QRS_HOLD_S * rate_hz), round(_QRS_LONGEST_S * rate_hz)
    onset, offset, flags = r, r, over.tolist()
    while onset > max(hold, r - longest) and True in flags[onset - hold : onset]:
        onset -= 1
    while offset < min(over.size - hold - 1, r + longest) and True in flags[offset + 1 : offset + 1 + hold]:
        offset += 1
    fits = round(_QRS_SHORTEST_S * rate_hz) <= offset - onset <= longest
    return Span(onset, offset) if fits else None


def _speed(leads: Samples, half: int) -> Floats:
    """How fast the heart's vector moves: root of the leads' summed squared central differences."""
    change = leads[:, 2 * half :] - leads[:, : -2 * half]
    speed = np.zeros(leads.shape[1], dtype=np.float32)
    np.sqrt(np.einsum("ij,ij->j", change, change), out=speed[half:-half])
    return speed


def _t(leads: Samples, qrs: Span, r: int, rr: float, rate_hz: float) -> Span | None:
    start = qrs.offset + round(_T_AFTER_QRS_S * rate_hz)
    end = min(leads.shape[1] - 1, r + round(min(_T_LATEST_S * rate_hz, _T_LATEST_OF_RR * rr)))
    if end - start < round(_T_SHORTEST_S * rate_hz):
        return None
    calm = _smooth(leads, round(_T_SMOOTH_S * rate_hz))
    smooth = calm - isoelectric(leads, qrs, rate_hz)
    height = np.sqrt(np.einsum("ij,ij->j", smooth, smooth) / len(smooth))
    peak = start + int(height[start:end].argmax())
    if height[peak] < _T_FAINTEST_MV or not start < peak < end - 2:
        return None
    # From its fastest way down the vector comes to rest: the end is where it has slowed to a share of that speed.
    speed = _speed(calm, round(_T_SLOPE_S * rate_hz))
    fastest = peak + int(speed[peak : min(end, peak + round(_T_FALL_S * rate_hz))].argmax())
    over = speed[fastest:end] > _T_SHARE * float(speed[fastest])
    _, after = _run_around(over, 0, round(_T_HOLD_S * rate_hz))
    # Where the next P wave begins before that, the T wave's own direction has turned back up.
    along = np.einsum("l,lt->t", smooth[:, peak], smooth[:, fastest:end]) / np.float32(height[peak] ** 2 * len(smooth))
    turns = np.flatnonzero((along[1:-1] <= along[:-2]) & (along[1:-1] < along[2:]) & (along[1:-1] > _T_OVERSHOOT)) + 1
    return Span(start, fastest + min(after, int(turns[0]) if turns.size else after))


def _p(leads: Samples, qrs: Span, last_t: int, faintest_mv: float, rate_hz: float) -> Span | None:
    end = qrs.onset - round(_P_BEFORE_QRS_S * rate_hz)
    start = max(0, qrs.onset - round(_P_EARLIEST_S * rate_hz), last_t)
    if end - start < round(_P_LEAST_S * rate_hz):
        return None
    calm = _smooth(leads, round(_P_SMOOTH_S * rate_hz))
    piece = calm[:, start:end]
    # Without the line between the stretch's two quiet ends.
    edge = max(2, round(_P_EDGE_S * rate_hz))
    first, last = piece[:, :edge].mean(axis=1, keepdims=True), piece[:, -edge:].mean(axis=1, keepdims=True)
    piece = piece - first - (last - first) * np.linspace(0, 1, end - start, dtype=np.float32)
    height = np.sqrt(np.einsum("ij,ij->j", piece, piece) / len(piece))
    peak = int(height.argmax())
    noise = median(np.sort(height)[: max(1, height.size // 4)])
    if height[peak] < max(faintest_mv, _P_ABOVE_NOISE * noise):
        return None
    # Edges by speed, which slow drift under the wave does not move.
    speed = _speed(calm, round(_P_SLOPE_S * rate_hz))[start:end]
    near, hold = round(_P_NEAR_S * rate_hz), round(_P_HOLD_S * rate_hz)
    up = max(0, peak - near) + int(speed[max(0, peak - near) : peak + 1].argmax())
    down = peak + int(speed[peak : peak + near].argmax())
    # Where what came before leaves no quiet, a larger share finds the bend.
    for share in (_P_SHARE, 1.5 * _P_SHARE, 2 * _P_SHARE):
        onset, _ = _run_around(speed > share * float(speed[up]), up, hold)
        if onset > 0:
            break
    _, offset = _run_around(speed > _P_SHARE * float(speed[down]), down, hold)
    width = (offset - onset) / rate_hz
    return Span(start + onset, start + offset) if _P_SHORTEST_S <= width <= _P_LONGEST_S else None


def _run_around(over: NDArray[np.bool_], at: int, hold: int) -> tuple[int, int]:
    """The stretch around a sample in which no pause lasts `hold` samples."""
    onset, offset, flags = at, at, over.tolist()
    while onset > 0 and True in flags[max(0, onset - hold) : onset]:
        onset -= 1
    while offset < len(flags) - 1 and True in flags[offset + 1 : offset + 1 + hold]:
        offset += 1
    return onset, offset + 1


def isoelectric(leads: Samples, qrs: Span, rate_hz: float) -> Samples:
    """Each lead's level just before the QRS."""
    before = leads[:, max(0, qrs.onset - round(_LEVEL_S * rate_hz)) : max(1, qrs.onset)]
    level: Samples = before.mean(axis=1, keepdims=True)
    return level


def _smooth(leads: Samples, width: int) -> Samples:
    """Running mean over an odd number of samples, edges held."""
    half, n = width // 2, leads.shape[1]
    held = np.empty((leads.shape[0], n + 2 * half + 1), dtype=leads.dtype)
    held[:, : half + 1], held[:, half + 1 : half + 1 + n], held[:, half + 1 + n :] = leads[:, :1], leads, leads[:, -1:]
    summed = np.cumsum(held, axis=1, dtype=np.float64)
    smooth: Samples = ((summed[:, 2 * half + 1 :] - summed[:, : -2 * half - 1]) / (2 * half + 1)).astype(np.float32)
    return smooth
