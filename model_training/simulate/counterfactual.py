"""The same person, the same noise, one trait changed: what a map of the change must point at, exactly. SIMULATED."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_training.simulate import render
from model_training.simulate import traits as visible
from model_training.simulate.noise import DEVICES, Device

Samples = NDArray[np.float32]
Changes = dict[str, Any]

THRESHOLD_MV: Final = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two recordings (12, samples) in mV of one person; `mask`: where the noise-free ones differ by over 20 µV."""

    before_mv: Samples
    after_mv: Samples
    mask: NDArray[np.bool_]
    before: pd.DataFrame
    after: pd.DataFrame
    rate_hz: float


def _long_qt(person: pd.Series[Any]) -> Changes:
    return {"qtc_ms": person["qtc_ms"] + 60, "qt_ms": person["qt_ms"] * (person["qtc_ms"] + 60) / person["qtc_ms"]}


def _strain(person: pd.Series[Any]) -> Changes:
    return {
        "strain": 0.9,
        "t_amp_mv": max(0.12, person["t_amp_mv"] * 0.6),
        "t_azimuth_deg": 125.0,
        "t_elevation_deg": 2.0,
        "st_depression_mv": 0.12,
    }


_LBBB: Final[Changes] = {
    "condition": "lbbb", "lafb": False, "lpfb": False, "qrs_ms": 152.0, "t_amp_mv": 0.65, "t_azimuth_deg": 100.0,
    "t_elevation_deg": -1.0, "st_depression_mv": 0.0,
}  # fmt: skip

CHANGES: Final[MappingProxyType[str, Callable[[pd.Series[Any]], Changes]]] = MappingProxyType(
    {
        "lbbb": lambda person: dict(_LBBB),
        "rbbb": lambda person: {"condition": "rbbb", "qrs_ms": 142.0, "t_azimuth_deg": -38.0},
        "af": lambda person: {"af": True, "flutter": False, "av_block": "", "pac": False},
        "pvc": lambda person: {"pvc": True, "pvc_rate": 0.0},
        "st_depression": lambda person: {"st_depression_mv": person["st_depression_mv"] + 0.12},
        "strain": _strain,
        "inferior_mi": lambda person: {"old_inferior_mi": True},
        "anterior_mi": lambda person: {"old_anterior_mi": True},
        "qtc": _long_qt,
        "left_atrium": lambda person: {"left_atrial": person["left_atrial"] * 2.2},
        "long_pr": lambda person: {"pr_ms": person["pr_ms"] + 70},
        "low_voltage": lambda person: {"low_voltage": True, "body": person["body"] * 0.42},
        "voltage": lambda person: {"volt": person["volt"] * 1.5},
    }
)


def pair(
    traits: pd.DataFrame, i: int, change: str, seed: int, device: Device = DEVICES["reference"], duration_s: float = 10
) -> Pair:
    """Person `i` of the table before and after `change`, one of CHANGES.

    The device is coupled directly: a high-pass filter would spread the change of one wave over the whole lead.
    """
    before = traits.iloc[[i]].reset_index(drop=True)
    after = changed(before, change)
    both = pd.concat([before, after], ignore_index=True)
    both["person_key"] = both["person_key"].astype("uint64")
    drawn = render.render(both, seed, duration_s=duration_s, device=replace(device, highpass_hz=0.0))
    mask = np.abs(drawn.clean_mv[1] - drawn.clean_mv[0]) > THRESHOLD_MV
    return Pair(drawn.signal_mv[0], drawn.signal_mv[1], mask, before, after, drawn.rate_hz)


def changed(person: pd.DataFrame, change: str) -> pd.DataFrame:
    """One person's row with one trait changed, and what a reader would measure then."""
    if change not in CHANGES:
        raise ValueError(f"no such change: {change}; there are {', '.join(CHANGES)}")
    after = person.assign(**CHANGES[change](person.iloc[0]))
    return after.assign(**visible.of_dipole(after))
