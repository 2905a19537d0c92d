"""Limits, negotiation and drift: small machines, each with its law."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import threading
import time
from concurrent.futures import Executor
from pathlib import Path

import pytest

from service.limits import Line, Places, Rate
from service.metrics import decile, population_stability_index
from service.processors import Processors
from service.refusals import AnswerTimeout, NotAcceptable, QueueFull, RateLimited
from service.representations import negotiate
from service.worker import Worker


def test_places_are_bounded_and_given_back() -> None:
    """One more than there are places is sent away; a place is free again however its holder left."""
    places = Places(2)
    with contextlib.suppress(ZeroDivisionError), places.one(), places.one():
        with pytest.raises(QueueFull):
            places.one().__enter__()
        raise ZeroDivisionError
    assert places.taken == 0


def test_a_line_gives_places_in_order_of_arrival() -> None:
    """Who came first is first; one who leaves the line, or leaves just as the place was given, costs nobody a place."""

    async def run() -> None:
        line, order = Line(1, longest=4, wait_s=5), []

        async def comes(name: str) -> None:
            with await line.one():
                order.append(name)
                await asyncio.sleep(0)

        with await line.one():
            waiting = [asyncio.create_task(comes(name)) for name in "abcd"]
            await asyncio.sleep(0.01)
            assert (line.taken, line.waiting) == (1, 4)
            with pytest.raises(QueueFull):
                await line.one()
            waiting[1].cancel()
            await asyncio.sleep(0.01)
            late = asyncio.create_task(comes("late"))
            await asyncio.sleep(0.01)
        waiting[0].cancel()  # the place is its own already, and it has not begun
        await asyncio.gather(*waiting, late, return_exceptions=True)
        assert order == ["c", "d", "late"]
        assert (line.taken, line.waiting, line.is_free) == (0, 0, True)

    asyncio.run(run())


def test_a_line_is_waited_in_for_a_bounded_time() -> None:
    """Past the time a place is refused with when to come back, and the one who waited so long holds nothing."""

    async def run() -> None:
        line = Line(1, longest=4, wait_s=0.05)
        with await line.one():
            begun = time.monotonic()
            with pytest.raises(QueueFull) as refused:
                await line.one()
            assert 0.04 < time.monotonic() - begun < 1
            assert refused.value.retry_after_s == 1
        with await line.one():
            assert (line.taken, line.waiting) == (1, 0)

    asyncio.run(run())


def test_a_rate_lets_a_burst_through_and_no_more(tmp_path: Path) -> None:
    """A burst passes, the next one is told when to come, another caller is not touched."""
    rate = Rate(tmp_path / "rates", per_minute=60, burst=5)
    for _ in range(5):
        rate.admit("a")
    with pytest.raises(RateLimited) as refused:
        rate.admit("a")
    assert refused.value.retry_after_s == 1
    rate.admit("b")
    rate.close()


def _admitted(path: str, tries: int, found: multiprocessing.Queue[int]) -> None:
    rate, admitted = Rate(Path(path), per_minute=0.001, burst=50), 0
    for _ in range(tries):
        try:
            rate.admit("a")
            admitted += 1
        except RateLimited:
            pass
    found.put(admitted)


def test_a_rate_holds_across_processes(tmp_path: Path) -> None:
    """Four workers together admit one burst, exactly."""
    spawn = multiprocessing.get_context("spawn")
    found: multiprocessing.Queue[int] = spawn.Queue()
    arguments = (str(tmp_path / "rates"), 200, found)
    processes = [spawn.Process(target=_admitted, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    assert sum(found.get(timeout=60) for _ in processes) == 50
    for process in processes:
        process.join(10)


def test_a_job_whose_caller_left_is_never_begun() -> None:
    """Cancelling a waiting job frees its turn: the worker goes straight to the next one."""

    async def run() -> None:
        worker, begun = Worker(timeout_s=5), []
        gate = threading.Event()
        first = asyncio.create_task(worker.run(lambda _: gate.wait(5)))
        second = asyncio.create_task(worker.run(lambda _: begun.append("second")))
        third = asyncio.create_task(worker.run(lambda _: begun.append("third")))
        await asyncio.sleep(0.05)
        second.cancel()
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(first, third)
        assert begun == ["third"]
        worker.close()

    asyncio.run(run())


def test_the_second_thread_is_for_a_job_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another job waits, or another process runs, it would take a processor from it."""

    async def run() -> None:
        processors = Processors()
        worker = Worker(timeout_s=5, processors=processors)
        monkeypatch.setattr(processors, "is_one_idle", lambda: True)
        assert isinstance(await worker.run(lambda _: worker.spare()), Executor)
        gate = threading.Event()
        first = asyncio.create_task(worker.run(lambda _: gate.wait(5) and worker.spare()))
        second = asyncio.create_task(worker.run(lambda _: None))
        await asyncio.sleep(0.05)
        gate.set()
        assert await first is None
        await second
        monkeypatch.setattr(processors, "is_one_idle", lambda: False)
        assert await worker.run(lambda _: worker.spare()) is None
        worker.close()

    asyncio.run(run())


