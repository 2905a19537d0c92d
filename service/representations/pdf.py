"""application/pdf: the answer on one page of A4, to scale."""

from __future__ import annotations

from typing import Final

from service.answer import Answered

MEDIA_TYPE: Final = "application/pdf"


def render(answered: Answered) -> bytes:
    # Imported when the first report is drawn: the service starts without the drawing library.
    from service.report.page import page
    from service.report.pdf import drawn

    return drawn(page(answered))
