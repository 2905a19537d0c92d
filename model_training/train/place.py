"""Where training runs: which device, and which of how many processes when torchrun started several."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """`rank` of `world` processes; each takes its own share of every batch."""

    device: torch.device
    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Writes the run folder and judges the model; the others wait for its word."""
        return self.rank == 0

    def share(self, rows: list[T]) -> list[T]:
        """This process's part of a batch; shares differ by at most one in size."""
        return rows[self.rank :: self.world]

    def told(self, word: T) -> T:
        """What the leading process says, in every process."""
        if self.world == 1:
            return word
        words = [word]
        dist.broadcast_object_list(words, src=0)
        return words[0]


def leading() -> bool:
    """This process writes the files: torchrun's first, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def device_named(name: str) -> torch.device:
    """`auto` takes a GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError("no CUDA device here; choose --device cpu or auto")
    return torch.device(name)


@contextmanager
def place(device: str) -> Iterator[Place]:
    """The process's place; under torchrun it joins the others and leaves them at the end."""
    chosen, world = device_named(device), int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Place(chosen)
        return
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Place(chosen, dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
