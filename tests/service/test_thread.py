"""The thread beside the loop: its jobs in turn, their results and errors to who waits, and nothing kept."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Awaitable, Callable

import pytest

from service import samples
from service.answer import judge
from service.registry import Registry
from service.thread import Abandoned, SideThread
from service.uploads import Options, Upload
from tests.service.server import ROOT


def beside(run: Callable[[SideThread], Awaitable[None]]) -> None:
    async def whole() -> None:
        thread = SideThread("side")
        try:
            await run(thread)
        finally:
            thread.close(wait=True)

    asyncio.run(whole())


def test_results_and_errors_come_to_who_waits() -> None:
    """In their order, from one thread that is not the loop's; an error leaves the thread fit for the next job."""

    async def run(thread: SideThread) -> None:
        def broken(_: Abandoned) -> None:
            raise KeyError("broken")

        first, second, third = (
            thread.start(each) for each in (lambda _: threading.get_ident(), broken, lambda _: threading.get_ident())
        )
        assert await first == await third != threading.get_ident()
        with pytest.raises(KeyError):
            await second

    beside(run)


def test_a_job_sees_that_nobody_waits_any_more() -> None:
    """One under way is told, and its result goes nowhere; one that waits is never begun."""

    async def run(thread: SideThread) -> None:
        begun, go_on, seen = threading.Event(), threading.Event(), []

        def slow(abandoned: Abandoned) -> None:
            begun.set()
            go_on.wait(5)
            seen.append(abandoned())

        under_way, waiting = thread.start(slow), thread.start(lambda _: seen.append("begun"))
        await asyncio.to_thread(begun.wait, 5)
        under_way.cancel()
        waiting.cancel()
        go_on.set()
        assert await thread.start(lambda _: list(seen)) == [True]

    beside(run)


def test_nothing_of_a_job_is_kept() -> None:
    """A job holds an upload: once it is answered the thread must not, even while it waits for the next."""

    class Upload:
        pass

    async def run(thread: SideThread) -> None:
        upload = Upload()
        kept = weakref.ref(upload)
        await thread.start(lambda _, held=upload: None)  # type: ignore[misc]
        del upload
        for _ in range(100):
            gc.collect()
            if kept() is None:
                return
            await asyncio.sleep(0.01)
        raise AssertionError("the job is still held")

    beside(run)


def test_an_answer_is_gone_with_who_held_it() -> None:
    """It holds a recording: in a circle, it would stay until the collector comes by, and hundreds with it."""
    registry = Registry(ROOT / "models", None)
    model = registry.load().default
    sample = samples.find("wfdb")
    assert sample
    upload = Upload({"": sample.data})

    async def run(thread: SideThread) -> None:
        answered = await thread.start(lambda abandoned: judge(upload, upload.sha256, Options(), model, abandoned))
        kept = weakref.ref(answered.assessment.twelve.samples_mv)
        gc.disable()
        try:
            del answered
            for _ in range(100):
                if kept() is None:
                    return
                await asyncio.sleep(0.01)
            raise AssertionError("the answer is still held")
        finally:
            gc.enable()

    beside(run)


def test_closing_ends_what_is_under_way_and_begins_nothing_more() -> None:
    async def run() -> None:
        thread, begun, go_on = SideThread("side"), threading.Event(), threading.Event()

        def slow(_: Abandoned) -> str:
            begun.set()
            go_on.wait(5)
            return "done"

        under_way, waiting = thread.start(slow), thread.start(lambda _: "begun")
        await asyncio.to_thread(begun.wait, 5)
        thread.close(wait=False)
        go_on.set()
        assert await under_way == "done"
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(RuntimeError):
            thread.start(lambda _: None)

    asyncio.run(run())
