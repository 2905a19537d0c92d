"""Counterfactual pairs of the simulator: does a map of the change point at what was changed? SIMULATED.

A pair differs in one trait alone, so its truth is about the change, not about the person: a map of one ECG rightly
shows whatever else raises that person's risk. What is judged is therefore the difference of the two maps; the map of
the later ECG, which is what a reader sees, is reported beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import pandas as pd

from ecg.contract import Contract, MapKind
from ecg.errors import EcgError
from ecg.recording import TwelveLead
from model_training.explain import measures
from model_training.explain.subject import (
    Array,
    Bools,
    Model,
    Subject,
    Trip,
    energy,
    log_hazards,
    maps_of,
    on_tokens,
    spread,
    stacked,
    subject,
)
from model_training.simulate import counterfactual, people

# Judged by the pre-stated thresholds. The others are reported: a rhythm that changes moves every beat, so that its
# mask is nearly everything.
JUDGED: Final = ("lbbb", "st_depression", "strain", "inferior_mi", "anterior_mi", "qtc")
POINTED: Final = ("lbbb", "st_depression", "strain")
# Below this a localisation is undefined: the model did not react. In SD of the reference population's log-hazard.
REACTS_FROM_SD: Final = 0.1
# A mask that covers more than this leaves no room for three times chance: its core is judged instead.
WIDEST_MASK: Final = 1 / 3
DOSES: Final = (0.25, 0.5, 0.75, 1.0)
MASK: Final = "the mask itself"
_SEED: Final = 4101
_SOUND: Final = (
    "af", "flutter", "paced", "pre_excitation", "pvc", "pac", "lafb", "lpfb", "old_inferior_mi", "old_anterior_mi",
    "acute_inferior_mi", "acute_anterior_mi", "pericarditis", "hyperkalaemia", "low_voltage",
)  # fmt: skip

Maps = Callable[[Sequence[Subject]], Array]  # (n, 12, tokens), signed where the map has a sign


class Object(StrEnum):
    """Which map is held against the mask: the later ECG's minus the earlier one's, or the later one's alone."""

    DIFFERENCE = "difference"
    AFTER = "after"


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """`covered` (12, tokens): the share of each cell that the change covers. `moved_sd`: what it did to the risk."""

    change: str
    before: Subject
    after: Subject
    covered: Array
    usable: Bools
    moved_sd: float

    @property
    def reacts(self) -> bool:
        return abs(self.moved_sd) >= REACTS_FROM_SD


@dataclass(frozen=True, slots=True)
class Score:
    """Means over the pairs to which the model reacts. `gained` is mass over chance."""

    map_name: str
    object: Object
    change: str
    n: int
    mass: float
    chance: float
    gained: float
    ceiling: float
    pointing: float
    pointing_by_chance: float
    separation: float


def candidates(n: int, seed: int = _SEED) -> pd.DataFrame:
    """People in whom each change is news: narrow complexes, sinus rhythm, no old infarction."""
    drawn = people.draw(8 * n, seed)
    sound = (drawn["condition"] == "normal") & (drawn["av_block"] == "") & (drawn["strain"] < 0.3)
    for name in _SOUND:
        sound &= ~drawn[name].astype(bool)
    return drawn[sound].head(n).reset_index(drop=True)


def make(model: Model, change: str, n: int, seed: int = _SEED) -> list[Seen]:
    """The pairs that the gate lets through, up to `n`."""
    traits = candidates(n, seed)
    both = [drawn_pair(traits, i, change, seed, model.contract) for i in range(len(traits))]
    kept = [each for each in both if each is not None]
    if not kept:
        return []
    before = log_hazards(model, *stacked([one for one, _, _ in kept]))
    after = log_hazards(model, *stacked([two for _, two, _ in kept]))
    moved = (after - before) / spread(model.contract)
    return [
        Seen(change, one, two, covered, one.lead_mask & two.lead_mask, float(by))
        for (one, two, covered), by in zip(kept, moved, strict=True)
    ]


