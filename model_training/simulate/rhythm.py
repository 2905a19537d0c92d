"""When the atria and the ventricles of each person beat during a recording."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_training.simulate.chance import Chance, Floats
from model_training.simulate.kernels import person

Bools = NDArray[np.bool_]

_BEFORE_S: Final = 1.5
_AFTER_S: Final = 1.0
_BREATHS_HZ: Final = 0.25
_SHORTEST_S: Final = 0.30
_PVC_COUPLING: Final = 0.58
_PAC_COUPLING: Final = 0.68
_PAC_PAUSE: Final = 1.10


class Origin(IntEnum):
    """Where a ventricular beat comes from; NONE fills the rows of people with fewer beats."""

    NONE = 0
    CONDUCTED = 1
    PVC = 2
    PAC = 3


@dataclass(frozen=True, slots=True, eq=False)
class Rhythm:
    """(n, beats): QRS onsets in seconds from the start, where each came from, the interval before it; P onsets."""

    qrs_s: Floats
    origin: NDArray[np.int8]
    before_s: Floats
    p_s: Floats

    def rows(self, wanted: slice) -> Rhythm:
        return Rhythm(self.qrs_s[wanted], self.origin[wanted], self.before_s[wanted], self.p_s[wanted])


def of(traits: pd.DataFrame, chance: Chance, duration_s: float) -> Rhythm:
    """One rhythm a person, from a little before the recording to a little after it."""
    mean_s = 60 / traits["heart_rate_bpm"].to_numpy(np.float64)
    beats = int(np.ceil((duration_s + _BEFORE_S + _AFTER_S) / max(mean_s.min() * 0.8, 0.25))) + 3
    early = _early(traits, chance, mean_s, beats, duration_s)
    at = _intervals(traits, chance, mean_s, beats, early)
    origin = np.where(early == Origin.NONE, Origin.CONDUCTED, early).astype(np.int8)
    pr_s = traits["pr_ms"].to_numpy()[:, None] / 1000
    before = np.diff(at, axis=1, prepend=at[:, :1] - mean_s[:, None])
    p_s = np.where(_has_p(traits, chance)[:, None] & (origin != Origin.PVC), at - pr_s, np.nan)
    p_s = np.concatenate([p_s, _blocked(traits, chance, at, mean_s, pr_s, duration_s)], axis=1)
    gone = (at > duration_s + _AFTER_S) | (at < -_BEFORE_S)
    return Rhythm(at, np.where(gone, Origin.NONE, origin).astype(np.int8), before, p_s)


def _has_p(traits: pd.DataFrame, chance: Chance) -> Bools:
    """No P before the complex in fibrillation, flutter and complete block, nor before half of the paced beats."""
    without = traits["af"] | traits["flutter"] | (traits["av_block"] == "complete")
    ventricular = traits["paced"].to_numpy(bool) & (chance.uniform("tracking") < 0.5)
    return np.asarray(~(without.to_numpy(bool) | ventricular))


def _early(traits: pd.DataFrame, chance: Chance, mean_s: Floats, beats: int, duration_s: float) -> NDArray[np.int8]:
    """Which beats are ectopic: at random, never two in a row, and at least one well inside the recording."""
    pvc, pac = traits["pvc"].to_numpy(bool), traits["pac"].to_numpy(bool)
    share = np.where(pvc, traits["pvc_rate"].to_numpy(), np.where(pac, 0.12, 0.0))[:, None]
    ectopic = chance.uniform("ectopic", beats) < share
    # beat k lies near k * mean - 1.5 s
    sure_s = duration_s * (0.25 + 0.5 * chance.uniform("sure ectopic")) + _BEFORE_S
    sure = np.clip((sure_s / mean_s).astype(int), 2, beats - 2)
    ectopic[np.arange(len(sure)), sure] |= pvc | pac
    ectopic[:, 0] = False
    for k in range(1, beats):
        ectopic[:, k] &= ~ectopic[:, k - 1]
    which_pvc = pvc[:, None] & (~pac[:, None] | (chance.uniform("ectopic kind", beats) < 0.5))
    return np.where(ectopic, np.where(which_pvc, Origin.PVC, Origin.PAC), Origin.NONE).astype(np.int8)


def _intervals(traits: pd.DataFrame, chance: Chance, mean_s: Floats, beats: int, early: NDArray[np.int8]) -> Floats:
    """QRS onsets: breathing and a little noise in sinus rhythm, none when paced, no order at all in fibrillation."""
    n = len(traits)
    af, flutter = traits["af"].to_numpy(bool), traits["flutter"].to_numpy(bool)
    fixed = (traits["paced"] | (traits["av_block"] == "complete")).to_numpy(bool)
    rsa, phase = traits["rsa"].to_numpy() * ~fixed, 2 * np.pi * chance.uniform("breath phase")
    noise = chance.normal("interval", beats)
    wild = np.exp((0.13 + 0.14 * chance.uniform("af spread"))[:, None] * noise)
    cycle_s, ratio = flutter_cycle(traits)
    extra = (chance.uniform("variable conduction", beats) < 0.4) & (chance.uniform("variable") < 0.4)[:, None]
    at = np.empty((n, beats))
    at[:, 0] = -_BEFORE_S + mean_s * chance.uniform("start")
    for k in range(1, beats):
        sinus = mean_s * (1 + rsa * np.sin(2 * np.pi * _BREATHS_HZ * at[:, k - 1] + phase) + 0.010 * noise[:, k])
        step = np.select(
            [af, flutter, fixed],
            [np.maximum(_SHORTEST_S, mean_s * wild[:, k]), cycle_s * (ratio + extra[:, k]), mean_s],
            sinus,
        )
        step = step * _prematurity(early[:, k - 1], early[:, k])
        at[:, k] = at[:, k - 1] + step
    return _dropped(traits, chance, at)


def _prematurity(previous: NDArray[np.int8], this: NDArray[np.int8]) -> Floats:
    """A ventricular ectopic beat leaves the sinus node alone, so the pause makes up; an atrial one resets it."""
    return np.select(
        [this == Origin.PVC, this == Origin.PAC, previous == Origin.PVC, previous == Origin.PAC],
        [_PVC_COUPLING, _PAC_COUPLING, 2 - _PVC_COUPLING, _PAC_PAUSE],
        1.0,
    )


def flutter_cycle(traits: pd.DataFrame) -> tuple[Floats, Floats]:
    """Seconds of one turn of the flutter wave, and how many turns the AV node takes to let one through."""
    mean_s = 60 / traits["heart_rate_bpm"].to_numpy(np.float64)
    cycle_s = np.clip(0.2 + 0.02 * person(traits).normal("flutter cycle"), 0.17, 0.26)
    ratio = np.clip(np.round(mean_s / cycle_s), 2, 6)
    return mean_s / ratio, ratio


def _group(traits: pd.DataFrame, chance: Chance) -> NDArray[np.int64]:
    """Of how many P waves the last is not conducted in a second-degree block."""
    return np.asarray(3 + (chance.uniform("mobitz group") * 3).astype(np.int64))


def _dropped(traits: pd.DataFrame, chance: Chance, at: Floats) -> Floats:
    """Second-degree block: after every few beats a pause of one more atrial interval."""
    mobitz = (traits["av_block"] == "mobitz").to_numpy(bool)[:, None]
    conducted = (_group(traits, chance) - 1)[:, None]
    mean_s = 60 / traits["heart_rate_bpm"].to_numpy(np.float64)[:, None]
    position = np.arange(at.shape[1])[None]
    # conducted beats come every atrial interval = mean * (g-1)/g, and a whole interval is lost after each group
    atrial_s = mean_s * conducted / (conducted + 1)
    grouped = at[:, :1] + atrial_s * (position + position // conducted)
    return np.where(mobitz, grouped, at)


def _blocked(
    traits: pd.DataFrame, chance: Chance, at: Floats, mean_s: Floats, pr_s: Floats, duration_s: float
) -> Floats:
    """P waves that no complex follows: the lost ones of second-degree block, all of complete block."""
    kind = traits["av_block"].to_numpy()
    conducted = _group(traits, chance)[:, None] - 1
    lost = (kind == "mobitz")[:, None] & (np.arange(at.shape[1])[None] % conducted == conducted - 1)
    atrial_s = (mean_s[:, None] * conducted) / (conducted + 1)
    dropped = np.where(lost, at - pr_s + atrial_s, np.nan)
    count = int(np.ceil((duration_s + 2) / 0.5))
    own_s = 60 / (72 + 10 * chance.uniform("atrial rate"))[:, None]
    free = -1 + own_s * (np.arange(count) + chance.uniform("atrial start")[:, None])
    return np.concatenate([dropped, np.where((kind == "complete")[:, None], free, np.nan)], axis=1)
