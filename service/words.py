"""How numbers are said to people, alike in reports, cards and FHIR."""

from __future__ import annotations

from typing import Final

_LEAST_SHOWN: Final = 0.0005


def span(years: float) -> str:
    return "1 year" if years == 1 else f"{years:g} years"


def per_cent(share: float) -> str:
    """One decimal; what would round to nothing is not told as nothing."""
    return "<0.1%" if 0 < share < _LEAST_SHOWN else f"{share:.1%}"
