"""The heart's dipole of one beat as a few bell-shaped kernels, from a person's traits: P, QRS, ST and T.

Frank's axes: X left, Y inferior, Z posterior; millivolts. Azimuth is positive to the front, elevation to the feet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_training.simulate.chance import Chance, Floats

Bools = NDArray[np.bool_]

# Dower's lead vectors of I, II, V1..V6 (columns X, Y, Z).
DOWER: Final = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)
_FIELD_SD: Final = 0.05

# Of each kernel: centre and width as shares of the QRS duration, mV, azimuth, elevation.
NORMAL: Final = (
    (0.18, 0.085, 0.33, 110, -15),
    (0.36, 0.100, 0.62, 40, 38),
    (0.50, 0.105, 1.20, -8, 35),
    (0.68, 0.100, 0.72, -85, 15),
    (0.84, 0.075, 0.20, -120, -35),
)
RBBB: Final = (
    (0.12, 0.055, 0.33, 110, -15),
    (0.24, 0.065, 0.62, 40, 38),
    (0.35, 0.075, 1.15, -8, 35),
    (0.62, 0.120, 0.42, 140, 5),
    (0.80, 0.100, 0.36, 155, 0),
)
LBBB: Final = (
    (0.18, 0.090, 0.35, 10, 20),
    (0.34, 0.110, 0.80, -35, 22),
    (0.52, 0.150, 1.20, -45, 12),
    (0.70, 0.120, 0.95, -50, 8),
    (0.85, 0.080, 0.35, -55, -5),
)
PACED: Final = (
    (0.16, 0.090, 0.40, 5, -20),
    (0.34, 0.120, 0.85, -25, -42),
    (0.54, 0.140, 1.20, -40, -48),
    (0.72, 0.120, 0.85, -55, -40),
    (0.86, 0.080, 0.30, -70, -25),
)
# Where a ventricular ectopic beat starts: left ventricle, right ventricular apex, outflow tract.
PVC: Final = (
    ((0.30, 0.160, 1.00, 165, -30), (0.62, 0.170, 1.20, 150, -20)),
    ((0.30, 0.160, 1.10, -25, -45), (0.62, 0.170, 1.30, -45, -30)),
    ((0.30, 0.160, 1.10, -50, 50), (0.62, 0.170, 1.30, -70, 60)),
)
PVC_S: Final = 0.160
_PVC_T_MV: Final = 0.55


@dataclass(frozen=True, slots=True, eq=False)
class Kernels:
    """Bells in time from QRS onset (from P onset for P): centre, width before and after it, and a vector each."""

    centre_s: Floats
    rise_s: Floats
    fall_s: Floats
    vector_mv: Floats


def direction(azimuth_deg: Floats, elevation_deg: Floats) -> Floats:
    """Unit vectors (..., 3): u(az, el) = (cos el cos az, sin el, -cos el sin az)."""
    az, el = np.deg2rad(azimuth_deg), np.deg2rad(elevation_deg)
    return np.stack([np.cos(el) * np.cos(az), np.sin(el), -np.cos(el) * np.sin(az)], axis=-1)


def lead_field(traits: pd.DataFrame) -> Floats:
    """(n, 8, 3): Dower's matrix with each person's own geometry, times the body's conductance."""
    own = person(traits).normal("lead field", 24).reshape(-1, 8, 3) * _FIELD_SD
    return np.asarray((DOWER + own) * traits["body"].to_numpy()[:, None, None])


def person(traits: pd.DataFrame) -> Chance:
    """The draws that belong to the person for good: chest, and the small shape of the complexes."""
    return Chance(traits["person_key"].to_numpy(np.uint64))


def p_wave(traits: pd.DataFrame) -> Kernels:
    """Right atrium, then left: a left atrium that is larger or slower deepens the terminal part in V1."""
    length, size, left = (traits[name].to_numpy() for name in ("p_ms", "p_amp", "left_atrial"))
    duration = length / 1000
    amount = np.stack([0.13 * size, 0.10 * size * left], axis=1)
    centre = np.stack([0.36 * duration, 0.68 * duration], axis=1)
    width = np.stack([0.15 * duration, 0.14 * duration], axis=1)
    towards = direction(np.array([20.0, -35.0]), np.array([65.0, 35.0]))
    return Kernels(centre, width, width, amount[:, :, None] * towards)


def qrs(traits: pd.DataFrame) -> Kernels:
    """Five kernels by the way the ventricles are activated, rotated in the frontal plane, with scars cut out."""
    shape = _activation(traits)
    _fascicles(shape, traits)
    _scars(shape, traits)
    shape = _pre_excited(shape, traits)
    own = person(traits)
    n, k = shape.shape[:2]
    shape[:, :, 0] += own.normal("qrs centre", k) * 0.012
    shape[:, :, 2] *= np.exp(own.normal("qrs amplitude", k) * 0.10)
    shape[:, :, 3:] += own.normal("qrs direction", 2 * k).reshape(n, k, 2) * 5.0
    seconds = traits["qrs_ms"].to_numpy()[:, None] / 1000
    vector = (
        direction(shape[:, :, 3], shape[:, :, 4]) * (shape[:, :, 2] * traits["volt"].to_numpy()[:, None])[..., None]
    )
    width = shape[:, :, 1] * seconds
    return Kernels(shape[:, :, 0] * seconds, width, width, _rotated(vector, traits))


