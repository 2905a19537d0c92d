"""Is it alive, is it ready, what is it, how is it doing."""

from __future__ import annotations

import asyncio
import platform
import time
from typing import Final

from fastapi import APIRouter, Request, Response

from ecg import __version__
from service import house
from service.metrics import MEDIA_TYPE
from service.openapi import PROBLEMS
from service.schemas import Alive, Ready, Version

router = APIRouter(tags=["operations"], responses=PROBLEMS)
API_VERSION: Final = "1"
_PROBE_EVERY_S: Final = 15.0


@router.get("/health/live")
async def live() -> Alive:
    """The process answers."""
    return Alive(status="live")


@router.get("/health/ready")
async def ready(request: Request) -> Ready:
    """The default model just gave its known answer to the known ECG, and the audit store takes rows; else 503."""
    home = house.of(request)
    await home.store.require_writable()
    await _probed(request)
    shelf = home.models.shelf
    return Ready(status="ready", model=shelf.default.label, refused=[fault.file for fault in shelf.faults])


async def _probed(request: Request) -> None:
    """Not at every call, since an orchestrator asks each second and the answer costs an inference."""
    state, shelf = request.app.state, house.of(request).models.shelf
    last, probed = getattr(state, "probed", (0.0, None))
    if probed is not shelf or time.monotonic() - last > _PROBE_EVERY_S:
        await asyncio.to_thread(house.of(request).models.require_sound)
        state.probed = (time.monotonic(), shelf)


@router.get("/version")
async def versions() -> Version:
    return Version(service=__version__, api=API_VERSION, python=platform.python_version())


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Prometheus text, of all worker processes together."""
    return Response(await asyncio.to_thread(house.of(request).metrics.exposition), media_type=MEDIA_TYPE)
