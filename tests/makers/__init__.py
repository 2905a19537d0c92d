"""Makers of valid files, one a format, written independently of the readers: FILENAME, STEP_MV, make(samples_mv, rate_hz)."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray


class Maker(Protocol):
    FILENAME: str
    STEP_MV: float

    def make(self, samples_mv: NDArray[np.float64], rate_hz: float) -> bytes: ...


def of(name: str) -> Maker:
    return cast(Maker, importlib.import_module(f"{__name__}.{name}"))


def names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__))
