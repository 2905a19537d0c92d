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

# Lead vectors of I, II, V1..V6 (columns X, Y, Z): Dower's, moved by alternating least squares towards the field that
# best explains P, QRS and T of PTB-XL's folds 1 to 8, where lead I is larger and II smaller than on Dower's torso.
LEAD_VECTORS: Final = np.array(
    [
        [0.70, -0.41, 0.14],
        [0.28, 0.93, -0.09],
        [-0.44, 0.10, -0.73],
        [0.18, -0.14, -1.37],
        [0.76, 0.21, -1.36],
        [1.10, 0.50, -0.77],
        [1.04, 0.45, -0.10],
        [0.77, 0.31, 0.17],
    ]
)
_FIELD_SD: Final = 0.05

# Of each kernel: centre and width as shares of the QRS duration, mV, azimuth, elevation. By least squares from
# the mean loops (inverse of the field) of the recordings with that code in PTB-XL's folds 1 to 8, then simplified.
NORMAL: Final = (
    (0.20, 0.085, 0.20, 113, -7),
    (0.33, 0.084, 0.40, 24, 7),
    (0.46, 0.091, 1.29, -17, 25),
    (0.60, 0.092, 0.65, -98, 7),
    (0.77, 0.079, 0.16, -106, -4),
)
RBBB: Final = (
    (0.17, 0.070, 0.35, 122, -2),
    (0.28, 0.085, 1.05, 3, 15),
    (0.39, 0.070, 0.30, -70, 8),
    (0.54, 0.080, 0.56, 118, 0),
    (0.70, 0.100, 0.64, 127, 0),
)
LBBB: Final = (
    (0.145, 0.075, 0.41, 89, -6),
    (0.30, 0.112, 1.10, -70, 14),
    (0.46, 0.115, 1.38, -72, 5),
    (0.62, 0.088, 0.62, -60, -20),
    (0.75, 0.058, 0.16, -50, -40),
)
PACED: Final = (
    (0.12, 0.048, 0.24, 36, 9),
    (0.27, 0.072, 0.35, -46, 0),
    (0.43, 0.093, 1.15, -110, -38),
    (0.57, 0.088, 0.90, -94, -36),
    (0.70, 0.063, 0.27, -165, -50),
)
LAFB: Final = (
    (0.15, 0.069, 0.14, 110, 50),
    (0.33, 0.097, 0.66, 31, 6),
    (0.42, 0.073, 0.67, -18, 4),
    (0.55, 0.115, 0.97, -101, -34),
    (0.73, 0.100, 0.26, -140, -35),
)
LPFB: Final = (
    (0.20, 0.084, 0.22, 55, -42),
    (0.32, 0.080, 0.40, 60, 35),
    (0.46, 0.089, 1.15, 100, 68),
    (0.60, 0.095, 0.70, -130, 50),
    (0.77, 0.079, 0.20, -140, 35),
)
INFERIOR_SCAR: Final = (
    (0.21, 0.087, 0.26, 95, -36),
    (0.36, 0.093, 0.73, 27, -20),
    (0.46, 0.098, 1.09, -35, 14),
    (0.61, 0.112, 0.72, -94, 8),
    (0.81, 0.095, 0.07, -151, 8),
)
ANTERIOR_SCAR: Final = (
    (0.18, 0.065, 0.12, -105, 20),
    (0.36, 0.104, 0.65, -64, 24),
    (0.46, 0.102, 0.94, -45, 12),
    (0.58, 0.118, 0.68, -102, -8),
    (0.80, 0.090, 0.08, -115, -8),
)
_TABLES: Final = np.array([NORMAL, ANTERIOR_SCAR, INFERIOR_SCAR, LPFB, LAFB, RBBB, LBBB, PACED], dtype=np.float64)
# How far people of one kind differ: mV in every direction, by kernel.
_OWN_SD_MV: Final = np.array([0.08, 0.19, 0.19, 0.18, 0.08, 0.04])
# Where a ventricular ectopic beat starts: left ventricle, right ventricular apex, outflow tract.
PVC: Final = (
    ((0.30, 0.160, 1.00, 165, -30), (0.62, 0.170, 1.20, 150, -20)),
    ((0.30, 0.160, 1.10, -25, -45), (0.62, 0.170, 1.30, -45, -30)),
    ((0.30, 0.160, 1.10, -50, 50), (0.62, 0.170, 1.30, -70, 60)),
)
PVC_S: Final = 0.160
_PVC_T_MV: Final = 0.55
_T_RISE: Final = 1.7
_SLOPE: Final = 2.0
_OVERLAP_S: Final = 0.025
_ST_OF_T: Final = 0.15


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
    """(n, 8, 3): the mean field with each person's own geometry, times the body's conductance."""
    own = person(traits).normal("lead field", 24).reshape(-1, 8, 3) * _FIELD_SD
    return np.asarray((LEAD_VECTORS + own) * traits["body"].to_numpy()[:, None, None])


def person(traits: pd.DataFrame) -> Chance:
    """The draws that belong to the person for good: chest, and the small shape of the complexes."""
    return Chance(traits["person_key"].to_numpy(np.uint64))


