"""POST /predict: one recording, one answer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from service import house, trail
from service.answering import Question, answer
from service.auth import Caller, Scope
from service.guard import may, straight_past
from service.openapi import PREDICT
from service.representations import negotiate
from service.uploads import read_one

_guard = may(Scope.PREDICT)
router = APIRouter(tags=["predict"], route_class=straight_past(_guard))
Predicting = Annotated[Caller, Depends(_guard)]


@router.post("/predict", **PREDICT, operation_id="predict", response_class=Response)
@router.post("/v1/predict", **PREDICT, operation_id="predict_v1", response_class=Response)
async def predict(request: Request, caller: Predicting) -> Response:
    """Heart-failure risk from one 12-lead ECG."""
    home = house.of(request)
    representation = negotiate(request.headers.get("accept"))
    with home.places.one(), home.metrics.queue.track_inprogress():
        limits = home.settings
        upload, options = await read_one(request, limits.max_upload_bytes, limits.upload_timeout_s)
        question = Question(caller, upload, options, representation, upload.sha256)
        return await answer(home, request, trail.of(request), question)
