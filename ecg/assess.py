"""The whole trip of one ECG, readable top to bottom."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np

from ecg import beats as beat_room
from ecg import explain as explanations
from ecg import formats, harmonise, preprocess, quality, risk
from ecg.beats import Beats, Filtered
from ecg.contract import Contract, IntendedUse, MapKind, OutOfDistribution
from ecg.errors import EcgError, InferenceFailed, OutsidePopulation
from ecg.explain import Attention
from ecg.measure import Measurements
from ecg.predictor import EVERY_LEAD, Inference, Predictor
from ecg.quality import QualityReport
from ecg.recording import Recording, TwelveLead
from ecg.risk import Risk


class Stage(NamedTuple):
    """By time.perf_counter."""

    name: str
    began_s: float
    ended_s: float


@dataclass(slots=True)
class Stopwatch:
    """When each stage of the trip began and ended; where two threads share the trip, stages lie side by side."""

    stages: list[Stage] = field(default_factory=list)

    @property
    def seconds(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, began_s, ended_s in self.stages:
            found[name] = found.get(name, 0.0) + ended_s - began_s
        return found

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.require_wanted(name)
        began_s = time.perf_counter()
        try:
            yield
        finally:
            self.stages.append(Stage(name, began_s, time.perf_counter()))

    def require_wanted(self, name: str) -> None:
        """Raises where nobody waits for the stage of that name any more; alone, somebody always does."""


@dataclass(frozen=True, slots=True, eq=False)
class Assessment:
    """Everything that an answer is made of. `attention` is None when no explanation was asked for or none exists."""

    recording_format: str
    twelve: TwelveLead
    beats: Beats
    quality: QualityReport
    measurements: Measurements
    risk: Risk
    attention: Attention | None
    warnings: tuple[str, ...]


def assess_bytes(
    data: bytes, predictor: Predictor, *, filename: str = "", explain: bool = True, stopwatch: Stopwatch | None = None
) -> Assessment:
    """From a file's bytes."""
    stopwatch = stopwatch or Stopwatch()
    with stopwatch.stage("read"):
        recording = formats.read(data, filename)
    return assess(recording, predictor, explain=explain, stopwatch=stopwatch)


def assess(
    recording: Recording,
    predictor: Predictor,
    *,
    explain: bool = True,
    kind: MapKind | None = None,
    stopwatch: Stopwatch | None = None,
    aside: Executor | None = None,
) -> Assessment:
    """From a recording to its risk and the reasons for it; an EcgError where it may not be judged.

    A thread `aside` that has nothing else to do shares the work; the answer is the same.
    """
    watch = stopwatch or Stopwatch()
    if aside and not preprocess.needs_beats(predictor.contract.preprocessing):
        ready, inference = _side_by_side(recording, predictor, explain, watch, aside)
    else:
        ready = make_ready(recording, predictor.contract, watch)
        inference = infer(ready, predictor, explain, watch)
    return judge(ready, inference, predictor.contract, kind, watch)


@dataclass(frozen=True, slots=True, eq=False)
class Inspected:
    """What the recording itself tells, without the network; one that is here may be judged."""

    beats: Beats
    quality: QualityReport
    measurements: Measurements


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """A recording that may be judged: all that the network and the answer need of it."""

    recording: Recording
    twelve: TwelveLead
    inspected: Inspected
    prepared: preprocess.Prepared


def make_ready(recording: Recording, contract: Contract, stopwatch: Stopwatch | None = None) -> Ready:
    """The first part of the trip, up to the network's door."""
    watch = stopwatch or Stopwatch()
    twelve, filtered = _filtered(recording, contract, watch)
    inspected = _inspected(twelve, filtered, contract, watch)
    with watch.stage("prepare"):
        prepared = preprocess.prepared(twelve, contract.preprocessing, inspected.beats)
    return Ready(recording, twelve, inspected, prepared)


def infer(ready: Ready, predictor: Predictor, explain: bool = True, stopwatch: Stopwatch | None = None) -> Inference:
    """The second part: the network."""
    with (stopwatch or Stopwatch()).stage("infer"):
        return predictor.infer(ready.prepared.samples_mv, ready.inspected.quality.lead_mask, maps=explain)


