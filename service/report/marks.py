"""What a page is made of. Millimetres from the upper left corner; the pens know paper, the page knows no pen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ecg.plot import Steps

BLACK: Final = "#1a1a1a"
GREY: Final = "#5c5c5c"
PALE: Final = "#c9c9c9"
WHITE: Final = "#ffffff"


class Anchor(StrEnum):
    """Which end of a text its x says."""

    LEFT = "start"
    CENTRE = "middle"
    RIGHT = "end"


@dataclass(frozen=True, slots=True)
class Box:
    x: float
    y: float
    width: float
    height: float
    fill: str
    opacity: float = 1.0
    radius: float = 0.0


@dataclass(frozen=True, slots=True)
class Text:
    """One line; `y` is its baseline and `size` the height of the font."""

    x: float
    y: float
    text: str
    size: float = 2.6
    colour: str = BLACK
    bold: bool = False
    anchor: Anchor = Anchor.LEFT


@dataclass(frozen=True, slots=True)
class Lines:
    """Straight lines of one kind, each from (x, y) to (x, y)."""

    segments: tuple[tuple[float, float, float, float], ...]
    colour: str
    width: float


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """A lead's curve, in hundredths of a millimetre."""

    lead: str
    x: Steps
    y: Steps
    colour: str = BLACK
    width: float = 0.25


Mark = Box | Text | Lines | Trace


@dataclass(frozen=True, slots=True)
class Page:
    title: str
    subject: str
    width: float
    height: float
    marks: tuple[Mark, ...]
