"""A calibrated 12-lead sheet as SVG, with the attention laid over it. A unit of the drawing is a millimetre of paper.

Text alone, no drawing library: the same recording gives the same bytes, and a browser prints a second as 25.0 mm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from html import escape
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg.explain import Attention
from ecg.leads import INDEX, LEADS
from ecg.recording import Samples


class Layout(StrEnum):
    THREE_BY_FOUR = "3x4"
    SIX_BY_TWO = "6x2"
    TWELVE_BY_ONE = "12x1"


_ROWS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "3x4": (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6")),
    "6x2": tuple(zip(LEADS[:6], LEADS[6:], strict=True)),
    "12x1": tuple((lead,) for lead in LEADS),
}
SHOWN_S: Final = 10.0
_ROW_MM: Final = {Layout.THREE_BY_FOUR: 30.0, Layout.SIX_BY_TWO: 24.0, Layout.TWELVE_BY_ONE: 17.0}
_MARGIN_MM: Final = 5.0
_PULSE_MM: Final = 8.0
_HEADER_MM: Final = 9.0
_FOOTER_MM: Final = 8.0
_TRACE_HZ: Final = 250.0
BAND_MM: Final = 3.0
_LEVELS: Final = 10
_BAND_STEP_MS: Final = 20.0
# Hundredths of a millimetre as whole numbers keep the file small and its bytes the same everywhere.
FINE: Final = 100
_PAPER: Final = ("#fff", "#f7d4d4", "#e9a3a3", "#111", "#444")
Steps = NDArray[np.int64]
_ATTENTION: Final = "#0072b2"


@dataclass(frozen=True, slots=True)
class Scale:
    """Paper speed and gain; the row height follows the gain unless rows would collide."""

    mm_per_s: float = 25.0
    mm_per_mv: float = 10.0


@dataclass(frozen=True, slots=True)
class Strip:
    """One stretch of one lead and where it stands on the paper: `x_mm` to its start, `y_mm` down to its zero line."""

    lead: str
    start_s: float
    seconds: float
    x_mm: float
    y_mm: float


def sheet(
    signal_mv: Samples,
    rate_hz: float,
    *,
    layout: Layout = Layout.THREE_BY_FOUR,
    scale: Scale | None = None,
    attention: Attention | None = None,
    opacity: float = 0.8,
    heading: str = "",
    filters: str = "0.5–150 Hz",
    rhythm_lead: str = "II",
) -> str:
    """The recording's first ten seconds. `heading` is the caller's own text; nothing else of it is on the sheet."""
    scale = scale or Scale()
    row_mm = _ROW_MM[layout] * max(1.0, scale.mm_per_mv / 10)
    corner = (_MARGIN_MM + _PULSE_MM, _HEADER_MM)
    strips = arranged(layout, scale, signal_mv.shape[1] / rate_hz, corner, row_mm, rhythm_lead)
    height_mm = _HEADER_MM + len({strip.y_mm for strip in strips}) * row_mm + _FOOTER_MM
    width_mm = 2 * _MARGIN_MM + _PULSE_MM + SHOWN_S * scale.mm_per_s
    parts = [*_opening(width_mm, height_mm, heading), *_grid(width_mm, height_mm)]
    if attention is not None:
        activation = activation_of(attention, signal_mv.shape[1] / rate_hz)
        parts += [f'<g fill="{_ATTENTION}" data-layer="attention" opacity="{opacity:g}">']
        parts += [band for strip in strips for band in _bands(strip, activation, scale)]
        parts += ["</g>"]
    parts += [f'<g fill="none" stroke="{_PAPER[3]}" stroke-width="0.25" stroke-linejoin="round">']
    parts += [_trace(strip, signal_mv, rate_hz, scale) for strip in strips]
    parts += [_pulse(y_mm, scale) for y_mm in sorted({strip.y_mm for strip in strips})]
    # A tick where one lead ends and the next begins.
    parts += [f'<path d="M{strip.x_mm:g} {strip.y_mm - 7:g}v3"/>' for strip in strips if strip.start_s > 0]
    parts += ["</g>", *_labels(strips, attention), *_footer(width_mm, height_mm, scale, filters, attention)]
    return "".join([*parts, "</svg>"])


def arranged(
    layout: Layout,
    scale: Scale,
    duration_s: float,
    corner_mm: tuple[float, float],
    row_mm: float,
    rhythm_lead: str = "II",
) -> list[Strip]:
    """Rows of `row_mm` below the corner, where the traces begin; what the recording does not reach stays empty."""
    rows = _ROWS[layout.value]
    (left_mm, top_mm), column_s = corner_mm, SHOWN_S / len(rows[0])
    # A recording of one beat shows that beat of every lead.
    begins_anew = duration_s <= column_s
    strips = []
    for row, leads in enumerate(rows):
        y_mm = top_mm + (row + 0.5) * row_mm
        for column, lead in enumerate(leads):
            start_s = 0.0 if begins_anew else column * column_s
            seconds = min(column_s, duration_s - start_s)
            if seconds > 0:
                x_mm = left_mm + column * column_s * scale.mm_per_s
                strips.append(Strip(lead, start_s, seconds, x_mm, y_mm))
    if layout is not Layout.TWELVE_BY_ONE:
        y_mm = top_mm + (len(rows) + 0.5) * row_mm
        strips.append(Strip(rhythm_lead, 0.0, min(SHOWN_S, duration_s), left_mm, y_mm))
    return strips


def _opening(width_mm: float, height_mm: float, heading: str) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width_mm:g}mm" height="{height_mm:g}mm" '
        f'viewBox="0 0 {width_mm:g} {height_mm:g}" font-family="Helvetica,Arial,sans-serif" role="img" '
        'aria-label="12-lead ECG">'
    )
    yield f'<rect width="{width_mm:g}" height="{height_mm:g}" fill="{_PAPER[0]}"/>'
    if heading:
        yield f'<text x="{_MARGIN_MM:g}" y="5.5" font-size="3.5" fill="{_PAPER[4]}">{escape(heading)}</text>'


def _grid(width_mm: float, height_mm: float) -> Iterator[str]:
    """Fine lines each millimetre, strong ones each five: 40 and 200 ms at 25 mm/s, 0.1 and 0.5 mV at 10 mm/mV."""
    bottom = height_mm - _FOOTER_MM
    right = width_mm - _MARGIN_MM
    lines: dict[int, list[str]] = {1: [], 5: []}
    for mm in range(round(right - _MARGIN_MM) + 1):
        lines[5 if mm % 5 == 0 else 1].append(f"M{_MARGIN_MM + mm:g} {_HEADER_MM:g}V{bottom:g}")
    for mm in range(int(bottom - _HEADER_MM) + 1):
        lines[5 if mm % 5 == 0 else 1].append(f"M{_MARGIN_MM:g} {_HEADER_MM + mm:g}H{right:g}")
    for every, colour, width in ((1, _PAPER[1], 0.1), (5, _PAPER[2], 0.18)):
        yield f'<path d="{"".join(lines[every])}" stroke="{colour}" stroke-width="{width}" fill="none"/>'


def trace(strip: Strip, signal_mv: Samples, rate_hz: float, scale: Scale) -> tuple[Steps, Steps]:
    """The points of a strip, right and down, in whole hundredths of a millimetre."""
    every = max(1, round(rate_hz / _TRACE_HZ))
    first = round(strip.start_s * rate_hz)
    last = first + int(strip.seconds * rate_hz)
    samples = signal_mv[INDEX[strip.lead], first : last + 1 : every].astype(np.float64)
    times = np.arange(samples.size) * every / rate_hz
    x = np.rint((strip.x_mm + times * scale.mm_per_s) * FINE).astype(np.int64)
    return x, np.rint((strip.y_mm - samples * scale.mm_per_mv) * FINE).astype(np.int64)


def _trace(strip: Strip, signal_mv: Samples, rate_hz: float, scale: Scale) -> str:
    """Each point told by its distance from the one before."""
    x, y = trace(strip, signal_mv, rate_hz, scale)
    steps = np.column_stack((np.diff(x), np.diff(y))).ravel().tolist()
    points = " ".join(map(str, steps)).replace(" -", "-")
    return (
        f'<path data-lead="{strip.lead}" transform="scale({1 / FINE:g})" stroke-width="{0.25 * FINE:g}" '
        f'd="M{x[0]} {y[0]}l{points}"/>'
    )


def _pulse(y_mm: float, scale: Scale) -> str:
    """1 mV for 0.2 s at the start of each row."""
    step = 0.2 * scale.mm_per_s
    left = _MARGIN_MM + _PULSE_MM - step - 2
    return (
        f'<path data-calibration="1 mV, 0.2 s" d="M{left - 0.5:g} {y_mm:g}h0.5v{-scale.mm_per_mv:g}h{step:g}'
        f'v{scale.mm_per_mv:g}h0.5"/>'
    )


def activation_of(attention: Attention, duration_s: float) -> NDArray[np.float64]:
    return attention.on_recording(duration_s, _BAND_STEP_MS)


def bands(strip: Strip, activation: NDArray[np.float64], scale: Scale) -> Iterator[tuple[float, float, float]]:
    """Where the activation is above zero: left edge, width and opacity; equal neighbours are one band."""
    first = round(strip.start_s * 1000 / _BAND_STEP_MS)
    count = int(strip.seconds * 1000 / _BAND_STEP_MS)
    levels = np.rint(activation[INDEX[strip.lead], first : first + count] * _LEVELS).astype(int)
    edges = np.flatnonzero(np.diff(levels, prepend=-1, append=-1))
    step_mm = _BAND_STEP_MS / 1000 * scale.mm_per_s
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if levels[start] > 0:
            yield strip.x_mm + start * step_mm, (end - start) * step_mm, float(levels[start] / _LEVELS)


def _bands(strip: Strip, activation: NDArray[np.float64], scale: Scale) -> Iterator[str]:
    """A band under the trace, as opaque as the activation is high."""
    y_mm = strip.y_mm + band_below_mm(scale)
    for x_mm, width_mm, opacity in bands(strip, activation, scale):
        yield (
            f'<rect x="{x_mm:.4g}" y="{y_mm:g}" width="{width_mm:.4g}" height="{BAND_MM:g}" '
            f'fill-opacity="{opacity:g}"/>'
        )


def band_below_mm(scale: Scale) -> float:
    return min(9.0, 0.55 * scale.mm_per_mv + 1.0)


def _labels(strips: list[Strip], attention: Attention | None) -> Iterator[str]:
    """Each lead's name and, with an explanation, its weight as a bar and a number."""
    yield f'<g font-size="3.2" fill="{_PAPER[3]}">'
    for strip in strips:
        y_mm = strip.y_mm - 9.0
        yield f'<text x="{strip.x_mm + 1:g}" y="{y_mm:g}" font-weight="bold">{strip.lead}</text>'
        if attention is not None:
            weight = float(attention.lead_weights[INDEX[strip.lead]])
            yield (
                f'<rect x="{strip.x_mm + 9:g}" y="{y_mm - 2.2:g}" width="{max(0.2, 30 * weight):.4g}" height="2" '
                f'fill="{_ATTENTION}"/><text x="{strip.x_mm + 10 + 30 * weight:.4g}" y="{y_mm - 0.3:g}" '
                f'font-size="2.4">{weight:.0%}</text>'
            )
    yield "</g>"


def _footer(
    width_mm: float, height_mm: float, scale: Scale, filters: str, attention: Attention | None
) -> Iterator[str]:
    y_mm = height_mm - 3
    text = f"{scale.mm_per_s:g} mm/s · {scale.mm_per_mv:g} mm/mV · {filters}"
    yield f'<g font-size="3" fill="{_PAPER[4]}"><text x="{_MARGIN_MM:g}" y="{y_mm:g}">{escape(text)}</text>'
    if attention is not None:
        left = width_mm - _MARGIN_MM - 95
        yield f'<text x="{left:g}" y="{y_mm:g}">model {attention.kind.value}: less</text>'
        for level in range(_LEVELS + 1):
            yield (
                f'<rect x="{left + 33 + 2.5 * level:g}" y="{y_mm - 2.4:g}" width="2.5" height="3" fill="{_ATTENTION}" '
                f'fill-opacity="{level / _LEVELS:g}"/>'
            )
        yield f'<text x="{left + 62:g}" y="{y_mm:g}">more · bar: weight of lead</text>'
    yield "</g>"
