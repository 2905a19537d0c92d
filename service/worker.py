"""The one thread of this process that does the arithmetic, so that the event loop never waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.requests import Request

from service.refusals import AnswerTimeout, ClientClosed

Result = TypeVar("Result")


class Worker:
    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker")

    async def run(self, job: Callable[[threading.Event], Result]) -> Result:
        """The job's result. A job whose caller gave up is never begun, or sees by its event that it may stop."""
        abandoned = threading.Event()

        def guarded() -> Result:
            if abandoned.is_set():
                raise ClientClosed("given up before it began")
            return job(abandoned)

        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.wrap_future(self._thread.submit(guarded))
        except TimeoutError as error:
            raise AnswerTimeout(f"not ready within {self._timeout_s:g} s", retry_after_s=2) from error
        finally:
            abandoned.set()

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)


async def while_connected(request: Request, job: Callable[[threading.Event], Result], worker: Worker) -> Result:
    """Run the job for as long as its caller listens. Call after the body was read."""
    running = asyncio.ensure_future(worker.run(job))
    gone = asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait({running, gone}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            return running.result()
        raise ClientClosed("the caller closed the connection")
    finally:
        running.cancel()
        gone.cancel()


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
