"""The one training loop: any model, any batches, any loss; killed and resumed it ends with the same weights.

Every draw that a step makes comes from a generator seeded by (seed, step, rank) or from states that the checkpoint
holds, so what follows a checkpoint is the same whether or not the process lived through what came before it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from model_training.train import checkpoint, schedule
from model_training.train.place import Place, place
from model_training.train.run import Run
from model_training.train.schedule import OptimiserOptions

M = TypeVar("M", bound=nn.Module)
B = TypeVar("B")
Shared = TypeVar("Shared", covariant=True)
Losses = dict[str, Tensor]  # "loss" is what is minimised; the others are only noted


class Batches(Protocol[Shared]):
    """Batches of an epoch from the `first` on; the same epoch gives the same batches. `at` is whose share is wanted."""

    def __len__(self) -> int: ...

    def of_epoch(self, epoch: int, at: Place, first: int = 0) -> Iterator[Shared]: ...


class FitOptions(BaseModel):
    """`select` names the score that picks the best epoch; without it the last epoch is the best.

    `patience` counts scored epochs without a gain, 0 never stops early. `ema` is the decay of the weights' running
    mean, 0 keeps none; where there is one, it is what is judged and kept. `save_every` is in batches, 0 = each epoch.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    epochs: int = Field(ge=1)
    seed: int = 0
    optimiser: OptimiserOptions = OptimiserOptions()
    ema: float = Field(default=0.0, ge=0, lt=1)
    select: str = ""
    larger_is_better: bool = True
    patience: int = Field(default=0, ge=0)
    score_every: int = Field(default=1, ge=1)
    save_every: int = Field(default=0, ge=0)
    device: str = "auto"
    bf16: bool = False
    threads: int = Field(default=0, ge=0)
    show_progress: bool = True


@dataclass(frozen=True, slots=True)
class Fitted:
    """`epochs` were trained; the model carries the weights of `best_epoch` (counted from 0)."""

    epochs: int
    best_epoch: int
    best_score: float | None


class _Step(nn.Module, Generic[B]):
    """Model and loss as one forward pass, which is what DistributedDataParallel wraps."""

    def __init__(self, model: nn.Module, loss_of: Callable[[Any, B, torch.Generator], Losses]) -> None:
        super().__init__()
        self.model, self.loss_of = model, loss_of

    def forward(self, batch: B, generator: torch.Generator) -> Losses:
        return self.loss_of(self.model, batch, generator)


def fit(
    model: M,
    batches: Batches[B],
    loss_of: Callable[[M, B, torch.Generator], Losses],
    options: FitOptions,
    run: Run,
    score: Callable[[M], dict[str, float]] | None = None,
) -> Fitted:
    """Train `model` in place and leave it with its best weights; goes on from the run's last checkpoint.

    `loss_of` moves the batch to the model's device itself. `score` judges the model on other people than it learns
    from; it runs in the leading process alone.
    """
    if options.threads:
        torch.set_num_threads(options.threads)
    with place(options.device) as here:
        fitting = _Fitting(model, batches, loss_of, options, run, score, here)
        try:
            fitting.go_on()
            fitting.train()
        finally:
            run.close()
        return fitting.finish()


