"""Who carries a commit out: one thread for SQLite, which has no waiting of its own, the event loop for PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from service.audit.commit import Outcome, Rules, Written, commit
from service.audit.direct import Direct
from service.audit.engine import BEGIN_WRITE, WRITE, make_file_engine
from service.thread import Abandoned, SideThread


class Scribe(Protocol):
    async def write(self, batch: Sequence[Written]) -> list[Outcome]:
        """All rows in one transaction, which has ended when this returns."""

    def close(self) -> None:
        """After the last write."""


def make_scribe(url: str, engine: AsyncEngine, rules: Rules, timeout_s: float) -> Scribe:
    files = make_file_engine(url, timeout_s)
    return _OnLoop(engine, rules) if files is None else _InThread(files, rules)


class _InThread:
    """A commit crosses to the thread and back once, not once a statement: each crossing waits for the interpreter."""

    def __init__(self, engine: Engine, rules: Rules) -> None:
        self._engine, self._rules = engine, rules
        self._thread = SideThread("audit")

    async def write(self, batch: Sequence[Written]) -> list[Outcome]:
        return await self._thread.start(lambda abandoned: self._commit(batch, abandoned))

    def _commit(self, batch: Sequence[Written], abandoned: Abandoned) -> list[Outcome]:
        """What is not committed is taken back when the connection is."""
        with contextlib.closing(self._engine.raw_connection()) as connection:
            files: Any = connection.driver_connection
            files.execute(BEGIN_WRITE)
            outcomes = commit(Direct(files), batch, self._rules)
            if abandoned():  # its callers have been told that nothing was written
                raise TimeoutError("nobody waits for this commit any more")
            files.commit()
        return outcomes

    def close(self) -> None:
        self._thread.close(wait=False)
        self._engine.dispose()


class _OnLoop:
    def __init__(self, engine: AsyncEngine, rules: Rules) -> None:
        self._engine, self._rules = engine.execution_options(**{WRITE: True}), rules

    async def write(self, batch: Sequence[Written]) -> list[Outcome]:
        async with self._engine.connect() as connection:
            outcomes = await connection.run_sync(commit, batch, self._rules)
            await connection.commit()
        return outcomes

    def close(self) -> None:
        pass
