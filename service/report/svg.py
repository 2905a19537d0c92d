"""The SVG pen: a unit of the drawing is a millimetre, so that a browser prints the page to scale."""

from __future__ import annotations

from html import escape

import numpy as np

from ecg.plot import FINE
from service.report.marks import Box, Lines, Mark, Page, Text, Trace


def drawn(page: Page) -> bytes:
    size = f'width="{page.width:g}mm" height="{page.height:g}mm" viewBox="0 0 {page.width:g} {page.height:g}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="Helvetica,Arial,sans-serif" role="img" '
        f'stroke-linecap="round" stroke-linejoin="round"><title>{escape(page.title)}</title>'
        f'<desc>{escape(page.subject)}</desc><rect width="100%" height="100%" fill="#fff"/>',
        *(_drawn(mark) for mark in page.marks),
        "</svg>",
    ]
    return "".join(parts).encode()


def _drawn(mark: Mark) -> str:
    match mark:
        case Box():
            return _box(mark)
        case Text():
            return _text(mark)
        case Lines():
            return _lines(mark)
        case Trace():
            return _trace(mark)


def _box(box: Box) -> str:
    opacity = "" if box.opacity == 1 else f' fill-opacity="{box.opacity:.3g}"'
    radius = f' rx="{box.radius:g}"' if box.radius else ""
    place = f'x="{box.x:.6g}" y="{box.y:.6g}" width="{box.width:.6g}" height="{box.height:.6g}"'
    return f'<rect {place} fill="{box.fill}"{opacity}{radius}/>'


def _text(text: Text) -> str:
    weight = ' font-weight="bold"' if text.bold else ""
    anchor = "" if text.anchor == "start" else f' text-anchor="{text.anchor}"'
    look = f'font-size="{text.size:g}" fill="{text.colour}"{weight}{anchor}'
    return f'<text x="{text.x:.6g}" y="{text.y:.6g}" {look}>{escape(text.text, quote=False)}</text>'


def _lines(lines: Lines) -> str:
    steps = "".join(f"M{a:.6g} {b:.6g}L{c:.6g} {d:.6g}" for a, b, c, d in lines.segments)
    return f'<path d="{steps}" stroke="{lines.colour}" stroke-width="{lines.width:g}" fill="none"/>'


def _trace(trace: Trace) -> str:
    """Each point told by its distance from the one before."""
    steps = np.column_stack((np.diff(trace.x), np.diff(trace.y))).ravel().tolist()
    points = " ".join(map(str, steps)).replace(" -", "-")
    return (
        f'<path data-lead="{trace.lead}" transform="scale({1 / FINE:g})" fill="none" stroke="{trace.colour}" '
        f'stroke-width="{trace.width * FINE:g}" d="M{trace.x[0]} {trace.y[0]}l{points}"/>'
    )
