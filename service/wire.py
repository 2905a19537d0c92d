"""Patience with the other end of a connection: a head that never ends and an answer that nobody takes are given up."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ecg.errors import Malformed
from service import problems
from service.ids import new_id
from service.settings import load

_UNREADABLE: Final = Malformed("the request cannot be read", where="the request")


@cache
def _patience_s() -> float:
    """As long as a body may take, a head may take, and an answer's way to its caller."""
    return load().upload_timeout_s


class PatientProtocol(H11Protocol):
    """The framework waits for ever on a first request, on the rest of a head, and on a reader that stopped reading."""

    _head: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head = self.loop.call_later(_patience_s(), transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_owed():
            self._forget("_head")
        elif self._head is None:
            self._head = self.loop.call_later(_patience_s(), self.transport.abort)

    def _is_owed(self) -> bool:
        """The caller still owes a head, or the rest of a body that was answered before its end."""
        if self.conn.their_state is h11.IDLE:
            return True
        answered = self.cycle is not None and self.cycle.response_complete
        return answered and self.conn.their_state is h11.SEND_BODY

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(_patience_s(), self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget("_stalled")

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget("_head")
        self._forget("_stalled")
        super().connection_lost(exc)

    def _forget(self, name: str) -> None:
        timer: asyncio.TimerHandle | None = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)

    def send_400_response(self, _msg: str) -> None:
        """What is no HTTP gets a problem too."""
        answer = problems.response(_UNREADABLE, new_id())
        headers: list[tuple[bytes, bytes]] = [*answer.raw_headers, (b"connection", b"close")]
        events: tuple[Any, ...] = (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=bytes(answer.body)),
            h11.EndOfMessage(),
        )
        self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))
        self.transport.close()
