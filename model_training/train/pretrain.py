"""Pretraining: what the encoder is taught before it is asked for a risk, arm by arm, and the encoder it leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from model_training.nets.config import DualAttentionConfig
from model_training.nets.dual_attention import DualAttention
from model_training.nets.random_encoder import RandomEncoder
from model_training.train.arms import PretrainConfig, PretrainError
from model_training.train.loop import fit
from model_training.train.material import Material, Rows, Shuffled
from model_training.train.objective import Objective, Pretraining
from model_training.train.place import leading
from model_training.train.run import Run

ENCODER, SUMMARY = "encoder.safetensors", "summary.json"
COLLAPSED: Final = 0.1  # of the spread that projections have when they fill the sphere
SETTLE_RECORDS: Final = 256


@dataclass(frozen=True, slots=True)
class Pretrained:
    """`collapsed` is None where nothing was aligned."""

    network: DualAttention
    epochs: int
    best_epoch: int
    collapsed: bool | None


def pretrain(
    config: PretrainConfig, material: Material, run: Run, score: Callable[[Pretraining], dict[str, float]] | None = None
) -> Pretrained:
    """Trains the arm, writes encoder.safetensors and summary.json into the run's folder, and hands the encoder on."""
    rows = material.rows_in(config.folds.train)
    if len(rows) < 2:
        raise PretrainError(f"only {len(rows)} recordings in the training folds {config.folds.train}")
    if config.weights.superclass and not material.superclass.any():
        raise PretrainError("no recording has a superclass: this arm needs SCP codes and their table")
    torch.manual_seed(config.fit.seed)
    network = DualAttention(config.net)
    if config.arm.trains:
        done = _trained(config, material, rows, network, run, score)
    else:
        done = _untrained(network, material, rows)
    if leading():
        save_encoder(run.folder / ENCODER, done.network, config, material.recipe_digest)
        _summarise(run, config, len(rows), done)
    return done


def _trained(
    config: PretrainConfig, material: Material, rows: Rows, network: DualAttention, run: Run,
    score: Callable[[Pretraining], dict[str, float]] | None,
) -> Pretrained:  # fmt: skip
    model = Pretraining(config, material, network)
    batches = Shuffled(material, rows, min(config.batch_size, len(rows)), config.fit.seed)
    fitted = fit(model, batches, Objective(config), config.fit, run, score)
    spreads = [line["spread_ecg"] for line in run.metrics if "spread_ecg" in line]
    collapsed = min(spreads[-1:]) < COLLAPSED if spreads else None
    return Pretrained(network.cpu().eval(), fitted.epochs, fitted.best_epoch, collapsed)


def _untrained(network: DualAttention, material: Material, rows: Rows) -> Pretrained:
    """Random weights; the norms see some training records once, unlabelled, so that features have a sane scale."""
    batch = material.batch(rows[:SETTLE_RECORDS])
    RandomEncoder(network).settle(batch.ecg, batch.lead_mask)
    return Pretrained(network.requires_grad_(True).eval(), 0, -1, None)


def _summarise(run: Run, config: PretrainConfig, records: int, done: Pretrained) -> None:
    facts: dict[str, Any] = {
        "arm": config.arm, "records": records, "epochs": done.epochs, "best_epoch": done.best_epoch,
        "collapsed": done.collapsed, "last": run.metrics[-1] if run.metrics else {},
    }  # fmt: skip
    (run.folder / SUMMARY).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def save_encoder(path: Path, network: DualAttention, config: PretrainConfig, recipe_digest: str) -> None:
    """Weights alone, with what is needed to build the network again and to refuse tensors of another recipe."""
    about = {
        "network": network.config.to_dict(),
        "arm": config.arm.value,
        "recipe": config.recipe,
        "recipe_digest": recipe_digest,
        "train_folds": config.folds.train,
    }
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    path.write_bytes(save(state, metadata={"about": json.dumps(about)}))


def load_encoder(path: Path) -> tuple[DualAttention, dict[str, Any]]:
    """The encoder of `save_encoder` and what it says of itself."""
    with safe_open(path, framework="pt") as file:
        about: dict[str, Any] = json.loads(file.metadata()["about"])
    network = DualAttention(DualAttentionConfig.from_dict(about["network"]))
    network.load_state_dict(load_file(path))
    return network.eval(), about
