"""One ECG as the service sees it, what a map of it is, and how moments of a recording fall on a map's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ecg import beats as beat_room
from ecg import preprocess, quality
from ecg.beats import Beats
from ecg.contract import Contract, ExplanationFacts, MapKind, QualityLimits, Step
from ecg.predictor import Inference, RawMaps
from ecg.preprocess import Prepared
from ecg.recording import TwelveLead

Array = NDArray[np.float64]
Samples = NDArray[np.float32]
Bools = NDArray[np.bool_]

AT_ONCE: Final = 64
_PER_TOKEN_MS: Final = 2.0  # how finely a moment is looked up inside a token


class Model(Protocol):
    """What is tested: the served artefact, or in tests something whose truth is known."""

    @property
    def contract(self) -> Contract: ...

    def infer_batch(self, tensors: Samples, lead_masks: Bools, *, maps: bool = True) -> list[Inference]: ...


class Trip(Protocol):
    """What a recording meets before the graph, and the grid of its map; every contract states it."""

    @property
    def preprocessing(self) -> tuple[Step, ...]: ...

    @property
    def quality(self) -> QualityLimits: ...

    @property
    def explanation(self) -> ExplanationFacts: ...


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A recording on its way to the graph: tensor (12, samples), usable leads, place in time, beats."""

    name: str
    tensor: Samples
    lead_mask: Bools
    place: Prepared
    beats: Beats


def subject(name: str, twelve: TwelveLead, trip: Trip) -> Subject:
    """By the same trip as a served recording; an EcgError where it may not be judged."""
    beats = beat_room.find(twelve)
    report = quality.inspect(twelve, trip.quality, beats)
    report.require()
    place = preprocess.prepared(twelve, trip.preprocessing, beats)
    tensor = np.array(place.samples_mv, dtype=np.float32, order="C")
    return Subject(name, tensor, report.lead_mask, place, beats)


def with_beats(of: Subject, signal_mv: Samples, median_mv: Samples | None, contract: Contract) -> Samples:
    """The tensor of another signal under this person's beats."""
    beats = replace(of.beats, signal_mv=signal_mv.copy(), median_mv=None if median_mv is None else median_mv.copy())
    twelve = TwelveLead(signal_mv, of.beats.sampling_rate_hz)
    return preprocess.prepare(twelve, contract.preprocessing, beats)


def infer(model: Model, tensors: Samples, lead_masks: Bools, *, maps: bool = False) -> list[Inference]:
    """In batches that stay small."""
    found: list[Inference] = []
    for start in range(0, len(tensors), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        found += model.infer_batch(np.ascontiguousarray(tensors[some]), lead_masks[some], maps=maps)
    return found


def log_hazards(model: Model, tensors: Samples, lead_masks: Bools) -> Array:
    return np.array([each.log_hazard for each in infer(model, tensors, lead_masks)])


def stacked(subjects: Sequence[Subject]) -> tuple[Samples, Bools]:
    return np.stack([each.tensor for each in subjects]), np.stack([each.lead_mask for each in subjects])


def signed(raw: RawMaps, kind: MapKind, lead_mask: Bools) -> Array:
    """(12, tokens) as the service draws it, but for the sign that it drops and the scale: masked leads are silent."""
    drawn = raw.temporal_relevance if kind is MapKind.RISK else raw.temporal_attention * raw.lead_attention[:, None]
    return np.asarray(drawn, dtype=np.float64) * lead_mask[:, None]


def maps_of(model: Model, subjects: Sequence[Subject], kind: MapKind) -> Array:
    """(n, 12, tokens)."""
    found = infer(model, *stacked(subjects), maps=True)
    return np.stack([_signed(each, kind, one.lead_mask) for each, one in zip(found, subjects, strict=True)])


def _signed(inference: Inference, kind: MapKind, lead_mask: Bools) -> Array:
    if inference.maps is None:
        raise ValueError("this network has no maps: there is nothing to test")
    return signed(inference.maps, kind, lead_mask)


def spread(contract: Contract) -> float:
    """One SD of the reference population, in raw log-hazard."""
    reference = contract.output.reference_log_hazard_percentiles
    return max((reference[84] - reference[16]) / 2 / contract.output.calibration.slope, 1e-9)


def token_of_sample(contract: Contract) -> NDArray[np.int64]:
    """The token that each sample of the tensor belongs to."""
    facts, shape = contract.explanation, contract.input
    at_ms = np.arange(shape.samples) * 1000 / shape.sampling_rate_hz
    token = np.floor((at_ms - facts.token_start_ms) / facts.token_step_ms).astype(np.int64)
    return np.clip(token, 0, facts.tokens - 1)


def on_tokens(field: NDArray[Any], rate_hz: float, place: Prepared, facts: ExplanationFacts) -> Array:
    """(12, tokens): the mean over each token's time, on every beat that it stands for, of (12, samples)."""
    fine = max(1, round(facts.token_step_ms / _PER_TOKEN_MS))
    inside = (np.arange(facts.tokens * fine) + 0.5) * facts.token_step_ms / fine
    moments_ms = np.asarray(place.anchors_ms)[:, None] + place.start_ms + facts.token_start_ms + inside
    at = np.floor(moments_ms * rate_hz / 1000).astype(np.int64)
    there = (at >= 0) & (at < field.shape[1])
    values = np.where(there, np.asarray(field, dtype=np.float64)[:, np.clip(at, 0, field.shape[1] - 1)], 0.0)
    known = there.reshape(len(at), facts.tokens, fine).sum(axis=(0, 2))
    total = values.reshape(len(field), len(at), facts.tokens, fine).sum(axis=(1, 3))
    return np.asarray(total / np.maximum(known, 1))


def energy(of: Subject, contract: Contract) -> Array:
    """(12, tokens): how far each lead lies from its own median. An edge detector that knows no risk."""
    away = np.abs(of.tensor - np.median(of.tensor, axis=1, keepdims=True)).astype(np.float64)
    token, tokens = token_of_sample(contract), contract.explanation.tokens
    samples = np.maximum(np.bincount(token, minlength=tokens), 1)
    drawn = np.stack([np.bincount(token, weights=row, minlength=tokens) for row in away]) / samples
    return np.asarray(drawn * of.lead_mask[:, None])
