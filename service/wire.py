"""Patience with the other end of a connection: a head that never ends and an answer that nobody takes are given up."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ecg.errors import Malformed
from service import problems
from service.ids import new_id
from service.settings import load

_LONGEST_HEAD_BYTES: Final = 32 * 1024
_UNREADABLE: Final = Malformed("the request cannot be read", where="the request")


@cache
def _patience_s() -> float:
    """As long as a body may take, a head may take, and an answer's way to its caller."""
    return load().upload_timeout_s


class PatientProtocol(HttpToolsProtocol):
    """The framework waits for ever on a first request, on the rest of a head, and on a reader that stopped reading; it
    takes a head of any length, and loses the body behind the offer of another protocol."""

    _in_head = _in_body = _is_refused = False
    _is_new = False  # the head began in this very read, which may hold the body of the request before it too
    _head_bytes = 0
    _overdue: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Joining(transport, self.loop))  # type: ignore[arg-type]
        self._overdue = self.loop.call_later(_patience_s(), transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._unset_keepalive_if_required()
        try:
            self._read(data)
        except httptools.HttpParserError:
            self._refuse()
        if not self._is_owed():
            self._forget("_overdue")
        elif self._overdue is None:
            self._overdue = self.loop.call_later(_patience_s(), self.transport.abort)

    def _read(self, data: bytes) -> None:
        self._is_new = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._read_without_offer(data[offer.args[0] :])
        if self._in_head and not self._is_new:
            self._head_bytes += len(data)
            _require(self._head_bytes <= _LONGEST_HEAD_BYTES)

    def _read_without_offer(self, rest: bytes) -> None:
        """An offer of HTTP/2, as Java's client makes it with each request, is not taken up: the request counts.

        The parser is done with a connection once it saw an offer, so another one reads the same head without it.
        """
        _require(self.parser.get_method() != b"CONNECT" and self._is_idle())
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/", self.parser.get_http_version().encode(), b"\r\n"]
        for name, value in self.headers:
            if name != b"upgrade":
                head += [name, b": ", value, b"\r\n"]
        self.parser = httptools.HttpRequestParser(self)
        self._read(b"".join([*head, b"\r\n", rest]))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._is_new, self._head_bytes = True, True, 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self.parser.should_upgrade():
            return
        _require(self._is_sound())
        super().on_headers_complete()
        self._in_body = True

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()
        self._in_body = False

    def _is_sound(self) -> bool:
        """One host, which HTTP/1.0 need not tell, no coding of the body but chunks, and not too long."""
        hosts, length = 0, len(self.url)
        for name, value in self.headers:
            length += len(name) + len(value)
            hosts += name == b"host"
            if name == b"transfer-encoding" and value.lower() != b"chunked":
                return False
        is_named = hosts == 1 or (hosts == 0 and self.parser.get_http_version() == "1.0")
        return is_named and length <= _LONGEST_HEAD_BYTES

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _is_owed(self) -> bool:
        """The caller still owes a head, or the rest of a body that was answered before its end."""
        return self._in_head or self._is_idle()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(_patience_s(), self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget("_stalled")

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget("_overdue")
        self._forget("_stalled")
        super().connection_lost(exc)

    def _forget(self, name: str) -> None:
        timer: asyncio.TimerHandle | None = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)

    def _refuse(self) -> None:
        """What is no HTTP gets a problem too, in its turn: requests before it are answered first."""
        self._is_refused = True
        if not self._in_body and not self._is_idle():
            self.cycle.keep_alive = False
            return
        if not (self._in_body and (self.cycle.response_started or self.pipeline)):
            answer = problems.response(_UNREADABLE, new_id())
            headers = (*answer.raw_headers, (b"connection", b"close"))
            lines = [b"%s: %s\r\n" % header for header in headers]
            self.transport.write(b"".join([STATUS_LINE[400], *lines, b"\r\n", bytes(answer.body)]))
        if self._in_body:  # its application hears no more, and what it says is not sent
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()


class _Joining:
    """A transport by which an answer's head leaves with its body: alone it would wake the caller for nothing.

    What is written waits for what is written next, but not beyond this turn of the loop.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held = b""

    def write(self, data: bytes) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.writelines((held, data))
        elif data:
            self._held = data
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _require(is_sound: bool) -> None:
    if not is_sound:
        raise httptools.HttpParserError
