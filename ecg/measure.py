"""The clinic's numbers, read off a median beat: intervals, axes, voltages. None where a wave cannot be told."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, degrees, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg.delineate import Span, Waves, isoelectric
from ecg.leads import INDEX, LEADS
from ecg.recording import Samples

Floats = NDArray[np.float64]
_J_PLUS_MS: Final = 60.0
# Leads I and aVF, which stand upright on each other.
_FRONTAL: Final = slice(INDEX["I"], INDEX["aVF"] + 1, INDEX["aVF"] - INDEX["I"])


@dataclass(frozen=True, slots=True)
class LeadVoltages:
    """One lead against its own level just before the QRS: R and S as heights, ST 60 ms after the J point, T signed."""

    r_mv: float
    s_mv: float
    st_mv: float
    t_mv: float | None


@dataclass(frozen=True, slots=True)
class Measurements:
    """`qtc_ms` is Fridericia's (QT over the cube root of RR), which overcorrects less at high rates than Bazett's."""

    heart_rate_bpm: float | None = None
    p_ms: float | None = None
    pr_ms: float | None = None
    qrs_ms: float | None = None
    qt_ms: float | None = None
    qtc_ms: float | None = None
    qtc_bazett_ms: float | None = None
    axis_deg: float | None = None
    p_axis_deg: float | None = None
    t_axis_deg: float | None = None
    sokolow_lyon_mv: float | None = None
    cornell_mv: float | None = None
    voltages: dict[str, LeadVoltages] | None = None


def of_beat(beat_mv: Samples, waves: Waves, heart_rate_bpm: float | None, rate_hz: float) -> Measurements:
    """Everything that these waves allow."""
    if waves.qrs is None:
        return Measurements(heart_rate_bpm=heart_rate_bpm)
    ms = 1000 / rate_hz
    qrs, p, t = waves.qrs, waves.p, waves.t
    level = isoelectric(beat_mv, qrs, rate_hz)
    above = beat_mv - level
    qt_ms = (t.offset - qrs.onset) * ms if t else None
    rr_s = 60 / heart_rate_bpm if heart_rate_bpm else None
    voltages = _voltages(above, qrs, t, rate_hz)
    return Measurements(
        heart_rate_bpm=heart_rate_bpm,
        p_ms=(p.offset - p.onset) * ms if p else None,
        pr_ms=(qrs.onset - p.onset) * ms if p else None,
        qrs_ms=(qrs.offset - qrs.onset) * ms,
        qt_ms=qt_ms,
        qtc_ms=qt_ms / rr_s ** (1 / 3) if qt_ms and rr_s else None,
        qtc_bazett_ms=qt_ms / sqrt(rr_s) if qt_ms and rr_s else None,
        axis_deg=_axis_deg(above, qrs),
        p_axis_deg=_p_axis_deg(beat_mv, p),
        t_axis_deg=_axis_deg(above, t) if t else None,
        sokolow_lyon_mv=voltages["V1"].s_mv + max(voltages["V5"].r_mv, voltages["V6"].r_mv),
        cornell_mv=voltages["aVL"].r_mv + voltages["V3"].s_mv,
        voltages=voltages,
    )


def _voltages(above: Samples, qrs: Span, t: Span | None, rate_hz: float) -> dict[str, LeadVoltages]:
    complex_ = above[:, qrs.onset : qrs.offset]
    j_plus = min(qrs.offset + round(_J_PLUS_MS / 1000 * rate_hz), above.shape[1] - 1)
    highest, lowest, st = complex_.max(axis=1), complex_.min(axis=1), above[:, j_plus]
    t_mv: list[float | None] = [None] * len(LEADS)
    if t:
        wave = above[:, t.onset : t.offset]
        t_mv = wave[np.arange(len(wave)), np.abs(wave).argmax(axis=1)].tolist()
    rows = zip(LEADS, highest.tolist(), lowest.tolist(), st.tolist(), t_mv, strict=True)
    return {name: LeadVoltages(max(0.0, high), max(0.0, -low), j, t) for name, high, low, j, t in rows}


def _p_axis_deg(beat_mv: Samples, p: Span | None) -> float | None:
    """P stands on the line between its own two ends, since the level before the QRS may lie elsewhere."""
    if p is None:
        return None
    ends = (beat_mv[_FRONTAL, p.onset] + beat_mv[_FRONTAL, p.offset - 1]) / 2
    return _direction_deg(_frontal_area(beat_mv, p) - ends * (p.offset - p.onset))


def _axis_deg(above: Samples, span: Span) -> float | None:
    return _direction_deg(_frontal_area(above, span))


def _frontal_area(above: Samples, span: Span) -> Floats:
    return np.asarray(above[_FRONTAL, span.onset : span.offset].sum(axis=1, dtype=np.float64))


def _direction_deg(area: Floats) -> float | None:
    """In the frontal plane: 0 towards the left arm, 90 towards the feet."""
    across, down = float(area[0]), float(area[1]) * 2 / sqrt(3)
    return degrees(atan2(down, across)) if across or down else None
