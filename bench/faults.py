"""Faults planted in a sound recording, and what the gate should say of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg import beats, harmonise, quality
from ecg.errors import EcgError, UnitsUnknown
from ecg.leads import LEADS
from ecg.quality import IssueCode
from ecg.recording import Recording, TwelveLead, Unit, Waveform

Samples = NDArray[np.float32]
Plant = Callable[[TwelveLead, np.random.Generator], TwelveLead]


@dataclass(frozen=True, slots=True)
class Fault:
    """`expected`: any of these codes counts as caught, be it in a refusal or beside a limited answer."""

    name: str
    plant: Plant
    expected: frozenset[str]
    must_catch: bool


def outcome(sent: TwelveLead) -> tuple[str, frozenset[str]]:
    """The verdict and the codes of one recording as the service would judge it; a refusal gives its own code."""
    waveform = Waveform(LEADS, sent.samples_mv, sent.sampling_rate_hz, Unit.MILLIVOLT)
    try:
        twelve = harmonise.to_twelve(Recording("planted", waveform))
        report = quality.inspect(twelve, quality.RECOMMENDED, beats.find(twelve))
    except EcgError as refusal:
        return "rejected", frozenset({refusal.code})
    return report.verdict.value, frozenset(issue.code.value for issue in report.issues)


def with_samples(twelve: TwelveLead, samples_mv: NDArray[np.floating]) -> TwelveLead:
    return replace(twelve, samples_mv=np.ascontiguousarray(samples_mv, dtype=np.float32))


def _leads(change: Callable[[Samples, np.random.Generator, float], NDArray[np.floating]]) -> Plant:
    def plant(twelve: TwelveLead, rng: np.random.Generator) -> TwelveLead:
        return with_samples(twelve, change(twelve.samples_mv.copy(), rng, twelve.sampling_rate_hz))

    return plant


def _limb_leads(one: NDArray[np.floating], two: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.stack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2])


def _electrodes(exchange: Callable[[Samples, Samples], tuple[Samples, Samples]]) -> Plant:
    """Leads I and II as wrongly placed limb electrodes give them; the four others follow."""

    def change(samples: Samples, _rng: np.random.Generator, _rate: float) -> Samples:
        samples[:6] = _limb_leads(*exchange(samples[0], samples[1]))
        return samples

    return _leads(change)


def _arm_on_leg(samples: Samples, rng: np.random.Generator, _rate: float) -> Samples:
    """RA and RL exchanged: II lies between the legs, and a leg takes the arm's third of the chest leads' zero."""
    legs = 0.05 * samples[1] + np.asarray(rng.normal(0, 0.004, samples.shape[1]), dtype=np.float32)
    lost = samples[1] - legs
    samples[6:] -= lost / 3
    samples[:6] = _limb_leads(samples[0] - lost, legs)
    return samples


def _swap(first: str, second: str) -> Plant:
    def change(samples: Samples, _rng: np.random.Generator, _rate: float) -> Samples:
        rows = [LEADS.index(first), LEADS.index(second)]
        samples[rows] = samples[rows[::-1]]
        return samples

    return _leads(change)


def _at_rate(factor: float) -> Plant:
    def plant(twelve: TwelveLead, _rng: np.random.Generator) -> TwelveLead:
        return replace(twelve, sampling_rate_hz=twelve.sampling_rate_hz * factor)

    return plant


def _everywhere(shape: Callable[[NDArray[np.float64], np.random.Generator], NDArray[np.float64]]) -> Plant:
    """One signal that is no ECG, in every lead at its own size."""

    def change(samples: Samples, rng: np.random.Generator, rate: float) -> NDArray[np.float64]:
        time = np.arange(samples.shape[1]) / rate
        return np.outer(rng.uniform(0.2, 1.0, 12), shape(time, rng))

    return _leads(change)


def _limb_consistent_noise(samples: Samples, rng: np.random.Generator, _rate: float) -> NDArray[np.float64]:
    """White noise at nine electrodes, as an amplifier with no patient gives it."""
    electrodes = rng.standard_normal((8, samples.shape[1])) * 0.3
    return np.concatenate([_limb_leads(electrodes[0], electrodes[1]), electrodes[2:]])


def _speech(time: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Voiced syllables: a pitch with harmonics under an irregular envelope."""
    envelope = np.interp(time, np.arange(0, time[-1] + 0.15, 0.15), rng.uniform(0, 1, int(time[-1] / 0.15) + 2))
    pitch = 2 * np.pi * np.cumsum(rng.uniform(80, 110) + 8 * np.sin(2 * np.pi * 2.3 * time)) * (time[1] - time[0])
    return np.asarray(envelope * sum(np.sin(k * pitch) / k for k in (1, 2)))