def _side_by_side(
    recording: Recording, predictor: Predictor, explain: bool, watch: Stopwatch, aside: Executor
) -> tuple[Ready, Inference]:
    """Both parts at once: the network is asked as if every lead could be used, and again where not every one can."""
    contract = predictor.contract
    twelve, filtered = _filtered(recording, contract, watch)
    inspect = partial(_inspected, twelve, filtered, contract, watch)
    try:
        with watch.stage("prepare"):
            prepared = preprocess.prepared(twelve, contract.preprocessing, filtered)
    except EcgError:
        inspect()  # what it refuses is told first, as if one had come after the other
        raise
    inspecting = aside.submit(inspect)  # not sooner: only the network lets go of the interpreter
    inference = None
    with watch.stage("infer"), suppress(InferenceFailed):  # it may be a lead that must not be used
        inference = predictor.infer(prepared.samples_mv, EVERY_LEAD, maps=explain)
    ready = Ready(recording, twelve, inspecting.result(), prepared)
    if inference is None or not ready.inspected.quality.lead_mask.all():
        inference = infer(ready, predictor, explain, watch)
    return ready, inference


def _filtered(recording: Recording, contract: Contract, watch: Stopwatch) -> tuple[TwelveLead, Filtered]:
    require_population(recording, contract)
    with watch.stage("harmonise"):
        twelve = harmonise.to_twelve(recording)
    with watch.stage("beats"):
        return twelve, beat_room.filtered(twelve)


def _inspected(twelve: TwelveLead, filtered: Filtered, contract: Contract, watch: Stopwatch) -> Inspected:
    with watch.stage("beats"):
        beats = beat_room.find_in(filtered)
    with watch.stage("quality"):
        report = quality.inspect(twelve, contract.quality, beats)
        report.require()
    with watch.stage("measure"):
        return Inspected(beats, report, beat_room.measure(beats))


def judge(
    ready: Ready,
    inference: Inference,
    contract: Contract,
    kind: MapKind | None = None,
    stopwatch: Stopwatch | None = None,
) -> Assessment:
    """The last part: what the network said, in the contract's words, beside what can be measured."""
    watch, report = stopwatch or Stopwatch(), ready.inspected.quality
    estimated = risk.estimate(contract.output, inference.log_hazard)
    attention = None
    if inference.maps is not None:
        with watch.stage("explain"):
            attention = explanations.maps(contract, inference.maps, report.lead_mask, ready.prepared, kind)
    return Assessment(
        recording_format=ready.recording.format,
        twelve=ready.twelve,
        beats=ready.inspected.beats,
        quality=report,
        measurements=ready.inspected.measurements,
        risk=estimated,
        attention=attention,
        warnings=tuple(_warnings(contract, ready.recording, ready.twelve, report, inference)),
    )


def require_population(recording: Recording, contract: Contract) -> None:
    """What the file itself says of the person must not rule the model out."""
    youngest = contract.model.minimum_age_years
    if recording.age_years is not None and recording.age_years < youngest:
        raise OutsidePopulation(f"the model is for people of {youngest:g} years and more")
    if recording.paced and contract.quality.refuse_paced:
        raise OutsidePopulation("the file says that the heart is paced, and the model is not for paced hearts")


def distance(known: OutOfDistribution, inference: Inference) -> float:
    """How far the embedding lies from the training population, in standard deviations over its main axes."""
    mean, axes, scales = known.arrays
    scores = axes @ (inference.embedding - mean)
    return float(np.sqrt(np.mean((scores / scales) ** 2)))


def _warnings(
    contract: Contract, recording: Recording, twelve: TwelveLead, report: QualityReport, inference: Inference
) -> Iterator[str]:
    model = contract.model
    if model.intended_use is not IntendedUse.CLINICAL:
        yield f"This is a {model.intended_use.value} model, not for clinical decisions."
    if model.simulated_outcomes:
        yield "The model was trained on SIMULATED outcomes; its risks are not those of real people."
    if recording.age_years is None and model.minimum_age_years > 0:
        yield f"The file tells no age; the model is for people of {model.minimum_age_years:g} years and more."
    masked = [name for name, lead in report.leads.items() if lead.issues]
    if masked:
        yield f"Left out for poor quality: {', '.join(masked)}."
    if twelve.derived:
        yield f"Derived from other leads: {', '.join(twelve.derived)}."
    yield from (f"{note[0].upper()}{note[1:]}." for note in twelve.notes)
    known = contract.out_of_distribution
    if known is not None and distance(known, inference) > known.limit:
        yield "This ECG lies outside the range that the model was trained on."
