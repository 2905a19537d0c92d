"""image/svg+xml: the same page as the PDF, for a browser."""

from __future__ import annotations

from typing import Final

from service.answer import Answered

MEDIA_TYPE: Final = "image/svg+xml"


def render(answered: Answered) -> bytes:
    from service.report.page import page
    from service.report.svg import drawn

    return drawn(page(answered))
