"""POST /predict/batch: many recordings, one line of NDJSON each, in order, as they are ready."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import orjson
import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from ecg.errors import EcgError
from service import house, problems, trail
from service.answer import judge
from service.answering import model_facts, note, note_refusal
from service.audit.entry import Answer
from service.auth import Caller, Scope
from service.batches import read_many
from service.guard import may
from service.house import House
from service.openapi import BATCH
from service.refusals import InternalError, StoreUnavailable
from service.registry import Model
from service.representations import json
from service.trail import OK, Trail
from service.uploads import Options, Upload
from service.waiting import turn_of

router = APIRouter(tags=["predict"])
_log = structlog.get_logger("service.batch")
MEDIA_TYPE: Final = "application/x-ndjson"
# One record is judged while the rows of those before it are written.
_AHEAD: Final = 4


@router.post("/predict/batch", **BATCH, operation_id="predict_batch", response_class=StreamingResponse)
async def predict_batch(request: Request, caller: Annotated[Caller, Depends(may(Scope.PREDICT))]) -> StreamingResponse:
    """Many recordings. A record that cannot be judged gives its problem in its line; the others go on."""
    home = house.of(request)
    with contextlib.ExitStack() as held:
        with home.metrics.batches_waiting.track_inprogress():
            turn, unread = await turn_of(request, home.batches)
        held.enter_context(turn)
        held.enter_context(home.metrics.batches.track_inprogress())
        records, options = await read_many(unread, home.settings)
        model = home.models.shelf.choose(options.model)
        way = trail.of(request)
        way.settled = True  # from here on each record has its own row
        return StreamingResponse(_lines(home, way, records, options, model, held.pop_all()), media_type=MEDIA_TYPE)


async def _lines(
    home: House, way: Trail, records: list[Upload], options: Options, model: Model, held: contextlib.ExitStack
) -> AsyncIterator[bytes]:
    ahead: deque[asyncio.Task[bytes]] = deque()
    with held:
        try:
            for index, record in enumerate(records):
                ahead.append(asyncio.create_task(_line(home, way, index, record, options, model)))
                if len(ahead) > _AHEAD:
                    yield await ahead.popleft()
            while ahead:
                yield await ahead.popleft()
        finally:
            for task in ahead:
                task.cancel()


async def _line(home: House, way: Trail, index: int, record: Upload, options: Options, model: Model) -> bytes:
    """The record's answer or problem, its audit row written first."""
    place = {"index": index, "name": record.name}
    facts = {"input_sha256": record.sha256, "detail": f"record {index}", **model_facts(model)}
    try:
        told = await _answered(home, way, record, options, model, facts)
    except StoreUnavailable as error:
        told = problems.document(error, way.request_id)
    except EcgError as error:
        note_refusal(home, error)
        told = await _refused(home, way, error, facts)
    except Exception:  # a barrier: a defect with one record must not take the others' answers
        _log.exception("defect", path="/predict/batch")
        told = await _refused(home, way, InternalError("defect"), facts)
    return _dumped(place | told)


async def _answered(
    home: House, way: Trail, record: Upload, options: Options, model: Model, facts: dict[str, Any]
) -> dict[str, Any]:
    answered = await home.worker.run(lambda gone: judge(record, facts["input_sha256"], options, model, gone))
    home.tracing.stages(answered.stopwatch.stages)
    note(home.metrics, answered)
    kept = Answer(answered.id, MEDIA_TYPE, b"", json.kept(answered))
    await home.store.record(way.entry(200, OK, **facts | answered.facts), kept)
    return json.document(answered)


async def _refused(home: House, way: Trail, error: EcgError, facts: dict[str, Any]) -> dict[str, Any]:
    problem = problems.document(error, way.request_id)
    try:
        await home.store.record(way.entry(problem["status"], problem["code"], **facts))
    except StoreUnavailable as unavailable:
        return problems.document(unavailable, way.request_id)
    return problem


def _dumped(line: dict[str, Any]) -> bytes:
    return orjson.dumps(line, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
