"""Electrodes on the wrong limb, precordial leads exchanged: suspected from the median beat, and named.

The precordial leads hardly notice a limb reversal, and they foretell what leads I and II look like. So each reversal
is undone on trial, and the trial that the precordial leads believe more than the recording is suspected. An arm's
electrode on a leg shows in the silence of lead II, exchanged precordial leads in how the leads vary together. What is
known of ordinary hearts lies in reversal.json, with the command that made it.

Everything that is compared is a sum of products of leads within a wave, so each wave is summed up once, as the matrix
of those products; the trials are then arithmetic on that matrix.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg import left_limbs, native
from ecg.leads import INDEPENDENT, INDEPENDENT_ROWS
from ecg.middle import median
from ecg.recording import Samples

CONSTANTS: Final = Path(__file__).with_name("reversal.json")
# Samples of the median beat at 500 Hz, R at 240.
WAVES: Final = {"P": slice(120, 210), "QRS": slice(210, 270), "T": slice(280, 460)}
_SPANS: Final = np.array([(each.start, each.stop) for each in WAVES.values()])
WINDOW: Final = slice(120, 460)
# (I, II) as recorded to (I, II) as they would be with the electrodes put right.
PUT_RIGHT: Final[dict[str, NDArray[np.float64]]] = {
    "RA/LA": np.array([[-1.0, 0.0], [-1.0, 1.0]]),
    "RA/LL": np.array([[1.0, -1.0], [0.0, -1.0]]),
    "LA/LL": np.array([[0.0, 1.0], [1.0, 0.0]]),
}
# What the chest leads foretell hardly tells left arm from left leg; that is asked of another room.
FORETOLD: Final = ("RA/LA", "RA/LL")
_LEFT_LIMBS: Final = "LA/LL"
_II_AND_CHEST: Final = INDEPENDENT_ROWS[1:]
_ARM_ON_LEG: Final = "RA/RL"
_SWAPS: Final = tuple(combinations(range(2, 8), 2))
_SWAP_NAMES: Final = tuple(f"{INDEPENDENT[i]}/{INDEPENDENT[j]}" for i, j in _SWAPS)
_WAVE_WEIGHTS: Final = np.array([0.2, 1.0, 0.5])  # in the order of WAVES
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


@dataclass(frozen=True, slots=True, eq=False)
class _Limbs:
    """The trials of limb reversals side by side: what undoes each, and how its evidence is weighed."""

    names: tuple[str, ...]
    sums: Array  # _sums_over_products of what undoes each
    weights: Array  # (trial, evidence)
    offset: Array
    suspect_from: Array
    sure_from: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    limbs: _Limbs
    swaps: Array
    swap_suspect_from: float
    silent_suspect_below: float
    silent_sure_below: float
    packed: Array  # the same for the kernel


@dataclass(frozen=True, slots=True, eq=False)
class _Likely:
    """`silence` of lead II, the score of each limb reversal, the gain of each precordial swap."""

    silence: float
    limbs: Array
    swaps: Array


@cache
def _known() -> _Known:
    stored = json.loads(CONSTANTS.read_text())
    limb = stored["limb"]
    weights, offset, suspect_from, sure_from = (
        np.array([each[what] for each in limb.values()]) for what in ("weights", "offset", "suspect_from", "sure_from")
    )
    put_right = np.stack([PUT_RIGHT[name] for name in limb])
    sums = _sums_over_products(put_right, np.array(stored["foretell"]))
    limbs = _Limbs(tuple(limb), sums, weights, offset, suspect_from, sure_from)
    swaps = trial_precisions({wave: np.array(each) for wave, each in stored["precision"].items()})
    silent = stored["silent_ii"]
    parts = (_SPANS, sums, weights, offset, swaps, _WAVE_WEIGHTS)
    packed = np.concatenate([np.ravel(each) for each in parts], dtype=np.float64)
    return _Known(limbs, swaps, stored["swap_suspect_from"], silent["suspect_below"], silent["sure_below"], packed)


def suspicions(median_mv: Samples) -> tuple[Suspicion, ...]:
    """The likeliest limb reversal and the likeliest precordial swap, where either is likelier than chance allows."""
    known = _known()
    likely = _likely(median_mv, known)
    limbs = _arm_on_leg(likely.silence, known) or _limb(likely.limbs, known) or _left_limbs(median_mv)
    return tuple(each for each in (limbs, _swap(likely.swaps, known)) if each)


def _likely(median_mv: Samples, known: _Known) -> _Likely:
    if native.compiled:
        return _Likely(*native.reversals(median_mv, known.packed))
    beat = levelled(median_mv)
    products = products_of(beat[INDEPENDENT_ROWS, :])
    evidence = _evidence(products, _upright(beat[:2]), known.limbs.sums)
    score = np.einsum("pe,pe->p", evidence, known.limbs.weights) + known.limbs.offset
    return _Likely(silence_of_ii(beat), score, swap_gains(products, known.swaps))


def levelled(median_mv: Samples) -> Samples:
    """Each lead around its own middle value."""
    if native.compiled:
        return native.levelled(median_mv)
    count = median_mv.shape[1]
    ordered = np.partition(median_mv, (count // 2 - 1, count // 2), axis=1)
    middle = ordered[:, count // 2] if count % 2 else (ordered[:, count // 2 - 1] + ordered[:, count // 2]) / 2
    return np.subtract(median_mv, middle[:, None], dtype=np.float32)


def products_of(leads: Samples) -> Array:
    """For P, QRS and T: each lead times each other lead, summed over the wave."""
    if native.compiled:
        return native.products(leads, _SPANS)
    wide = leads.astype(np.float64)
    return np.stack([np.einsum("it,jt->ij", wide[:, place], wide[:, place]) for place in WAVES.values()])


def silence_of_ii(beat: Samples) -> float:
    """Height of lead II over the middle height of the chest leads."""
    heights = np.ptp(beat[_II_AND_CHEST, WINDOW], axis=1)
    return float(heights[0]) / max(median(heights[1:]), 1e-9)


def _arm_on_leg(silence: float, known: _Known) -> Suspicion | None:
    """The right arm's electrode on the right leg: lead II lies between two legs, where next to nothing happens."""
    if silence >= known.silent_suspect_below:
        return None
    return Suspicion(_ARM_ON_LEG, limb=True, sure=silence < known.silent_sure_below)


