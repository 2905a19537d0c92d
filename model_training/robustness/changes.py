"""What can happen to a recording between the skin and the file: each change planted in a sound one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg import filters
from ecg.leads import INDEPENDENT, INDEX, LEADS, LIMB
from ecg.recording import TwelveLead
from model_training.simulate.noise import TO_LEADS

Samples = NDArray[np.float32]
Bools = NDArray[np.bool_]

SECONDS: Final = 10.0
_EMG_HZ: Final = (15.0, 200.0)


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """Ten seconds as they are; `longer` is the same recording going on, where it does."""

    name: str
    twelve: TwelveLead
    longer: TwelveLead | None = None


Plant = Callable[[Person, np.random.Generator], TwelveLead]


@dataclass(frozen=True, slots=True)
class Change:
    """`usable`: the leads that the model is given; the others are masked at its door."""

    family: str
    name: str
    plant: Plant
    usable: tuple[str, ...] = LEADS

    @property
    def lead_mask(self) -> Bools:
        return np.array([lead in self.usable for lead in LEADS])


def _with(twelve: TwelveLead, samples_mv: NDArray[np.floating]) -> TwelveLead:
    return replace(twelve, samples_mv=np.ascontiguousarray(samples_mv, dtype=np.float32))


def _intact(person: Person, _rng: np.random.Generator) -> TwelveLead:
    return person.twelve


def _at_rate(to_hz: float, person: Person, _rng: np.random.Generator) -> TwelveLead:
    twelve = person.twelve
    return TwelveLead(filters.resample(twelve.samples_mv, twelve.sampling_rate_hz, to_hz), to_hz)


def _gain(by: float, person: Person, _rng: np.random.Generator) -> TwelveLead:
    return _with(person.twelve, person.twelve.samples_mv * np.float32(by))


def _later(by_ms: float, person: Person, _rng: np.random.Generator) -> TwelveLead:
    """Begun later. A recording that does not go on is mirrored at its end."""
    twelve = person.twelve
    by, n = round(by_ms * twelve.sampling_rate_hz / 1000), twelve.samples_mv.shape[1]
    if person.longer is not None:
        return _with(twelve, person.longer.samples_mv[:, by : by + n])
    return _with(
        twelve, np.concatenate([twelve.samples_mv[:, by:], twelve.samples_mv[:, -by - 1 : -1][:, ::-1]], axis=1)
    )


def _shortened(seconds: float, person: Person, _rng: np.random.Generator) -> TwelveLead:
    return _with(person.twelve, person.twelve.samples_mv[:, : round(seconds * person.twelve.sampling_rate_hz)])


def _on_electrodes(noise: NDArray[np.floating]) -> Samples:
    """(9, samples) on the electrodes to twelve leads, so that Einthoven's law holds on."""
    eight = TO_LEADS @ noise
    i, ii = eight[0], eight[1]
    return np.asarray(np.stack([i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2, *eight[2:]]), dtype=np.float32)


def _seconds(twelve: TwelveLead) -> NDArray[np.float64]:
    return np.arange(twelve.samples_mv.shape[1]) / twelve.sampling_rate_hz


def _sine(hz: float, size_mv: float, person: Person, rng: np.random.Generator) -> TwelveLead:
    """One frequency at every electrode, each with its own share and phase."""
    turn = 2 * np.pi * hz * _seconds(person.twelve) + rng.uniform(0, 2 * np.pi, (9, 1))
    return _with(
        person.twelve, person.twelve.samples_mv + _on_electrodes(size_mv * rng.uniform(0.4, 1, (9, 1)) * np.sin(turn))
    )


def _muscle(snr_db: float, person: Person, rng: np.random.Generator) -> TwelveLead:
    """Noise between 15 and 200 Hz. The signal's power is that of a sine as high as the QRS complexes, on average."""
    twelve = person.twelve
    n, rate = twelve.samples_mv.shape[1], twelve.sampling_rate_hz
    hz = np.fft.rfftfreq(n, 1 / rate)
    shape = 1 / (1 + (_EMG_HZ[0] / np.maximum(hz, 1e-9)) ** 4) / (1 + (hz / _EMG_HZ[1]) ** 4)
    added = _on_electrodes(np.fft.irfft(np.fft.rfft(rng.standard_normal((9, n))) * shape, n))
    rows = [INDEX[lead] for lead in INDEPENDENT]
    high = np.percentile(twelve.samples_mv[rows], 99.5, axis=1) - np.percentile(twelve.samples_mv[rows], 0.5, axis=1)
    power = float(np.mean(high**2)) / 8
    scale = np.sqrt(power / 10 ** (snr_db / 10) / float(np.mean(added[rows] ** 2)))
    return _with(twelve, twelve.samples_mv + np.float32(scale) * added)


