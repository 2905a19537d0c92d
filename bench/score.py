"""Scoring a cohort beside its bound on one core, and on one and two processes."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import Any, Final, TypeVar

import numpy as np

from bench import _document
from bench._processes import ROOT
from bench.peers._pipeline import model_path
from ecg import beats, formats, harmonise, preprocess, quality
from ecg.predictor import Predictor
from service import memory
from service.scoring import engines
from service.scoring.inputs import Record, files_of, records
from service.scoring.parts import Part
from service.scoring.rows import OK, Job, rows_of

PTBXL: Final = ROOT / ".cache" / "ptbxl"
BATCH, BLOCKS = 32, 8
RECORDS_A_PART, PARTS = 64, 12
ROUNDS: Final = int(os.environ.get("BENCH_ROUNDS", "5"))

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rate:
    """CPU milliseconds a record on one core; a share is the bound's over the row's, the median of pairs.

    The bound runs the whole graph, as the bare runtime does whatever it is asked for; the row asks for no maps and
    leaves their nodes out. The brief bound leaves them out too.
    """

    row_ms: float
    trip_ms: float
    inference_ms: float
    brief_ms: float
    share: float
    brief_share: float
    records: int


def recordings(folder: str) -> list[Record]:
    """Every few of PTB-XL's, so that all ages of the archive are among them."""
    if not (PTBXL / folder).is_dir():
        raise SystemExit(f"needs PTB-XL under {PTBXL.relative_to(ROOT)}")
    found = list(records([str(PTBXL / folder)]))
    return found[:: max(1, len(found) // 1_000)][:1_000]


def cpu_ms(part: Callable[[], T]) -> tuple[T, float]:
    """What a part gives, and its CPU milliseconds a record of the batch it works on."""
    start = time.process_time()
    given = part()
    return given, (time.process_time() - start) / BATCH * 1000


def rate(chosen: list[Record], job: Job) -> Rate:
    """Row and bound in turns over the same records, so that a slow minute of the machine is both's."""
    predictor = Predictor.load(job.model)
    some = chosen[: (BLOCKS + 2) * BATCH]
    answered = [each for each, row in zip(some, rows_of(some, job), strict=True) if row["code"] == OK]
    blocks = [answered[first : first + BATCH] for first in range(0, len(answered) - BATCH + 1, BATCH)][:BLOCKS]
    rows, trips, inferences, briefs = [], [], [], []
    for block in blocks * ROUNDS:
        rows.append(cpu_ms(lambda: list(rows_of(block, job)))[1])  # noqa: B023 - called at once
        prepared, spent = cpu_ms(lambda: [trip(each, predictor) for each in block])  # noqa: B023
        trips.append(spent)
        tensors, masks = (np.stack(each) for each in zip(*prepared, strict=True))
        for found, maps in ((inferences, True), (briefs, False)):
            infer = partial(predictor.infer_batch, tensors, masks, maps=maps)
            infer()
            found.append(cpu_ms(infer)[1])
    return Rate(
        row_ms=median(rows), trip_ms=median(trips), inference_ms=median(inferences), brief_ms=median(briefs),
        share=_share(rows, trips, inferences), brief_share=_share(rows, trips, briefs), records=len(blocks) * BATCH,
    )  # fmt: skip


def _share(rows: list[float], trips: list[float], inferences: list[float]) -> float:
    return median((trip + inference) / row for row, trip, inference in zip(rows, trips, inferences, strict=True))


def trip(record: Record, predictor: Predictor) -> tuple[Any, Any]:
    """What must be done before a network can look: read, harmonise, find the beats, judge the quality, prepare."""
    twelve = harmonise.to_twelve(formats.read_files(files_of(record)))
    found = beats.find(twelve)
    mask = quality.inspect(twelve, predictor.contract.quality, found).lead_mask
    return preprocess.prepare(twelve, predictor.contract.preprocessing, found), mask


def scaling(chosen: list[Record], job: Job) -> dict[str, float]:
    """Records a second of one process and of two, in turns; what the processes need to start is left out."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(ROUNDS):
        for workers, found in rates.items():
            found.append(steady_rate(chosen, job, workers))
    ratios = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
    return {"one": median(rates[1]), "two": median(rates[2]), "ratio": median(ratios)}


def steady_rate(chosen: list[Record], job: Job, workers: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        ended = [time.perf_counter() for _ in engines.local(_parts(chosen, workers), job, folder, workers)]
    first = ended[workers - 1]  # by then each process has imported and loaded the model
    return RECORDS_A_PART * (len(ended) - workers) / (ended[-1] - first)


def _parts(chosen: list[Record], workers: int) -> Iterator[Part]:
    """One more a process than is measured, all of the same records, so that both numbers stand for the same work."""
    return (Part(number, tuple(chosen[:RECORDS_A_PART])) for number in range((PARTS + 1) * workers))


def told(found: Rate, scaled: dict[str, float]) -> list[str]:
    return [
        f"`python -m bench score`: {found.records} PTB-XL records of 500 Hz through the row function of",
        f"`service.score`, beside its bound in turns: the trip to the tensor, the bare graph in batches of {BATCH}.",
        "",
        "| CPU ms a record | trip to the tensor | network, batched | bound | row | bound / row |",
        "|---|---|---|---|---|---|",
        f"| one core | {found.trip_ms:.2f} | {found.inference_ms:.2f} | {found.trip_ms + found.inference_ms:.2f} |"
        f" {found.row_ms:.2f} | {100 * found.share:.0f} % |",
        "",
        "The row asks for no maps, and leaves out the nodes that only they need; bare ONNX Runtime computes them all",
        f"the same, and so does the bound. Without them the network takes {found.brief_ms:.2f} ms in batches, and such",
        f"a bound is {100 * found.brief_share:.0f} % of the row.",
        "",
        f"One process {scaled['one']:.0f} records/s, two {scaled['two']:.0f}: {scaled['ratio']:.2f} times as many",
        f"(medians of {ROUNDS} turns; load average of the machine meanwhile {scaled['load']:.1f}).",
    ]


def main() -> None:
    chosen = recordings("records500")
    memory.keep_freed()
    path = model_path()
    job = Job(path, Predictor.load(path).sha256, explain=False)
    found, scaled = rate(chosen, job), scaling(chosen, job)
    scaled["load"] = os.getloadavg()[0]
    lines = told(found, scaled)
    _document.keep("score", {"rate": asdict(found), "scaling": scaled, "told": lines})
    print("\n".join(lines))


if __name__ == "__main__":
    main()
