"""A database engine for the store: embedded SQLite (WAL) or PostgreSQL, by URL."""

from __future__ import annotations

import sqlite3
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}
# A write transaction says so, since SQLite must take its lock at the start of it or not at all.
WRITE: Final = "store_write"
BEGIN_WRITE: Final = "BEGIN IMMEDIATE"
_AGAIN_S: Final = 0.01


def make_engine(url: str, timeout_s: float) -> AsyncEngine:
    parsed = make_url(url)
    parsed = parsed.set(drivername=_DRIVERS.get(parsed.get_backend_name(), parsed.drivername))
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed, timeout_s)
    return create_async_engine(
        parsed, pool_size=4, max_overflow=4, pool_timeout=timeout_s, pool_pre_ping=True,
        connect_args={"timeout": timeout_s, "command_timeout": timeout_s},
    )  # fmt: skip


def make_file_engine(url: str, timeout_s: float) -> Engine | None:
    """For use from a thread; None where the store is no SQLite file."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    engine = create_engine(parsed.set(drivername="sqlite+pysqlite"), connect_args={"timeout": timeout_s})
    return _prepared(engine, timeout_s)


def _sqlite(url: URL, timeout_s: float) -> AsyncEngine:
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(url, connect_args={"timeout": timeout_s})
    _prepared(engine.sync_engine, timeout_s)
    return engine


def _prepared(engine: Engine, timeout_s: float) -> Engine:
    event.listen(engine, "connect", partial(_configure, timeout_s))
    event.listen(engine, "begin", _begin)
    return engine


def _configure(timeout_s: float, connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, never by the driver
    cursor = connection.cursor()
    _write_ahead(cursor, timeout_s)
    cursor.execute("PRAGMA synchronous=FULL")  # a row that was promised outlives a power cut
    cursor.close()


def _write_ahead(cursor: Any, timeout_s: float) -> None:
    """SQLite refuses all but one of the processes that do this to a new file at once, without its usual patience."""
    ends = time.monotonic() + timeout_s
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > ends:
                raise
            time.sleep(_AGAIN_S)


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITE, False)
    connection.exec_driver_sql(BEGIN_WRITE if writes else "BEGIN")
