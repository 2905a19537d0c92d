"""The PDF pen. The only importer of the PDF library's canvas; the same page gives the same bytes."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final

from reportlab.lib.colors import HexColor
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from ecg.plot import FINE
from service.report import fonts
from service.report.marks import Anchor, Box, Lines, Page, Text, Trace

_PRODUCER: Final = "ecg-heart-failure-risk"


def drawn(page: Page) -> bytes:
    buffer = BytesIO()
    size = (page.width * mm, page.height * mm)
    # invariant: no clock and no chance in the file.
    canvas: Any = Canvas(buffer, pagesize=size, invariant=1, pageCompression=1, lang="en", pdfVersion=(1, 4))
    canvas.setTitle(page.title)
    canvas.setSubject(page.subject)
    canvas.setAuthor(_PRODUCER)
    canvas.setCreator(_PRODUCER)
    canvas.setLineCap(1)
    canvas.setLineJoin(1)
    pen = _Pen(canvas, page.height)
    for mark in page.marks:
        pen.draw(mark)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


class _Pen:
    """PDF counts points from the lower left corner."""

    def __init__(self, canvas: Any, height: float) -> None:
        self._canvas, self._height = canvas, height

    def draw(self, mark: Box | Text | Lines | Trace) -> None:
        match mark:
            case Box():
                self._box(mark)
            case Text():
                self._text(mark)
            case Lines():
                self._lines(mark)
            case Trace():
                self._trace(mark)

    def _y(self, y: float) -> float:
        return (self._height - y) * float(mm)

    def _box(self, box: Box) -> None:
        self._canvas.setFillColor(HexColor(box.fill), alpha=box.opacity)
        place = (box.x * mm, self._y(box.y + box.height), box.width * mm, box.height * mm)
        if box.radius:
            self._canvas.roundRect(*place, box.radius * mm, stroke=0, fill=1)
        else:
            self._canvas.rect(*place, stroke=0, fill=1)

    def _text(self, text: Text) -> None:
        self._canvas.setFillColor(HexColor(text.colour), alpha=1)
        self._canvas.setFont(fonts.name(bold=text.bold), text.size * mm)
        draw = {
            Anchor.LEFT: self._canvas.drawString,
            Anchor.CENTRE: self._canvas.drawCentredString,
            Anchor.RIGHT: self._canvas.drawRightString,
        }[text.anchor]
        draw(text.x * mm, self._y(text.y), fonts.plain(text.text))

    def _lines(self, lines: Lines) -> None:
        self._stroke(lines.colour, lines.width)
        self._canvas.lines([(a * mm, self._y(b), c * mm, self._y(d)) for a, b, c, d in lines.segments])

    def _trace(self, trace: Trace) -> None:
        self._stroke(trace.colour, trace.width)
        path = self._canvas.beginPath()
        points = zip((trace.x / FINE * mm).tolist(), (self._height * mm - trace.y / FINE * mm).tolist(), strict=True)
        path.moveTo(*next(points))
        for point in points:
            path.lineTo(*point)
        self._canvas.drawPath(path, stroke=1, fill=0)

    def _stroke(self, colour: str, width: float) -> None:
        self._canvas.setStrokeColor(HexColor(colour))
        self._canvas.setLineWidth(width * mm)
