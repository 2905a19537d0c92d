"""The whole battery on one artefact: every figure that the report and the verdict are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np

from ecg.contract import MapKind
from model_training.data.cohort import Cohort
from model_training.explain import cohorts, deletion, measures, pairs, rivals, sanity, shapley, textbook
from model_training.explain.cohorts import Simulated
from model_training.explain.deletion import Curve
from model_training.explain.pairs import Object, Score, Seen
from model_training.explain.sanity import Exchanged
from model_training.explain.shapley import LeadShapley
from model_training.explain.subject import Array, Model, Samples, Subject, maps_of
from model_training.explain.textbook import Agreement
from model_training.nets.risk_model import RiskModel
from model_training.simulate.counterfactual import CHANGES
from model_training.survival.bootstrap import Estimate

KINDS: Final = tuple(MapKind)
SIMULATED_SEED: Final = 611
Tell = Callable[[str], None]
Maps = Callable[[Sequence[Subject]], Array]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many people each test takes."""

    pairs: int = 24
    gradients: int = 12
    occluded: int = 4
    deleted: int = 60
    population: int = 240
    typical: int = 120
    shapley: int = 20
    sanity: int = 32
    textbook: int = 60


@dataclass(slots=True)
class OfKind:
    """What one kind of map reached. Missing where it could not be tested, or need not be."""

    above_energy: Estimate | None = None
    doses: dict[str, tuple[float, float]] = field(default_factory=dict)
    polarity: float | None = None
    loss_of_c: Estimate | None = None
    loss_over_random: Estimate | None = None
    cascade: dict[str, float] = field(default_factory=dict)
    stability: dict[str, float] = field(default_factory=dict)
    locality: dict[str, float] = field(default_factory=dict)
    textbook: list[Agreement] = field(default_factory=list)


@dataclass(slots=True)
class Findings:
    """`reacting`: of how many pairs of each change, and in how many of them, the model's risk moved.

    `rivals`: maps that are not served but could be, held to the same tests where the weights are at hand.
    """

    model: str
    sha256: str
    sizes: Sizes
    scores: list[Score] = field(default_factory=list)
    reacting: dict[str, tuple[int, int, float]] = field(default_factory=dict)
    kinds: dict[MapKind, OfKind] = field(default_factory=lambda: {kind: OfKind() for kind in KINDS})
    rivals: dict[str, OfKind] = field(default_factory=dict)
    curves: dict[str, list[Curve]] = field(default_factory=dict)
    exchanged: dict[str, Exchanged] = field(default_factory=dict)
    shapley: LeadShapley | None = None
    weights_differ: float | None = None

    def of(self, name: str, object_: Object, change: str) -> Score | None:
        return next((s for s in self.scores if (s.map_name, s.object, s.change) == (name, object_, change)), None)


def examine(
    model: Model, name: str, sha256: str, sizes: Sizes, *, weights: RiskModel | None = None,
    real: Cohort | None = None, tell: Tell = lambda _: None,
) -> Findings:  # fmt: skip
    """Everything that can be tested with what is at hand."""
    found = Findings(name, sha256, sizes)
    people = cohorts.simulated(model.contract, sizes.population, SIMULATED_SEED)
    typical = deletion.typical_beat(cohorts.beats_of(people.subjects[: sizes.typical]))
    tell("counterfactual pairs")
    _pairs(found, model, typical, weights)
    tell("deletion and insertion")
    _deletion(found, model, people, typical, weights)
    tell("sanity")
    _sanity(found, model, people, typical, weights)
    if real is not None:
        tell("real recordings")
        _real(found, model, real, weights)
    return found


def kind_maps(model: Model) -> dict[MapKind, Maps]:
    return {kind: partial(_maps, model, kind) for kind in KINDS}


def _maps(model: Model, kind: MapKind, subjects: Sequence[Subject]) -> Array:
    return maps_of(model, subjects, kind)


def _pairs(found: Findings, model: Model, typical: Samples, weights: RiskModel | None) -> None:
    seen = {change: pairs.make(model, change, found.sizes.pairs) for change in CHANGES}
    found.reacting = {
        change: (len(each), sum(one.reacts for one in each), float(np.mean([one.moved_sd for one in each])))
        for change, each in seen.items() if each
    }  # fmt: skip
    own: dict[str, Maps] = {kind.value: maps for kind, maps in kind_maps(model).items()}
    own |= {"energy": rivals.energy_map(model.contract), "random": rivals.random_map(model.contract)}
    for change, some in seen.items():
        _scored(found, own, some)
        if change in pairs.JUDGED:
            if whole := pairs.score_of_mask(some):
                found.scores.append(whole)
            others = rivals.of_weights(weights, model.contract, typical) if weights is not None else {}
            _scored(found, others, some[: found.sizes.gradients])
            _scored(found, {"occlusion": rivals.Occlusion(model, typical)}, some[: found.sizes.occluded])
    judged = [one for change in pairs.JUDGED for one in seen[change] if one.reacts]
    for kind, maps in kind_maps(model).items():
        of = found.kinds[kind]
        of.doses = {change: pairs.dose_response(model, kind, some) for change, some in seen.items()}
        of.above_energy = _above_energy(maps, judged, model)
    some = [one for change in pairs.JUDGED for one in seen[change][: found.sizes.gradients] if one.reacts]
    for name, maps in _differentiable(model, typical, weights).items():
        found.rivals[name] = OfKind(above_energy=_above_energy(maps, some, model))


