"""Electrodes on the wrong limb, precordial leads exchanged: suspected from the median beat, and named.

The precordial leads hardly notice a limb reversal, and they foretell what leads I and II look like. So each reversal
is undone on trial, and the trial that the precordial leads believe more than the recording is suspected. Exchanged
precordial leads show in how the leads vary together. What is known of ordinary hearts lies in reversal.json, with the
command that made it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from math import sqrt
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg.leads import INDEPENDENT, LEADS
from ecg.recording import Samples

CONSTANTS: Final = Path(__file__).with_name("reversal.json")
# Samples of the median beat at 500 Hz, R at 240.
WAVES: Final = {"P": slice(120, 210), "QRS": slice(210, 270), "T": slice(280, 460)}
WINDOW: Final = slice(120, 460)
# (I, II) as recorded to (I, II) as they would be with the electrodes put right.
PUT_RIGHT: Final[dict[str, NDArray[np.float64]]] = {
    "RA/LA": np.array([[-1.0, 0.0], [-1.0, 1.0]]),
    "RA/LL": np.array([[1.0, -1.0], [0.0, -1.0]]),
    "LA/LL": np.array([[0.0, 1.0], [1.0, 0.0]]),
}
_ROWS: Final = tuple(LEADS.index(name) for name in INDEPENDENT)
_SWAPS: Final = tuple(combinations(range(2, 8), 2))
_SWAP_NAMES: Final = tuple(f"{INDEPENDENT[i]}/{INDEPENDENT[j]}" for i, j in _SWAPS)
_WAVE_WEIGHTS: Final = {"P": 0.2, "QRS": 1.0, "T": 0.5}
Array = NDArray[np.float64]


def _orders() -> NDArray[np.int64]:
    """The leads as recorded, then with each pair of precordial ones exchanged."""
    orders = np.tile(np.arange(8), (1 + len(_SWAPS), 1))
    for row, (i, j) in enumerate(_SWAPS, start=1):
        orders[row, [i, j]] = j, i
    return orders


_ORDERS: Final = _orders()


@dataclass(frozen=True, slots=True)
class Suspicion:
    """`what` is such as "RA/LA" or "V1/V2"; sure where one heart in two thousand would look so by itself."""

    what: str
    limb: bool
    sure: bool


@dataclass(frozen=True, slots=True)
class _Limb:
    weights: Array
    offset: float
    suspect_from: float
    sure_from: float


@dataclass(frozen=True, slots=True)
class _Known:
    foretell: Array
    limb: dict[str, _Limb]
    precision: dict[str, Array]
    swap_suspect_from: float


@cache
def _known() -> _Known:
    stored = json.loads(CONSTANTS.read_text())
    limb = {
        name: _Limb(np.array(each["weights"]), each["offset"], each["suspect_from"], each["sure_from"])
        for name, each in stored["limb"].items()
    }
    precision = {wave: np.array(each) for wave, each in stored["precision"].items()}
    return _Known(np.array(stored["foretell"]), limb, precision, stored["swap_suspect_from"])


def suspicions(median_mv: Samples) -> tuple[Suspicion, ...]:
    """The likeliest limb reversal and the likeliest precordial swap, where either is likelier than chance allows."""
    known, beat = _known(), levelled(median_mv)
    return tuple(each for each in (_limb(beat, known), _swap(beat, known)) if each)


def levelled(median_mv: Samples) -> Samples:
    return median_mv - np.median(median_mv, axis=1, keepdims=True)


def _limb(beat: Samples, known: _Known) -> Suspicion | None:
    told = foretold(beat[:2], beat[6:], known.foretell)
    margins = {name: (_score(told, name, each) - each.suspect_from, each) for name, each in known.limb.items()}
    name, (margin, each) = max(margins.items(), key=lambda item: item[1][0])
    return Suspicion(name, limb=True, sure=margin + each.suspect_from > each.sure_from) if margin > 0 else None


def _score(told: Foretold, name: str, limb: _Limb) -> float:
    evidence = evidence_of(told, PUT_RIGHT[name])
    return float(evidence @ limb.weights) + limb.offset


def limb_evidence(limb: Samples, chest: Samples, put_right: Array, foretell: Array) -> Array:
    """For each wave: how much nearer to what the chest foretells the trial lies, and how much more alike it runs."""
    return evidence_of(foretold(limb, chest, foretell), put_right)


@dataclass(frozen=True, slots=True)
class _Wave:
    """Leads I and II within one wave, as recorded and as the chest foretells them."""

    place: slice
    stored: Samples
    told: Array
    stored_square: float
    told_square: float
    miss: float


@dataclass(frozen=True, slots=True)
class Foretold:
    """What every trial is held against, worked out once for all of them."""

    limb: Samples
    waves: tuple[_Wave, ...]
    upright: tuple[float, ...]  # whether P points up in I and in II


def foretold(limb: Samples, chest: Samples, foretell: Array) -> Foretold:
    every = np.einsum("ij,jt->it", foretell, chest)
    waves = []
    for place in WAVES.values():
        stored, told = limb[:, place], every[:, place]
        waves.append(_Wave(place, stored, told, _square(stored), _square(told), _square(stored - told)))
    upright = tuple(float(lead.sum() / (np.abs(lead).sum() + 1e-3)) for lead in limb[:, WAVES["P"]])
    return Foretold(limb, tuple(waves), upright)


def evidence_of(known: Foretold, put_right: Array) -> Array:
    trial = np.einsum("ij,jt->it", put_right, known.limb)
    evidence: list[float] = []
    for wave in known.waves:
        tried = trial[:, wave.place]
        size = wave.stored_square + _square(tried) + 1e-4
        evidence.append((wave.miss - _square(tried - wave.told)) / size)
        along = float(np.einsum("ij,ij->", wave.stored - tried, wave.told))
        evidence.append(along / sqrt(size * wave.told_square + 1e-8))
    return np.array([*evidence, *known.upright])


def _square(values: Array | Samples) -> float:
    return float(np.einsum("ij,ij->", values, values))


def _swap(beat: Samples, known: _Known) -> Suspicion | None:
    gains = swap_gains(beat, known.precision)
    what = max(gains, key=lambda name: gains[name])
    return Suspicion(what, limb=False, sure=False) if gains[what] > known.swap_suspect_from else None


def swap_gains(beat: Samples, precision: dict[str, Array]) -> dict[str, float]:
    """For each pair of precordial leads: how much likelier the leads vary as they do with the two exchanged."""
    gains = np.zeros(len(_SWAPS))
    for wave, weight in _WAVE_WEIGHTS.items():
        every = covariance(beat, wave)[_ORDERS[:, :, None], _ORDERS[:, None, :]]
        misfit = np.maximum(np.einsum("ij,pij->p", precision[wave], every), 1e-12)
        gains += weight * np.log(misfit[0] / misfit[1:])
    return dict(zip(_SWAP_NAMES, gains.tolist(), strict=True))


def covariance(beat: Samples, wave: str) -> Array:
    """How the eight independent leads vary together within a wave, as shares of all their power."""
    leads = beat[_ROWS, WAVES[wave]].astype(np.float64)
    together = np.einsum("it,jt->ij", leads, leads)
    return np.asarray(together / max(float(np.trace(together)), 1e-9))
