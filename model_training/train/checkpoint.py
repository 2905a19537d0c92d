"""All that a run needs to go on as if it had never stopped: weights, optimiser, schedule, dice, and where it stood."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch


@dataclass(slots=True)
class Progress:
    """`batch` batches of `epoch` are done; the sums are of this epoch's losses so far."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best_score: float | None = None
    best_epoch: int = -1
    without_gain: int = 0
    sums: dict[str, float] | None = None


def dice() -> dict[str, Any]:
    """The states of every random generator that training could draw from, as plain numbers and tensors."""
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": [name, [int(key) for key in keys], position, has_gauss, gauss],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_dice(states: dict[str, Any]) -> None:
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), position, has_gauss, cached))
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])


def seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def save(path: Path, state: dict[str, Any]) -> None:
    """Whole or not at all: a kill while writing leaves the file before it."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def load(path: Path) -> dict[str, Any]:
    """Tensors and plain values alone are read: a checkpoint from elsewhere cannot run code."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state
