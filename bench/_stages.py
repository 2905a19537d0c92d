"""Where a request's CPU goes: each stage of an answer, the audit row, and how large that row lies in the store."""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.peers._pipeline import model_path
from service import memory
from service.answer import judge
from service.audit.entry import Answer, Entry, now
from service.audit.store import Store
from service.ids import new_id
from service.registry import Registry
from service.representations import json
from service.uploads import Options, Upload

REPEATS: Final = 150
ROWS: Final = 2_000


def profile(files: dict[str, Path]) -> dict[str, dict[str, float]]:
    """Milliseconds of each stage of judging and rendering, one thread, medians; `total` is their sum."""
    memory.keep_freed()
    registry = Registry(model_path(), None)
    registry.load()
    return {kind: _of_one(Upload({"": path.read_bytes()}), registry) for kind, path in files.items()}


def _of_one(upload: Upload, registry: Registry) -> dict[str, float]:
    seen: dict[str, list[float]] = {}
    for _ in range(REPEATS):
        begun = time.perf_counter()
        digest = upload.sha256
        hashed = time.perf_counter()
        answered = judge(upload, digest, Options(), registry.shelf.default, lambda: False)
        judged = time.perf_counter()
        json.render(answered)
        stages = {"hash": hashed - begun, **answered.stopwatch.seconds, "render": time.perf_counter() - judged}
        for stage, seconds in stages.items():
            seen.setdefault(stage, []).append(seconds * 1000)
    found = {stage: median(each) for stage, each in seen.items()}
    return {**found, "total": sum(found.values())}


def audit() -> dict[str, float]:
    """CPU of a row that is written alone and of one among sixteen, and the bytes that a row with its answer keeps."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_written(Path(folder) / "audit.db"))


async def _written(path: Path) -> dict[str, float]:
    entry, answer = _example()
    store = Store(f"sqlite:///{path}")
    await store.open()
    await asyncio.gather(*(store.record(*_copy(entry, answer)) for _ in range(64)))
    begun = time.process_time()
    for _ in range(100):
        await store.record(*_copy(entry, answer))
    alone = (time.process_time() - begun) / 100
    begun = time.process_time()
    for _ in range(20):
        await asyncio.gather(*(store.record(*_copy(entry, answer)) for _ in range(16)))
    together = (time.process_time() - begun) / 320
    await store.close()
    before = path.stat().st_size
    await store.open()
    for _ in range(ROWS // 50):
        await asyncio.gather(*(store.record(*_copy(entry, answer)) for _ in range(50)))
    await store.close()
    return {
        "alone_ms": alone * 1000,
        "of_sixteen_ms": together * 1000,
        "bytes_a_row": (path.stat().st_size - before) / ROWS,
        "answer_bytes": len(answer.body),
    }


def _example() -> tuple[Entry, Answer]:
    """The row and the answer of a real request."""
    registry = Registry(model_path(), None)
    registry.load()
    model = registry.shelf.default
    data = (Path(__file__).resolve().parent.parent / "service" / "samples" / "wfdb.zip").read_bytes()
    upload = Upload({"": data})
    answered = judge(upload, upload.sha256, Options(), model, lambda: False)
    body = json.render(answered)
    facts: dict[str, Any] = {
        "model": model.label,
        "model_sha256": model.sha256,
        "contract_digest": model.contract_digest,
    }
    entry = Entry(
        id=new_id(), created=now(), action="predict", caller="hospital", request_id=new_id(), correlation_id=new_id(),
        status=200, code="ok", latency_ms=7.5, input_sha256=upload.sha256, **facts, **answered.facts,
    )  # fmt: skip
    return entry, Answer(answered.id, json.MEDIA_TYPE, body, body)


def _copy(entry: Entry, answer: Answer) -> tuple[Entry, Answer]:
    number = new_id()
    return replace(entry, id=new_id(), request_id=new_id(), answer_id=number), replace(answer, id=number)
