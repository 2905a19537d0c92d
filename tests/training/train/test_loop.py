"""The loop: a killed run ends as an unbroken one, the best epoch is kept, stopping is early, the folder tells all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from model_training.train import checkpoint, schedule
from model_training.train.loop import FitOptions, Losses, fit
from model_training.train.material import Batch, Shuffled
from model_training.train.place import Place
from model_training.train.run import Run, RunError
from model_training.train.schedule import OptimiserOptions, Shape
from tests.training.train import killed_run
from tests.training.train.material import small

pytestmark = pytest.mark.torch
ROOT = Path(__file__).resolve().parents[3]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state = checkpoint.load(folder / "last.pt")
    return {f"{part}.{name}": value for part in ("model", "mean") for name, value in state[part].items()}


@pytest.mark.parametrize("die_after", [9, 6, 1], ids=["in the second epoch", "between epochs", "before a checkpoint"])
def test_killed_and_resumed_ends_as_unbroken(tmp_path: Path, die_after: int) -> None:
    """SIGKILL in the midst of an epoch; weights, running mean, metrics and the best epoch are equal bit for bit."""
    command = [sys.executable, "-m", "tests.training.train.killed_run", str(tmp_path / "killed"), str(die_after)]
    died = subprocess.run(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False)
    assert died.returncode == -signal.SIGKILL
    assert len(Run(tmp_path / "killed").metrics) < killed_run.OPTIONS.epochs
    resumed = killed_run.train(tmp_path / "killed")
    whole = killed_run.train(tmp_path / "whole")
    expected, found = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert all(torch.equal(a, b) for a, b in zip(resumed.parameters(), whole.parameters(), strict=True))
    assert Run(tmp_path / "killed").metrics == Run(tmp_path / "whole").metrics


def test_another_seed_ends_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seed gives the same weights, another seed others: equality above is no accident."""
    killed_run.train(tmp_path / "first")
    killed_run.train(tmp_path / "same")
    monkeypatch.setattr(killed_run, "OPTIONS", killed_run.OPTIONS.model_copy(update={"seed": 8}))
    killed_run.train(tmp_path / "other")
    first, same, other = (weights(tmp_path / name)["model.layers.5.weight"] for name in ("first", "same", "other"))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def _counted(scores: list[float], options: FitOptions, folder: Path) -> tuple[nn.Module, list[torch.Tensor], object]:
    material, seen = small(24), []
    model = nn.Sequential(nn.Flatten(), nn.Linear(12 * 200, 5))

    def loss_of(net: nn.Module, batch: Batch, _: torch.Generator) -> Losses:
        return {"loss": nn.functional.mse_loss(net(batch.ecg), batch.superclass)}

    def score(net: nn.Module) -> dict[str, float]:
        seen.append(net[1].weight.detach().clone())
        return {"c_index": scores[len(seen) - 1]}

    run = Run.open(folder, "", board=False)
    fitted = fit(model, Shuffled(material, np.arange(24), 8, 0), loss_of, options, run, score)
    return model, seen, fitted


def test_the_best_epoch_is_kept_and_stopping_is_early(tmp_path: Path) -> None:
    """Two scored epochs without a gain end training, and the weights are those of the best, not of the last."""
    options = FitOptions(epochs=10, select="c_index", patience=2, device="cpu", show_progress=False)
    model, seen, fitted = _counted([0.5, 0.7, 0.6, 0.65, 0.9], options, tmp_path)
    assert (fitted.epochs, fitted.best_epoch, fitted.best_score) == (4, 1, 0.7)
    assert torch.equal(model[1].weight, seen[1])
    assert [line["c_index"] for line in Run(tmp_path).metrics] == [0.5, 0.7, 0.6, 0.65]


def test_smaller_may_be_better(tmp_path: Path) -> None:
    """A score that is a loss is chosen by its least."""
    options = FitOptions(epochs=3, select="c_index", larger_is_better=False, device="cpu", show_progress=False)
    model, seen, fitted = _counted([0.5, 0.3, 0.4], options, tmp_path)
    assert fitted.best_epoch == 1
    assert torch.equal(model[1].weight, seen[1])


