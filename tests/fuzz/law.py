"""The law for strangers' bytes, as code: an answer or an EcgError, in bounded time and bounded memory."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ecg.errors import EcgError

LIMIT_S = 1.0
LIMIT_BYTES = 300 * 2**20


class TooSlow(AssertionError):
    """More processor time than an answer may take."""


def lawful(job: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    """Any exception but an EcgError goes through, and so does a job that takes too long.

    Processor time of this thread, since a neighbour's load is no fault of the parser.
    """
    begun = time.thread_time()
    with contextlib.suppress(EcgError):
        job()
    taken_s = time.thread_time() - begun
    if taken_s > limit_s:
        raise TooSlow(f"{taken_s:.2f} s of processor time")


def address_space() -> int:
    """Bytes of address space that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


@contextlib.contextmanager
def bounded_memory(limit_bytes: int = LIMIT_BYTES) -> Iterator[None]:
    """Within, an allocation beyond what the process has now and this much more is a MemoryError."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (address_space() + limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
