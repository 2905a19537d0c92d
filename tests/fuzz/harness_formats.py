"""python -m tests.fuzz.harness_formats TARGET [libFuzzer arguments]: one parser, or `any` of them by its sniffer."""

from __future__ import annotations

import sys
from collections.abc import Callable

from tests.fuzz.harness import begin


def _load(name: str) -> Callable[[bytes], None]:
    from tests.fuzz.targets import parsers

    return parsers()[name]


if __name__ == "__main__":
    chosen = sys.argv.pop(1)
    begin(lambda: _load(chosen))
