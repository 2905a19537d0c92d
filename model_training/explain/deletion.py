"""Deletion and insertion: cells are exchanged for a typical beat's, laid under the person's own R peaks.

The fill stays in the distribution: a typical beat is an ECG that the model knows, whereas zeros or noise are none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ecg import beats as beat_room
from ecg.beats import AFTER_MS, BEFORE_MS, Beats
from ecg.contract import Contract
from model_training.explain import measures
from model_training.explain.subject import (
    Array,
    Bools,
    Model,
    Samples,
    Subject,
    energy,
    log_hazards,
    spread,
    token_of_sample,
    with_beats,
)
from model_training.survival.bootstrap import Estimate, Rows

FRACTIONS: Final = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5)
REMOVED: Final = 0.1  # of all cells, where the loss of discrimination is told
_BLEND_S: Final = 0.04
_NEXT_BEAT_FROM: Final = 0.6  # of the interval: after T, before P

Orders = Callable[[Sequence[Subject]], Array]  # (n, 12, tokens): the higher, the earlier a cell goes


@dataclass(frozen=True, slots=True)
class Curve:
    """`deleted` and `inserted`: mean distance from the intact answer, in SD, at each share of cells.

    `over_random`: how much farther deletion by this order moves the answer than a random order does. `nearer`: how
    much nearer insertion brings it. Both with intervals over people, and both good when positive.
    """

    name: str
    deleted: tuple[float, ...]
    inserted: tuple[float, ...]
    over_random: Estimate
    nearer: Estimate
    over_energy: Estimate


def typical_beat(beats: Sequence[Beats]) -> Samples:
    """(12, 600): the population's median beat, R at sample 240."""
    return np.median(np.stack([each.median_mv for each in beats if each.median_mv is not None]), axis=0).astype(
        np.float32
    )


def typical_twin(of: Subject, typical_mv: Samples, contract: Contract) -> Samples:
    """The tensor of the typical beat under this person's rhythm."""
    return with_beats(of, _laid(of.beats, typical_mv), typical_mv, contract)


def _laid(beats: Beats, typical_mv: Samples) -> Samples:
    """Each beat holds from shortly before its P wave to the next; neighbours are blended over 40 ms."""
    rate, n = beat_room.RATE_HZ, beats.signal_mv.shape[1]
    before, after = round(BEFORE_MS * rate / 1000), round(AFTER_MS * rate / 1000)
    out, total = np.zeros((12, n), dtype=np.float64), np.full(n, 1e-6)
    at = np.arange(n, dtype=np.float64)
    for begin, r, end in _owned(beats.r_samples, n):
        ramp = _BLEND_S * rate
        weight = np.clip((at - begin) / ramp + 0.5, 0, 1) * np.clip((end - at) / ramp + 0.5, 0, 1)
        place = np.clip(at - r + before, 0, before + after - 1).astype(np.int64)
        out += weight * typical_mv[:, place]
        total += weight
    return np.asarray(out / total, dtype=np.float32)


def _owned(r_samples: np.ndarray, n: int) -> list[tuple[float, float, float]]:
    bounds = r_samples[:-1] + _NEXT_BEAT_FROM * np.diff(r_samples)
    begins, ends = np.concatenate([[-n], bounds]), np.concatenate([bounds, [2 * n]])
    return list(zip(begins.tolist(), r_samples.astype(float).tolist(), ends.tolist(), strict=True))


def curves(model: Model, subjects: Sequence[Subject], typical_mv: Samples, orders: dict[str, Orders]) -> list[Curve]:
    """Every order, with random and energy beside it, on the same people and the same fill."""
    contract = model.contract
    twins = np.stack([typical_twin(each, typical_mv, contract) for each in subjects])
    chance = np.random.default_rng(0)
    shape = (len(subjects), 12, contract.explanation.tokens)
    known: dict[str, Array] = {
        "random": chance.random(shape),
        "energy": np.stack([energy(each, contract) for each in subjects]),
        **{name: np.abs(order(subjects)) for name, order in orders.items()},
    }
    away = {name: _distances(model, subjects, twins, order) for name, order in known.items()}
    return [_curve(name, away) for name in known]


