"""Memory of `service.score` as the cohort grows: a thousand, ten thousand and a hundred thousand records."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from bench import _document
from bench._processes import ROOT, Running, no_extra
from bench.score import recordings
from service.scoring.inputs import Record

SIZES: Final = (1_000, 10_000, 100_000)


@dataclass(frozen=True, slots=True)
class Grown:
    records: int
    peak_mib: float
    bytes_a_record: float  # of the Parquet file


def grown(size: int, chosen: list[Record], folder: Path) -> Grown:
    """The command line over so many records, two processes; the peak of all its processes, shared pages once."""
    cohort = folder / str(size)
    for number in range(-(-size // len(chosen))):
        place = cohort / f"{number:04d}"
        place.mkdir(parents=True)
        for each in chosen[: size - number * len(chosen)]:
            header = Path(each.url.removeprefix("file://"))
            for path in (header, header.with_suffix(".dat")):
                os.link(path, place / path.name)
    command = [sys.executable, "-m", "service.score", str(cohort), "--out", str(folder / f"{size}.parquet")]
    process = subprocess.Popen(
        [*command, "--workers", "2"], cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    run, peak = Running(0, process, no_extra), 0.0
    while process.poll() is None:
        peak = max(peak, run.memory_mib())
        time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"service.score ended with {process.returncode}")
    shutil.rmtree(cohort)
    return Grown(size, peak, (folder / f"{size}.parquet").stat().st_size / size)


def told(sizes: list[Grown]) -> list[str]:
    growth = " to ".join(f"{each.peak_mib:.0f}" for each in sizes)
    slopes = [(b.peak_mib - a.peak_mib) / (b.records - a.records) * 1e4 for a, b in pairwise(sizes)]
    return [
        "`python -m bench archive`: the whole command with two processes over 100 Hz records of PTB-XL, hard-linked as",
        "often as it takes; the peak of all its processes together, pages that they share counted once.",
        "",
        "| records | peak MiB |",
        "|---|---|",
        *(f"| {each.records:,} | {each.peak_mib:.0f} |" for each in sizes),
        "",
        f"From {growth} MiB: at most {max(slopes):+.1f} MiB every 10,000 records.",
    ]


def main() -> None:
    small = recordings("records100")
    with tempfile.TemporaryDirectory(dir=ROOT / ".cache") as folder:  # hard links stay on one file system
        sizes = [grown(size, small, Path(folder)) for size in SIZES]
    lines = told(sizes)
    _document.keep("archive", {"sizes": [asdict(each) for each in sizes], "told": lines})
    print("\n".join(lines))


if __name__ == "__main__":
    main()
