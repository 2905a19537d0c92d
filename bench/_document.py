"""docs/benchmarks.md, made from the results that the measurements leave in docs/benchmarks/."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
RESULTS: Final = ROOT / "docs" / "benchmarks"
PAGE: Final = ROOT / "docs" / "benchmarks.md"


def keep(name: str, found: dict[str, Any]) -> None:
    """Store a result with the machine that gave it, and write the page anew."""
    RESULTS.mkdir(exist_ok=True)
    told = {"made": datetime.now(UTC).date().isoformat(), "machine": machine(), **found}
    (RESULTS / f"{name}.json").write_text(json.dumps(told, indent=1) + "\n")
    write()


def machine() -> str:
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cpu}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, Python {platform.python_version()}"


def write() -> None:
    sections = {"service": _service, "score": _score, "training": _training}
    known = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}
    text = [
        "# Benchmarks",
        "",
        "Each table is made by `python -m bench NAME` in one run on one machine; compare the ratios, not the machines.",
        "",
    ]
    for name, section in sections.items():
        if name in known:
            text += [*section(known[name]), "", f"{known[name]['made']}, {known[name]['machine']}.", ""]
    PAGE.write_text("\n".join(text))


def _service(found: dict[str, Any]) -> list[str]:
    floor = found["floor_ms"]
    total = sum(floor.values())
    parts = ", ".join(f"{name} {value:.2f}" for name, value in floor.items())
    return [
        "## The service",
        "",
        f"`python -m bench service`: medians of {found['rounds']} rounds, in which the candidates take turns; two",
        "worker processes each; the client runs on the same machine. CPU and memory are those of a candidate's",
        "processes together. Every candidate but the usual endpoint runs this project's own pipeline; this service",
        "alone also audits, limits and counts. The usual endpoint reads by wfdb from a temporary folder and does the",
        "same work with neurokit2.",
        "",
        f"Floor, what no service can do without: {total:.2f} ms CPU ({parts}).",
        "",
        service_table(found),
    ]


def service_table(found: dict[str, Any]) -> str:
    floor = sum(found["floor_ms"].values())
    lines = [
        "| candidate | file | clients | req/s | p50 ms | p95 ms | p99 ms | CPU ms | CPU / floor | MiB | failed |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [  # one row a candidate, kind of file and number of clients
        f"| {each['candidate']} | {each['kind']} | {each['clients']} | {each['per_second']:.0f} |"
        f" {each['p50_ms']:.1f} | {each['p95_ms']:.1f} | {each['p99_ms']:.1f} | {each['cpu_ms']:.2f} |"
        f" {each['cpu_ms'] / floor:.2f} | {each['memory_mib']:.0f} | {each['failed']} |"
        for each in found["lines"]
    ]
    return "\n".join(lines)


def _score(found: dict[str, Any]) -> list[str]:
    return ["## Scoring a cohort", "", *found["told"]]


def _training(found: dict[str, Any]) -> list[str]:
    return ["## Training", "", *found["told"]]


if __name__ == "__main__":
    write()
