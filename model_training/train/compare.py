"""The table that judges pretraining: each arm's frozen embedding and its fine-tuned classifier on folds kept apart.

Nothing of a test fold is learned from or chosen by: penalties by people of the training folds, epochs by schedule.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model_training.data.ptbxl import SUPERCLASSES
from model_training.nets.heads import ClassificationHead
from model_training.nets.interface import Network
from model_training.nets.resnet1d import ResNet1dWang
from model_training.survival import bootstrap
from model_training.survival.bootstrap import Estimate
from model_training.train import probe
from model_training.train.arms import Arm, PretrainConfig, PretrainError
from model_training.train.loop import fit
from model_training.train.material import AT_ONCE, Labels, Material, Rows, Shuffled
from model_training.train.objective import Objective, Pretraining, shifted
from model_training.train.pretrain import SUMMARY, load_encoder
from model_training.train.probe import LinearProbe
from model_training.train.run import Run, revision
from model_training.train.trees import Trees

Values = NDArray[np.float64]
PROBE, TUNED, BESIDE = "linear_probe", "fine_tuned", "fine_tuned_beside_trees"
RESNET, TREES = "resnet1d_wang", "trees"
SHIFTS: Final = (-40, -20, 0, 20, 40)  # samples; a class does not hang on where the strip begins
DRAWS: Final = 1_000
COMPARED_WITH: Final = (Arm.RANDOM_FROZEN.value, Arm.RECONSTRUCTION.value, RESNET, TREES)
TITLES: Final = {
    PROBE: "Linear probe of the frozen embedding",
    TUNED: "Fine-tuned classifier",
    BESIDE: "Fine-tuned classifier and trees on measurements, averaged",
}


@dataclass(frozen=True, slots=True)
class Ways:
    """How networks become classifiers: those that were taught before, and those that start from random weights."""

    taught: PretrainConfig
    scratch: PretrainConfig

    def of(self, arm: str) -> PretrainConfig:
        return self.scratch if arm in (Arm.NONE, RESNET) else self.taught


@dataclass(frozen=True, slots=True)
class Judged:
    """One arm, one way, one fold: scores (n, 5) of the fold's recordings, and the passes that it took to get there."""

    arm: str
    way: str
    fold: int
    scores: Values
    taught_epochs: int = 0
    tuned_epochs: int = 0


def judge_encoder(encoder: Path, material: Material, ways: Ways, folds: Sequence[int],
                  runs: Path, tune: bool = True) -> list[Judged]:  # fmt: skip
    """The linear probe of an encoder as it is, and the classifier that it becomes; a frozen one is not tuned."""
    network, about = load_encoder(encoder)
    if about["recipe_digest"] != material.recipe_digest:
        raise PretrainError(f"{encoder} was taught on tensors of another recipe ({about['recipe']})")
    if taught := set(about["train_folds"]) & set(folds):
        raise PretrainError(f"{encoder} was taught on folds {sorted(taught)}: they cannot judge it")
    arm = about["arm"]
    config = ways.of(arm)
    if learned := set(config.folds.train) & set(folds):
        raise PretrainError(f"folds {sorted(learned)} are learned from: they cannot judge")
    fitted = None if arm == Arm.NONE else _fitted(network, material, config.folds.train)
    found = [] if fitted is None else _probed(arm, network, fitted, material, folds)
    if tune and arm != Arm.RANDOM_FROZEN:
        found += _tuned(arm, network, fitted, material, config, folds, runs / arm)
    return [replace(each, taught_epochs=_epochs(encoder.parent)) for each in found]


def _epochs(folder: Path) -> int:
    return int(json.loads((folder / SUMMARY).read_text(encoding="utf-8"))["epochs"])


def judge_resnet(material: Material, ways: Ways, folds: Sequence[int], runs: Path) -> list[Judged]:
    """The plain reference, by the same loop from the same data."""
    torch.manual_seed(ways.scratch.fit.seed)
    return _tuned(RESNET, ResNet1dWang(), None, material, ways.scratch, folds, runs / RESNET)


