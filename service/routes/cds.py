"""GET /cds-services and POST /cds-services/{id}: CDS Hooks, for EHRs that ask while a chart is open."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from service import cds, house, trail
from service.answering import Question, answer
from service.auth import Caller, Scope
from service.guard import may
from service.openapi import CDS, PROBLEMS
from service.refusals import NotFound, UploadMissing, UploadTimeout
from service.settings import Settings
from service.uploads import Options, Upload, bounded

router = APIRouter(tags=["cds hooks"])


@router.get("/cds-services", responses=PROBLEMS, operation_id="cds_services")
async def services() -> cds.Services:
    """What an EHR may call, when, and what it should send along."""
    return cds.OFFERED


@router.post("/cds-services/{id}", **CDS, operation_id="cds_service", response_class=Response)
async def call(request: Request, id: str, caller: Annotated[Caller, Depends(may(Scope.PREDICT))]) -> Response:
    """Heart-failure risk as a card, from the ECG in the prefetch; no card where the person has no ECG."""
    if id != cds.ID:
        raise NotFound("no CDS service of that id; GET /cds-services lists them")
    home = house.of(request)
    way = trail.of(request)
    way.facts["detail"] = f"{cds.PURPOSE} {cds.HOOK}"
    with home.places.one(), home.metrics.queue.track_inprogress():
        ecg = cds.read(await _body(request, home.settings))
        if ecg is None:
            return Response(cds.nothing(), media_type=cds.MEDIA_TYPE)
        upload = Upload({"": ecg})
        question = Question(caller, upload, Options(), cds, upload.sha256, cds.PURPOSE)
        return await answer(home, request, way, question)


async def _body(request: Request, limits: Settings) -> bytes:
    try:
        async with asyncio.timeout(limits.upload_timeout_s):
            body = b"".join([chunk async for chunk in bounded(request, limits.max_upload_bytes)])
    except TimeoutError as error:
        raise UploadTimeout(f"the body did not arrive within {limits.upload_timeout_s:g} s") from error
    if not body:
        raise UploadMissing("the body is empty: send a CDS Hooks call")
    return body
