"""Removes what is older than it has to be kept. The cut is itself a row, and the chain still verifies from there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, Table, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.audit import tables
from service.audit.commit import as_text, lock_head
from service.audit.engine import WRITE
from service.audit.entry import Action, Entry, Link, as_row, now, seal
from service.ids import new_id


@dataclass(frozen=True, slots=True)
class Removed:
    rows: int
    answers: int
    keys: int


async def retain(
    engine: AsyncEngine, key: bytes | None, *, audit_days: float | None, answer_days: float | None, key_days: float
) -> Removed:
    """Keep so many days of each; None keeps everything."""
    async with engine.execution_options(**{WRITE: True}).begin() as connection:
        head = await connection.run_sync(lock_head)
        rows = await _cut(connection, head, key, audit_days) if audit_days is not None else 0
        answers = await _purge(connection, tables.answers, answer_days) if answer_days is not None else 0
        keys = await _purge(connection, tables.keys, key_days)
    return Removed(rows, answers, keys)


async def _cut(connection: AsyncConnection, head: Link, key: bytes | None, days: float) -> int:
    """Remove the longest run of old rows from the beginning; a younger row ends it."""
    young = select(func.min(tables.audit.c.seq)).where(tables.audit.c.created >= _ago(days)).scalar_subquery()
    query = select(tables.audit.c.seq, tables.audit.c.hash).where(
        tables.audit.c.seq < func.coalesce(young, head.seq + 1)
    )
    last = (await connection.execute(query.order_by(tables.audit.c.seq.desc()).limit(1))).first()
    if last is None:
        return 0
    anchor = Link(last.seq, last.hash)
    removed = await _delete(connection, tables.audit, tables.audit.c.seq <= anchor.seq)
    sealed = seal(head, _announcement(anchor), key)
    await connection.execute(insert(tables.audit), [as_row(sealed)])
    moved = {"seq": sealed.seq, "hash": sealed.hash, "anchor_seq": anchor.seq, "anchor_hash": anchor.hash}
    await connection.execute(update(tables.head).values(**moved))
    return removed


def _announcement(anchor: Link) -> Entry:
    return Entry(
        id=new_id(), created=now(), action=Action.RETENTION.value, caller="operator", request_id="-",
        correlation_id="-", status=200, code="ok", latency_ms=0.0, detail=str(anchor),
    )  # fmt: skip


async def _purge(connection: AsyncConnection, table: Table, days: float) -> int:
    return await _delete(connection, table, table.c.created < _ago(days))


async def _delete(connection: AsyncConnection, table: Table, condition: ColumnElement[bool]) -> int:
    result: CursorResult[Any] = await connection.execute(delete(table).where(condition))
    return result.rowcount


def _ago(days: float) -> str:
    return as_text(datetime.now(UTC) - timedelta(days=days))
