"""From bytes to tensor and measurements, with the compiled kernels and with their numpy twins, in turns on one core."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from bench import _document, core
from bench.peers._pipeline import model_path
from ecg import beats, formats, harmonise, native, preprocess, quality
from ecg.contract import Step
from ecg.errors import EcgError
from ecg.predictor import Predictor
from ecg.recording import Samples, TwelveLead
from service import memory

RECORDS, ROUNDS = 60, 7


def stages(records: list[dict[str, bytes]], steps: tuple[Step, ...], compiled: bool) -> list[float]:
    """Median of each stage over the records, then of all stages together."""
    native.compiled = compiled
    trips = [core.trip(partial(formats.read_files, files), steps) for files in records]
    return [*(median(each) for each in zip(*trips, strict=True)), median(sum(each) for each in trips)]


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
        twelve = harmonise.to_twelve(formats.read_files(core.files_of(header)))
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
    for k, name in enumerate((*core.STAGES, "together")):
        quick, slow = median(each[k] for each in fast), median(each[k] for each in plain)
        ratio = median(after[k] / before[k] for before, after in zip(fast, plain, strict=True))
        rows.append(f"| {name} | {slow:.2f} | {quick:.2f} | {ratio:.1f} |")
    return [
        f"`python -m bench kernels`: ms of {records} PTB-XL records of 500 Hz, stage by stage, with the kernels in",
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
    every, records = sorted(core.PTBXL.rglob("*.hea")), core.wfdb_records(RECORDS)
    if not native.compiled or not records:
        print("needs compiled kernels (python -m ecg.native) and PTB-XL unpacked in .cache/ptbxl")
        return
    memory.keep_freed()
    predictor = Predictor.load(model_path())
    steps = predictor.contract.preprocessing
    stages(records, steps, compiled=True)
    rounds = [[stages(records, steps, compiled) for compiled in (True, False)] for _ in range(ROUNDS)]
    both = agreement(every, predictor)
    lines = told([fast for fast, _ in rounds], [plain for _, plain in rounds], len(records), both)
    _document.keep("kernels", {"rounds": rounds, "agreement": asdict(both), "told": lines})
    print("\n".join(lines))


if __name__ == "__main__":
    main()
