"""python -m tests.fuzz.shrink [TARGET...]: of what the runs grew, the smallest files that reach what no other does."""

from __future__ import annotations

import contextlib
import shutil
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from tests.conftest import ROOT
from tests.fuzz.run import TARGETS, WORK
from tests.fuzz.targets import CORPUS, Target
from tests.fuzz.triage import targets

LARGEST_FILE_BYTES, LARGEST_TARGET_BYTES = 10_000, 40_000
_OURS = (str(ROOT / "ecg"), str(ROOT / "service"))
Steps = set[tuple[str, int, int]]


def reached(target: Target, data: bytes) -> Steps:
    """Steps from line to line within the core and the service."""
    steps: Steps = set()

    def trace(frame: FrameType, _event: str, _arg: Any) -> Any:
        if not frame.f_code.co_filename.startswith(_OURS):
            return None
        last = frame.f_lineno

        def line(inner: FrameType, _event: str, _arg: Any) -> Any:
            nonlocal last
            steps.add((inner.f_code.co_filename, last, inner.f_lineno))
            last = inner.f_lineno
            return line

        return line

    sys.settrace(trace)
    try:
        with contextlib.suppress(Exception):  # under a tracer a file may be called too slow; findings are not kept here
            target(data)
    finally:
        sys.settrace(None)
    return steps


def shrink(name: str) -> int:
    folder, target, known = CORPUS / name, targets()[name], Steps()
    for path in folder.glob("kept-*"):
        path.unlink()
    for path in folder.iterdir():
        known |= reached(target, path.read_bytes())
    budget, kept = LARGEST_TARGET_BYTES, 0
    for path in sorted((WORK / "corpus" / name).iterdir(), key=lambda each: each.stat().st_size):
        size = path.stat().st_size
        new = reached(target, path.read_bytes()) - known if size <= min(budget, LARGEST_FILE_BYTES) else Steps()
        if new:
            shutil.copy(path, folder / f"kept-{path.name[:12]}")
            known, budget, kept = known | new, budget - size, kept + 1
    return kept


def main(words: list[str]) -> None:
    for name in words or TARGETS:
        if Path(WORK / "corpus" / name).is_dir():
            print(f"{name}: {shrink(name)} files kept", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
