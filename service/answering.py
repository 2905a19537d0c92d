"""From an upload to an answer that may leave: remembered or judged, rendered, written down."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from ecg.errors import EcgError, QualityRejected
from service.answer import Answered, Spare, judge
from service.audit.entry import Answer, Claim
from service.audit.store import REPLAYED, Repeated
from service.auth import Caller
from service.house import House
from service.metrics import Metrics
from service.refusals import KeyReused, RequestInvalid
from service.registry import Model
from service.representations import Representation, json
from service.thread import Abandoned
from service.trail import OK, Trail
from service.uploads import Options, Upload
from service.worker import while_connected

_LONGEST_KEY: int = 255


@dataclass(frozen=True, slots=True)
class Question:
    """One recording, how it is to be judged, and how the answer is to look."""

    caller: Caller
    upload: Upload
    options: Options
    representation: Representation
    sha256: str
    purpose: str = ""  # which door it came through, where the answer's media type does not tell


async def answer(house: House, request: Request, trail: Trail, question: Question) -> Response:
    trail.facts["input_sha256"] = question.sha256
    claim = claim_of(request.headers.get("idempotency-key"), question)
    earlier = await house.store.repeated(claim) if claim else None
    if earlier:
        await house.store.record(trail.entry(200, REPLAYED, answer_id=earlier.answer_id))
        return _again(trail, earlier)
    model = house.models.shelf.choose(question.options.model)
    trail.facts |= model_facts(model)
    answered, kept = await while_connected(
        request, lambda abandoned: _made(question, model, abandoned, house.worker.spare), house.worker
    )
    house.tracing.stages(answered.stopwatch.stages)
    trail.last = partial(note, house.metrics, answered)
    earlier = await _written(house, trail, answered, kept, claim)
    return _again(trail, earlier) if earlier else Response(kept.body, 200, media_type=kept.media_type)


def claim_of(key: str | None, question: Question) -> Claim | None:
    """An Idempotency-Key stands for these bytes, options and representation, and for this caller only."""
    if key is None:
        return None
    if not 0 < len(key) <= _LONGEST_KEY:
        raise RequestInvalid(f"Idempotency-Key must have 1 to {_LONGEST_KEY} characters", parameter="Idempotency-Key")
    text = f"{question.sha256}|{question.options.text}|{question.representation.MEDIA_TYPE}{question.purpose}"
    return Claim(question.caller.name, _hash(key), _hash(text))


def model_facts(model: Model) -> dict[str, str]:
    return {"model": model.label, "model_sha256": model.sha256, "contract_digest": model.contract_digest}


def _made(question: Question, model: Model, abandoned: Abandoned, spare: Spare) -> tuple[Answered, Answer]:
    answered = judge(question.upload, question.sha256, question.options, model, abandoned, spare)
    with answered.stopwatch.stage("render"):
        body = question.representation.render(answered)
        # An answer in JSON without waveforms is itself what is kept of it.
        is_kept = question.representation is json and not question.options.include
        record = body if is_kept else json.kept(answered)
    return answered, Answer(answered.id, question.representation.MEDIA_TYPE, body, record)


async def _written(
    house: House, trail: Trail, answered: Answered, kept: Answer, claim: Claim | None
) -> Repeated | None:
    try:
        earlier = await house.store.record(trail.entry(200, OK, **answered.facts), kept, claim)
    except KeyReused:
        trail.settled = True  # the row was written, and it says 409
        raise
    trail.settled = True
    return earlier


def _again(trail: Trail, earlier: Repeated) -> Response:
    trail.settled, trail.code = True, REPLAYED
    return Response(earlier.body, 200, {"Idempotent-Replayed": "true"}, earlier.media_type)


def note(metrics: Metrics, answered: Answered) -> None:
    """Counts for the operator."""
    assessment = answered.assessment
    for stage, seconds in answered.stopwatch.seconds.items():
        metrics.stage(stage).observe(seconds)
    metrics.formats.labels(assessment.recording_format).inc()
    for issue in assessment.quality.issues:
        metrics.quality.labels(assessment.quality.verdict.value, issue.code.value).inc()
    metrics.answered(
        answered.model.name, score=assessment.risk.score, band=assessment.risk.band.value,
        log_hazard=assessment.risk.log_hazard,
        reference=answered.model.contract.output.reference_log_hazard_percentiles,
    )  # fmt: skip


def note_refusal(house: House, error: EcgError) -> None:
    if isinstance(error, QualityRejected):
        for issue in error.report.issues:
            house.metrics.quality.labels(error.report.verdict.value, issue.code.value).inc()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
