"""The wiring: settings in, an application out."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from ecg import __version__
from ecg.errors import EcgError, Malformed
from service import house, logs, memory, openapi, problems, trail
from service.answering import note_refusal
from service.envelope import Envelope
from service.refusals import InternalError, MethodNotAllowed, NotFound, RequestInvalid
from service.routes import batch, cds, formats, health, models, pages, predict, predictions
from service.settings import Settings, load

_log = structlog.get_logger("service.app")


def from_environment() -> FastAPI:
    """What each worker process runs."""
    settings = load()
    logs.configure(settings.log_level)
    memory.keep_freed()
    return create_app(settings, on_signals=True)


def create_app(settings: Settings, *, on_signals: bool = False) -> FastAPI:
    home = house.build(settings)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            async with house.opened(home):
                if on_signals:
                    _reload_on_hangup(home)
                yield
        except EcgError as error:
            _log.critical("refused_to_start", code=error.code, reason=error.message)
            raise

    app = FastAPI(
        title=openapi.TITLE, description=openapi.DESCRIPTION, version=__version__, lifespan=lifespan,
        docs_url=None, redoc_url=None, redirect_slashes=False, root_path=settings.root_path,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # it would tell whole addresses; ours does not
    )  # fmt: skip
    app.state.house = home
    app.add_middleware(Envelope, store=home.store, metrics=home.metrics, tracing=home.tracing)
    for error, handler in ((EcgError, _refused), (HTTPException, _http), (RequestValidationError, _invalid)):
        app.add_exception_handler(error, handler)
    for each in (predict, batch, models, predictions, cds, formats, health, pages):
        app.include_router(each.router)
    pages.mount_files(app)
    openapi.describe(app)
    return app


def _reload_on_hangup(home: house.House) -> None:
    loop = asyncio.get_running_loop()
    reloading: set[asyncio.Task[None]] = set()  # a task that nobody holds may vanish

    def reload() -> None:
        task = loop.create_task(home.reload_on_signal())
        reloading.add(task)
        task.add_done_callback(reloading.discard)

    loop.add_signal_handler(signal.SIGHUP, reload)


def _problem(request: Request, error: EcgError) -> Response:
    way = trail.of(request)
    way.code = problems.code_for(error)
    return problems.response(error, way.request_id, way.accept)


async def _refused(request: Request, error: Any) -> Response:
    note_refusal(house.of(request), error)
    if problems.row_for(error).status == 500:
        _log.error("failed", code=error.code, reason=error.message)
    return _problem(request, error)


async def _http(request: Request, error: Any) -> Response:
    """What the framework itself refuses, in our words."""
    allow = (error.headers or {}).get("allow", "") or (error.headers or {}).get("Allow", "")
    ours: dict[int, EcgError] = {
        400: Malformed("the request cannot be read", where="the request"),
        404: NotFound("there is nothing at this address"),
        405: MethodNotAllowed("this address does not take this method", allow=allow),
    }
    return _problem(request, ours.get(error.status_code, InternalError("unexpected refusal of the framework")))


async def _invalid(request: Request, error: Any) -> Response:
    """Which parameter and why, without the value: it could be anything."""
    faults = [
        f"{'.'.join(str(part) for part in each['loc'][1:]) or 'request'}: {each['msg']}" for each in error.errors()
    ]
    return _problem(request, RequestInvalid("; ".join(faults)))
