"""What each lead is worth to the answer, by all coalitions of leads that the network can be given."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecg.contract import MapKind
from ecg.leads import INDEPENDENT, INDEX, LEADS, LIMB, PRECORDIAL
from model_training.explain import measures
from model_training.explain.subject import Array, Bools, Model, Subject, log_hazards, maps_of, spread


@dataclass(frozen=True, slots=True)
class LeadShapley:
    """`by_lead`: mean absolute Shapley value of each independent lead, in SD. `agreement`: rank correlation with the
    lead weights, the six limb leads as one."""

    by_lead: dict[str, float]
    agreement: dict[str, float]


def lead_shapley(model: Model, subjects: Sequence[Subject], kinds: Sequence[MapKind]) -> LeadShapley:
    """Exact, over all 256 coalitions of the eight independent leads; III and aV* are there when both I and II are.

    Nobody at all is worth the mean answer. I and II carry the limb plane, whose four other leads are linear in them.
    """
    values = np.stack([values_of(model, each) for each in subjects]) / spread(model.contract)
    planes = np.concatenate([np.abs(values[:, :2].sum(axis=1, keepdims=True)), np.abs(values[:, 2:])], axis=1)
    agreement = {}
    for kind in kinds:
        weights = _plane_weights(np.abs(maps_of(model, subjects, kind)).sum(axis=2))
        agreement[kind.value] = float(
            np.mean([measures.rank_correlation_signed(a, b) for a, b in zip(planes, weights, strict=True)])
        )
    return LeadShapley(dict(zip(INDEPENDENT, np.abs(values).mean(axis=0).tolist(), strict=True)), agreement)


def _plane_weights(by_lead: Array) -> Array:
    limb = by_lead[:, [INDEX[name] for name in LIMB]].sum(axis=1, keepdims=True)
    return np.concatenate([limb, by_lead[:, [INDEX[name] for name in PRECORDIAL]]], axis=1)


def values_of(model: Model, of: Subject) -> Array:
    players = len(INDEPENDENT)
    coalitions = [each for size in range(1, players + 1) for each in itertools.combinations(range(players), size)]
    masks = np.stack([_present(each) & of.lead_mask for each in coalitions])
    heard = masks.any(axis=1)
    nobody = model.contract.output.calibration.center
    answers = np.full(len(coalitions), nobody)
    answers[heard] = log_hazards(model, np.repeat(of.tensor[None], int(heard.sum()), axis=0), masks[heard])
    worth = {frozenset(each): value for each, value in zip(coalitions, answers.tolist(), strict=True)}
    worth[frozenset()] = nobody
    return np.array([_share(worth, player, players) for player in range(players)])


def _present(coalition: tuple[int, ...]) -> Bools:
    names = {INDEPENDENT[player] for player in coalition}
    limb = {"I", "II"} <= names
    return np.array([name in names or (limb and name in LIMB) for name in LEADS])


def _share(worth: dict[frozenset[int], float], player: int, players: int) -> float:
    """phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! * (v(S + i) - v(S))."""
    total = 0.0
    for without, value in worth.items():
        if player not in without:
            size = len(without)
            weight = math.factorial(size) * math.factorial(players - size - 1) / math.factorial(players)
            total += weight * (worth[without | {player}] - value)
    return total
