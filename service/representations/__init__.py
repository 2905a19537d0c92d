"""How an answer looks, chosen by Accept. One module a representation: MEDIA_TYPE and render(answer)."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, Protocol, cast

from service.refusals import NotAcceptable

if TYPE_CHECKING:
    from service.answer import Answered

DEFAULT: Final = "application/json"


class Representation(Protocol):
    MEDIA_TYPE: str

    def render(self, answered: Answered) -> bytes:
        """The whole body. Runs in the worker thread."""


@cache
def available() -> dict[str, Representation]:
    """Every representation of this folder, by media type, the default first."""
    modules = [importlib.import_module(f"{__name__}.{each.name}") for each in pkgutil.iter_modules(__path__)]
    found = {cast(Representation, module).MEDIA_TYPE: cast(Representation, module) for module in modules}
    return dict(sorted(found.items(), key=lambda pair: (pair[0] != DEFAULT, pair[0])))


@lru_cache(maxsize=64)  # a client's library says the same each time
def negotiate(accept: str | None) -> Representation:
    """The representation that the caller likes best; the default where it has no preference (RFC 9110, 12.5.1)."""
    wishes = [_wish(part) for part in (accept or "*/*").split(",") if part.strip()]
    offers = available()
    weighed = {media_type: _weight(media_type, wishes) for media_type in offers}
    best = max(weighed, key=lambda media_type: weighed[media_type])
    if weighed[best] <= 0:
        raise NotAcceptable(f"Accept one of {', '.join(offers)}")
    return offers[best]


def _wish(part: str) -> tuple[str, float]:
    media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    try:
        return media_type, min(1.0, max(0.0, float(quality)))
    except ValueError:
        return media_type, 0.0


def _weight(media_type: str, wishes: list[tuple[str, float]]) -> float:
    """The quality given by the most specific range that matches."""
    for pattern in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        found = [quality for wish, quality in wishes if wish == pattern]
        if found:
            return max(found)
    return 0.0