class _Fitting(Generic[M, B]):
    def __init__(
        self, model: M, batches: Batches[B], loss_of: Callable[[M, B, torch.Generator], Losses], options: FitOptions,
        run: Run, score: Callable[[M], dict[str, float]] | None, here: Place,
    ) -> None:  # fmt: skip
        self.model, self.batches, self.options, self.run, self.here = model.to(here.device), batches, options, run, here
        self.score, self.at = score, checkpoint.Progress(sums={})
        self.optimiser = schedule.optimiser(model, options.optimiser)
        self.schedule = schedule.scheduler(self.optimiser, options.optimiser, options.epochs * len(batches))
        self.mean = copy.deepcopy(model).requires_grad_(False) if options.ema else None
        step = _Step(model, loss_of)
        self.step: nn.Module = step if here.world == 1 else DistributedDataParallel(step, find_unused_parameters=True)
        # a stream of its own for what the model draws in a step (dropout), another in each process
        checkpoint.seed_everything(options.seed + here.rank)

    @property
    def judged(self) -> M:
        return self.model if self.mean is None else self.mean

    def go_on(self) -> None:
        if not self.run.last.is_file():
            return
        state = checkpoint.load(self.run.last)
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        if self.mean is not None:
            self.mean.load_state_dict(state["mean"])
        self.at = checkpoint.Progress(**state["progress"])
        checkpoint.set_dice(state["dice"][min(self.here.rank, len(state["dice"]) - 1)])
        if self.here.leads:
            self.run.forget_after(self.at.epoch)

    def train(self) -> None:
        with _bar(self.options.show_progress and self.here.leads) as bar:
            total = self.options.epochs * len(self.batches)
            task = bar.add_task("training", total=total, completed=self.at.step, loss="", score="")
            while self.at.epoch < self.options.epochs and not self._stopped:
                self._epoch(lambda loss: bar.update(task, advance=1, loss=f"{loss:.4f}"))
                values = self._close_epoch()
                if self.options.select in values:
                    bar.update(task, score=f"{self.options.select} {values[self.options.select]:.4f}")

    @property
    def _stopped(self) -> bool:
        return 0 < self.options.patience <= self.at.without_gain

    def _epoch(self, advance: Callable[[float], None]) -> None:
        self.model.train()
        assert self.at.sums is not None
        for batch in self.batches.of_epoch(self.at.epoch, self.here, self.at.batch):
            losses = self._batch(batch)
            for name, value in losses.items():
                self.at.sums[name] = self.at.sums.get(name, 0.0) + value
            self.at.batch += 1
            self.at.step += 1
            if self.options.save_every and self.at.step % self.options.save_every == 0:
                self._save()
            advance(losses["loss"])

    def _batch(self, batch: B) -> dict[str, float]:
        generator = torch.Generator().manual_seed(_seed(self.options.seed, self.at.step, self.here.rank))
        with self._precision():
            losses: Losses = self.step(batch, generator)
        self.optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.options.optimiser.clip_norm)
        self.optimiser.step()
        self.schedule.step()
        if self.mean is not None:
            _move(self.mean, self.model, min(self.options.ema, 1 - 1 / (1 + self.at.step)))
        found = {name: float(value.detach()) for name, value in losses.items()}
        if not math.isfinite(found["loss"]):
            raise FloatingPointError(f"the loss is {found['loss']} at step {self.at.step}: {found}")
        return found

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.here.device.type, torch.bfloat16) if self.options.bf16 else nullcontext()

    def _close_epoch(self) -> dict[str, float]:
        """Mean losses and, where it is time, the scores; then the checkpoint that the next epoch starts from."""
        assert self.at.sums is not None
        values = {name: total / len(self.batches) for name, total in sorted(self.at.sums.items())}
        values["learning_rate"] = float(self.schedule.get_last_lr()[0])
        done = self.at.epoch + 1
        if self.score is not None and (done % self.options.score_every == 0 or done == self.options.epochs):
            values |= self.here.told(self._scores())
        self._select(values)
        if self.here.leads:
            self.run.note(self.at.epoch, values)
        self.at.epoch, self.at.batch, self.at.sums = done, 0, {}
        self._save()
        return values

    def _scores(self) -> dict[str, float]:
        if not self.here.leads or self.score is None:
            return {}
        self.judged.eval()
        with torch.no_grad():
            return self.score(self.judged)

    def _select(self, values: dict[str, float]) -> None:
        if not self.options.select:
            self._keep(None)
        elif (found := values.get(self.options.select)) is not None:
            best, sign = self.at.best_score, 1 if self.options.larger_is_better else -1
            if best is None or sign * found > sign * best:
                self._keep(found)
            else:
                self.at.without_gain += 1

    def _keep(self, score: float | None) -> None:
        self.at.best_score, self.at.best_epoch, self.at.without_gain = score, self.at.epoch, 0
        if self.here.leads and (score is not None or self.at.epoch + 1 == self.options.epochs):
            state = {"model": self.judged.state_dict(), "epoch": self.at.epoch, "score": score}
            checkpoint.save(self.run.best, state)

    def _save(self) -> None:
        dice = self._everyones_dice()
        if not self.here.leads:
            return
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "mean": self.mean.state_dict() if self.mean is not None else None,
            "progress": {name: getattr(self.at, name) for name in self.at.__slots__},
            "dice": dice,
        }
        checkpoint.save(self.run.last, state)

    def _everyones_dice(self) -> list[dict[str, Any]]:
        mine = checkpoint.dice()
        if self.here.world == 1:
            return [mine]
        everyones: list[Any] = [None] * self.here.world
        torch.distributed.all_gather_object(everyones, mine)
        return everyones

    def finish(self) -> Fitted:
        if self.run.best.is_file():
            self.model.load_state_dict(checkpoint.load(self.run.best)["model"])
        self.model.eval()
        return Fitted(self.at.epoch, self.at.best_epoch, self.at.best_score)


def _seed(*parts: int) -> int:
    """One number from several, far apart for neighbours."""
    mixed = 0
    for part in parts:
        mixed = (mixed * 1_000_003 + part + 0x9E3779B9) % (1 << 63)
    return mixed


@torch.no_grad()
def _move(mean: nn.Module, model: nn.Module, decay: float) -> None:
    """mean = decay * mean + (1 - decay) * model; counters are copied."""
    for into, value in zip(mean.state_dict().values(), model.state_dict().values(), strict=True):
        if into.is_floating_point():
            into.lerp_(value, 1 - decay)
        else:
            into.copy_(value)


def _bar(shown: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(), TextColumn("loss {task.fields[loss]} {task.fields[score]}"),
        console=Console(), disable=not shown,
    )  # fmt: skip