def _differentiable(model: Model, typical: Samples, weights: RiskModel | None) -> dict[str, Maps]:
    return {} if weights is None else rivals.differentiable(weights, model.contract, typical)


def _above_energy(maps: Maps, seen: Sequence[Seen], model: Model) -> Estimate | None:
    if not seen:
        return None
    who = np.array([one.after.name.rsplit("-", 1)[1] for one in seen])
    return measures.mean_interval(pairs.mass_above_energy(maps, seen, model.contract), people=who)


def _scored(found: Findings, maps: dict[str, Maps], seen: Sequence[Seen]) -> None:
    for name, each in maps.items():
        for object_ in Object:
            if score := pairs.score(name, each, seen, object_):
                found.scores.append(score)


def _deletion(found: Findings, model: Model, people: Simulated, typical: Samples, weights: RiskModel | None) -> None:
    some, orders = people.subjects[: found.sizes.deleted], kind_maps(model)
    found.curves["simulated people (SIMULATED)"] = _curves(model, some, typical, weights)
    for kind, order in orders.items():
        of = found.kinds[kind]
        if kind is MapKind.RISK:
            of.polarity = deletion.polarity(model, some, typical, order)
        of.loss_of_c, of.loss_over_random = deletion.loss_of_concordance(
            model, people.subjects, people.truth, typical, order
        )


def _curves(model: Model, some: Sequence[Subject], typical: Samples, weights: RiskModel | None) -> list[Curve]:
    own: dict[str, Maps] = {kind.value: order for kind, order in kind_maps(model).items()}
    return deletion.curves(model, some, typical, own | _differentiable(model, typical, weights))


def _sanity(found: Findings, model: Model, people: Simulated, typical: Samples, weights: RiskModel | None) -> None:
    some = people.subjects[: found.sizes.sanity]
    found.shapley = shapley.lead_shapley(model, some[: found.sizes.shapley], KINDS)
    for kind in KINDS:
        found.kinds[kind].stability = sanity.stability(model, some, kind)
        found.kinds[kind].locality = sanity.locality(model, some, typical, kind)
        if weights is not None:
            found.kinds[kind].cascade = sanity.cascade(weights, model.contract, some, kind)
    if weights is not None:
        for name, of in found.rivals.items():
            made = partial(_rival, name, model, typical)
            of.cascade = {sanity.CASCADE[-1]: sanity.left_of(made, weights, some)}
        found.weights_differ = sanity.infers_alike(model, weights, some)
        found.exchanged = sanity.exchanged_attention(weights, model.contract, people.subjects, people.truth)


def _rival(name: str, model: Model, typical: Samples, weights: RiskModel) -> Maps:
    return rivals.differentiable(weights, model.contract, typical)[name]


def _real(found: Findings, model: Model, cohort: Cohort, weights: RiskModel | None) -> None:
    contract, sizes = model.contract, found.sizes
    teaching = cohorts.real(cohort, cohorts.positions(cohort, cohorts.TEACHING_FOLDS), contract, sizes.typical)
    typical = deletion.typical_beat(cohorts.beats_of(teaching))
    fold = (cohorts.FOLD,)
    everyone = cohorts.real(cohort, cohorts.positions(cohort, fold), contract, sizes.deleted)
    orders = kind_maps(model)
    found.curves["PTB-XL fold 9"] = _curves(model, everyone, typical, weights)
    normals = cohorts.real(cohort, cohorts.positions(cohort, fold, [textbook.NORMAL]), contract, sizes.textbook)
    for statement in textbook.statements():
        cases = cohorts.real(cohort, cohorts.positions(cohort, fold, statement.codes), contract, sizes.textbook)
        for kind, maps in orders.items():
            if agreed := textbook.agreement(maps, cases, normals, statement, contract):
                found.kinds[kind].textbook.append(agreed)


def plain(found: Findings) -> dict[str, Any]:
    """For JSON."""
    told = asdict(found)
    told["kinds"] = {kind.value: each for kind, each in told["kinds"].items()}
    return told
