"""python -m tests.supply.licences: every pinned package is under a licence that lets this project be used and sold."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Final

from tests.conftest import ROOT

PINS: Final = ("service.txt", "training.txt")
_ALLOWED: Final = re.compile(
    r"MIT|BSD|Apache|Python Software Foundation|PSF|ISC|Mozilla|MPL|Zlib|CC0|Unlicense|HPND|Zope|ZPL|BSL-1\.0|CNRI",
    re.IGNORECASE,
)
_FORBIDDEN: Final = re.compile(r"\bA?GPL|GNU (?:Affero )?General|proprietary|non-?commercial", re.IGNORECASE)
# Packages whose metadata say nothing usable, read by hand.
BY_HAND: Final[dict[str, str]] = {}


def pinned(listing: Path) -> list[str]:
    return re.findall(r"^([A-Za-z0-9._-]+)==", listing.read_text(), re.MULTILINE)


def licence(name: str) -> str | None:
    """What the package says of itself: the expression, else the classifiers, else the free text; None if absent."""
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    classifiers = [each for each in about.get_all("Classifier", []) if each.startswith("License ::")]
    spoken = [each.rsplit(" :: ", 1)[1] for each in classifiers]
    return about.get("License-Expression") or "; ".join(spoken) or (about.get("License") or "")[:200] or "unknown"


def is_fine(stated: str) -> bool:
    return bool(_ALLOWED.search(stated)) and not _FORBIDDEN.search(stated)


def unfit() -> dict[str, str]:
    """Pinned packages, installed here, whose licence is not one of those."""
    found = {}
    for name in sorted({each for listing in PINS for each in pinned(ROOT / "requirements" / listing)}):
        stated = BY_HAND.get(name) or licence(name)
        if stated is not None and not is_fine(stated):
            found[name] = stated
    return found


def main() -> int:
    bad = unfit()
    for name, stated in bad.items():
        print(f"{name}: {stated}")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
