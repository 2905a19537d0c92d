"""python -m service.score INPUT... --out scores.parquet: one row a record, with the answer or the error code."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import fsspec

from service.registry import Model, Registry
from service.scoring import engines
from service.scoring.inputs import records
from service.scoring.parts import Done, OtherWork, Part, join, parts_of
from service.scoring.rows import DEFECT, OK, Job, schema
from service.settings import Settings

_HELP: Final = """
INPUT is a folder (searched through), a glob in quotes, a manifest (a CSV file with the column `path`), or one file; a
path of this machine or an address that fsspec knows (s3://..., gs://...; with its package installed).

The output appears when it is whole. Given again, the command of a run that was killed goes on where it stopped.
Many machines without Ray: give each --shard 1/8 ... 8/8 and an --out of its own; the shards share no record and leave
none out.
"""


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m service.score", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", nargs="+", help="folder, glob, manifest or file")
    parser.add_argument("--out", required=True, help="the Parquet file to write")
    parser.add_argument("--model", help="name or label; the default model when left out")
    parser.add_argument("--models", type=Path, help="folder of the artefacts; MODELS when left out")
    parser.add_argument("--explain", action="store_true", help="add the twelve lead weights")
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    parser.add_argument("--workers", type=int, help="processes (local) or cores (ray); all cores when left out")
    parser.add_argument("--shard", type=_shard, default=(1, 1), metavar="I/N", help="the i-th of n shares of the work")
    return parser.parse_args(given)


def _shard(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if not (index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
        raise argparse.ArgumentTypeError("I/N with 1 <= I <= N, such as 3/8")
    return int(index), int(count)


def main(given: list[str] | None = None) -> int:
    options = arguments(sys.argv[1:] if given is None else given)
    store, out = fsspec.core.url_to_fs(options.out)
    if store.exists(out):
        sys.exit(f"{options.out} is there already: move it away to score again")
    model = _model(options)
    job = Job(model.path.absolute(), model.sha256, options.explain)
    folder = f"{store.unstrip_protocol(out)}.parts"
    store.makedirs(f"{out}.parts", exist_ok=True)
    parts = parts_of(records(options.input), options.shard)
    try:
        codes, numbers = _follow(_scored(options, parts, job, folder))
    except OtherWork as error:
        sys.exit(f"{error}; give another --out, or remove {options.out}.parts")
    if not numbers:
        store.rm(f"{out}.parts", recursive=True)
        sys.exit("no recording found")
    join(folder, sorted(numbers), store.unstrip_protocol(out), schema(model.contract, explain=options.explain))
    _tell(options.out, model, codes)
    return 1 if codes[DEFECT] else 0


def _model(options: argparse.Namespace) -> Model:
    settings = Settings()
    registry = Registry(options.models or settings.models, settings.default_model)
    shelf = registry.load()
    registry.require_sound()
    return shelf.choose(options.model)


def _scored(options: argparse.Namespace, parts: Iterator[Part], job: Job, folder: str) -> Iterator[Done]:
    if options.engine == "ray":
        return engines.ray(parts, job, folder, options.workers)
    return engines.local(parts, job, folder, options.workers or len(os.sched_getaffinity(0)))


def _follow(scored: Iterator[Done]) -> tuple[Counter[str], list[int]]:
    """Count what comes, and show it: on a terminal on one line, in a log every half minute."""
    codes, numbers, fresh, start = Counter[str](), [], 0, time.monotonic()
    told, every = start, 0.5 if sys.stderr.isatty() else 30.0
    for done in scored:
        codes += done.codes
        numbers.append(done.number)
        fresh += 0 if done.repeated else done.codes.total()
        now = time.monotonic()
        if now - told >= every:
            told = now
            print(_progress(codes, fresh, now - start), end="\r" if every < 1 else "\n", file=sys.stderr, flush=True)
    print(_progress(codes, fresh, time.monotonic() - start), file=sys.stderr)
    return codes, numbers


def _progress(codes: Counter[str], fresh: int, seconds: float) -> str:
    n = codes.total()
    return f"{n:,} records, {n - codes[OK]:,} without an answer, {fresh / max(seconds, 1e-9):,.0f} a second "


def _tell(out: str, model: Model, codes: Counter[str]) -> None:
    facts = model.contract.model
    print(f"{out}: {codes.total():,} rows by {model.label} ({facts.intended_use.value})")
    if facts.simulated_outcomes:
        print("The model was trained on SIMULATED outcomes; its risks are not those of real people.")
    for code, count in codes.most_common():
        print(f"  {code:<22}{count:>10,}")


if __name__ == "__main__":
    sys.exit(main())