def _pulse_wave(time: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """A photoplethysmogram: a slow rise and a dicrotic shoulder, no sharp complex."""
    phase = (time * rng.uniform(0.9, 1.4)) % 1.0
    return np.asarray(np.exp(-(((phase - 0.25) / 0.12) ** 2)) + 0.4 * np.exp(-(((phase - 0.55) / 0.14) ** 2)))


def _noisy_lead(samples: Samples, rng: np.random.Generator, _rate: float) -> Samples:
    samples[rng.integers(6, 12)] += np.asarray(rng.normal(0, 0.3, samples.shape[1]), dtype=np.float32)
    return samples


def _flat_lead(samples: Samples, rng: np.random.Generator, _rate: float) -> Samples:
    samples[rng.integers(6, 12)] = 0.0
    return samples


def _loose_lead(samples: Samples, rng: np.random.Generator, rate: float) -> NDArray[np.floating]:
    """An electrode that has come off: large slow drift and hum, hardly any heart."""
    time = np.arange(samples.shape[1]) / rate
    drift = 4 * np.sin(2 * np.pi * rng.uniform(0.1, 0.3) * time + rng.uniform(0, 6))
    samples[rng.integers(6, 12)] = drift + 0.5 * np.sin(2 * np.pi * 50 * time)
    return samples


def _clipped(samples: Samples, _rng: np.random.Generator, _rate: float) -> Samples:
    limit = 0.5 * np.abs(samples).max(axis=1, keepdims=True)
    return np.asarray(np.clip(samples, -limit, limit))


def _hum(samples: Samples, rng: np.random.Generator, rate: float) -> NDArray[np.floating]:
    hum = np.sin(2 * np.pi * 50 * np.arange(samples.shape[1]) / rate + rng.uniform(0, 6))
    return np.concatenate([samples[:6], samples[6:] + 0.3 * np.asarray(hum)])


def _not_a_number(samples: Samples, rng: np.random.Generator, rate: float) -> Samples:
    start = int(rng.integers(0, samples.shape[1] - rate))
    samples[rng.integers(6, 12), start : start + int(rate)] = np.nan
    return samples


def _doubled(samples: Samples, _rng: np.random.Generator, _rate: float) -> Samples:
    samples[LEADS.index("V5")] = samples[LEADS.index("V4")]
    return samples


def _contradiction(samples: Samples, _rng: np.random.Generator, _rate: float) -> Samples:
    samples[LEADS.index("III")] = -samples[LEADS.index("III")]
    return samples


def _gain(factor: float) -> Plant:
    return _leads(lambda samples, _rng, _rate: samples * np.float32(factor))


def _short(twelve: TwelveLead, _rng: np.random.Generator) -> TwelveLead:
    return with_samples(twelve, twelve.samples_mv[:, : round(4 * twelve.sampling_rate_hz)])


def _codes(*codes: IssueCode) -> frozenset[str]:
    return frozenset(code.value for code in codes)


_NO_ECG: Final = _codes(IssueCode.NOT_AN_ECG, IssueCode.IMPLAUSIBLE_RATE, IssueCode.NOISE, IssueCode.DUPLICATE_LEADS)
_UNIT: Final = _codes(IssueCode.IMPLAUSIBLE_AMPLITUDE, IssueCode.FLAT) | {UnitsUnknown.code}
_RATE: Final = _codes(IssueCode.SAMPLING_RATE_SUSPECT, IssueCode.IMPLAUSIBLE_RATE, IssueCode.TOO_SHORT)

FAULTS: Final = (
    Fault("RA/LA exchanged", _electrodes(lambda i, ii: (-i, ii - i)), _codes(IssueCode.LIMB_REVERSAL), True),
    Fault("RA/LL exchanged", _electrodes(lambda i, ii: (i - ii, -ii)), _codes(IssueCode.LIMB_REVERSAL), True),
    Fault("LA/LL exchanged", _electrodes(lambda i, ii: (ii, i)), _codes(IssueCode.LIMB_REVERSAL), False),
    Fault("RA/RL exchanged", _leads(_arm_on_leg), _codes(IssueCode.LIMB_REVERSAL), True),
    *(
        Fault(f"{first}/{second} exchanged", _swap(first, second), _codes(IssueCode.PRECORDIAL_SWAP), False)
        for first, second in (("V1", "V2"), ("V1", "V6"), ("V2", "V5"), ("V3", "V4"), ("V3", "V5"))
    ),
    Fault("III upside down", _leads(_contradiction), _codes(IssueCode.LEADS_INCONSISTENT), True),
    Fault("V5 is a copy of V4", _leads(_doubled), _codes(IssueCode.DUPLICATE_LEADS), True),
    Fault("microvolts taken for millivolts", _gain(1000), _UNIT, True),
    Fault("ten times too large", _gain(10), _UNIT, False),
    Fault("volts taken for millivolts", _gain(0.001), _UNIT, True),
    Fault("played at half speed", _at_rate(0.5), _RATE, True),
    Fault("played at double speed", _at_rate(2.0), _RATE, True),
    Fault("four seconds only", _short, _codes(IssueCode.TOO_SHORT), True),
    Fault("one lead flat", _leads(_flat_lead), _codes(IssueCode.FLAT), True),
    Fault("one lead loose", _leads(_loose_lead), _codes(IssueCode.BASELINE, IssueCode.MAINS, IssueCode.NOISE), True),
    Fault("one lead buried in noise", _leads(_noisy_lead), _codes(IssueCode.NOISE), True),
    Fault("clipped at half its height", _leads(_clipped), _codes(IssueCode.CLIPPED), True),
    Fault("mains hum of 0.3 mV", _leads(_hum), _codes(IssueCode.MAINS, IssueCode.NOISE), True),
    Fault("a second missing in one lead", _leads(_not_a_number), _codes(IssueCode.NON_FINITE), True),
    Fault("no ECG: noise", _leads(_limb_consistent_noise), _NO_ECG, True),
    Fault("no ECG: a sine", _everywhere(lambda t, rng: np.sin(2 * np.pi * rng.uniform(0.8, 12) * t)), _NO_ECG, True),
    Fault("no ECG: speech", _everywhere(_speech), _NO_ECG, True),
    Fault("no ECG: a pulse wave", _everywhere(_pulse_wave), _NO_ECG, True),
)
