"""python -m tests.soak.soak --minutes 60: capacity, then 70 % of it; docs/results/soak.md says how it went."""

from __future__ import annotations

import argparse
import os
import platform
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np

from service.audit import __main__ as audit
from tests.conftest import ROOT
from tests.faults.traffic import Callers
from tests.service.server import Server
from tests.soak.traffic import MIX, Heard, one

PAGE = ROOT / "docs" / "results" / "soak.md"
SHARE = 0.7
CALIBRATION_S = 20.0
OVERLOAD_S = 60.0
SAMPLE_EVERY_S = 5.0
# What a steady process may still gain: allocators keep a little, and the first requests load modules.
WARM_UP_SHARE = 0.2
MOST_MB_PER_10_000 = 20.0
CALLERS = 6
# When batches kept all callers waiting, they still catch up on so much: else the pace ends below its aim.
MOST_BEHIND_S = 30.0
WORKERS, PLACES = 2, 8


@dataclass
class Run:
    """What was heard, and how large the server was when."""

    heard: Counter[tuple[str, int]] = field(default_factory=Counter)
    broken: int = 0
    faults: list[str] = field(default_factory=list)
    memory: list[tuple[int, float]] = field(default_factory=list)  # requests so far, MB

    @property
    def requests(self) -> int:
        return sum(self.heard.values())

    def statuses(self) -> Counter[int]:
        found: Counter[int] = Counter()
        for (_, status), count in self.heard.items():
            found[status] += count
        return found

    def slope_mb(self) -> float:
        """MB per 10,000 requests after the warm-up, by least squares."""
        settled = [each for each in self.memory if each[0] > WARM_UP_SHARE * self.requests]
        if len(settled) < 3 or settled[0][0] == settled[-1][0]:
            return float("nan")
        requests, megabytes = np.array(settled).T
        return float(np.polyfit(requests, megabytes, 1)[0] * 10_000)


def resident_mb(server: Server) -> float:
    """Of the server and its workers."""
    pids = [server.process.pid, *server.workers()]
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def drive(server: Server, per_second: float | None, seconds: float, seed: int) -> Run:
    """Callers who together keep that pace, or go as fast as they are answered."""
    run, lock, ends = Run(), threading.Lock(), time.monotonic() + seconds
    turn = [time.monotonic()]

    def wait_for_turn() -> None:
        if per_second is None:
            return
        with lock:
            at = turn[0] = max(turn[0] + 1 / per_second, time.monotonic() - MOST_BEHIND_S)
        time.sleep(max(0.0, at - time.monotonic()))

    def caller(number: int) -> None:
        chance = random.Random(1_000 * seed + number)
        with httpx.Client(base_url=server.url, timeout=60) as http:
            while time.monotonic() < ends:
                wait_for_turn()
                try:
                    heard = one(http, chance)
                except httpx.TransportError:
                    with lock:
                        run.broken += 1
                    continue
                except AssertionError as error:
                    with lock:
                        run.faults.append(str(error))
                    continue
                with lock:
                    run.heard[heard.kind, heard.status] += 1

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(CALLERS)]
    for each in threads:
        each.start()
    while any(each.is_alive() for each in threads):
        run.memory.append((run.requests, resident_mb(server)))
        threads[0].join(SAMPLE_EVERY_S)
        if not threads[0].is_alive():
            for each in threads:
                each.join()
    return run


def overloaded(server: Server, seconds: float) -> tuple[Counter[str], float]:
    """Ten callers for each place, and how long after it a caller waits again."""
    with Callers(server, 10 * WORKERS * PLACES) as callers:
        time.sleep(seconds)
    time.sleep(1)
    with Callers(server, 1) as alone:
        time.sleep(3)
    calm = [each.seconds for each in alone.heard if each.code == "ok"]
    return callers.codes, float(np.median(calm)) if calm else float("inf")