def _curve(name: str, away: dict[str, tuple[Array, Array]]) -> Curve:
    deleted, inserted = away[name]
    blind_deleted, blind_inserted = away["random"]
    return Curve(
        name=name,
        deleted=tuple(deleted.mean(axis=0).tolist()),
        inserted=tuple(inserted.mean(axis=0).tolist()),
        over_random=measures.mean_interval((deleted - blind_deleted).mean(axis=1)),
        nearer=measures.mean_interval((blind_inserted - inserted).mean(axis=1)),
        over_energy=measures.mean_interval((deleted - away["energy"][0]).mean(axis=1)),
    )


def _distances(model: Model, subjects: Sequence[Subject], twins: Samples, order: Array) -> tuple[Array, Array]:
    """(n, fractions) each: how far from the intact answer after deletion, and after insertion."""
    masks, unit = np.stack([each.lead_mask for each in subjects]), spread(model.contract)
    own = np.stack([each.tensor for each in subjects])
    intact = log_hazards(model, own, masks)
    deleted, inserted = [], []
    for share in FRACTIONS:
        chosen = chosen_samples(order, masks, share, model.contract)
        deleted.append(np.abs(log_hazards(model, np.where(chosen, twins, own), masks) - intact) / unit)
        inserted.append(np.abs(log_hazards(model, np.where(chosen, own, twins), masks) - intact) / unit)
    return np.stack(deleted, axis=1), np.stack(inserted, axis=1)


def chosen_samples(order: Array, lead_masks: Bools, share: float, contract: Contract) -> Bools:
    """(n, 12, samples): the highest cells of each map, `share` of those on usable leads."""
    chosen = np.zeros(order.shape, dtype=bool)
    for each, (map_, usable) in enumerate(zip(order, lead_masks, strict=True)):
        height = np.where(usable[:, None], map_, -np.inf).ravel()
        count = max(1, round(share * usable.sum() * map_.shape[1]))
        chosen[each].ravel()[np.argsort(-height, kind="stable")[:count]] = True
    return chosen[:, :, token_of_sample(contract)]


def polarity(model: Model, subjects: Sequence[Subject], typical_mv: Samples, signed: Orders) -> float:
    """How often taking out the highest tenth of raising cells lowers the risk, and of lowering cells raises it."""
    masks = np.stack([each.lead_mask for each in subjects])
    own = np.stack([each.tensor for each in subjects])
    twins = np.stack([typical_twin(each, typical_mv, model.contract) for each in subjects])
    intact, drawn = log_hazards(model, own, masks), signed(subjects)
    right = []
    for sign in (1, -1):
        chosen = chosen_samples(sign * drawn, masks, REMOVED, model.contract)
        moved = log_hazards(model, np.where(chosen, twins, own), masks) - intact
        right.append(sign * moved < 0)
    return float(np.mean(right))


def loss_of_concordance(
    model: Model, subjects: Sequence[Subject], truth: Array, typical_mv: Samples, order: Orders
) -> tuple[Estimate, Estimate]:
    """C against the true log-hazard lost when the top tenth is exchanged in everybody; and lost beyond random cells."""
    masks = np.stack([each.lead_mask for each in subjects])
    own = np.stack([each.tensor for each in subjects])
    twins = np.stack([typical_twin(each, typical_mv, model.contract) for each in subjects])

    def answers(height: Array) -> Array:
        chosen = chosen_samples(height, masks, REMOVED, model.contract)
        return log_hazards(model, np.where(chosen, twins, own), masks)

    intact, top = log_hazards(model, own, masks), answers(np.abs(order(subjects)))
    blind = answers(np.random.default_rng(1).random((len(subjects), 12, model.contract.explanation.tokens)))
    who = np.arange(len(subjects))

    def c(score: Array, rows: Rows) -> float:
        return measures.concordance(score[rows], truth[rows])

    return (
        measures.of_people(lambda rows: c(intact, rows) - c(top, rows), who),
        measures.of_people(lambda rows: c(blind, rows) - c(top, rows), who),
    )
