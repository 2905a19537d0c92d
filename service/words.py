"""How numbers are said to people, alike in reports, cards and FHIR."""

from __future__ import annotations

from typing import Final

_LEAST_SHOWN: Final = 0.0005


def span(years: float) -> str:
    return "1 year" if years == 1 else f"{years:g} years"


def per_cent(share: float) -> str:
    """One decimal; a risk is never told as none or as certain."""
    if share < _LEAST_SHOWN:
        return "<0.1%"
    return ">99.9%" if share >= 1 - _LEAST_SHOWN else f"{share:.1%}"
