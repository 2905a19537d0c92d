"""Markdown from lines, and figures as a reader wants them."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from model_training.survival.bootstrap import Estimate

_WIDTH: Final = 110


def finite(value: Any) -> Any:
    """JSON knows no NaN."""
    if isinstance(value, dict):
        return {str(key): finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def paragraphs(lines: Iterable[str]) -> str:
    """Markdown with prose wrapped evenly, tables and headings as they are, and no two empty lines in a row."""
    out: list[str] = []
    for prose, group in itertools.groupby(lines, lambda line: bool(line) and line[0] not in "|#-!"):
        some = list(group)
        out += textwrap.wrap(" ".join(some), _WIDTH) if prose else some
    kept = [line for line, before in zip(out, ["", *out], strict=False) if line or before]
    return "\n".join(kept).rstrip("\n") + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def number(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.2f}"


def mean(values: Iterable[float]) -> str:
    known = list(values)
    return number(sum(known) / len(known)) if known else ""


def estimate(one: Estimate | None) -> str:
    return "" if one is None else f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})"
