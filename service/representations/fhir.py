"""application/fhir+json: the answer as an R4 collection, for an EHR or a FHIR store."""

from __future__ import annotations

from typing import Final

from service.answer import Answered
from service.fhir import codes
from service.fhir.bundle import bundle
from service.representations.json import dumped

MEDIA_TYPE: Final = codes.MEDIA_TYPE


def render(answered: Answered) -> bytes:
    return dumped(bundle(answered))