def _limbs(of: tuple[float, float, float, float], person: Person, _rng: np.random.Generator) -> TwelveLead:
    """I and II as wrongly placed electrodes give them, (I from I, I from II, II from I, II from II); four follow."""
    samples = person.twelve.samples_mv.copy()
    i, ii = of[0] * samples[0] + of[1] * samples[1], of[2] * samples[0] + of[3] * samples[1]
    samples[:6] = np.stack([i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2])
    return _with(person.twelve, samples)


def _exchanged(first: str, second: str, person: Person, _rng: np.random.Generator) -> TwelveLead:
    samples = person.twelve.samples_mv.copy()
    rows = [INDEX[first], INDEX[second]]
    samples[rows] = samples[rows[::-1]]
    return _with(person.twelve, samples)


def _band(low_hz: float, high_hz: float, person: Person, _rng: np.random.Generator) -> TwelveLead:
    """Where the rate reaches no higher, as high as it can."""
    rate = person.twelve.sampling_rate_hz
    spectrum = filters.Spectrum(person.twelve.samples_mv, rate)
    return _with(person.twelve, spectrum.bandpass(low_hz, min(high_hz, 0.45 * rate), 2))


def _steps(step_uv: float, person: Person, _rng: np.random.Generator) -> TwelveLead:
    step_mv = np.float32(step_uv / 1000)
    return _with(person.twelve, np.round(person.twelve.samples_mv / step_mv) * step_mv)


def _only(*leads: str) -> Change:
    told = {8: "the eight independent leads", 6: "six limb leads"}.get(len(leads), " and ".join(leads))
    return Change("missing leads", told, _intact, leads)


CHANGES: Final = (
    *(Change("sampling rate", f"{hz} Hz", partial(_at_rate, float(hz))) for hz in (100, 125, 200, 250, 360, 1000)),
    *(Change("gain", f"x {by:g}", partial(_gain, by)) for by in (0.5, 0.9, 1.1, 2.0)),
    *(Change("start offset", f"{ms} ms later", partial(_later, float(ms))) for ms in (10, 50, 200, 500, 900)),
    *(Change("duration", f"{s} s", partial(_shortened, float(s))) for s in (9, 8, 7)),
    *(
        Change("mains at each electrode", f"{mv:g} mV at 50 Hz", partial(_sine, 50.0, mv))
        for mv in (0.02, 0.05, 0.1, 0.2)
    ),
    Change("mains at each electrode", "0.1 mV at 60 Hz", partial(_sine, 60.0, 0.1)),
    *(Change("wander at each electrode", f"{mv:g} mV at 0.25 Hz", partial(_sine, 0.25, mv)) for mv in (0.1, 0.3, 1.0)),
    *(Change("muscle noise", f"{db} dB", partial(_muscle, float(db))) for db in (24, 18, 12, 6, 0)),
    _only(*INDEPENDENT),
    _only(*LIMB),
    _only("I", "II"),
    _only("I"),
    Change("electrodes", "RA/LA exchanged", partial(_limbs, (-1, 0, -1, 1))),
    Change("electrodes", "RA/LL exchanged", partial(_limbs, (1, -1, 0, -1))),
    Change("electrodes", "LA/LL exchanged", partial(_limbs, (0, 1, 1, 0))),
    *(
        Change("electrodes", f"{one}/{two} exchanged", partial(_exchanged, one, two))
        for one, two in (("V1", "V2"), ("V1", "V6"), ("V3", "V5"))
    ),
    Change("filter band", "0.05 to 150 Hz", partial(_band, 0.05, 150.0)),
    Change("filter band", "0.5 to 40 Hz", partial(_band, 0.5, 40.0)),
    Change("filter band", "0.67 to 35 Hz", partial(_band, 0.67, 35.0)),
    *(Change("device steps", f"{uv:g} uV", partial(_steps, uv)) for uv in (5.0, 20.0)),
)