def test_a_loss_that_is_no_number_stops_training(tmp_path: Path) -> None:
    """It names the step; nothing is trained further on it."""
    material = small(24)

    def loss_of(net: nn.Module, batch: Batch, _: torch.Generator) -> Losses:
        return {"loss": net(batch.ecg).sum() * float("nan")}

    with pytest.raises(FloatingPointError, match="step 0"):
        fit(
            nn.Sequential(nn.Flatten(), nn.Linear(2400, 1)), Shuffled(material, np.arange(24), 8, 0), loss_of,
            FitOptions(epochs=1, device="cpu", show_progress=False), Run.open(tmp_path, "", board=False),
        )  # fmt: skip


def test_bfloat16_and_tensorboard(tmp_path: Path) -> None:
    """Half precision trains, and the board gets the figures that metrics.jsonl has."""
    material = small(24)

    def loss_of(net: nn.Module, batch: Batch, _: torch.Generator) -> Losses:
        said = net(batch.ecg)
        assert said.dtype == torch.bfloat16
        return {"loss": nn.functional.binary_cross_entropy_with_logits(said.float(), batch.superclass)}

    options = FitOptions(epochs=2, device="cpu", bf16=True, show_progress=False)
    fit(
        nn.Sequential(nn.Flatten(), nn.Linear(2400, 5)), Shuffled(material, np.arange(24), 8, 0), loss_of, options,
        Run.open(tmp_path, ""),
    )  # fmt: skip
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    logged = [event.value for event in board.Scalars("loss")]
    assert logged == pytest.approx([line["loss"] for line in Run(tmp_path).metrics])


def test_processes_share_every_batch_and_agree(tmp_path: Path) -> None:
    """torchrun with two processes ends, writes one folder, and both hold the same weights."""
    script = tmp_path / "two.py"
    script.write_text(
        "import sys, torch\nfrom pathlib import Path\nfrom tests.training.train import killed_run\n"
        "model = killed_run.train(Path(sys.argv[1]) / 'run')\nimport os\n"
        "torch.save(model.state_dict(), Path(sys.argv[1]) / f\"rank{os.environ['RANK']}.pt\")\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    done = subprocess.run(
        [*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = (checkpoint.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert len(Run(tmp_path / "run").metrics) == killed_run.OPTIONS.epochs


def test_shares_make_the_batch() -> None:
    """Each record of a batch goes to one process."""
    rows = list(range(7))
    shares = [Place(torch.device("cpu"), rank, 3).share(rows) for rank in range(3)]
    assert sorted(row for share in shares for row in share) == rows


def test_a_folder_holds_one_run(tmp_path: Path) -> None:
    """Another configuration is refused; the code's revision and the versions are written once."""
    Run.open(tmp_path, "seed = 1\n")
    about = json.loads((tmp_path / "about.json").read_text())
    assert about["revision"]
    assert about["torch"] == torch.__version__
    Run.open(tmp_path, "seed = 1\n")
    assert json.loads((tmp_path / "about.json").read_text()) == about
    with pytest.raises(RunError, match="another configuration"):
        Run.open(tmp_path, "seed = 2\n")


@pytest.mark.parametrize("shape", Shape)
def test_the_rate_rises_and_falls(shape: Shape) -> None:
    """It is at its height when the warm-up ends; all but the constant end at nothing."""
    options = OptimiserOptions(shape=shape, warm_up=0.2)
    rates = [schedule.factor(options, step, 100) for step in range(101)]
    assert rates[:21] == sorted(rates[:21])
    assert max(rates) == pytest.approx(rates[20]) == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(1.0 if shape is Shape.CONSTANT else 0.0, abs=1e-9)


def test_norms_and_biases_are_not_decayed() -> None:
    """Every trainable tensor is in one group; frozen ones in none."""
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1).requires_grad_(False))
    groups = schedule.optimiser(model, OptimiserOptions(weight_decay=0.1)).param_groups
    assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(1, 0.1), (3, 0.0)]