def _limb(score: Array, known: _Known) -> Suspicion | None:
    limbs = known.limbs
    best = int((score - limbs.suspect_from).argmax())
    if score[best] <= limbs.suspect_from[best]:
        return None
    return Suspicion(limbs.names[best], limb=True, sure=bool(score[best] > limbs.sure_from[best]))


def _left_limbs(median_mv: Samples) -> Suspicion | None:
    sure = left_limbs.suspicion(median_mv)
    return None if sure is None else Suspicion(_LEFT_LIMBS, limb=True, sure=sure)


def limb_evidence(limb: Samples, chest: Samples, put_right: Array, foretell: Array) -> Array:
    """For each wave: how much nearer to what the chest foretells the trial lies, and how much more alike it runs."""
    products = products_of(np.concatenate([limb, chest]))
    evidence: Array = _evidence(products, _upright(limb), _sums_over_products(put_right[None], foretell))[0]
    return evidence


def _upright(limb: Samples) -> list[float]:
    """Whether P points up in I and in II."""
    p_waves = limb[:, WAVES["P"]]
    share: list[float] = (p_waves.sum(axis=1) / (np.abs(p_waves).sum(axis=1) + 1e-3)).tolist()
    return share


def _sums_over_products(put_right: Array, foretell: Array) -> Array:
    """(3 + 2 trials, 64): each sum that the evidence needs, as weights of the products of two leads.

    With s the limb leads as stored, t as the chest foretells them and A s as put right: |s|^2, |t|^2, s . t, then
    |A s|^2 of each trial, then A s . t of each.
    """
    trials = len(put_right)
    weights = np.zeros((3 + 2 * trials, 8, 8))
    weights[0, :2, :2] = np.eye(2)
    weights[1, 2:, 2:] = foretell.T @ foretell
    weights[2, :2, 2:] = foretell
    weights[3 : 3 + trials, :2, :2] = put_right.transpose(0, 2, 1) @ put_right
    weights[3 + trials :, :2, 2:] = put_right.transpose(0, 2, 1) @ foretell
    return weights.reshape(3 + 2 * trials, -1)


def _evidence(products: Array, upright: list[float], weights: Array) -> Array:
    """(trial, evidence): the two numbers of each wave, then whether P points up."""
    sums = np.einsum("kp,wp->kw", weights, products.reshape(len(WAVES), -1))
    trials = (len(sums) - 3) // 2
    (stored, told, stored_along), tried, tried_along = sums[:3], sums[3 : 3 + trials], sums[3 + trials :]
    size = stored + tried + 1e-4
    # |s - t|^2 - |A s - t|^2: what both share, |t|^2, falls out.
    nearer = (stored - 2 * stored_along - tried + 2 * tried_along) / size
    alike = (stored_along - tried_along) / np.sqrt(size * np.maximum(told, 0.0) + 1e-8)
    evidence = np.empty((trials, 2 * len(WAVES) + len(upright)))
    evidence[:, 0 : 2 * len(WAVES) : 2], evidence[:, 1 : 2 * len(WAVES) : 2] = nearer, alike
    evidence[:, 2 * len(WAVES) :] = upright
    return evidence


def _swap(gains: Array, known: _Known) -> Suspicion | None:
    best = int(gains.argmax())
    return Suspicion(_SWAP_NAMES[best], limb=False, sure=False) if gains[best] > known.swap_suspect_from else None


def swap_gains(products: Array, swaps: Array) -> Array:
    """For each pair of precordial leads: how much likelier the leads vary as they do with the two exchanged."""
    misfit = np.maximum(np.einsum("wpk,wk->wp", swaps, covariances(products).reshape(len(WAVES), -1)), 1e-12)
    gains: Array = np.einsum("w,wp->p", _WAVE_WEIGHTS, np.log(misfit[:, :1] / misfit[:, 1:]))
    return gains


def trial_precisions(precision: dict[str, Array]) -> Array:
    """(wave, order, 64): the precision of each wave as it meets the leads as recorded, and with each pair exchanged.

    To exchange two leads twice is to leave them, so the precision may be reordered in place of the leads.
    """
    every = np.stack([precision[wave][_ORDERS[:, :, None], _ORDERS[:, None, :]] for wave in WAVES])
    return every.reshape(len(WAVES), len(_ORDERS), -1)


def covariances(products: Array) -> Array:
    """How the eight independent leads vary together within each wave, as shares of all their power."""
    power = np.maximum(np.einsum("wii->w", products), 1e-9)
    shares: Array = products / power[:, None, None]
    return shares
