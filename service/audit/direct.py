"""Our statements on SQLite's own driver, each turned into its SQL once: through every layer of the toolkit, a row takes
longer to get to the file than to be written there."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, Protocol

from sqlalchemy import Executable
from sqlalchemy.dialects import sqlite

_DIALECT: Final = sqlite.dialect()
Given = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class Found(Protocol):
    def fetchone(self) -> Any:
        """The next row, by position; None behind the last."""


class Connected(Protocol):
    """What a commit needs of a connection; the toolkit's own has it."""

    def execute(self, statement: Any, given: Any = None, /) -> Found:
        """`given` is one row's values by name, or many rows'."""


class Direct:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, statement: Executable, given: Given | None = None, /) -> Found:
        sql, names = _compiled(statement)
        if isinstance(given, Mapping):
            return self._connection.execute(sql, [given[name] for name in names])
        if given is None:
            return self._connection.execute(sql)
        return self._connection.executemany(sql, [[row[name] for name in names] for row in given])


@cache
def _compiled(statement: Any) -> tuple[str, tuple[str, ...]]:
    """A statement's SQL and the names of its values in their places; the commit's statements are few, and constant."""
    compiled = statement.compile(dialect=_DIALECT)
    return str(compiled), tuple(compiled.positiontup or ())
