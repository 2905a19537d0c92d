"""Waiting for a turn with the body unread: a caller who leaves meanwhile is noticed and leaves the line."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import AbstractContextManager
from typing import Final

from starlette.requests import Request
from starlette.types import Message, Receive

from service.limits import Line
from service.refusals import ClientClosed

# That a caller has left shows only behind what it sent. So much of a body is taken to find out; who sent more than
# this before leaving is noticed when its turn comes.
_MOST_HEARD_BYTES: Final = 256 * 1024


async def turn_of(request: Request, line: Line) -> tuple[AbstractContextManager[None], Request]:
    """A place in this line, held from now on, and the request with all of its body still to be read."""
    if line.is_free:
        return await line.one(), request
    ear = _Ear(request.receive)
    turn, gone = asyncio.ensure_future(line.one()), asyncio.ensure_future(ear.until_gone())
    try:
        await asyncio.wait({turn, gone}, return_when=asyncio.FIRST_COMPLETED)
        if turn.done():
            return turn.result(), Request(request.scope, ear.receive)
        raise ClientClosed("the caller closed the connection")
    finally:
        turn.cancel()
        gone.cancel()


class _Ear:
    """Hears whether the caller is still there; what it hears of the body instead is kept for whoever reads it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._heard: deque[Message] = deque()

    async def until_gone(self) -> None:
        heard_bytes = 0
        while heard_bytes < _MOST_HEARD_BYTES:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return
            self._heard.append(message)
            heard_bytes += len(message.get("body", b""))
        await asyncio.get_running_loop().create_future()  # never: it has heard enough

    async def receive(self) -> Message:
        return self._heard.popleft() if self._heard else await self._receive()
