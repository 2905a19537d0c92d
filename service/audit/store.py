"""The store: rows go in through one writer a process, which commits many waiting rows in one transaction."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from service.audit import tables
from service.audit.commit import REPLAYED, Repeated, Rules, Written, as_text, remembered, repeated, unpacked
from service.audit.engine import WRITE, make_engine
from service.audit.entry import Action, Answer, Claim, Entry, Sealed, from_row, now
from service.audit.schema import bring_up_to_date
from service.audit.scribe import Scribe, make_scribe
from service.refusals import StoreUnavailable

_MOST_ROWS_A_COMMIT: Final = 64
# A commit costs as much for one row as for many, so where many requests are under way a row waits this long for others.
_COMPANY_S: Final = 0.08
_ENOUGH_ROWS: Final = 16
_FAULTS: Final = (SQLAlchemyError, sqlite3.Error, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class _Waiting:
    written: Written
    done: asyncio.Future[Repeated | None]


class Store:
    """Open it inside the event loop that uses it."""

    def __init__(
        self,
        url: str,
        *,
        key: bytes | None = None,
        timeout_s: float = 10,
        remember_hours: float = 24,
        under_way: Callable[[], int] = lambda: 1,
    ) -> None:
        """`under_way` tells how many requests this process holds that will ask for a row."""
        self._url, self._timeout_s = url, timeout_s
        self._rules = Rules(key, timedelta(hours=remember_hours))
        self._under_way = under_way
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._company: asyncio.Future[None] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._engine: AsyncEngine | None = None
        self._scribe: Scribe | None = None
        self._failed = False  # the last attempt to write

    @property
    def engine(self) -> AsyncEngine:
        if self._engine is None:
            raise StoreUnavailable("the audit store is not open")
        return self._engine

    async def open(self) -> None:
        self._engine = make_engine(self._url, self._timeout_s)
        await bring_up_to_date(self._engine)
        self._scribe = make_scribe(self._url, self._engine, self._rules, self._timeout_s)
        self._writer = asyncio.create_task(self._write_forever(self._scribe), name="audit-writer")

    async def close(self) -> None:
        if self._writer:
            self._under_way = lambda: 1
            self._let_in()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._queue.join(), self._timeout_s)  # rows of callers that went away
            self._writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writer
        if self._scribe:
            self._scribe.close()
        if self._engine:
            await self._engine.dispose()

    async def record(self, entry: Entry, answer: Answer | None = None, claim: Claim | None = None) -> Repeated | None:
        """Write one row, with its answer. Returns the earlier answer when the claim's key was there with the same
        request; raises KeyReused when it was there with another; the row says so in both cases."""
        done: asyncio.Future[Repeated | None] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_Waiting(Written(entry, answer, claim), done))
        if self._are_enough(self._queue.qsize() + 1):
            self._let_in()
        # Shielded: a caller that goes away does not take back a row that is being written.
        return await asyncio.shield(done)

    async def repeated(self, claim: Claim) -> Repeated | None:
        """The earlier answer under this key, before any work is done for it; writes nothing."""
        async with self._reading() as connection:
            row = await connection.run_sync(remembered, claim, self._rules.remember)
        return repeated(row, claim) if row else None

    async def record_of(self, answer_id: str) -> tuple[str, bytes] | None:
        """The caller who got this answer, and its JSON."""
        query = select(tables.answers.c.caller, tables.answers.c.record).where(tables.answers.c.id == answer_id)
        async with self._reading() as connection:
            row = (await connection.execute(query)).first()
        return (row.caller, unpacked(row.record)) if row else None

    async def rows(self, query: Callable[[Select[Any]], Select[Any]]) -> list[Sealed]:
        async with self._reading() as connection:
            found = (await connection.execute(query(select(tables.audit)))).mappings()
            return [from_row(row) for row in found]

    async def require_writable(self) -> None:
        """A write that changes nothing: the lock is taken and taken back; after a failure the write must go through,
        since a full disk shows only then."""
        try:
            async with asyncio.timeout(self._timeout_s), self._writing() as connection:
                await connection.execute(update(tables.head).values(id=1))
                await (connection.commit() if self._failed else connection.rollback())
                self._failed = False
        except _FAULTS as error:
            raise StoreUnavailable("the audit store cannot be written", retry_after_s=5) from error

    @contextlib.asynccontextmanager
    async def _reading(self) -> Any:
        try:
            async with self.engine.connect() as connection:
                yield connection
        except _FAULTS as error:
            raise StoreUnavailable("the audit store cannot be read", retry_after_s=5) from error

    def _writing(self) -> Any:
        return self.engine.execution_options(**{WRITE: True}).connect()

    async def _write_forever(self, scribe: Scribe) -> None:
        while True:
            batch = [await self._queue.get()]
            if not self._are_enough(self._queue.qsize() + 1):
                await self._some_company()
            while len(batch) < _MOST_ROWS_A_COMMIT and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            outcomes: list[Repeated | Exception | None]
            try:
                async with asyncio.timeout(2 * self._timeout_s):
                    outcomes = [*await scribe.write([each.written for each in batch])]
                self._failed = False
            except _FAULTS as error:
                self._failed = True
                outcomes = [_unavailable(error) for _ in batch]
            for waiting, outcome in zip(batch, outcomes, strict=True):
                _settle(waiting.done, outcome)
                self._queue.task_done()

    def _are_enough(self, rows: int) -> bool:
        """Half of the requests under way: the others keep the arithmetic busy meanwhile. A lone one never waits."""
        return rows >= min(self._under_way() // 2, _ENOUGH_ROWS)

    async def _some_company(self) -> None:
        loop = asyncio.get_running_loop()
        self._company = loop.create_future()
        timer = loop.call_later(_COMPANY_S, self._let_in)
        await self._company
        timer.cancel()

    def _let_in(self) -> None:
        if self._company and not self._company.done():
            self._company.set_result(None)


def _unavailable(error: BaseException) -> StoreUnavailable:
    unavailable = StoreUnavailable("the audit store cannot be written", retry_after_s=5)
    unavailable.__cause__ = error
    return unavailable


def _settle(done: asyncio.Future[Repeated | None], outcome: Repeated | Exception | None) -> None:
    if done.done():
        return
    if isinstance(outcome, Exception):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)


__all__ = ["REPLAYED", "Action", "Repeated", "Store", "as_text", "now"]
