"""How much at once: places in the queue of this process, the line for batches, each caller's rate across processes."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import math
import mmap
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from service.refusals import QueueFull, RateLimited

_SLOT_BYTES: Final = 8
_SLOTS: Final = 2**16


class Places:
    """A bounded number of requests in the house; each holds its upload and its turn. One more is sent away."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.taken = 0

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        if self.taken >= self.capacity:
            raise QueueFull(f"all {self.capacity} places are taken", retry_after_s=1)
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


class Line:
    """A bounded number of places, given in order of arrival: who finds none waits, behind few and not for long."""

    def __init__(self, capacity: int, longest: int, wait_s: float) -> None:
        self.capacity, self.taken, self.waiting = capacity, 0, 0
        self._longest, self._wait_s = longest, wait_s
        self._free = asyncio.Semaphore(capacity)

    @property
    def is_free(self) -> bool:
        return not self._free.locked()

    async def one(self) -> contextlib.AbstractContextManager[None]:
        """A place, held from now on: enter what is returned, to give the place back on leaving it."""
        if not self.is_free and self.waiting >= self._longest:
            raise self._busy(f"all {self.capacity} places are taken and {self.waiting} wait for one")
        self.waiting += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError as error:
            raise self._busy(f"none of {self.capacity} places became free within {self._wait_s:g} s") from error
        finally:
            self.waiting -= 1
        self.taken += 1
        return self._held()

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.taken -= 1
            self._free.release()

    def _busy(self, why: str) -> QueueFull:
        return QueueFull(why, retry_after_s=max(1, math.ceil(self._wait_s)))


class Rate:
    """The generic cell rate algorithm: a caller's whole state is the time at which its bucket will be full again.

    That one number lies in a file shared by all workers, so that a caller's rate is the same whoever answers.
    Callers whose hashes collide (1 in 65,536) share a bucket. The time is the machine's since its start, the same for
    every process, so that setting the clock neither frees nor locks out anybody.
    """

    def __init__(self, path: Path, per_minute: float, burst: int) -> None:
        self._interval_s = 60.0 / per_minute
        self._slack_s = self._interval_s * (burst - 1)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if os.fstat(self._file).st_size < _SLOTS * _SLOT_BYTES:
            os.ftruncate(self._file, _SLOTS * _SLOT_BYTES)
        self._cells = mmap.mmap(self._file, _SLOTS * _SLOT_BYTES)

    def admit(self, caller: str) -> None:
        offset = _SLOT_BYTES * (int.from_bytes(hashlib.sha256(caller.encode()).digest()[:4], "big") % _SLOTS)
        fcntl.lockf(self._file, fcntl.LOCK_EX, _SLOT_BYTES, offset)
        try:
            wait_s = self._take(offset, time.monotonic())
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, _SLOT_BYTES, offset)
        if wait_s > 0:
            raise RateLimited("this caller's rate is used up", retry_after_s=max(1, math.ceil(wait_s)))

    def _take(self, offset: int, now: float) -> float:
        """Seconds to wait, or 0 after taking one."""
        (full_at,) = struct.unpack_from("<d", self._cells, offset)
        if full_at > now + self._slack_s + 2 * self._interval_s:
            full_at = now  # fuller than it can be: the file is older than this machine's start
        start = max(now, full_at)
        if start - now > self._slack_s:
            return float(start - now - self._slack_s)
        struct.pack_into("<d", self._cells, offset, start + self._interval_s)
        return 0.0

    def close(self) -> None:
        self._cells.close()
        os.close(self._file)