def judge_trees(measured: Labels, material: Material, ways: Ways, folds: Sequence[int]) -> list[Judged]:
    """Trees on what is measured of the same recordings (`measured`, a row for each of the material)."""
    train = ways.taught.folds.train
    if learned := set(train) & set(folds):
        raise PretrainError(f"folds {sorted(learned)} are learned from: they cannot judge")
    rows = material.rows_in(train)
    grown = Trees.fit(measured[rows], material.superclass[rows], ways.taught.fit.seed)
    return [Judged(TREES, BESIDE, fold, grown.scores(measured[material.rows_in((fold,))])) for fold in folds]


def beside_trees(judged: Sequence[Judged], grown: Sequence[Judged]) -> list[Judged]:
    """Each fine-tuned network and the trees as one classifier: the mean of both probabilities."""
    alone = {each.fold: each.scores for each in grown}
    return [
        replace(each, way=BESIDE, scores=(each.scores + alone[each.fold]) / 2) for each in judged if each.way == TUNED
    ]


def _fitted(network: Network, material: Material, train: Sequence[int]) -> LinearProbe:
    rows = material.rows_in(train)
    embedded = probe.embeddings(network, material, rows)
    return probe.linear_probe(embedded, material.superclass[rows], material.patients[rows])


def _probed(arm: str, network: Network, fitted: LinearProbe, material: Material, folds: Sequence[int]) -> list[Judged]:
    return [
        Judged(arm, PROBE, fold, fitted.scores(probe.embeddings(network, material, material.rows_in((fold,)))))
        for fold in folds
    ]


def _tuned(arm: str, network: Network, fitted: LinearProbe | None, material: Material, config: PretrainConfig,
           folds: Sequence[int], folder: Path) -> list[Judged]:  # fmt: skip
    """The head first, as the probe found it, and then everything: a random head would undo what was taught."""
    run = Run.open(folder, f'arm = "{arm}"\n' + config.model_dump_json(indent=1))
    model, rows = Pretraining(config, material, network), material.rows_in(config.folds.train)
    if fitted is not None:
        begin_with(model, fitted)
    batches = Shuffled(material, rows, config.batch_size, config.fit.seed)
    epochs = fit(model, batches, Objective(config), config.fit, run).epochs
    return [
        Judged(arm, TUNED, fold, classified(model, material, material.rows_in((fold,))), tuned_epochs=epochs)
        for fold in folds
    ]


@torch.no_grad()
def begin_with(model: Pretraining, fitted: LinearProbe) -> None:
    """The superclass head answers as the probe does: its norm standardises, its linear map is the probe's."""
    norm, _, linear = cast(ClassificationHead, model.heads["superclass"]).layers
    assert isinstance(norm, nn.BatchNorm1d)
    assert isinstance(linear, nn.Linear)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(torch.from_numpy(fitted.mean))
    norm.running_var.copy_((torch.from_numpy(fitted.scale).square() - norm.eps).clamp(min=0))
    linear.weight.copy_(torch.from_numpy(np.concatenate([each.coef_ for each in fitted.models])))
    linear.bias.copy_(torch.from_numpy(np.concatenate([each.intercept_ for each in fitted.models])))


@torch.no_grad()
def classified(model: Pretraining, material: Material, rows: Rows) -> Values:
    """(n, 5) probabilities, averaged over small shifts in time."""
    model.eval()
    device, found = next(model.parameters()).device, []
    for start in range(0, len(rows), AT_ONCE):
        batch = material.batch(rows[start : start + AT_ONCE]).to(device)
        said = [
            torch.sigmoid(model.heads["superclass"](model.network(shifted(batch.ecg, by), batch.lead_mask).embedding))
            for by in SHIFTS
        ]
        found.append(torch.stack(said).mean(dim=0).double().cpu().numpy())
    return np.concatenate(found)


