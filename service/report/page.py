"""The page: who asked, the notice, the risk, the tracing, where the model looked, and how to find the audit row."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from reportlab.graphics.barcode.qrencoder import QRCode, QRErrorCorrectLevel

from ecg.contract import IntendedUse
from service.answer import Answered
from service.report import fonts, panels
from service.report.marks import BLACK, GREY, PALE, Anchor, Box, Lines, Mark, Page, Text
from service.report.sheet import legend, sheet

WIDTH, HEIGHT = 297.0, 210.0
_LEFT, _RIGHT = 16.0, 281.0
_WIDE: Final = _RIGHT - _LEFT
_QR_MM: Final = 15.0
_NOTICE_BACK, _NOTICE_EDGE = "#fff1d0", "#b36b00"
_NOTICE_TOP, _PANELS_TOP, _REMARKS_TOP, _SHEET_TOP, _SHEET_MM, _FOOT_TOP = 26.0, 36.0, 74.0, 78.0, 110.0, 194.5
_NOTICE: Final = (
    "Estimated by a model from this one recording. It supports a clinician's judgement and does not replace it."
)


def page(answered: Answered) -> Page:
    facts, risk = answered.model.contract.model, answered.assessment.risk
    marks = [*_header(answered), *_notice(answered), *_panels(answered), *_remarks(answered)]
    marks += sheet(answered.assessment, _LEFT, _SHEET_TOP, _WIDE, _SHEET_MM)
    marks += legend(answered.assessment, _LEFT, _RIGHT, _SHEET_TOP + _SHEET_MM + 3.6)
    marks += _footer(answered)
    return Page(
        title=f"ECG heart-failure risk, answer {answered.id}",
        subject=f"Score {risk.score:g} of 100, {risk.band.value} band; {facts.name} {facts.version}, "
        f"{facts.intended_use.value}",
        width=WIDTH, height=HEIGHT, marks=tuple(marks),
    )  # fmt: skip


def _header(answered: Answered) -> Iterator[Mark]:
    twelve = answered.assessment.twelve
    yield Text(_LEFT, 14.5, "12-lead ECG · heart-failure risk", 6.2, bold=True)
    told = f"{answered.assessment.recording_format} · {twelve.duration_s:.3g} s at {twelve.sampling_rate_hz:g} Hz"
    yield Text(_LEFT, 20.5, f"{told} · preliminary until a clinician has reviewed it", 2.9, GREY)
    created = datetime.fromisoformat(answered.created)
    rows = [("Answer", answered.id), ("Made", f"{created:%Y-%m-%d %H:%M:%S} UTC")]
    rows = [("Your reference", answered.options.reference), *rows] if answered.options.reference else rows
    for row, (label, value) in enumerate(rows):
        y = 11.5 + row * 4.4
        yield Text(_RIGHT - _QR_MM - 4, y, value, 2.9, bold=row == 0, anchor=Anchor.RIGHT)
        yield Text(_RIGHT - _QR_MM - 66, y, label, 2.6, GREY, anchor=Anchor.RIGHT)
    yield from _qr(answered.id, _RIGHT - _QR_MM, 8.0)


def _qr(text: str, x: float, y: float) -> Iterator[Mark]:
    """The answer's id for a scanner: no address, nothing to follow."""
    code = QRCode(None, QRErrorCorrectLevel.M)
    code.addData(text)
    code.make()
    side = _QR_MM / len(code.modules)
    for row, cells in enumerate(code.modules):
        for column, is_dark in enumerate(cells):
            if is_dark:
                # A hair wider than a cell, so that no reader shows seams.
                yield Box(x + column * side, y + row * side, side * 1.03, side * 1.03, BLACK)


def _model_warnings(answered: Answered) -> int:
    """How many of the answer's warnings, which come first, are about the model and not about the recording."""
    facts = answered.model.contract.model
    return (facts.intended_use is not IntendedUse.CLINICAL) + facts.simulated_outcomes


def _notice(answered: Answered) -> Iterator[Mark]:
    facts, count = answered.model.contract.model, _model_warnings(answered)
    yield Box(_LEFT, _NOTICE_TOP, _WIDE, 7.0, _NOTICE_BACK)
    yield Box(_LEFT, _NOTICE_TOP, 1.4, 7.0, _NOTICE_EDGE)
    x = _LEFT + 4.5
    if count:
        label = f"{facts.intended_use.value.upper()} MODEL" if facts.intended_use is not IntendedUse.CLINICAL else ""
        yield Text(x, _NOTICE_TOP + 4.7, label, 3.3, _NOTICE_EDGE, bold=True)
        x += fonts.width(label, 3.3, bold=True) + 4 if label else 0
    told = " ".join(answered.assessment.warnings[:count]) or _NOTICE
    yield Text(x, _NOTICE_TOP + 4.7, fonts.fitting(told, 2.9, _RIGHT - x - 2), 2.9)


def _panels(answered: Answered) -> Iterator[Mark]:
    top, assessment = _PANELS_TOP, answered.assessment
    yield from panels.risk(answered, _LEFT, top, 68)
    yield from panels.horizons(assessment, _LEFT + 76, top, 82)
    yield from panels.measurements(assessment, _LEFT + 166, top, 42)
    yield from panels.leads(assessment, _LEFT + 216, top, 49)


def _remarks(answered: Answered) -> Iterator[Mark]:
    """The quality verdict, its issues, and what else the answer warns of."""
    quality = answered.assessment.quality
    verdict = f"Signal quality: {quality.verdict.value}."
    issues = [f"{each.lead or 'Recording'}: {each.detail}." for each in quality.issues]
    told = " ".join([*issues, *answered.assessment.warnings[_model_warnings(answered) :]])
    yield Text(_LEFT, _REMARKS_TOP, verdict, 2.7, bold=True)
    x = _LEFT + fonts.width(verdict, 2.7, bold=True) + 2
    lines = fonts.wrapped(told or "Nothing to remark.", 2.4, _RIGHT - x, most_lines=2)
    yield from (Text(x, _REMARKS_TOP + 3.2 * row, line, 2.4, GREY) for row, line in enumerate(lines))


def _footer(answered: Answered) -> Iterator[Mark]:
    facts, model = answered.model.contract.model, answered.model
    yield Lines(((_LEFT, _FOOT_TOP, _RIGHT, _FOOT_TOP),), PALE, 0.2)
    left = [
        f"Model {facts.name} {facts.version} ({facts.intended_use.value}), SHA-256 {model.sha256}",
        f"Reference population: {facts.population}",
        f"{_NOTICE} Verification: GET /predictions/{answered.id}",
    ]
    for row, line in enumerate(left):
        limit = _WIDE - 62
        yield Text(_LEFT, _FOOT_TOP + 3.6 + row * 3.2, fonts.fitting(line, 2.2, limit), 2.2, GREY)
    yield Lines(((_RIGHT - 56, _FOOT_TOP + 7.4, _RIGHT, _FOOT_TOP + 7.4),), GREY, 0.2)
    yield Text(_RIGHT - 56, _FOOT_TOP + 10, "Reviewed by, date", 2.1, GREY)
