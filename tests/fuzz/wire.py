"""Arbitrary bytes on a connection: what comes back is whole answers, the same ones however the bytes were cut up."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from service.wire import PatientProtocol
from tests.fuzz.law import lawful

_TURNS = 8  # of the loop: enough for the application below to answer what it can
_PIECES = 64  # at most, since each is a turn of the parser


async def _application(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what it read, so that bytes that come under another request show."""
    read = 0
    while (message := await receive())["type"] == "http.request":
        read += len(message["body"])
        if not message["more_body"]:
            break
    else:
        return
    told = f"{scope['method']} {scope['path']} {read}".encode("utf-8", "surrogateescape")
    headers = [(b"content-length", b"%d" % len(told)), (b"x-method", scope["method"].encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": told})


class _Line:
    """The other end: takes what is written."""

    def __init__(self) -> None:
        self.written, self.is_open = b"", True

    def write(self, data: bytes) -> None:
        self.written += data

    def writelines(self, parts: Sequence[bytes]) -> None:
        self.write(b"".join(parts))

    def close(self) -> None:
        self.is_open = False

    abort = close

    def is_closing(self) -> bool:
        return not self.is_open

    def get_extra_info(self, _name: str) -> None:
        return None

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading


@functools.cache
def _config() -> Config:
    config = Config(_application, access_log=False, log_config=None, lifespan="off", ws="none", server_header=False)
    config.load()
    return config


async def _say(pieces: list[bytes]) -> bytes:
    line = _Line()
    protocol = PatientProtocol(_config(), ServerState(), {})
    protocol.connection_made(line)  # type: ignore[arg-type]
    for piece in pieces:
        if line.is_open:
            protocol.data_received(piece)
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    protocol.connection_lost(None)
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    return line.written


def _require_answers(written: bytes) -> None:
    """One whole answer after the other, and a problem at most at the end."""
    while written:
        head, end, rest = written.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        assert end, head
        if first == b"HTTP/1.1 100 Continue":
            written = rest
            continue
        assert first in (b"HTTP/1.1 200 OK", b"HTTP/1.1 400 Bad Request"), head
        named = dict(line.split(b": ", 1) for line in lines)
        length = 0 if named.get(b"x-method") == b"HEAD" else int(named[b"content-length"])
        assert len(rest) >= length, "an answer was cut short"
        written = rest[length:]
        assert first.split()[1] == b"200" or not written, "something was said after a refusal"


def target(data: bytes) -> None:
    """The first bytes say how the rest is cut up."""
    size, text = (data[0] % 97 + 1, data[1:]) if data else (1, b"")
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    pieces[_PIECES:] = [b"".join(pieces[_PIECES:])] if pieces[_PIECES:] else []

    def both() -> None:
        whole, cut = (asyncio.run(_say(each)) for each in ([text] if text else [], pieces))
        for each in (whole, cut):
            _require_answers(each)
        ids = [each.partition(b'"request_id"')[0] for each in (whole, cut)]
        assert ids[0] == ids[1], ids

    lawful(both)
