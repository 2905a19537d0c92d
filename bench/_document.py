"""docs/benchmarks.md and docs/scaling.md, made from the results that the measurements leave in docs/benchmarks/."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
RESULTS: Final = ROOT / "docs" / "benchmarks"
PAGE: Final = ROOT / "docs" / "benchmarks.md"
OURS: Final = "this service"
Lines = list[str]


def keep(name: str, found: dict[str, Any]) -> None:
    """Store a result with the machine that gave it, and write the pages anew."""
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


def known() -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}


def text_of(name: str) -> str:
    return "\n".join(_SECTIONS[name](known()[name]))


def write() -> None:
    from bench import _plot, scaling

    found = known()
    PAGE.write_text(page(found))
    if "service" in found:
        _plot.service(found["service"], RESULTS / "service.svg")
    scaling.write()


def page(found: dict[str, Any]) -> str:
    text = [
        "# Benchmarks",
        "",
        "Each section is made by the command that it names, in one run on one machine; compare the ratios, not the",
        "machines. What they mean for a region or for an archive: [scaling](scaling.md).",
        "",
    ]
    for name, section in _SECTIONS.items():
        if name in found:
            text += [*section(found[name]), "", f"{found[name]['made']}, {found[name]['machine']}.", ""]
    return "\n".join(text)


def _service(found: dict[str, Any]) -> Lines:
    floor, bare = (
        f"{sum(each.values()):.2f} ms CPU ({', '.join(f'{name} {value:.2f}' for name, value in each.items())})"
        for each in (found["floor_ms"], found["bare_ms"])
    )
    return [
        "## The service",
        "",
        f"`python -m bench service`: medians of {found['rounds']} rounds, in which the candidates take turns, and",
        f"stand still in those of others; {found['workers']} worker processes each; the client runs on the same",
        "machine. CPU and memory are those of a candidate's processes together. Every candidate but the usual",
        "endpoint runs this project's own pipeline; this service alone also audits, limits and counts. The usual",
        "endpoint reads by wfdb from a temporary folder and does the same work with neurokit2.",
        "",
        f"Floor, what no service can do without: {floor}, its parts one after the other as in a request and in",
        f"{found['workers']} processes at once. Each part repeated by itself, from the processor's caches: {bare}.",
        "",
        "![Requests a second and CPU a request of each candidate](benchmarks/service.svg)",
        "",
        *_service_table(found),
        "",
        "This service over the other, median of the rounds' ratios:",
        "",
        *_ratios(found),
        "",
        *_aims(found),
        "",
        *_stages(found),
    ]


def _service_table(found: dict[str, Any]) -> Lines:
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
    return lines


def _ratios(found: dict[str, Any]) -> Lines:
    """Ratios inside a round, so that a slow minute of the machine is both sides'."""
    ours = {(each["kind"], each["clients"]): each for each in found["lines"] if each["candidate"] == OURS}
    lines = ["| beside | file | clients | times its req/s | share of its CPU |", "|---|---|---|---|---|"]
    for each in found["lines"]:
        if each["candidate"] != OURS:
            own = ours[each["kind"], each["clients"]]
            faster = _paired(own["rounds_per_second"], each["rounds_per_second"])
            lighter = _paired(own["rounds_cpu_ms"], each["rounds_cpu_ms"])
            row = (each["candidate"], each["kind"], each["clients"], f"{faster:.2f}", f"{lighter:.2f}")
            lines.append("| " + " | ".join(str(cell) for cell in row) + " |")
    return lines


def _paired(own: list[float], other: list[float]) -> float:
    return median(a / b for a, b in zip(own, other, strict=True))


def line_of(found: dict[str, Any], kind: str, clients: int, candidate: str = OURS) -> dict[str, Any]:
    wanted = (candidate, kind, clients)
    return next(each for each in found["lines"] if (each["candidate"], each["kind"], each["clients"]) == wanted)


def _aims(found: dict[str, Any]) -> Lines:
    busy, some = (line_of(found, "WFDB", clients) for clients in (64, 8))
    floors = [sum(each.values()) for each in found["floors_ms"]]
    lone, limits = [each["p50_ms"] for each in found["lone"]], [3 * each["bare_ms"] + 2 for each in found["lone"]]
    told = f"{median(lone):.2f} over {median(limits):.2f} ms, three times bare inference at that moment and 2"
    rows = [
        ("CPU a request over the floor, 64 clients", _paired(busy["rounds_cpu_ms"], floors), 2.5),
        (f"p50 of a lone client over its limit ({told})", _paired(lone, limits), 1.0),
        ("p99 over p50, 8 clients", some["p99_ms"] / some["p50_ms"], 4.0),
    ]
    lines = ["| WFDB, explanation on | measured | aim, at most | met |", "|---|---|---|---|"]
    lines += [f"| {what} | {value:.2f} | {aim:.2f} | {_met(value <= aim)} |" for what, value, aim in rows]
    return lines


def _met(is_met: bool) -> str:
    return "yes" if is_met else "no"


def _stages(found: dict[str, Any]) -> Lines:
    """Stages measured in one thread; the rest is what a request under load needs beyond them."""
    profile, audit = found["stages_ms"], found["audit"]
    kinds = list(profile)
    names = [name for name in profile[kinds[0]] if name != "total"]
    lines = [f"| stage | {' | '.join(f'{kind}, ms' for kind in kinds)} |", "|---|" + "---|" * len(kinds)]
    lines += [f"| {name} | {' | '.join(f'{profile[kind][name]:.2f}' for kind in kinds)} |" for name in names]
    busy = [line_of(found, kind, 64)["cpu_ms"] for kind in kinds]
    rest = [cpu - profile[kind]["total"] for cpu, kind in zip(busy, kinds, strict=True)]
    lines.append(f"| HTTP, audit, counts, hops | {' | '.join(f'{each:.2f}' for each in rest)} |")
    lines.append(f"| a request, 64 clients | {' | '.join(f'{each:.2f}' for each in busy)} |")
    told = (
        f"An audit row with its answer costs {audit['alone_ms']:.2f} ms CPU alone and {audit['of_sixteen_ms']:.2f} ms"
        f" among sixteen of one commit; it keeps {audit['bytes_a_row']:,.0f} bytes in SQLite, indices included."
    )
    return ["Where a request's CPU goes:", "", *lines, "", told]


def _told(title: str) -> Callable[[dict[str, Any]], Lines]:
    """A section whose measurement wrote its own lines."""
    return lambda found: [f"## {title}", "", *found["told"]]


_SECTIONS: Final[dict[str, Callable[[dict[str, Any]], Lines]]] = {
    "service": _service,
    "kernels": _told("Kernels"),
    "score": _told("Scoring a cohort"),
    "archive": _told("Memory of a long cohort"),
    "training": _told("Training"),
}


if __name__ == "__main__":
    write()
