"""python -m tests.fuzz.harness_wire [libFuzzer arguments]: bytes on a connection."""

from __future__ import annotations

from collections.abc import Callable

from tests.fuzz.harness import begin


def _load() -> Callable[[bytes], None]:
    from tests.fuzz import wire

    return wire.target


if __name__ == "__main__":
    begin(_load)