def page(run: Run, minutes: float, capacity: float, verified: bool, overload: tuple[Counter[str], float] | None) -> str:
    statuses = sorted(run.statuses().items())
    kinds = sorted({kind for kind, _ in run.heard})
    server_errors = sum(count for status, count in statuses if status >= 500)
    first, last = run.memory[0][1], run.memory[-1][1]
    pace = run.requests / minutes / 60
    lines = [
        "# Soak",
        "",
        "Written by `make soak` (`tests/soak/soak.py`): the real server with two workers and SQLite, mixed good and",
        f"hostile traffic at {SHARE:.0%} of the pace that it was measured to take just before. Its callers and what",
        "else the machine was doing ran beside it.",
        "",
        "| what | measured |",
        "|---|---|",
        f"| when | {datetime.now(UTC):%Y-%m-%d %H:%M} UTC |",
        f"| where | {os.cpu_count()} cores, Python {platform.python_version()} |",
        f"| how long | {minutes:.1f} minutes |",
        f"| capacity, this mix | {capacity:.1f} requests/s |",
        f"| requests | {run.requests:,} ({pace:.1f} a second, {pace / capacity:.0%} of that capacity) |",
        f"| 5xx; one fails the soak, a 503 too | {server_errors}, of them 503: {dict(statuses).get(503, 0)} |",
        f"| connections that the server broke | {run.broken} |",
        f"| retries that got another answer | {len(run.faults)} |",
        f"| memory, all processes | {first:.0f} MB at the start, {last:.0f} MB at the end |",
        f"| memory slope after warm-up | {run.slope_mb():+.2f} MB per 10,000 requests |",
        f"| audit chain | {'verified' if verified else 'BROKEN'} |",
    ]
    if overload:
        codes, calm_s = overload
        told = ", ".join(f"{count:,} {code}" for code, count in sorted(codes.items()))
        lines += [
            f"| then {10 * WORKERS * PLACES} callers at once for {WORKERS * PLACES} places | {told} |",
            f"| a single caller afterwards waits | {calm_s * 1000:.0f} ms |",
        ]
    lines += ["", "Answers by what was sent; 0 is a caller that left in the middle of a body.", ""]
    lines += [f"| sent | {' | '.join(str(status) for status, _ in statuses)} |", f"|---|{'---:|' * len(statuses)}"]
    for kind in kinds:
        counts = " | ".join(f"{run.heard[kind, status]:,}" if run.heard[kind, status] else "" for status, _ in statuses)
        lines.append(f"| {kind} | {counts} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument(
        "--overload", type=float, default=OVERLOAD_S, help="seconds of ten times too many callers; 0: none"
    )
    parser.add_argument("--page", type=Path, default=PAGE)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ecg-soak-") as folder:
        with Server(Path(folder), WORKERS=str(WORKERS), QUEUE_SIZE=str(PLACES), LOG_LEVEL="error") as server:
            server.wait(lambda: len(server.workers()) == WORKERS, 40)
            drive(server, None, CALIBRATION_S / 2, seed=0)
            measured = drive(server, None, CALIBRATION_S, seed=1)
            capacity = measured.requests / CALIBRATION_S
            print(f"capacity {capacity:.1f}/s", flush=True)
            run = drive(server, SHARE * capacity, 60 * chosen.minutes, seed=2)
            overload = overloaded(server, chosen.overload) if chosen.overload else None
            url = f"sqlite:///{server.database}"
        verified = audit.main(["--url", url, "verify"]) == 0
        log = server.log.read_text()
    chosen.page.parent.mkdir(parents=True, exist_ok=True)
    chosen.page.write_text(page(run, chosen.minutes, capacity, verified, overload))
    print(chosen.page.read_text())
    unforeseen = [status for status in run.statuses() if status >= 500]
    if unforeseen or run.broken or run.faults or not verified:
        print(log[-8_000:])
        return 1
    return int(run.slope_mb() > MOST_MB_PER_10_000)


__all__ = ["MIX", "Heard"]

if __name__ == "__main__":
    sys.exit(main())
