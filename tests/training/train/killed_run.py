"""Trains in a process of its own, so that a test can kill it: FOLDER, and after how many batches to die (0 = never)."""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from model_training.train.loop import FitOptions, Losses, fit
from model_training.train.material import Batch, Shuffled
from model_training.train.run import Run
from tests.training.train.material import small

OPTIONS = FitOptions(
    epochs=3, seed=7, ema=0.9, select="fit", save_every=2, device="cpu", threads=1, show_progress=False
)


class Net(nn.Module):
    """Dropout draws from the global dice, batch norm keeps running statistics: both must survive a kill."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.LazyLinear(8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 5)
        )

    def forward(self, ecg: Tensor) -> Tensor:
        logits: Tensor = self.layers(ecg)
        return logits


def loss_of(model: Net, batch: Batch, generator: torch.Generator) -> Losses:
    """Noise from the step's generator, from numpy's and from python's dice."""
    noisy = batch.ecg + 0.1 * torch.randn(batch.ecg.shape, generator=generator)
    noisy = noisy * (1 + 0.01 * np.random.standard_normal()) + 0.01 * random.random()
    return {"loss": nn.functional.binary_cross_entropy_with_logits(model(noisy), batch.superclass)}


def train(folder: Path, die_after: int = 0) -> Net:
    material = small()
    torch.manual_seed(0)
    model = Net()
    model(torch.from_numpy(material.tensors(np.arange(2))))
    steps = 0

    def dying(net: Net, batch: Batch, generator: torch.Generator) -> Losses:
        nonlocal steps
        if die_after and steps == die_after:
            os.kill(os.getpid(), signal.SIGKILL)
        steps += 1
        return loss_of(net, batch, generator)

    def score(net: Net) -> dict[str, float]:
        rows = material.rows_in((4,))
        batch = material.batch(rows)
        loss = nn.functional.binary_cross_entropy_with_logits(net(batch.ecg), batch.superclass)
        return {"fit": -float(loss)}

    batches = Shuffled(material, material.rows_in((1, 2, 3)), 6, seed=3)
    fit(model, batches, dying, OPTIONS, Run.open(folder, "kind = 1\n", board=False), score)
    return model


if __name__ == "__main__":
    train(Path(sys.argv[1]), int(sys.argv[2]))
