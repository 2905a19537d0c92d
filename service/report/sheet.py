"""The twelve leads on calibrated paper: 25 mm for a second, 10 mm for a millivolt, the model's map under the trace."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np

from ecg import plot
from ecg.assess import Assessment
from ecg.beats import Beats
from ecg.explain import Attention
from ecg.leads import INDEX
from ecg.plot import Layout, Scale, Strip
from service.report import fonts
from service.report.marks import BLACK, GREY, Anchor, Box, Lines, Mark, Text, Trace

MAP_COLOUR: Final = "#0072b2"
FILTERS: Final = "0.5–150 Hz"
_FINE_GRID, _STRONG_GRID = "#f6d9d9", "#e6a9a9"
_PULSE_MM: Final = 10.0
_ROWS: Final = 4
_ROW_HEAD_MM: Final = 11.0
_OPACITY: Final = 0.6
_LEVELS: Final = 10
# Beyond these a curve runs over its neighbours, or off the paper: then half the gain, as ECG machines do.
_TALLEST_MV: Final = 2.8
_TALLEST_AT_EDGE_MV: Final = 1.7
_TOP_ROW, _BOTTOM_ROW = ("I", "aVR", "V1", "V4"), "II"


def sheet(assessment: Assessment, left: float, top: float, width: float, height: float) -> Iterator[Mark]:
    """On a piece of paper of this place and size; its width holds the pulse, ten seconds and a margin."""
    beats, attention = assessment.beats, assessment.attention
    duration_s = beats.signal_mv.shape[1] / beats.sampling_rate_hz
    scale = scale_of(beats)
    strips = plot.arranged(Layout.THREE_BY_FOUR, scale, duration_s, (left + _PULSE_MM, top), height / _ROWS)
    yield from _grid(left, top, width, height)
    if attention is not None:
        yield from _bands(strips, attention, duration_s, scale)
    for strip in strips:
        yield Trace(strip.lead, *plot.trace(strip, beats.signal_mv, beats.sampling_rate_hz, scale))
    yield Lines(tuple(_pulses(strips, left, scale)), BLACK, 0.25)
    yield Lines(tuple(_ticks(strips)), GREY, 0.25)
    yield from _names(strips, assessment)


def scale_of(beats: Beats) -> Scale:
    shown = beats.signal_mv[:, : round(plot.SHOWN_S * beats.sampling_rate_hz)]
    up = max(float(shown[INDEX[lead]].max()) for lead in _TOP_ROW)
    down = -float(shown[INDEX[_BOTTOM_ROW]].min())
    is_tall = float(np.abs(shown).max()) > _TALLEST_MV or max(up, down) > _TALLEST_AT_EDGE_MV
    return Scale(mm_per_mv=5.0) if is_tall else Scale()


def legend(assessment: Assessment, left: float, right: float, y: float) -> Iterator[Mark]:
    scale, attention = scale_of(assessment.beats), assessment.attention
    yield Text(left, y, f"{scale.mm_per_s:g} mm/s · {scale.mm_per_mv:g} mm/mV · {FILTERS}", 2.4, GREY)
    if attention is None:
        return
    step = 3.0
    start = right - 12 - step * (_LEVELS + 1)
    yield Text(
        start - 2, y, f"Band under each trace: model {attention.kind.value}, less", 2.4, GREY, anchor=Anchor.RIGHT
    )
    for level in range(_LEVELS + 1):
        yield Box(start + step * level, y - 2.2, step, 2.8, MAP_COLOUR, _OPACITY * level / _LEVELS)
    yield Text(start + step * (_LEVELS + 1) + 2, y, "more", 2.4, GREY)


def _grid(left: float, top: float, width: float, height: float) -> Iterator[Mark]:
    """Fine lines each millimetre, strong ones each five: 40 and 200 ms, 0.1 and 0.5 mV."""
    lines: dict[bool, list[tuple[float, float, float, float]]] = {False: [], True: []}
    for step in range(round(width) + 1):
        lines[step % 5 == 0].append((left + step, top, left + step, top + height))
    for step in range(round(height) + 1):
        lines[step % 5 == 0].append((left, top + step, left + width, top + step))
    yield Lines(tuple(lines[False]), _FINE_GRID, 0.1)
    yield Lines(tuple(lines[True]), _STRONG_GRID, 0.16)


def _bands(strips: list[Strip], attention: Attention, duration_s: float, scale: Scale) -> Iterator[Mark]:
    activation = plot.activation_of(attention, duration_s)
    below = plot.band_below_mm(scale)
    for strip in strips:
        for x, width, level in plot.bands(strip, activation, scale):
            yield Box(x, strip.y_mm + below, width, plot.BAND_MM, MAP_COLOUR, round(_OPACITY * level, 3))


def _pulses(strips: list[Strip], left: float, scale: Scale) -> Iterator[tuple[float, float, float, float]]:
    """1 mV for 0.2 s at the start of each row."""
    high, wide = scale.mm_per_mv, 0.2 * scale.mm_per_s
    for y in sorted({strip.y_mm for strip in strips}):
        x = left + 2.0
        corners = [(x, y), (x + 0.5, y), (x + 0.5, y - high), (x + 0.5 + wide, y - high)]
        corners += [(x + 0.5 + wide, y), (x + 1.0 + wide, y)]
        yield from ((*here, *there) for here, there in pairwise(corners))


def _ticks(strips: list[Strip]) -> Iterator[tuple[float, float, float, float]]:
    """Where one lead ends and the next begins."""
    for strip in strips:
        if strip.start_s > 0:
            yield (strip.x_mm, strip.y_mm - 8, strip.x_mm, strip.y_mm - 5)


def _names(strips: list[Strip], assessment: Assessment) -> Iterator[Mark]:
    weights = assessment.attention.by_lead if assessment.attention is not None else {}
    left_out = {name for name, lead in assessment.quality.leads.items() if lead.issues}
    for strip in strips:
        y = strip.y_mm - _ROW_HEAD_MM
        yield Text(strip.x_mm + 1, y, strip.lead, 3.2, bold=True)
        if strip.lead in weights:
            after = strip.x_mm + 2.5 + fonts.width(strip.lead, 3.2, bold=True)
            told = "left out" if strip.lead in left_out else f"{weights[strip.lead]:.0%}"
            yield Text(after, y, told, 2.4, MAP_COLOUR)
