"""Where parts are scored: processes of this machine, or a Ray cluster. Both call the same function."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from typing import Any, Final

from service.scoring.parts import Done, Part, score
from service.scoring.rows import Job

# Enough for no worker to wait, few enough that memory does not grow with the cohort.
_AHEAD: Final = 3
_PARTS_A_WAVE: Final = 1024


def local(parts: Iterator[Part], job: Job, folder: str, workers: int) -> Iterator[Done]:
    """One process a core: the network runs on one thread."""
    if workers == 1:
        yield from (score(part, job, folder) for part in parts)
        return
    # Spawned, not forked: the parent's threads hold locks that a fork would copy.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        running: set[Future[Done]] = set()
        while True:
            for part in islice(parts, _AHEAD * workers - len(running)):
                running.add(pool.submit(score, part, job, folder))
            if not running:
                return
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (each.result() for each in finished)


def ray(parts: Iterator[Part], job: Job, folder: str, workers: int | None) -> Iterator[Done]:
    """Ray Data over the cluster of RAY_ADDRESS, or over one of this machine. A lost node's parts are scored again."""
    try:
        import ray as cluster
    except ImportError as error:
        raise SystemExit("--engine ray needs the extra 'ray': pip install 'ecg-heart-failure-risk[ray]'") from error
    if not cluster.is_initialized():
        cluster.init(log_to_driver=False, num_cpus=workers)

    def scored(row: dict[str, Any]) -> dict[str, Any]:
        return {"done": score(row["part"], job, folder)}

    while wave := list(islice(parts, _PARTS_A_WAVE)):
        data = cluster.data.from_items([{"part": each} for each in wave], override_num_blocks=len(wave))
        for row in data.map(scored, num_cpus=1).iter_rows():
            yield row["done"]