def _activation(traits: pd.DataFrame) -> Floats:
    tables = np.array([NORMAL, RBBB, LBBB, PACED], dtype=np.float64)
    condition = traits["condition"].to_numpy()
    paced = traits["paced"].to_numpy(bool)
    return tables[np.select([paced, condition == "lbbb", condition == "rbbb"], [3, 2, 1], 0)].copy()


def _pre_excited(shape: Floats, traits: pd.DataFrame) -> Floats:
    """A sixth kernel, the slow delta wave, which pushes the rest of the complex back; of no height in anyone else."""
    delta = traits["pre_excitation"].to_numpy(bool)
    left = person(traits).uniform("pathway") < 0.6
    slow = np.zeros((len(shape), 1, 5))
    slow[:, 0, :2] = (0.20, 0.09)
    slow[delta, 0, 2] = 0.42
    slow[:, 0, 3] = np.where(left, 75, -25)
    slow[:, 0, 4] = np.where(left, 35, 10)
    shape[delta, :, 0] = 0.26 + 0.74 * shape[delta, :, 0]
    shape[delta, :, 1] *= 0.74
    return np.concatenate([shape, slow], axis=1)


def pvc(traits: pd.DataFrame) -> tuple[Kernels, Floats]:
    """The ectopic complex and the vector of its T wave, which points the other way."""
    own = person(traits)
    shape = np.array(PVC, dtype=np.float64)[(own.uniform("pvc focus") * len(PVC)).astype(int)]
    shape[:, :, 3:] += own.normal("pvc direction", 2)[:, None] * 12.0
    size = shape[:, :, 2] * np.sqrt(traits["volt"].to_numpy())[:, None]
    vector = direction(shape[:, :, 3], shape[:, :, 4]) * size[:, :, None]
    mean = vector.mean(axis=1)
    t = -_PVC_T_MV * mean / np.linalg.norm(mean, axis=1, keepdims=True)
    width = shape[:, :, 1] * PVC_S
    return Kernels(shape[:, :, 0] * PVC_S, width, width, vector), t


def _fascicles(shape: Floats, traits: pd.DataFrame) -> None:
    """Hemiblocks turn the late forces: the anterior one up and left, the posterior one down and right."""
    anterior, posterior = traits["lafb"].to_numpy(bool), traits["lpfb"].to_numpy(bool)
    shape[anterior, 0, 3:] = (120, 40)
    shape[anterior, 1, 3:] = (30, 8)
    shape[anterior, 2, 3:] = (-12, -42)
    shape[anterior, 3, 3:] = (-75, -48)
    shape[posterior, 0, 3:] = (50, -45)
    shape[posterior, 1, 3:] = (60, 40)
    shape[posterior, 2, 3:] = (110, 65)
    shape[posterior, 3, 3:] = (-140, 55)


def _scars(shape: Floats, traits: pd.DataFrame) -> None:
    """A scar takes early forces away, so the complex starts by pointing away from it: a Q wave."""
    inferior = (traits["old_inferior_mi"] | traits["acute_inferior_mi"]).to_numpy(bool)
    anterior = (traits["old_anterior_mi"] | traits["acute_anterior_mi"]).to_numpy(bool)
    shape[inferior, 0, 2:] = (0.45, 55, -60)
    shape[inferior, 1, 2:] = (0.45, 20, -35)
    shape[inferior, 2, 4] = np.minimum(shape[inferior, 2, 4], 18)
    shape[anterior, 0, 2:] = (0.40, -110, 20)
    shape[anterior, 1, 2:] = (0.60, -70, 25)
    shape[anterior, 2, 3] -= 25
    shape[anterior, 2, 2] *= 0.75


def _rotated(vector: Floats, traits: pd.DataFrame) -> Floats:
    """R(phi) in the frontal plane: (x, y) -> (x cos - y sin, x sin + y cos)."""
    phi = np.deg2rad(traits["axis_rotation_deg"].to_numpy())[:, None]
    x, y, z = np.moveaxis(vector, -1, 0)
    return np.stack([x * np.cos(phi) - y * np.sin(phi), x * np.sin(phi) + y * np.cos(phi), z], axis=-1)


def st_vector(traits: pd.DataFrame) -> Floats:
    """(n, 3) mV: depression points away from the apex, injury towards its territory; bundle block discordant."""
    depth, height = traits["st_depression_mv"].to_numpy(), traits["st_elevation_mv"].to_numpy()
    left = ((traits["condition"] == "lbbb") | traits["paced"]).to_numpy(bool)
    towards = direction(traits["st_azimuth_deg"].to_numpy(), traits["st_elevation_deg"].to_numpy())
    discordant = direction(np.array(130.0), np.array(-10.0)) * (0.12 * left)[:, None]
    return np.asarray(
        discordant + towards * height[:, None] - direction(np.array(0.0), np.array(35.0)) * depth[:, None]
    )


def t_vector(traits: pd.DataFrame) -> Floats:
    towards = direction(traits["t_azimuth_deg"].to_numpy(), traits["t_elevation_deg"].to_numpy())
    return np.asarray(towards * traits["t_amp_mv"].to_numpy()[:, None])


def t_peak_s(qt_s: Floats) -> Floats:
    """The peak lies 55 ms and a little more for long QT before the end."""
    return np.asarray(qt_s - 0.055 - 0.045 * qt_s / 0.4)
