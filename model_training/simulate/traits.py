"""What a reader with a perfect tracing would measure: axis, voltages, QRS-T angle, P terminal force."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg.leads import INDEX
from model_training.simulate import kernels
from model_training.simulate.chance import Floats
from model_training.simulate.kernels import Kernels

Float = TypeVar("Float", bound=np.floating[Any])

_STEP_S: Final = 0.002
_CHUNK: Final = 4096
_SAMPLES: Final = 128


def of_dipole(traits: pd.DataFrame) -> dict[str, Floats]:
    """The visible measurements of each person's own beat, by column."""
    parts = [_of_some(traits.iloc[start : start + _CHUNK]) for start in range(0, max(len(traits), 1), _CHUNK)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def twelve(eight: NDArray[Float]) -> NDArray[Float]:
    """(n, 8, samples) of I, II, V1..V6 to all twelve: Einthoven's and Goldberger's identities."""
    i, ii = eight[:, 0], eight[:, 1]
    limb = np.stack([i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2], axis=1)
    return np.concatenate([limb, eight[:, 2:]], axis=1)


def dipole(bells: Kernels, time_s: Floats) -> Floats:
    """(n, 3, samples): the sum of a person's kernels at these times."""
    from_centre = time_s - bells.centre_s[:, :, None]
    width = np.where(from_centre < 0, bells.rise_s[:, :, None], bells.fall_s[:, :, None])
    return np.asarray(np.swapaxes(bells.vector_mv, 1, 2) @ np.exp(-0.5 * (from_centre / width) ** 2))


def _of_some(traits: pd.DataFrame) -> dict[str, Floats]:
    field = kernels.lead_field(traits)
    time_s: Floats = np.arange(_SAMPLES, dtype=np.float64) * _STEP_S
    qrs = dipole(kernels.qrs(traits), time_s)
    leads_mv = twelve(field @ qrs)
    p_in_v1 = (field @ dipole(kernels.p_wave(traits), time_s))[:, 2]
    mean, t = qrs.mean(axis=2), kernels.t_vector(traits)
    cosine = (mean * t).sum(axis=1) / np.linalg.norm(mean, axis=1) / np.linalg.norm(t, axis=1)
    v1, v3, v5, v6 = (leads_mv[:, INDEX[name]] for name in ("V1", "V3", "V5", "V6"))
    area_i, area_avf = leads_mv[:, INDEX["I"]].sum(axis=1), leads_mv[:, INDEX["aVF"]].sum(axis=1)
    return {
        "qrs_t_angle_deg": np.rad2deg(np.arccos(np.clip(cosine, -1, 1))),
        "cornell_mv": leads_mv[:, INDEX["aVL"]].max(axis=1) - v3.min(axis=1),
        "sokolow_mv": -v1.min(axis=1) + np.maximum(v5.max(axis=1), v6.max(axis=1)),
        # aVF is 1/sqrt(3) of the potential along Y when I is along X: 2/sqrt(3) makes the two alike
        "axis_deg": np.rad2deg(np.arctan2(2 / np.sqrt(3) * area_avf, area_i)),
        "p_terminal_force_mv_ms": -np.minimum(p_in_v1, 0).sum(axis=1) * _STEP_S * 1000,
    }
