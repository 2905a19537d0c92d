"""The panels above the sheet: risk, horizons, measurements, the weight of each lead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ecg.assess import Assessment
from ecg.contract import Bands
from ecg.risk import Band, HorizonRisk
from service.answer import Answered
from service.report import fonts
from service.report.marks import BLACK, GREY, PALE, WHITE, Anchor, Box, Lines, Mark, Text
from service.report.sheet import MAP_COLOUR
from service.words import per_cent, span

# Dark enough for white letters, and apart in lightness for those who do not tell the hues.
_BAND_COLOURS: Final = {Band.LOW: "#2f7d5b", Band.MODERATE: "#b36b00", Band.HIGH: "#a3201d"}
_BAR_BACK: Final = "#eceff1"
_MEASURED: Final = (
    ("Heart rate", "heart_rate_bpm", "/min"),
    ("PR interval", "pr_ms", "ms"),
    ("QRS duration", "qrs_ms", "ms"),
    ("QT interval", "qt_ms", "ms"),
    ("QTc (Fridericia)", "qtc_ms", "ms"),
    ("QRS axis", "axis_deg", "deg"),
)
_HEAD: Final = 2.6
_FIRST_ROW: Final = 8.2


def heading(x: float, y: float, width: float, text: str) -> Iterator[Mark]:
    yield Text(x, y + _HEAD, text, 2.5, GREY, bold=True)
    yield Lines(((x, y + 4, x + width, y + 4),), PALE, 0.2)


def risk(answered: Answered, x: float, y: float, width: float) -> Iterator[Mark]:
    """The number first: the score, its band, and where it stands in the reference population."""
    found = answered.assessment.risk
    yield from heading(x, y, width, "RISK SCORE")
    score = f"{found.score:g}"
    yield Text(x, y + 17, score, 13.5, bold=True)
    after = x + fonts.width(score, 13.5, bold=True) + 1.5
    yield Text(after, y + 17, "of 100", 3.2, GREY)
    colour = _BAND_COLOURS[found.band]
    label = f"{found.band.value.upper()} BAND"
    wide = fonts.width(label, 3.2, bold=True) + 6
    yield Box(x + width - wide, y + 6, wide, 5.8, colour, radius=1.6)
    yield Text(x + width - wide / 2, y + 10.1, label, 3.2, WHITE, bold=True, anchor=Anchor.CENTRE)
    yield from _percentiles(answered.model.contract.output.bands, found.percentile, x, y + 23.5, width)


def _percentiles(bands: Bands, percentile: float, x: float, y: float, width: float) -> Iterator[Mark]:
    """0 to 100, the three bands in their colours, and a mark."""
    edges = [0.0, bands.moderate_from_percentile, bands.high_from_percentile, 100.0]
    for band, start, end in zip(Band, edges, edges[1:], strict=False):
        if end > start:
            place = x + width * start / 100
            yield Box(place, y, width * (end - start) / 100 - 0.3, 2.4, _BAND_COLOURS[band], 0.55)
            yield Text(place, y + 5.2, f"{start:g}", 2.1, GREY)
    yield Text(x + width, y + 5.2, "100", 2.1, GREY, anchor=Anchor.RIGHT)
    at = x + width * percentile / 100
    yield Lines(((at, y - 1.4, at, y + 3.6),), BLACK, 0.7)
    told = f"percentile {percentile:g} of the model's reference population"
    yield Text(x, y + 9, told, 2.3, GREY)


def horizons(assessment: Assessment, x: float, y: float, width: float) -> Iterator[Mark]:
    """Absolute risk within each number of years, with its 95 % interval on a common scale."""
    found = assessment.risk.horizons
    yield from heading(x, y, width, "RISK OF HEART FAILURE WITHIN")
    full = _round_up(max(each.interval[1] for each in found))
    step = min(6.4, 24.0 / len(found))
    for row, each in enumerate(found):
        yield from _horizon(each, full, x, y + _FIRST_ROW + 1 + row * step, width)
    bottom = y + _FIRST_ROW + 1 + len(found) * step
    left, span_mm = _bar_place(x, width)
    yield Text(left, bottom - 1.2, "0", 2.1, GREY)
    yield Text(left + span_mm, bottom - 1.2, f"{full:.0%}", 2.1, GREY, anchor=Anchor.RIGHT)
    yield Text(x, bottom - 1.2, "95 % interval", 2.1, GREY)


def _bar_place(x: float, width: float) -> tuple[float, float]:
    return x + 27, width - 27 - 21


def _horizon(each: HorizonRisk, full: float, x: float, y: float, width: float) -> Iterator[Mark]:
    left, span_mm = _bar_place(x, width)
    low, high = (left + span_mm * edge / full for edge in each.interval)
    middle = y - 1.0
    yield Text(x, y, span(each.years), 2.9)
    yield Text(x + 25, y, per_cent(each.probability), 3.1, bold=True, anchor=Anchor.RIGHT)
    yield Box(left, middle - 1.1, span_mm, 2.2, _BAR_BACK)
    yield Box(left, middle - 1.1, span_mm * each.probability / full, 2.2, "#7a8b99")
    yield Lines(
        ((low, middle, high, middle), *((at, middle - 0.8, at, middle + 0.8) for at in (low, high))), BLACK, 0.3
    )
    told = " – ".join(per_cent(edge) for edge in each.interval)
    yield Text(x + width, y, told, 2.3, GREY, anchor=Anchor.RIGHT)


def _round_up(share: float) -> float:
    """The scale's end: the first round share that holds everything."""
    return next((full for full in (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75) if share <= full), 1.0)


def measurements(assessment: Assessment, x: float, y: float, width: float) -> Iterator[Mark]:
    yield from heading(x, y, width, "MEASUREMENTS")
    for row, (label, name, unit) in enumerate(_MEASURED):
        value = getattr(assessment.measurements, name)
        at = y + _FIRST_ROW + row * 4.6
        yield Text(x, at, label, 2.6, GREY)
        if value is None:
            yield Text(x + width, at, "not measurable", 2.4, GREY, anchor=Anchor.RIGHT)
        else:
            yield Text(x + width - 7, at, f"{value:.0f}", 2.8, bold=True, anchor=Anchor.RIGHT)
            yield Text(x + width - 6, at, unit, 2.3, GREY)


def leads(assessment: Assessment, x: float, y: float, width: float) -> Iterator[Mark]:
    """A bar for the weight of each lead; what is left out for poor quality says so."""
    attention = assessment.attention
    if attention is None:
        yield from heading(x, y, width, "LEAD WEIGHTS")
        yield Text(x, y + _FIRST_ROW, "no explanation was asked for", 2.4, GREY)
        return
    yield from heading(x, y, width, f"LEAD WEIGHTS, BY {attention.kind.value.upper()}")
    weights = attention.by_lead
    heaviest = max(weights.values())
    for row, (name, weight) in enumerate(weights.items()):
        at = y + 7 + row * 2.42
        reach = (width - 17) * weight / heaviest
        is_masked = bool(assessment.quality.leads[name].issues)
        yield Text(x, at, name, 2.2, GREY if is_masked else BLACK, bold=not is_masked)
        yield Box(x + 8, at - 1.7, max(0.2, reach), 1.8, MAP_COLOUR, 0.85)
        yield Text(x + 9 + reach, at, "left out" if is_masked else f"{weight:.0%}", 2.1, GREY)
