"""How wide a text is, so that it wraps and fits alike in every pen. Helvetica, which every reader of PDF has."""

from __future__ import annotations

from typing import Final

from reportlab.pdfbase.pdfmetrics import stringWidth

_NAMES: Final = {False: "Helvetica", True: "Helvetica-Bold"}


def name(*, bold: bool) -> str:
    return _NAMES[bold]


def width(text: str, size: float, *, bold: bool = False) -> float:
    return float(stringWidth(plain(text), name(bold=bold), size))


def plain(text: str) -> str:
    """Only what the standard fonts hold: the letters of Western Europe."""
    return text.encode("cp1252", errors="replace").decode("cp1252")


def wrapped(text: str, size: float, limit: float, most_lines: int) -> list[str]:
    """Lines no wider than the limit; what is left over ends in an ellipsis."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if width(longer, size) <= limit or not lines[-1]:
            lines[-1] = longer
        elif len(lines) == most_lines:
            return [*lines[:-1], fitting(f"{longer} …", size, limit)]
        else:
            lines.append(word)
    return [fitting(line, size, limit) for line in lines]


def fitting(text: str, size: float, limit: float) -> str:
    if width(text, size) <= limit:
        return text
    while text and width(f"{text}…", size) > limit:
        text = text[:-1]
    return f"{text.rstrip()}…"
