"""Finds a changed, removed, inserted or reordered row, from the first row kept to the last one promised."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.audit import tables
from service.audit.entry import Action, Link, Sealed, digest, from_row

_PAGE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """`problem` is None when the chain holds; `rows` were checked, `head` is the last link."""

    rows: int
    head: Link
    problem: str | None


async def sealed_rows(connection: AsyncConnection, after: int = 0) -> AsyncIterator[Sealed]:
    """Every row in order, a page at a time."""
    while True:
        query = select(tables.audit).where(tables.audit.c.seq > after).order_by(tables.audit.c.seq).limit(_PAGE)
        page = [from_row(row) for row in (await connection.execute(query)).mappings()]
        for sealed in page:
            yield sealed
        if not page:
            return
        after = page[-1].seq


async def verify(engine: AsyncEngine, key: bytes | None, expected: Link | None = None) -> Verdict:
    """`expected` is a link noted earlier outside the database: it must still be in the chain."""
    async with engine.connect() as connection:
        if connection.dialect.name == "postgresql":  # one snapshot, while others go on writing
            await connection.execution_options(isolation_level="REPEATABLE READ")
        row = (await connection.execute(select(tables.head))).first()
        if row is None:
            return Verdict(0, Link(0, ""), "the chain's head is missing")
        head, anchor = Link(row.seq, row.hash), Link(row.anchor_seq, row.anchor_hash)
        return await _walk(connection, anchor, head, key, expected)


async def _walk(
    connection: AsyncConnection, anchor: Link, head: Link, key: bytes | None, expected: Link | None
) -> Verdict:
    link, count, announced = anchor, 0, None
    seen = expected is None or expected in (anchor, head)
    async for sealed in sealed_rows(connection):
        problem = _fault(link, sealed, key)
        if problem:
            return Verdict(count, head, problem)
        link, count = Link(sealed.seq, sealed.hash), count + 1
        seen = seen or link == expected
        if sealed.entry.action == Action.RETENTION:
            announced = sealed.entry.detail
    return Verdict(count, head, _end_fault(link, head, anchor, announced, seen))


def _fault(link: Link, sealed: Sealed, key: bytes | None) -> str | None:
    if sealed.seq != link.seq + 1:
        return f"row {link.seq + 1} is missing"
    if sealed.hash != digest(link.hash, sealed.seq, sealed.entry, key):
        return f"row {sealed.seq} was changed or moved: it does not follow from row {link.seq}"
    return None


def _end_fault(link: Link, head: Link, anchor: Link, announced: str | None, seen: bool) -> str | None:
    if link != head:
        return f"the last rows are missing: the chain ends at row {link.seq}, {head.seq} were written"
    if anchor.seq and announced != str(anchor):
        return f"rows up to {anchor.seq} are gone, and no retention row says so"
    return None if seen else "the link noted earlier is not in this chain: it was written anew"
