"""From bytes to tensor and measurements, with the compiled kernels and with their numpy twins, in turns on one core."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from bench import _document
from bench.peers._pipeline import model_path
from ecg import beats, formats, harmonise, native, preprocess, quality
from ecg.errors import EcgError
from ecg.predictor import Predictor
from ecg.recording import Samples, TwelveLead
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


@dataclass(slots=True)
class Agreement:
    """How many recordings were taken both ways, in how many something differs, and by how much a tensor at most."""

    recordings: int = 0
    r_peaks: int = 0
    verdicts: int = 0
    intervals: int = 0
    tensor_mv: float = 0.0


def agreement(headers: list[Path], predictor: Predictor) -> Agreement:
    found = Agreement()
    for header in headers:
        files = {path.name: path.read_bytes() for path in (header, header.with_suffix(".dat"))}
        twelve = harmonise.to_twelve(formats.read_files(files))
        (fast, quick, tensor), (plain, slow, other) = (_both(twelve, predictor, compiled) for compiled in (True, False))
        found.recordings += 1
        found.r_peaks += fast.r_samples.tolist() != plain.r_samples.tolist()
        found.verdicts += (quick.verdict, _codes(quick)) != (slow.verdict, _codes(slow))
        found.intervals += _intervals(fast) != _intervals(plain)
        if tensor is not None and other is not None and fast.r_samples.tolist() == plain.r_samples.tolist():
            found.tensor_mv = max(found.tensor_mv, float(np.abs(tensor - other).max()))
    native.compiled = True
    return found


def _both(
    twelve: TwelveLead, predictor: Predictor, compiled: bool
) -> tuple[beats.Beats, quality.QualityReport, Samples | None]:
    native.compiled = compiled
    found = beats.find(twelve)
    report = quality.inspect(twelve, predictor.contract.quality, found)
    try:
        return found, report, preprocess.prepare(twelve, predictor.contract.preprocessing, found)
    except EcgError:
        return found, report, None


def _codes(report: quality.QualityReport) -> list[tuple[str, str | None]]:
    return [(issue.code.value, issue.lead) for issue in report.issues]


def _intervals(found: beats.Beats) -> list[float | None]:
    measured = beats.measure(found)
    return [measured.p_ms, measured.pr_ms, measured.qrs_ms, measured.qt_ms]


def told(fast: list[list[float]], plain: list[list[float]], records: int, both: Agreement) -> list[str]:
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
        "",
        f"Of {both.recordings:,} real recordings {both.verdicts} get another verdict or another issue from the gate,",
        f"{both.intervals} another interval of P, PR, QRS or QT, {both.r_peaks} another R peak; the tensors of the",
        f"rest differ by at most {both.tensor_mv:.4f} mV.",
    ]


def main() -> None:
    every = sorted(PTBXL.rglob("*.hea"))
    headers = sorted((PTBXL / "records500").rglob("*.hea"))[:RECORDS]
    if not native.compiled or not headers:
        print("needs compiled kernels (python -m ecg.native) and PTB-XL unpacked in .cache/ptbxl")
        return
    memory.keep_freed()
    records = [{path.name: path.read_bytes() for path in (each, each.with_suffix(".dat"))} for each in headers]
    predictor = Predictor.load(model_path())
    stages(records, predictor, compiled=True)
    rounds = [[stages(records, predictor, compiled) for compiled in (True, False)] for _ in range(ROUNDS)]
    both = agreement(every, predictor)
    lines = told([fast for fast, _ in rounds], [plain for _, plain in rounds], len(records), both)
    _document.keep("kernels", {"rounds": rounds, "agreement": asdict(both), "told": lines})
    print("\n".join(lines))


if __name__ == "__main__":
    main()