def p_wave(traits: pd.DataFrame) -> Kernels:
    """Right atrium, then left: a left atrium that is larger or slower deepens the terminal part in V1."""
    length, size, left = (traits[name].to_numpy() for name in ("p_ms", "p_amp", "left_atrial"))
    duration = length / 1000
    amount = np.stack([0.085 * size, 0.100 * size * left], axis=1)
    centre = np.stack([0.36 * duration, 0.68 * duration], axis=1)
    width = np.stack([0.15 * duration, 0.14 * duration], axis=1)
    towards = direction(np.array([50.0, -30.0]), np.array([28.0, 15.0]))
    return Kernels(centre, width, width, amount[:, :, None] * towards)


def qrs(traits: pd.DataFrame) -> Kernels:
    """Five kernels by the way the ventricles are activated, each person's own, rotated in the frontal plane."""
    shape = _pre_excited(_activation(traits), traits)
    own, (n, k) = person(traits), shape.shape[:2]
    centre = shape[:, :, 0] + own.normal("qrs centre", k) * 0.010
    vector = direction(shape[:, :, 3], shape[:, :, 4]) * shape[:, :, 2, None]
    vector += own.normal("qrs vector", 3 * k).reshape(n, k, 3) * (_OWN_SD_MV * (shape[:, :, 2] > 0))[:, :, None]
    vector *= traits["volt"].to_numpy()[:, None, None]
    seconds = traits["qrs_ms"].to_numpy()[:, None] / 1000
    width = shape[:, :, 1] * seconds
    return Kernels(centre * seconds, width, width, _rotated(vector, traits))


def _activation(traits: pd.DataFrame) -> Floats:
    """The way the ventricles are activated; in a right bundle block what comes first is still another's."""
    condition = traits["condition"].to_numpy()
    inferior = (traits["old_inferior_mi"] | traits["acute_inferior_mi"]).to_numpy(bool)
    anterior = (traits["old_anterior_mi"] | traits["acute_anterior_mi"]).to_numpy(bool)
    lafb, lpfb, paced = (traits[name].to_numpy(bool) for name in ("lafb", "lpfb", "paced"))
    early = np.select([inferior, anterior, lafb, lpfb], [2, 1, 4, 3], 0)
    whole = np.select([paced, condition == "lbbb", condition == "rbbb", lafb, lpfb], [7, 6, 5, 4, 3], early)
    shape: Floats = _TABLES[whole].copy()
    # scars and hemiblocks lie in the first third of a complex that ends in another way
    mixed = (early > 0) & np.isin(whole, (3, 4, 5)) & (whole != early)
    shape[mixed, :2] = _TABLES[early[mixed], :2]
    bifascicular = (whole == 5) & (lafb | lpfb)
    shape[bifascicular, 2, 2:] = np.where(lafb[bifascicular, None], [0.85, -75, -45], [0.80, 90, 65])
    return shape


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


def _rotated(vector: Floats, traits: pd.DataFrame) -> Floats:
    """R(phi) in the frontal plane: (x, y) -> (x cos - y sin, x sin + y cos)."""
    phi = np.deg2rad(traits["axis_rotation_deg"].to_numpy())[:, None]
    x, y, z = np.moveaxis(vector, -1, 0)
    turned = [x * np.cos(phi) - y * np.sin(phi), x * np.sin(phi) + y * np.cos(phi), z]
    return np.asarray(np.stack(turned, axis=-1))


def st_vector(traits: pd.DataFrame) -> Floats:
    """(n, 3) mV: depression points away from the apex, injury towards its territory; bundle block discordant."""
    depth, height = traits["st_depression_mv"].to_numpy(), traits["st_elevation_mv"].to_numpy()
    left = _discordant(traits)
    towards = direction(traits["st_azimuth_deg"].to_numpy(), traits["st_elevation_deg"].to_numpy())
    discordant = direction(np.array(105.0), np.array(-8.0)) * (0.12 * left * traits["volt"].to_numpy())[:, None]
    lost = direction(np.array(0.0), np.array(35.0)) * depth[:, None]
    # the segment leans to the front as T begins, which is why it stands above the baseline in healthy V2
    lean = _ST_OF_T * traits["t_amp_mv"].to_numpy() * (1 - traits["strain"].to_numpy()) * ~left
    own = direction(np.array(80.0), np.array(8.0)) * lean[:, None]
    return np.asarray(own + discordant + towards * height[:, None] - lost)


def t_vector(traits: pd.DataFrame) -> Floats:
    towards = direction(traits["t_azimuth_deg"].to_numpy(), traits["t_elevation_deg"].to_numpy())
    return np.asarray(towards * traits["t_amp_mv"].to_numpy()[:, None])


def t_rise(traits: pd.DataFrame) -> Floats:
    """How much longer T rises than it falls; after a left bundle block it leaves the complex as one slow slope."""
    return np.where(_discordant(traits), _SLOPE, _T_RISE)


def j_point_s(traits: pd.DataFrame) -> Floats:
    """Where repolarisation begins to show; after a left bundle block while the complex still returns."""
    return np.asarray(traits["qrs_ms"].to_numpy() / 1000 - _OVERLAP_S * _discordant(traits))


def _discordant(traits: pd.DataFrame) -> Bools:
    return np.asarray(((traits["condition"] == "lbbb") | traits["paced"]).to_numpy(bool))


def t_peak_s(qt_s: Floats) -> Floats:
    """The peak lies 55 ms and a little more for long QT before the end."""
    return np.asarray(qt_s - 0.055 - 0.045 * qt_s / 0.4)
