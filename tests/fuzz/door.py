"""Arbitrary requests to the whole application through its ASGI face: forms, headers, queries, broken streams."""

from __future__ import annotations

import asyncio
import atexit
import json
import tempfile
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from service.app import create_app
from service.settings import Settings
from tests.fuzz.law import LIMIT_S, TooSlow

METHODS = ("POST", "POST", "POST", "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "P\xd6ST")
PATHS = (
    "/predict", "/predict/batch", "/v1/predict", "/cds-services/heart-failure-risk", "/cds-services", "/models/x",
    "/predictions", "/predictions/x", "/problems/x", "/samples/x", "/formats", "/models", "/nowhere", "/static/x",
)  # fmt: skip
LAWFUL = {200, 204, 206, 304, 307, 400, 401, 403, 404, 405, 406, 408, 409, 412, 413, 415, 416, 422, 429}
Message = MutableMapping[str, Any]
# Parts of one corpus file: request line, headers, body chunks.
CUT = b"\n~~\n"


class Door:
    """One application and its loop for the life of the process."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ecg-fuzz-", dir=_memory())
        store = f"sqlite:///{self._folder.name}/audit.db"
        settings = Settings(audit_url=store, max_upload_bytes=200_000, max_batch_bytes=400_000, upload_timeout_s=5)
        self.app = create_app(settings)
        self.loop = asyncio.new_event_loop()
        self._life = self.app.router.lifespan_context(self.app)
        self.loop.run_until_complete(self._life.__aenter__())
        atexit.register(self.close)

    def close(self) -> None:
        self.loop.run_until_complete(self._life.__aexit__(None, None, None))
        self.loop.close()
        self._folder.cleanup()

    def knock(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send what the bytes say; the status, the headers and the body that came back, checked."""
        scope, chunks, leaves = request(data)
        heard = self.loop.run_until_complete(asyncio.wait_for(_ask(self.app, scope, chunks, leaves), 20 * LIMIT_S))
        return heard if leaves and not heard[0] else _checked(scope, heard)


def _memory() -> str | None:
    """Every request is a row that is synced to disk; in memory that costs nothing."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def request(data: bytes) -> tuple[dict[str, Any], list[bytes], bool]:
    """Method, path and query by the first bytes and lines; headers one a line; the rest is the body in chunks."""
    head, _, rest = data.partition(CUT)
    headers, _, body = rest.partition(CUT)
    method, place, chunking = (*head[:3], 0, 0, 0)[:3]
    path, _, query = head[3:].partition(b"?")
    chosen = PATHS[place % len(PATHS)] + (path.decode("latin-1") if place >= 128 else "")
    pairs = [line.partition(b":")[::2] for line in headers.split(b"\n") if line]
    size = max(1, len(body) // (1 + chunking % 8))
    chunks = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http",
        "method": METHODS[method % len(METHODS)], "path": chosen, "raw_path": chosen.encode("latin-1"),
        "root_path": "", "query_string": query, "client": ("127.0.0.1", 1), "server": ("x", 80),
        "headers": [(name.lower().strip(), value.strip()) for name, value in pairs],
    }  # fmt: skip
    return scope, chunks, chunking >= 224


async def _ask(app: Any, scope: Message, chunks: list[bytes], leaves: bool) -> tuple[int, dict[str, str], bytes]:
    waiting = [{"type": "http.request", "body": each, "more_body": True} for each in chunks]
    if not leaves:
        waiting[-1]["more_body"] = False
    sent: list[Message] = []

    async def receive() -> Message:
        if waiting:
            return waiting.pop(0)
        if leaves:
            return {"type": "http.disconnect"}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = next((each for each in sent if each["type"] == "http.response.start"), {"status": 0, "headers": []})
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]}
    return start["status"], headers, b"".join(each.get("body", b"") for each in sent)


def _checked(scope: Message, heard: tuple[int, dict[str, str], bytes]) -> tuple[int, dict[str, str], bytes]:
    status, headers, body = heard
    assert status in LAWFUL or (status == 499), f"{status}: {body[:300]!r}"
    assert headers["x-content-type-options"] == "nosniff"
    assert "content-security-policy" in headers
    assert all("\n" not in value and "\r" not in value for value in headers.values())
    if status >= 400 and scope["method"] != "HEAD":
        told = json.loads(body)
        assert "code" in told or told.get("resourceType") == "OperationOutcome" or "message" in told
    return heard


_door: list[Door] = []


def target(data: bytes) -> None:
    if not _door:
        _door.append(Door())
    import time

    begun = time.process_time()
    _door[0].knock(data)
    if time.process_time() - begun > 3 * LIMIT_S:
        raise TooSlow("more than three seconds for one small request")
