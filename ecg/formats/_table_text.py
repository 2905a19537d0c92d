"""Delimited text as a block of numbers: fast where the cells are plain, patient where some are empty or odd."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

from ecg.errors import Malformed, TooLarge

MAX_CELLS: Final = 3_000_000
MAX_ODD_CELLS: Final = 1_000_000
_WHERE: Final = "the table"


def numbers(body: bytes, delimiter: bytes, n_columns: int, *, decimal_comma: bool) -> NDArray[np.float64]:
    """One row a line, NaN for an empty cell. Every line must have as many cells as the heading."""
    body = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").strip(b"\n")
    n_rows = body.count(b"\n") + 1 if body else 0
    if not n_rows:
        raise Malformed("a heading without rows", where=_WHERE)
    if n_rows * n_columns > MAX_CELLS:
        raise TooLarge(f"{n_rows * n_columns} cells; at most {MAX_CELLS} are read")
    _require_even(body, delimiter, n_columns)
    flat = body.replace(b",", b".") if decimal_comma else body
    flat = flat.replace(delimiter, b",") if delimiter != b"," else flat
    return _cells(flat.replace(b"\n", b",")).reshape(n_rows, n_columns)


def _require_even(body: bytes, delimiter: bytes, n_columns: int) -> None:
    """A line too short and another too long would shift every lead between them."""
    characters = np.frombuffer(body, np.uint8)
    lines = np.append(np.flatnonzero(characters == ord("\n")), characters.size)
    per_line = np.diff(np.searchsorted(np.flatnonzero(characters == ord(delimiter)), lines), prepend=0)
    wrong = np.flatnonzero(per_line != n_columns - 1)
    if wrong.size:
        raise Malformed(f"{per_line[wrong[0]] + 1} cells instead of {n_columns}", where=f"row {wrong[0] + 1}")


def _cells(flat: bytes) -> NDArray[np.float64]:
    try:
        values = orjson.loads(b"[" + flat + b"]")  # the JSON parser reads plain decimals fastest
        if all(kind in (int, float) for kind in set(map(type, values))):
            return np.array(values, np.float64)
    except (ValueError, OverflowError):
        pass
    cells = flat.split(b",", MAX_ODD_CELLS)
    if len(cells) > MAX_ODD_CELLS:
        raise TooLarge(f"more than {MAX_ODD_CELLS} cells that are not all plain decimals")
    return np.array([_cell(cell) for cell in cells], np.float64)


def _cell(cell: bytes) -> float:
    text = cell.strip(b" \"'")
    if not text:
        return math.nan
    if len(text) > 40 or b"_" in text:
        raise Malformed("a cell that is no number", where=_WHERE)
    try:
        return float(text)
    except ValueError:
        raise Malformed("a cell that is no number", where=_WHERE) from None
