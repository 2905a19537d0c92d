"""What lives as long as the process: opened at start, closed after the last answer."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from starlette.requests import HTTPConnection

from ecg.errors import ModelError
from service import memory, tracing
from service.audit.store import Store
from service.auth import Gate
from service.limits import Line, Places, Rate
from service.metrics import Metrics
from service.registry import Registry, Shelf
from service.settings import Settings
from service.tracing import Tracing
from service.worker import Worker

_log = structlog.get_logger("service.house")
_RATES: Final = "rates"


@dataclass(frozen=True, slots=True)
class House:
    settings: Settings
    store: Store
    models: Registry
    gate: Gate
    metrics: Metrics
    worker: Worker
    places: Places
    batches: Line
    rate: Rate | None
    tracing: Tracing

    async def reload_models(self) -> Shelf:
        """In a thread of its own, so that answers go on meanwhile."""
        shelf = await asyncio.to_thread(self.models.load)
        self._show_models(shelf)
        return shelf

    async def reload_on_signal(self) -> None:
        try:
            await self.reload_models()
        except ModelError as error:
            _log.error("reload_refused", code=error.code, reason=error.message)

    def _show_models(self, shelf: Shelf) -> None:
        self.metrics.show_models(
            (model.name, model.version, model.sha256, str(model is shelf.default).lower())
            for model in shelf.by_label.values()
        )


def build(settings: Settings) -> House:
    key = settings.audit_key_file.read_bytes().strip() if settings.audit_key_file else None
    runtime = settings.runtime_dir or Path(tempfile.mkdtemp(prefix="ecg-"))
    places = Places(settings.queue_size)
    return House(
        settings=settings,
        store=Store(
            settings.audit_url.get_secret_value(),
            key=key,
            timeout_s=settings.store_timeout_s,
            remember_hours=settings.idempotency_hours,
            under_way=lambda: places.taken,
        ),
        models=Registry(settings.models, settings.default_model),
        gate=Gate(settings),
        metrics=Metrics(),
        worker=Worker(settings.answer_timeout_s),
        places=places,
        batches=Line(settings.batches_at_once, settings.batches_waiting, settings.batch_wait_s),
        rate=_rate(settings, runtime),
        tracing=tracing.make(settings.otel_exporter_otlp_endpoint),
    )


def _rate(settings: Settings, runtime: Path) -> Rate | None:
    if settings.rate_per_minute <= 0:
        return None
    return Rate(runtime / _RATES, settings.rate_per_minute, settings.rate_burst)


@contextlib.asynccontextmanager
async def opened(house: House) -> AsyncIterator[None]:
    house.metrics.capacity.set(house.places.capacity)
    house.metrics.batch_capacity.set(house.batches.capacity)
    await house.store.open()
    try:
        await house.reload_models()
        memory.settle()
        yield
    finally:
        house.worker.close()
        await house.store.close()
        house.tracing.close()
        if house.rate:
            house.rate.close()


def of(request: HTTPConnection) -> House:
    house: House = request.app.state.house
    return house
