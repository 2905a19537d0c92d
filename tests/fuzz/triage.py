"""python -m tests.fuzz.triage [FOLDER]: what the runs found, by the place in the code where it broke."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections import defaultdict
from pathlib import Path

from tests.conftest import ROOT
from tests.fuzz import door, signals, wire
from tests.fuzz.run import TARGETS, WORK
from tests.fuzz.targets import Target, parsers


def targets() -> dict[str, Target]:
    return {**parsers(), "signals": signals.target, "door": door.target, "wire": wire.target}


def target_of(path: Path) -> str:
    """By the folder in the corpus, else by the prefix that the runner gives to findings."""
    if path.parent.name in TARGETS:
        return path.parent.name
    return next(each for each in sorted(TARGETS, key=len, reverse=True) if path.name.startswith(f"{each}-"))


def place(error: BaseException) -> str:
    """The innermost line of ours, and what went wrong there."""
    ours = [each for each in traceback.extract_tb(error.__traceback__) if "site-packages" not in each.filename]
    inside = [each for each in ours if "/tests/" not in each.filename] or ours
    return (
        f"{Path(inside[-1].filename).relative_to(ROOT)}:{inside[-1].lineno} {type(error).__name__}: {str(error)[:100]}"
    )


def main() -> int:
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", category=ResourceWarning)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else WORK / "found"
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir(), key=lambda each: each.stat().st_size):
        try:
            targets()[target_of(path)](path.read_bytes())
        except Exception as error:  # whatever broke is what is asked for
            found[place(error)].append(path)
    for where, paths in sorted(found.items()):
        print(f"{len(paths):4d}  {where}\n      {paths[0]}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
