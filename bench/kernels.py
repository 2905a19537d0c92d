"""From bytes to tensor and measurements, with the compiled kernels and with their numpy twins, in turns on one core."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final

from bench import _document
from bench.peers._pipeline import model_path
from ecg import beats, formats, harmonise, native, preprocess, quality
from ecg.predictor import Predictor
from service import memory

PTBXL: Final = Path(__file__).resolve().parent.parent / ".cache" / "ptbxl"
RECORDS, ROUNDS = 60, 7
STAGES: Final = ("read", "harmonise", "beats", "quality", "prepare", "measure")


def trip(files: dict[str, bytes], predictor: Predictor) -> list[float]:
    """CPU milliseconds of each stage."""
    contract = predictor.contract
    marks = [time.thread_time()]
    recording = formats.read_files(files)
    marks.append(time.thread_time())
    twelve = harmonise.to_twelve(recording)
    marks.append(time.thread_time())
    found = beats.find(twelve)
    marks.append(time.thread_time())
    quality.inspect(twelve, contract.quality, found)
    marks.append(time.thread_time())
    preprocess.prepare(twelve, contract.preprocessing, found)
    marks.append(time.thread_time())
    beats.measure(found)
    marks.append(time.thread_time())
    return [(after - before) * 1000 for before, after in pairwise(marks)]


def stages(records: list[dict[str, bytes]], predictor: Predictor, compiled: bool) -> list[float]:
    """Median of each stage over the records, then of all stages together."""
    native.compiled = compiled
    trips = [trip(files, predictor) for files in records]
    return [*(median(each[k] for each in trips) for k in range(len(STAGES))), median(sum(each) for each in trips)]


def told(fast: list[list[float]], plain: list[list[float]], records: int) -> list[str]:
    rows = []
    for k, name in enumerate((*STAGES, "together")):
        quick, slow = median(each[k] for each in fast), median(each[k] for each in plain)
        ratio = median(after[k] / before[k] for before, after in zip(fast, plain, strict=True))
        rows.append(f"| {name} | {slow:.2f} | {quick:.2f} | {ratio:.1f} |")
    return [
        f"`python -m bench kernels`: CPU ms of {records} PTB-XL records of 500 Hz, stage by stage, with the kernels in",
        f"C and with their numpy twins in turns; medians of {ROUNDS} rounds.",
        "",
        "| stage | numpy | kernels | times |",
        "|---|---|---|---|",
        *rows,
    ]


def main() -> None:
    headers = sorted((PTBXL / "records500").rglob("*.hea"))[:RECORDS]
    if not native.compiled or not headers:
        print("needs compiled kernels (python -m ecg.native) and PTB-XL unpacked in .cache/ptbxl")
        return
    memory.keep_freed()
    records = [{path.name: path.read_bytes() for path in (each, each.with_suffix(".dat"))} for each in headers]
    predictor = Predictor.load(model_path())
    stages(records, predictor, compiled=True)
    rounds = [[stages(records, predictor, compiled) for compiled in (True, False)] for _ in range(ROUNDS)]
    native.compiled = True
    lines = told([fast for fast, _ in rounds], [plain for _, plain in rounds], len(records))
    _document.keep("kernels", {"rounds": rounds, "told": lines})
    print("\n".join(lines))


if __name__ == "__main__":
    main()
