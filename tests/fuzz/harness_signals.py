"""python -m tests.fuzz.harness_signals [libFuzzer arguments]: harmoniser, beats, gate, measures and preparation."""

from __future__ import annotations

from collections.abc import Callable

from tests.fuzz.harness import begin


def _load() -> Callable[[bytes], None]:
    from tests.fuzz import signals

    signals.heart(), signals.recipe()
    return signals.target


if __name__ == "__main__":
    begin(_load)
