"""python -m tests.fuzz.run --minutes 10: every target in turn, as long as it is told; counts go into README.md."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import ROOT

HERE = Path(__file__).parent
COUNTS = HERE / "executions.json"
README = HERE / "README.md"
WORK = ROOT / "build" / "fuzz"
FORMATS = (
    "wfdb", "dicom", "scp_ecg", "edf", "muse_xml", "hl7_aecg", "cardiosoft_xml", "philips_sierra", "fhir", "table",
)  # fmt: skip
TARGETS = (*FORMATS, "any", "xli", "signals", "door", "wire")
_EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_COVERED = re.compile(r"cov: (\d+)")
# So often at most before a fresh process: on large arrays the fuzzer itself grows by some 20 kB a run.
_RUNS = {"signals": 20_000}
_HARNESS = {
    "signals": ["tests.fuzz.harness_signals"],
    "door": ["tests.fuzz.harness_door"],
    "wire": ["tests.fuzz.harness_wire"],
}


def run(target: str, seconds: int) -> tuple[int, int, bool]:
    """Executions, covered edges, and whether something was found (it then lies in build/fuzz/found)."""
    grown, found = WORK / "corpus" / target, WORK / "found"
    for folder in (grown, found):
        folder.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", *_HARNESS.get(target, ["tests.fuzz.harness_formats", target]),
        f"-max_total_time={seconds}", f"-runs={_RUNS.get(target, -1)}", "-print_final_stats=1", "-rss_limit_mb=2048",
        "-timeout=10", "-verbosity=1", "-max_len=16384", f"-artifact_prefix={found}/{target}-",
        str(grown), str(HERE / "corpus" / target),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with (WORK / f"{target}.log").open("w") as log:
        ended = subprocess.run(command, cwd=ROOT, env=environment, stdout=log, stderr=log, check=False)
    told = (WORK / f"{target}.log").read_text(errors="replace")
    executed = [int(each) for each in _EXECUTED.findall(told)]
    covered = [int(each) for each in _COVERED.findall(told)]
    return sum(executed), max(covered, default=0), ended.returncode != 0


def add(target: str, executed: int, seconds: float, covered: int) -> None:
    counts = json.loads(COUNTS.read_text()) if COUNTS.is_file() else {}
    kept = counts.setdefault(target, {"executions": 0, "seconds": 0, "edges": 0})
    kept["executions"] += executed
    kept["seconds"] += round(seconds)
    kept["edges"] = max(kept["edges"], covered)
    COUNTS.write_text(json.dumps(counts, indent=1, sort_keys=True) + "\n")
    README.write_text(page(counts))


def page(counts: dict[str, dict[str, int]]) -> str:
    """The page beside the harnesses: how to run them, and how often they were run."""
    rows = [
        f"| `{name}` | {each['executions']:,} | {each['seconds'] / 60:.0f} | {each['edges']} |"
        for name, each in sorted(counts.items())
    ]
    total = sum(each["executions"] for each in counts.values())
    return _PAGE.format(rows="\n".join(rows), total=f"{total:,}")


_PAGE = """# Fuzzing

`make fuzz FUZZ_MINUTES=10` runs every target in turn with atheris (coverage-guided, libFuzzer underneath). The law:
an answer or an `EcgError` (over HTTP: a problem, never a 5xx), within a second of processor time and 300 MB. A warning
counts as a defect.

| target | what it is |
|---|---|
| a format's name | that parser called directly, past its sniffer |
| `any` | `formats.read`: sniffing, zip archives, file names |
| `xli` | the compressed leads of a Philips file, without their XML |
| `signals` | arbitrary samples, rates, units and lead names through harmonise, beats, quality, measure and prepare |
| `door` | arbitrary requests through the whole application's ASGI face: forms, headers, queries, broken streams |
| `wire` | arbitrary bytes on a connection: whole answers, and the same however the bytes are cut up |

What breaks the law lies in `build/fuzz/found`; `python -m tests.fuzz.triage` sorts it by the place where it broke, and
`python -m tests.fuzz.run --one FILE` runs one again. Once mended, its bytes go into `corpus/<target>/found-*`, where
`pytest tests/fuzz` runs them for good. `python -m tests.fuzz.make_corpus` writes the `made-*` files anew; the `kept-*`
files are what the runs grew, minimised by `python -m tests.fuzz.shrink`.

## Executions so far

Written by the runner from `executions.json`. Edges are what one target's instrumented code reached at most.

| target | executions | minutes | edges |
|---|---:|---:|---:|
{rows}
| all | {total} | | |
"""


def again(path: Path) -> None:
    """One finding, with its traceback."""
    target = next(
        each
        for each in sorted(TARGETS, key=len, reverse=True)
        if path.name.startswith(each) or path.parent.name == each
    )
    command = [sys.executable, "-m", *_HARNESS.get(target, ["tests.fuzz.harness_formats", target]), str(path)]
    subprocess.run(command, cwd=ROOT, check=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--slice", type=int, default=60, help="seconds a target runs before the next one's turn")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=TARGETS)
    parser.add_argument("--one", type=Path, help="run one file again")
    chosen = parser.parse_args()
    if chosen.one:
        again(chosen.one.resolve())
        return 0
    ends, broken = time.monotonic() + 60 * chosen.minutes, False
    while time.monotonic() < ends:
        for target in chosen.targets:
            left = ends - time.monotonic()
            if left < 5:
                break
            begun = time.monotonic()
            executed, covered, found = run(
                target, max(3, round(min(chosen.slice, left, 60 * chosen.minutes / len(chosen.targets))))
            )
            add(target, executed, time.monotonic() - begun, covered)
            print(f"{target}: {executed} executions, {covered} edges{', FOUND' if found else ''}", flush=True)
            broken |= found
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