def superclass_table(
    judged: Sequence[Judged], material: Material, ways: Ways, absent: Sequence[int] = (), seed: int = 0
) -> dict[str, Any]:
    """Macro AUROC with 95 % intervals over patients, each class, and differences from the controls, paired."""
    others: dict[tuple[str, int], dict[str, Values]] = {}
    for each in judged:
        others.setdefault((each.way, each.fold), {})[each.arm] = each.scores
    rows = [_row(each, others[each.way, each.fold], material, seed) for each in judged]
    folds = sorted({each.fold for each in judged})
    counts = {str(fold): len(material.rows_in((fold,))) for fold in folds}
    counts |= {str(fold): 0 for fold in absent}
    about = {"revision": revision(), "draws": DRAWS, "train_folds": ways.taught.folds.train}
    return about | {"recordings_by_fold": counts, "rows": rows}


def _row(judged: Judged, others: Mapping[str, Values], material: Material, seed: int) -> dict[str, Any]:
    scores, at = judged.scores, material.rows_in((judged.fold,))
    labels, patients = material.superclass[at], material.patients[at].astype(str)

    def figure(chosen: Values) -> Any:
        return lambda rows: probe.macro_auroc(labels[rows], chosen[rows])

    found = bootstrap.interval(figure(scores), patients, seed, DRAWS)
    against = {
        control: asdict(bootstrap.paired(figure(scores), figure(others[control]), patients, seed, DRAWS))
        for control in COMPARED_WITH
        if control in others and control != judged.arm
    }
    classes = {
        name: probe.macro_auroc(labels[:, k : k + 1], scores[:, k : k + 1]) for k, name in enumerate(SUPERCLASSES)
    }
    about = {name: getattr(judged, name) for name in ("arm", "way", "fold", "taught_epochs", "tuned_epochs")}
    return about | {"macro_auroc": asdict(found), "classes": classes, "against": against}


def to_markdown(table: Mapping[str, Any], command: str) -> str:
    """The table as people read it; folds that were not there are said to be absent."""
    lines = [
        "# Pretraining arms on the PTB-XL superclasses", "",
        f"Made by `{command}` at revision `{table['revision'][:12]}`. Trained on folds"
        f" {', '.join(map(str, table['train_folds']))}. Macro AUROC over"
        f" {', '.join(SUPERCLASSES)}, 95 % intervals from {table['draws']} draws of patients; a difference is paired on"
        " the same draws. Epochs are those of pretraining and of fine-tuning.", "",
        "Recordings: "
        + ", ".join(f"fold {fold}: {n or 'not in these data'}" for fold, n in table["recordings_by_fold"].items())
        + ".", "",
    ]  # fmt: skip
    for way, title in TITLES.items():
        chosen = sorted((row for row in table["rows"] if row["way"] == way), key=lambda row: row["fold"])
        if chosen:
            lines += [f"## {title}", "", *_lines(chosen), ""]
    return "\n".join(lines)


def _lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    controls = [control for control in COMPARED_WITH if any(control in row["against"] for row in rows)]
    head = ["fold", "arm", "epochs", "macro AUROC (95 %)", *SUPERCLASSES, *(f"minus {control}" for control in controls)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        epochs = f"{row['taught_epochs']} + {row['tuned_epochs']}"
        cells = [str(row["fold"]), row["arm"], epochs, str(Estimate(**row["macro_auroc"]))]
        cells += [f"{row['classes'][name]:.3f}" for name in SUPERCLASSES]
        cells += [_difference(row["against"].get(control)) for control in controls]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _difference(found: Mapping[str, float] | None) -> str:
    return "" if found is None else f"{found['value']:+.3f} ({found['low']:+.3f} to {found['high']:+.3f})"


def write(table: Mapping[str, Any], command: str, out: Path) -> list[Path]:
    """OUT.json and OUT.md."""
    out.parent.mkdir(parents=True, exist_ok=True)
    data, text = out.with_suffix(".json"), out.with_suffix(".md")
    data.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    text.write_text(to_markdown(table, command), encoding="utf-8")
    return [data, text]
