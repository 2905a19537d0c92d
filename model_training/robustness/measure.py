"""The answer to each changed recording beside the answer to the sound one, and the gate's word on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg import beats as beat_room
from ecg import harmonise, preprocess, quality, risk
from ecg.contract import Contract
from ecg.errors import EcgError
from ecg.leads import LEADS
from ecg.quality import Verdict
from ecg.recording import Recording, TwelveLead, Unit, Waveform
from model_training.data import ptbxl
from model_training.explain import cohorts, measures
from model_training.explain.subject import Array, Bools, Model, Samples, log_hazards
from model_training.robustness.changes import CHANGES, SECONDS, Change, Person
from model_training.simulate import hazard, people, render
from model_training.survival.bootstrap import Estimate

SEED: Final = 911
LONGER_S: Final = 12.0
FEWEST: Final = 5  # answered, for a figure
FEWEST_FOR_C: Final = 20
_VERDICTS: Final = {Verdict.GOOD: 0.0, Verdict.LIMITED: 1.0, Verdict.REJECTED: 2.0}


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """Recordings that the gate calls good. `truth` is the true log-hazard where people are simulated."""

    name: str
    people: list[Person]
    truth: Array | None


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """`tensor` is None where nothing could be made of the recording. `doubt` orders recordings from clean to bad."""

    verdict: Verdict
    doubt: float
    tensor: Samples | None
    lead_mask: Bools


@dataclass(frozen=True, slots=True, eq=False)
class Effect:
    """One change in one cohort: `refused` and `flagged` are shares of all, the rest is of those that are answered.

    `silent`: the band is another one and the gate said nothing. `c` is concordance with the truth, SIMULATED.
    `moved_anyway`: the mean movement had the refused ones been answered too, where a tensor could be made of them.
    """

    change: str
    family: str
    cohort: str
    n: int
    refused: float
    flagged: float
    moved_percentile: Estimate | None
    moved_anyway: float | None
    worst_tenth: float | None
    crossed: float | None
    silent: float | None
    c: float | None
    c_intact: float | None
    doubts: Array  # of those whose answer is known, refused ones too
    moves: Array


def simulated(contract: Contract, n: int, seed: int = SEED) -> Cohort:
    traits = people.draw(3 * n, seed, prevalence=cohorts.ENRICHED)
    drawn = render.render(traits, seed, duration_s=LONGER_S)
    truth = hazard.shipped().log_hazard(hazard.facts(traits), visible=True)
    short = round(SECONDS * drawn.rate_hz)
    kept: list[tuple[int, Person]] = []
    for i in range(3 * n):
        ten = TwelveLead(drawn.signal_mv[i][:, :short], drawn.rate_hz)
        if len(kept) < n and judge(ten, contract).verdict is Verdict.GOOD:
            kept.append((i, Person(f"simulated-{i}", ten, drawn.twelve(i))))
    return Cohort("simulated (SIMULATED)", [each for _, each in kept], truth[[i for i, _ in kept]])


def real(folder: Path, contract: Contract, n: int) -> Cohort:
    """Of PTB-XL fold 9, in a fixed random order."""
    cohort, kept = ptbxl.load(folder), list[Person]()
    for i in np.random.default_rng(SEED).permutation(cohorts.positions(cohort, (cohorts.FOLD,))).tolist():
        twelve = cohorts.recording(cohort, i)
        if len(kept) < n and twelve is not None and judge(twelve, contract).verdict is Verdict.GOOD:
            kept.append(Person(str(cohort.table["ecg_id"][i]), twelve))
    return Cohort("PTB-XL fold 9", kept, None)


def judge(twelve: TwelveLead, contract: Contract) -> Judged:
    """As the service would, but that a refused recording goes on as far as it can: what would have been answered."""
    none = np.zeros(len(LEADS), dtype=bool)
    try:
        sent = Waveform(LEADS, twelve.samples_mv, twelve.sampling_rate_hz, Unit.MILLIVOLT)
        twelve = harmonise.to_twelve(Recording("changed", sent))
        beats = beat_room.find(twelve)
        report = quality.inspect(twelve, contract.quality, beats)
    except EcgError:
        return Judged(Verdict.REJECTED, _VERDICTS[Verdict.REJECTED] + 1, None, none)
    alike = float(np.mean([lead.sqi for lead in report.leads.values()]))
    try:
        tensor = preprocess.prepare(twelve, contract.preprocessing, beats)
    except EcgError:
        return Judged(Verdict.REJECTED, _VERDICTS[Verdict.REJECTED] + 1, None, report.lead_mask)
    return Judged(report.verdict, _VERDICTS[report.verdict] + 1 - alike, tensor, report.lead_mask)


def effects(model: Model, cohort: Cohort, changes: Sequence[Change] = CHANGES) -> list[Effect]:
    """Every change, on the same people."""
    intact = [judge(each.twelve, model.contract) for each in cohort.people]
    before = _answers(model, intact, np.ones(len(LEADS), dtype=bool))
    return [_effect(model, cohort, change, before) for change in changes]


@dataclass(frozen=True, slots=True, eq=False)
class _Answers:
    """NaN and '' where nothing could be answered."""

    log_hazard: Array
    percentile: Array
    band: NDArray[np.object_]


def _answers(model: Model, judged: Sequence[Judged], usable: Bools) -> _Answers:
    n, known = (
        len(judged),
        [i for i, each in enumerate(judged) if each.tensor is not None and (each.lead_mask & usable).any()],
    )
    found = _Answers(np.full(n, np.nan), np.full(n, np.nan), np.full(n, "", dtype=object))
    if not known:
        return found
    tensors = np.stack([each.tensor for i in known if (each := judged[i]).tensor is not None])
    masks = np.stack([judged[i].lead_mask & usable for i in known])
    for i, hazard_ in zip(known, log_hazards(model, tensors, masks), strict=True):
        answer = risk.estimate(model.contract.output, float(hazard_))
        found.log_hazard[i], found.percentile[i], found.band[i] = hazard_, answer.percentile, answer.band.value
    return found


def _effect(model: Model, cohort: Cohort, change: Change, before: _Answers) -> Effect:
    rng = np.random.default_rng([SEED, *change.name.encode()])
    judged = [judge(change.plant(each, rng), model.contract) for each in cohort.people]
    after = _answers(model, judged, change.lead_mask)
    verdicts = np.array([_VERDICTS[each.verdict] for each in judged])
    refused, flagged = verdicts == _VERDICTS[Verdict.REJECTED], verdicts == _VERDICTS[Verdict.LIMITED]
    known = ~np.isnan(after.percentile)
    answered = known & ~refused
    moves, crossed = np.abs(after.percentile - before.percentile), after.band != before.band
    rows = np.flatnonzero(answered)
    told = rows.size >= FEWEST
    return Effect(
        change=change.name, family=change.family, cohort=cohort.name, n=len(judged),
        refused=float(refused.mean()), flagged=float(flagged.mean()),
        moved_percentile=measures.mean_interval(moves[rows]) if told else None,
        moved_anyway=float(moves[known].mean()) if known.any() else None,
        worst_tenth=float(np.quantile(moves[rows], 0.9)) if told else None,
        crossed=float(crossed[rows].mean()) if told else None,
        silent=float((crossed & answered & ~flagged).sum() / answered.sum()) if told else None,
        c=_c(after.log_hazard, cohort.truth, rows), c_intact=_c(before.log_hazard, cohort.truth, rows),
        doubts=np.array([each.doubt for each in judged])[known], moves=moves[known],
    )  # fmt: skip


def _c(score: Array, truth: Array | None, rows: NDArray[np.int64]) -> float | None:
    return None if truth is None or rows.size < FEWEST_FOR_C else measures.concordance(score[rows], truth[rows])


def coverage_curve(found: Sequence[Effect], points: int = 20) -> tuple[Array, Array]:
    """Coverage, and the mean movement in percentiles of what is answered when the most doubtful go first.

    All changed recordings together but for masked leads, which the gate cannot see.
    """
    some = [each for each in found if each.family != "missing leads" and each.moves.size]
    doubts, moves = np.concatenate([each.doubts for each in some]), np.concatenate([each.moves for each in some])
    running = np.cumsum(moves[np.argsort(doubts, kind="stable")]) / np.arange(1, moves.size + 1)
    coverage = np.linspace(1 / points, 1, points)
    return coverage, running[np.ceil(coverage * moves.size).astype(int) - 1]
