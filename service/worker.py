"""The thread of this process that does the arithmetic, so that the event loop never waits for it; and a second one that
helps it with a job that is alone."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from starlette.requests import Request

from service.processors import Processors
from service.refusals import AnswerTimeout, ClientClosed
from service.thread import Job, Result, SideThread


class Worker:
    def __init__(self, timeout_s: float, processors: Processors | None = None) -> None:
        self._timeout_s = timeout_s
        self._thread = SideThread("worker")
        self._second = ThreadPoolExecutor(1, "worker-second")
        self._processors = processors or Processors()

    def spare(self) -> Executor | None:
        """For the job under way: the second thread, while it takes a processor from nobody. An answer comes sooner by
        it, and costs more."""
        return self._second if not self._thread.has_waiting and self._processors.is_one_idle() else None

    async def run(self, job: Job[Result], gone: asyncio.Future[None] | None = None) -> Result:
        """The job's result, unless it takes too long or its caller is gone; then it sees that it may stop."""
        running = self._thread.start(job)
        waited_for: set[asyncio.Future[Any]] = {running} if gone is None else {running, gone}
        try:
            await asyncio.wait(waited_for, timeout=self._timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                return running.result()
        finally:
            running.cancel()
        if gone is not None and gone.done():
            raise ClientClosed("the caller closed the connection")
        raise AnswerTimeout(f"not ready within {self._timeout_s:g} s", retry_after_s=2)

    def close(self) -> None:
        self._thread.close(wait=True)
        self._second.shutdown()
        self._processors.close()


async def while_connected(request: Request, job: Job[Result], worker: Worker) -> Result:
    """Run the job for as long as its caller listens. Call after the body was read."""
    gone = asyncio.ensure_future(_disconnect(request))
    try:
        return await worker.run(job, gone)
    finally:
        gone.cancel()


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
