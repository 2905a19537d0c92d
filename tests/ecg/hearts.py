"""Small synthetic hearts with known beat times: a dipole seen through a lead field, so that the limb leads agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg.leads import INDEPENDENT, LEADS, derive_limb_leads
from ecg.recording import Recording, TwelveLead, Unit, Waveform

# Rows I, II, V1 to V6; columns left, down, back.
FIELD: Final = np.array(
    [
        (0.63, -0.23, 0.06), (0.24, 1.07, -0.13), (-0.51, 0.16, -0.92), (0.04, 0.16, -1.39),
        (0.88, 0.10, -1.28), (1.21, 0.13, -0.60), (1.12, 0.13, -0.09), (0.83, 0.08, 0.23),
    ]
)  # fmt: skip
# (middle in ms after R, width in ms, direction and height in mV)
Wave = tuple[float, float, tuple[float, float, float]]
P: Final[tuple[Wave, ...]] = ((-165.0, 18.0, (0.08, 0.12, -0.02)),)
QRS: Final[tuple[Wave, ...]] = (
    (-24.0, 8.0, (-0.1, 0.05, -0.35)),
    (0.0, 9.0, (0.9, 0.8, 0.3)),
    (22.0, 9.0, (-0.1, -0.2, 0.6)),
)
LBBB: Final[tuple[Wave, ...]] = (
    (-35.0, 18.0, (0.4, 0.2, 0.4)),
    (0.0, 22.0, (0.9, 0.4, 0.8)),
    (40.0, 18.0, (0.7, 0.1, 0.6)),
)
PVC: Final[tuple[Wave, ...]] = (
    (-20.0, 20.0, (-0.8, 0.9, -0.5)),
    (25.0, 22.0, (-1.1, 1.0, -0.4)),
    (250.0, 50.0, (0.5, -0.5, 0.2)),
)
T: Final[tuple[Wave, ...]] = ((270.0, 42.0, (0.25, 0.22, -0.12)),)
NORMAL: Final = (*P, *QRS, *T)


def regular(bpm: float, seconds: float, first_s: float = 0.4) -> NDArray[np.float64]:
    return np.arange(first_s, seconds, 60 / bpm)


def leads_mv(
    beats: Sequence[tuple[float, Sequence[Wave]]],
    seconds: float = 10.0,
    rate_hz: float = 500.0,
    noise_mv: float = 0.005,
    drift_mv: float = 0.0,
    seed: int = 0,
) -> NDArray[np.float32]:
    """(12, samples) in millivolts of beats at their times in seconds, over a slow drift."""
    time_ms = np.arange(round(seconds * rate_hz)) * 1000 / rate_hz
    dipole = drift_mv * np.outer((0.6, -0.4, 0.5), np.sin(2 * np.pi * 0.2 * time_ms / 1000))
    for at_s, waves in beats:
        for middle_ms, width_ms, direction in waves:
            bump = np.exp(-0.5 * ((time_ms - at_s * 1000 - middle_ms) / width_ms) ** 2)
            dipole += np.outer(direction, bump)
    eight = FIELD @ dipole + noise_mv * np.random.default_rng(seed).standard_normal((8, time_ms.size))
    found = dict(zip(INDEPENDENT, eight.astype(np.float32), strict=True))
    found |= derive_limb_leads(found["I"], found["II"])
    return np.stack([found[name] for name in LEADS])


def normal_mv(
    bpm: float = 70.0, seconds: float = 10.0, rate_hz: float = 500.0, **options: float
) -> NDArray[np.float32]:
    times = regular(bpm, seconds)
    return leads_mv([(at, NORMAL) for at in times], seconds, rate_hz, **options)  # type: ignore[arg-type]


def twelve(samples_mv: NDArray[np.float32], rate_hz: float = 500.0) -> TwelveLead:
    return TwelveLead(samples_mv, rate_hz)


def recording(
    samples: NDArray[np.float32], names: Sequence[str] = LEADS, rate_hz: float = 500.0, unit: Unit = Unit.MILLIVOLT
) -> Recording:
    return Recording("test", Waveform(tuple(names), samples, rate_hz, unit))
