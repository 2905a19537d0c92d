"""The store: rows go in through one writer a process, which commits many waiting rows in one transaction."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, Select, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.audit import tables
from service.audit.engine import WRITE, make_engine
from service.audit.entry import Action, Answer, Claim, Entry, Link, Sealed, as_row, from_row, now, seal
from service.audit.schema import bring_up_to_date
from service.problems import row_for
from service.refusals import KeyReused, StoreUnavailable

_MOST_ROWS_A_COMMIT: Final = 64
REPLAYED: Final = "replayed"


@dataclass(frozen=True, slots=True)
class Repeated:
    """What the store held already under an Idempotency-Key."""

    answer_id: str
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _Waiting:
    entry: Entry
    answer: Answer | None
    claim: Claim | None
    done: asyncio.Future[Repeated | None]


class Store:
    """Open it inside the event loop that uses it."""

    def __init__(
        self, url: str, *, key: bytes | None = None, timeout_s: float = 10, remember_hours: float = 24
    ) -> None:
        self._url, self._key, self._timeout_s = url, key, timeout_s
        self._remember = timedelta(hours=remember_hours)
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._writer: asyncio.Task[None] | None = None
        self._engine: AsyncEngine | None = None
        self._failed = False  # the last attempt to write

    @property
    def engine(self) -> AsyncEngine:
        if self._engine is None:
            raise StoreUnavailable("the audit store is not open")
        return self._engine

    async def open(self) -> None:
        self._engine = make_engine(self._url, self._timeout_s)
        await bring_up_to_date(self._engine)
        self._writer = asyncio.create_task(self._write_forever(), name="audit-writer")

    async def close(self) -> None:
        if self._writer:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._queue.join(), self._timeout_s)  # rows of callers that went away
            self._writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writer
        if self._engine:
            await self._engine.dispose()

    async def record(self, entry: Entry, answer: Answer | None = None, claim: Claim | None = None) -> Repeated | None:
        """Write one row, with its answer. Returns the earlier answer when the claim's key was there with the same
        request; raises KeyReused when it was there with another; the row says so in both cases."""
        done: asyncio.Future[Repeated | None] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_Waiting(entry, answer, claim, done))
        # Shielded: a caller that goes away does not take back a row that is being written.
        return await asyncio.shield(done)

    async def repeated(self, claim: Claim) -> Repeated | None:
        """The earlier answer under this key, before any work is done for it; writes nothing."""
        async with self._reading() as connection:
            row = await self._remembered(connection, claim)
        return _repeated(row, claim) if row else None

    async def record_of(self, answer_id: str) -> tuple[str, bytes] | None:
        """The caller who got this answer, and its JSON."""
        query = select(tables.answers.c.caller, tables.answers.c.record).where(tables.answers.c.id == answer_id)
        async with self._reading() as connection:
            row = (await connection.execute(query)).first()
        return (row.caller, zlib.decompress(row.record)) if row else None

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
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            raise StoreUnavailable("the audit store cannot be written", retry_after_s=5) from error

    @contextlib.asynccontextmanager
    async def _reading(self) -> Any:
        try:
            async with self.engine.connect() as connection:
                yield connection
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            raise StoreUnavailable("the audit store cannot be read", retry_after_s=5) from error

    def _writing(self) -> Any:
        return self.engine.execution_options(**{WRITE: True}).connect()

    async def _write_forever(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < _MOST_ROWS_A_COMMIT and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            outcomes: list[Repeated | Exception | None]
            try:
                async with asyncio.timeout(2 * self._timeout_s):
                    outcomes = [*await self._commit(batch)]
                self._failed = False
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                self._failed = True
                outcomes = [_unavailable(error) for _ in batch]
            for waiting, outcome in zip(batch, outcomes, strict=True):
                _settle(waiting.done, outcome)
                self._queue.task_done()

    async def _commit(self, batch: Sequence[_Waiting]) -> list[Repeated | KeyReused | None]:
        async with self._writing() as connection:
            link = await self.lock_head(connection)
            outcomes, sealed = [], []
            for waiting in batch:
                entry, outcome = await self._resolve(connection, waiting)
                sealed.append(seal(link, entry, self._key))
                link = Link(sealed[-1].seq, sealed[-1].hash)
                outcomes.append(outcome)
            await connection.execute(insert(tables.audit), [as_row(each) for each in sealed])
            await connection.execute(update(tables.head).values(seq=link.seq, hash=link.hash))
            await connection.commit()
        return outcomes

    @staticmethod
    async def lock_head(connection: AsyncConnection) -> Link:
        """The chain's last link; no other process can add one until this transaction ends."""
        row = (await connection.execute(select(tables.head.c.seq, tables.head.c.hash).with_for_update())).one()
        return Link(row.seq, row.hash)

    async def _resolve(
        self, connection: AsyncConnection, waiting: _Waiting
    ) -> tuple[Entry, Repeated | KeyReused | None]:
        """Under the lock, so that of two requests with one key exactly one is the first."""
        entry, answer, claim = waiting.entry, waiting.answer, waiting.claim
        if answer is None:
            return entry, None
        if claim:
            row = await self._remembered(connection, claim)
            if row:
                return _second(entry, row, claim)
            await connection.execute(delete(tables.keys).where(*_same_key(claim)))
            await connection.execute(insert(tables.keys).values(_key_row(claim, answer, entry.created)))
        kept = {"id": answer.id, "created": entry.created, "caller": entry.caller}
        await connection.execute(insert(tables.answers).values(**kept, record=zlib.compress(answer.record, 1)))
        return entry, None

    async def _remembered(self, connection: AsyncConnection, claim: Claim) -> Row[Any] | None:
        oldest = datetime.now(UTC) - self._remember
        query = select(tables.keys).where(*_same_key(claim), tables.keys.c.created >= as_text(oldest))
        return (await connection.execute(query)).first()


def as_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _same_key(claim: Claim) -> tuple[Any, Any]:
    return tables.keys.c.caller == claim.caller, tables.keys.c.key_sha256 == claim.key_sha256


def _key_row(claim: Claim, answer: Answer, created: str) -> dict[str, Any]:
    return {
        "caller": claim.caller,
        "key_sha256": claim.key_sha256,
        "fingerprint": claim.fingerprint,
        "created": created,
        "answer_id": answer.id,
        "media_type": answer.media_type,
        "body": zlib.compress(answer.body, 1),
    }


def _repeated(row: Row[Any], claim: Claim) -> Repeated:
    if row.fingerprint != claim.fingerprint:
        raise KeyReused("this Idempotency-Key came before with other bytes or options")
    return Repeated(row.answer_id, row.media_type, zlib.decompress(row.body))


def _second(entry: Entry, row: Row[Any], claim: Claim) -> tuple[Entry, Repeated | KeyReused]:
    try:
        repeated = _repeated(row, claim)
    except KeyReused as reused:
        return replace(entry, status=row_for(reused).status, code=reused.code, answer_id=None), reused
    return replace(entry, code=REPLAYED, answer_id=repeated.answer_id), repeated


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
