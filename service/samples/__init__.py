"""An example file of each format, made by this project's own writers from a synthetic heart; no device, no patient."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent
_MEDIA_TYPES: Final = {
    ".xml": "application/xml",
    ".dcm": "application/dicom",
    ".zip": "application/zip",
    ".json": "application/json",
    ".csv": "text/csv",
}


@dataclass(frozen=True, slots=True)
class Sample:
    format: str
    filename: str
    media_type: str
    data: bytes = field(repr=False)


@cache
def _files() -> dict[str, Path]:
    """By format: the files are named after it."""
    found = sorted(each for each in _FOLDER.iterdir() if each.is_file() and each.suffix != ".py")
    return {each.stem: each for each in found}


def names() -> tuple[str, ...]:
    return tuple(_files())


def find(format: str) -> Sample | None:
    path = _files().get(format)
    if path is None:
        return None
    return Sample(format, path.name, _MEDIA_TYPES.get(path.suffix, "application/octet-stream"), path.read_bytes())