def drawn_pair(
    traits: pd.DataFrame, i: int, change: str, seed: int, trip: Trip
) -> tuple[Subject, Subject, Array] | None:
    """Before, after, and the share of each cell that the change covers; None where the gate refuses one of them."""
    pair = counterfactual.pair(traits, i, change, seed)
    try:
        one, two = (
            subject(f"{change}-{i}", TwelveLead(samples, pair.rate_hz), trip)
            for samples in (pair.before_mv, pair.after_mv)
        )
    except EcgError:
        return None
    mask = pair.mask
    if mask.mean() > WIDEST_MASK:
        mask = measures.core(np.asarray(pair.after_mv - pair.before_mv, dtype=np.float64))
    covered = on_tokens(mask, pair.rate_hz, two.place, trip.explanation)
    return (one, two, covered) if covered.max() > 0 else None


def score(name: str, drawn: Maps, seen: Sequence[Seen], object_: Object) -> Score | None:
    """One map's figures on the pairs of one change; None where the model reacts to none of them."""
    some = [each for each in seen if each.reacts]
    return _score(name, some, objects(drawn, some, object_), object_) if some else None


def score_of_mask(seen: Sequence[Seen]) -> Score | None:
    """What a map that is the mask itself would reach: the best that localises everything that changed, evenly."""
    some = [each for each in seen if each.reacts]
    return _score(MASK, some, np.stack([each.covered for each in some]), Object.DIFFERENCE) if some else None


def objects(drawn: Maps, seen: Sequence[Seen], object_: Object) -> Array:
    after = drawn([each.after for each in seen])
    return after if object_ is Object.AFTER else after - drawn([each.before for each in seen])


def _score(name: str, seen: Sequence[Seen], found: Array, object_: Object) -> Score:
    pairs = list(zip(found, seen, strict=True))
    mass = float(np.mean([measures.mass(one, each.covered) for one, each in pairs]))
    chance = float(np.mean([measures.chance(each.covered, each.usable) for each in seen]))
    return Score(
        map_name=name,
        object=object_,
        change=seen[0].change,
        n=len(seen),
        mass=mass,
        chance=chance,
        gained=mass / chance,
        ceiling=float(np.mean([measures.ceiling(each.covered, each.usable) for each in seen])),
        pointing=float(np.mean([measures.points_at(one, each.covered) for one, each in pairs])),
        pointing_by_chance=float(np.mean([measures.points_by_chance(each.covered, each.usable) for each in seen])),
        separation=float(np.nanmean([measures.separation(one, each.covered, each.usable) for one, each in pairs])),
    )


def mass_above_energy(drawn: Maps, seen: Sequence[Seen], contract: Contract) -> Array:
    """For each pair: the mass of the map's difference less that of the later ECG's energy map."""
    found = objects(drawn, seen, Object.DIFFERENCE)
    return np.array(
        [
            measures.mass(one, each.covered) - measures.mass(energy(each.after, contract), each.covered)
            for one, each in zip(found, seen, strict=True)
        ]
    )


def dose_response(model: Model, kind: MapKind, seen: Sequence[Seen]) -> tuple[float, float]:
    """Spearman of what the map gains on the mask with what the risk gains: within pairs over doses, and over pairs.

    A dose is a mixture of the two recordings. Attention has no sign, so its amount goes with the amount of the change.
    """
    some = [each for each in seen if each.reacts]
    if len(some) < 3:
        return float("nan"), float("nan")
    on_mask, moved = zip(*(_doses(model, kind, each) for each in some), strict=True)
    within = [measures.rank_correlation_signed(a, b) for a, b in zip(on_mask, moved, strict=True)]
    across = measures.rank_correlation_signed(np.array([a[-1] for a in on_mask]), np.array([b[-1] for b in moved]))
    return float(np.mean(within)), across


def _doses(model: Model, kind: MapKind, pair: Seen) -> tuple[Array, Array]:
    before, after = pair.before.tensor, pair.after.tensor
    mixed = [
        Subject(pair.after.name, (before + np.float32(dose) * (after - before)), pair.usable, pair.after.place,
                pair.after.beats)
        for dose in (0.0, *DOSES)
    ]  # fmt: skip
    drawn, hazards = maps_of(model, mixed, kind), log_hazards(model, *stacked(mixed))
    change, moved = drawn[1:] - drawn[:1], hazards[1:] - hazards[0]
    if kind is MapKind.ATTENTION:
        change, moved = np.abs(change), np.abs(moved)
    return (change * pair.covered).sum(axis=(1, 2)), moved
