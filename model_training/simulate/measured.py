"""The hazard's traits of a real recording: numbers measured from its signal, findings from its validated statements.

What cannot be measured stays unknown, and an unknown number takes part in no term of the hazard.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg import beats as beat_room
from ecg import harmonise
from ecg.beats import BEFORE_MS, Beats
from ecg.delineate import delineate, isoelectric
from ecg.errors import EcgError
from ecg.leads import INDEX
from ecg.measure import Measurements
from ecg.recording import Recording
from model_training.simulate.kernels import LEAD_VECTORS

_EIGHT: Final = tuple(INDEX[name] for name in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6"))
_TO_DIPOLE: Final[NDArray[np.float64]] = np.linalg.pinv(LEAD_VECTORS)
# Above this a rhythm has no P wave to look for.
_IRREGULAR: Final = 0.1
# A statement counts when its likelihood is at least this, or 0: present, likelihood not given.
_LIKELY: Final = 50.0

FLAGS: Final[Mapping[str, frozenset[str]]] = {
    "af": frozenset({"AFIB", "AFLT"}),
    "pvc": frozenset({"PVC", "BIGU", "TRIGU"}),
    "paced": frozenset({"PACE"}),
    "pre_excitation": frozenset({"WPW"}),
    "old_inferior_mi": frozenset({"IMI", "ILMI", "IPMI", "IPLMI", "INJIN", "INJIL"}),
    "old_anterior_mi": frozenset({"AMI", "ASMI", "ALMI", "INJAS", "INJAL"}),
    "other_mi": frozenset({"LMI", "PMI", "INJLA"}),
}
_HYPERTROPHY: Final = frozenset({"LVH", "VCLVH"})
_STRAIN: Final = frozenset({"STD_", "ISC_", "ISCAL", "ISCLA", "INVT"})
_LEFT_ATRIUM: Final = "LAO/LAE"
_ENLARGED_LEFT_ATRIUM: Final = 1.8


def of_codes(codes: Mapping[str, float]) -> dict[str, object]:
    """What the statements say, in the words of the hazard."""
    present = {code for code, likelihood in codes.items() if likelihood == 0 or likelihood >= _LIKELY}
    condition = "lbbb" if present & {"CLBBB", "LBBB"} else "rbbb" if present & {"CRBBB", "RBBB"} else "normal"
    return {
        "condition": condition,
        **{name: bool(present & wanted) for name, wanted in FLAGS.items()},
        "coded_lvh_strain": bool(present & _HYPERTROPHY and present & _STRAIN),
        "left_atrial": _ENLARGED_LEFT_ATRIUM if _LEFT_ATRIUM in present else np.nan,
        "av_block": "complete" if "3AVB" in present else "",
    }


def of_recording(recording: Recording) -> dict[str, float] | None:
    """What the signal shows; nothing where it cannot be read."""
    try:
        found = beat_room.find(harmonise.to_twelve(recording))
    except EcgError:
        return None
    measured = beat_room.measure(found)
    return {
        "heart_rate_bpm": _number(measured.heart_rate_bpm),
        "pr_ms": _number(measured.pr_ms),
        "p_ms": _number(measured.p_ms),
        "qrs_ms": _number(measured.qrs_ms),
        "qtc_ms": _number(measured.qtc_ms),
        "axis_deg": _number(measured.axis_deg),
        "cornell_mv": _number(measured.cornell_mv),
        "sokolow_mv": _number(measured.sokolow_lyon_mv),
        "st_depression_mv": _st_depression_mv(measured),
        "qrs_t_angle_deg": qrs_t_angle_deg(found),
    }


def qrs_t_angle_deg(beats: Beats) -> float:
    """Between the mean QRS and the mean T vector in space; the dipole by the inverse of the mean lead field."""
    if beats.median_mv is None or not beats.heart_rate_bpm:
        return np.nan
    rate = beats.sampling_rate_hz
    r, rr = round(BEFORE_MS * rate / 1000), 60 * rate / beats.heart_rate_bpm
    waves = delineate(beats.median_mv, r, rr, rate, irregular=beats.irregularity > _IRREGULAR)
    if waves.qrs is None or waves.t is None:
        return np.nan
    above = beats.median_mv - isoelectric(beats.median_mv, waves.qrs, rate)
    dipole = _TO_DIPOLE @ above[list(_EIGHT)]
    qrs, t = (dipole[:, span.onset : span.offset].sum(axis=1) for span in (waves.qrs, waves.t))
    size = np.linalg.norm(qrs) * np.linalg.norm(t)
    return float(np.rad2deg(np.arccos(np.clip(qrs @ t / size, -1, 1)))) if size > 0 else np.nan


def _st_depression_mv(measured: Measurements) -> float:
    """The mean of V5 and V6, 60 ms after the J point, where it lies below the level before the QRS."""
    if measured.voltages is None:
        return np.nan
    return max(0.0, -(measured.voltages["V5"].st_mv + measured.voltages["V6"].st_mv) / 2)


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)
