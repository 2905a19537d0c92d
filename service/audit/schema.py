"""Brings the store's schema up to date at start; several processes may start at once."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.audit.engine import WRITE

HEAD: Final = "0001"
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 0x0ECC


async def bring_up_to_date(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        if await connection.run_sync(_revision) == HEAD:
            return
    async with engine.execution_options(**{WRITE: True}).begin() as connection:
        await connection.run_sync(_upgrade)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    """Under a lock that the transaction holds: SQLite's own, PostgreSQL's advisory one."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    if _revision(connection) == HEAD:
        return
    # Imported here, since a store that is up to date must not pay for it at every start.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