@pytest.mark.parametrize(("running", "idle"), [(1, True), (64, False)])
def test_the_kernel_tells_who_runs(tmp_path: Path, running: int, idle: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of many processors is idle while one thread runs, none is while as many run as there are."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    told = tmp_path / "loadavg"
    told.write_text(f"0.20 0.18 0.12 {running}/80 11206\n")
    processors = Processors(told)
    assert processors.is_one_idle() is idle
    processors.close()


@pytest.mark.parametrize("text", [None, "", "0.20 0.18", "not told here, sorry"])
def test_a_silent_kernel_means_none(tmp_path: Path, text: str | None) -> None:
    """As in a sandbox without that file, or with another one in its place."""
    told = tmp_path / "loadavg"
    if text is not None:
        told.write_text(text)
    assert not Processors(told).is_one_idle()


def test_a_job_that_takes_too_long_is_told_so() -> None:
    """After the limit the caller hears AnswerTimeout instead of waiting on; the loop was free all the time."""

    async def run() -> None:
        worker = Worker(timeout_s=0.1)
        with pytest.raises(AnswerTimeout):
            await worker.run(lambda _: time.sleep(0.4))
        worker.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("image/svg+xml", "image/svg+xml"),
        ("image/*;q=0.9, text/html", "image/svg+xml"),
        ("application/json;q=0.1, image/svg+xml", "image/svg+xml"),
        ("*/*;q=0.1, application/json;q=0", "application/fhir+json|application/pdf|image/svg+xml"),
        ("IMAGE/SVG+XML; charset=utf-8", "image/svg+xml"),
        ("text/html, application/json;q=nonsense, */*;q=0.1", "application/fhir+json|application/pdf|image/svg+xml"),
    ],
)
def test_accept_chooses(accept: str | None, chosen: str) -> None:
    """The best-liked media type wins, the most specific range counts, JSON breaks ties."""
    assert negotiate(accept).MEDIA_TYPE in chosen.split("|")


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "image/png, text/*"])
def test_nothing_acceptable_is_refused(accept: str) -> None:
    """What cannot be made is told before any work is done."""
    with pytest.raises(NotAcceptable):
        negotiate(accept)


def test_drift_is_zero_on_the_reference_and_grows_with_distance() -> None:
    """PSI is near 0 where the tenths are even, above 0.25 (the usual alarm) where one tenth holds most."""
    assert population_stability_index(dict.fromkeys(range(10), 1000)) == pytest.approx(0, abs=1e-9)
    assert population_stability_index({9: 1000}) > 0.25
    # By hand, ln 2 and ln(1/2) over two halves: five tenths doubled less one each to nothing stays finite.
    assert population_stability_index({}) == pytest.approx(0)
    reference = tuple(float(each) for each in range(101))
    assert [decile(each, reference) for each in (-5.0, 9.9, 10.0, 55.0, 89.9, 90.0, 400.0)] == [0, 0, 1, 5, 8, 9, 9]
