"""Fine-tuning: a pretrained encoder learns who fails sooner, from censored times; the head first, then everything."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from model_training import nets
from model_training.augment import augmented, lead_masks
from model_training.losses import Ties, reconstruction
from model_training.nets.config import DualAttentionConfig
from model_training.nets.dual_attention import DualAttention
from model_training.nets.heads import Decoder, RiskHead
from model_training.nets.interface import Network, Seen
from model_training.nets.risk_model import RiskModel
from model_training.survival.discrimination import harrell_c
from model_training.train import cox_head, pointing, pretrain
from model_training.train.arms import Changes, Folds
from model_training.train.cox_head import Target
from model_training.train.loop import FitOptions, Losses, fit
from model_training.train.people import AT_ONCE, Embedded, People, RiskSets, Rows, SurvivalBatch
from model_training.train.pointing import PairBatch, Twins
from model_training.train.run import Run

MODEL, SUMMARY = "risk.safetensors", "summary.json"
SCORE: Final = "validation_c"
_HEAD_FIRST: Final = -1


class FinetuneError(Exception):
    """The configuration or the data cannot serve; the message says what is missing."""


class Stage(StrEnum):
    """The head alone on a frozen encoder, or the head first and then everything."""

    HEAD = "head"
    ALL = "all"


class FinetuneConfig(BaseModel):
    """`encoder` is the folder of a pretraining or of another fine-tuning run, '' starts `network` from scratch,
    with its own `switches` changed where any are given.

    `labelled_events` keeps that many events of the training folds and the same share of the others, 0 keeps all.
    `reconstruction` weighs the drawing of the unmasked signal beside the Cox loss, as the paper has it.
    `pointing` weighs how far the map of the risk strays, in simulated pairs that differ in one trait, from where they
    differ; `pairs` of them a batch, from so many simulated people (`pointing_people`) for each trait.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    recipe: str = "rhythm-100hz"
    encoder: str = ""
    network: str = "evidence"
    switches: dict[str, bool | int | str] = {}
    stage: Stage = Stage.ALL
    ties: Ties = Ties.EFRON
    reconstruction: float = Field(default=0.0, ge=0)
    pointing: float = Field(default=0.0, ge=0)
    pairs: int = Field(default=16, ge=1)
    pointing_people: int = Field(default=100, ge=1)
    batch_size: int = Field(default=256, ge=2)
    controls_per_event: int = Field(default=4, ge=0)
    labelled_events: int = Field(default=0, ge=0)
    head_dropout: float = Field(default=0.25, ge=0, lt=1)
    folds: Folds = Folds(train=(1, 2, 3, 4, 5, 6, 7), validate_on=(8,))
    augmentation: Changes = Changes()
    fit: FitOptions


@dataclass(frozen=True, slots=True)
class Finetuned:
    """`best_epoch` -1: the head on the frozen encoder was never beaten on the validation folds."""

    model: RiskModel
    embedded: Embedded
    ridge: float
    best_epoch: int
    validation_c: float
    head_c: float


def read_config(text: str) -> FinetuneConfig:
    try:
        return FinetuneConfig.model_validate(tomllib.loads(text))
    except (ValidationError, tomllib.TOMLDecodeError) as error:
        raise FinetuneError(f"configuration: {error}") from error


class _Trained(torch.nn.Module):
    """The risk model, and the decoder where the signal is drawn again."""

    def __init__(self, model: RiskModel, draws: bool) -> None:
        super().__init__()
        self.risk = model
        self.decoder: torch.nn.Module | None = None
        if draws:
            assert isinstance(model.network, DualAttention)
            self.decoder = Decoder(model.network.config)


@dataclass(frozen=True, slots=True)
class _Objective:
    config: FinetuneConfig
    twins: Twins | None = None

    def __call__(self, model: _Trained, batch: SurvivalBatch, generator: torch.Generator) -> Losses:
        changes = replace(self.config.augmentation.of_records, same_for_batch=True)
        # one mask for the batch: a risk set compares people seen through the same leads
        mask = lead_masks(len(batch.ecg), changes, generator) * batch.lead_mask
        ecg = augmented(batch.ecg, changes, generator)
        device = next(model.parameters()).device
        batch, ecg, mask = batch.to(device), ecg.to(device), mask.to(device)
        pairs = None if self.twins is None else self.twins.drawn(self.config.pairs, generator).to(device)
        people, twins = _seen(model.risk.network, ecg, mask, pairs)
        log_hazard = model.risk.head(people.embedding)
        cox = cox_head.stratified_loss(log_hazard, batch.time, batch.event, batch.stratum, self.config.ties)
        told = {"cox": cox}
        if model.decoder is not None:
            told["drawn"] = reconstruction(model.decoder(people.embedding), ecg, batch.lead_mask)
        if pairs is not None and twins is not None:
            told["astray"] = pointing.astray(model.risk, twins, pairs.covered)
        weights = {"cox": 1.0, "drawn": self.config.reconstruction, "astray": self.config.pointing}
        total = torch.stack([weights[name] * loss for name, loss in told.items()]).sum()
        return {"loss": total} | {name: loss.detach() for name, loss in told.items()}


def _seen(network: Network, ecg: Tensor, mask: Tensor, pairs: PairBatch | None) -> tuple[Seen, Seen | None]:
    """People and pairs are encoded in one pass, so that the norms see one batch."""
    if pairs is None:
        return network(ecg, mask), None
    assert isinstance(network, DualAttention)
    tokens = network.encode(torch.cat((ecg, pairs.ecg)), torch.cat((mask, pairs.lead_mask)))
    return network.attend(tokens.of(slice(len(ecg)))), network.attend_whole(tokens.of(slice(len(ecg), None)))


def finetune(config: FinetuneConfig, people: People, run: Run) -> Finetuned:
    """Trains on the training folds, chooses on the validation folds, and leaves the model in the run's folder."""
    train, validate = chosen_rows(config, people), people.rows_in(config.folds.validate_on)
    torch.manual_seed(config.fit.seed)
    network = _encoder(config, people)
    embedded = Embedded(network, people)
    head = cox_head.fit(embedded.of(train), target_of(people, train))
    model = RiskModel(network, RiskHead(network.embedding_size, hidden=0, rate=config.head_dropout))
    head.write_to(model.head)
    head_c = concordance(people, validate, head.log_hazard(embedded.of(validate)))
    done = Finetuned(model.eval(), embedded, head.ridge, _HEAD_FIRST, head_c, head_c)
    if config.stage is Stage.ALL:
        done = _everything(config, people, train, validate, done, run)
    save_model(run.folder / MODEL, done.model, config, people)
    facts = {
        "people": len(train), "events": int(people.outcomes.happened[train].sum()), "best_epoch": done.best_epoch,
        SCORE: done.validation_c, "head_alone_c": done.head_c, "ridge": done.ridge, "label": people.label,
    }  # fmt: skip
    (run.folder / SUMMARY).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return done


def chosen_rows(config: FinetuneConfig, people: People) -> Rows:
    """The training rows, or a part of them with the wanted number of events and the same event rate."""
    rows = people.rows_in(config.folds.train)
    happened = people.outcomes.happened[rows]
    if not happened.any():
        raise FinetuneError(f"no event in the training folds {config.folds.train}")
    wanted = config.labelled_events
    if not wanted or wanted >= happened.sum():
        return rows
    chance = np.random.default_rng((config.fit.seed, 1))
    events, others = chance.permutation(rows[happened]), chance.permutation(rows[~happened])
    return np.sort(np.concatenate([events[:wanted], others[: round(len(others) * wanted / len(events))]]))


def _encoder(config: FinetuneConfig, people: People) -> Network:
    if not config.encoder and config.switches:
        base = nets.dual_attention_config(config.network).to_dict()
        return DualAttention(DualAttentionConfig.from_dict(base | config.switches))
    if not config.encoder:
        return nets.build(config.network, people.recipe.input.samples)
    folder = Path(config.encoder)
    if (folder / MODEL).is_file():  # a finished risk model, to be taught another cohort
        model, about = load_model(folder / MODEL)
        network: Network = model.network
    else:
        network, about = pretrain.load_encoder(folder / pretrain.ENCODER)
    if about["recipe_digest"] != people.recipe.digest:
        raise FinetuneError(f"the encoder was taught on the recipe {about['recipe']}, the people lie in another")
    return network


def target_of(people: People, rows: Rows) -> Target:
    return Target(people.outcomes[rows], people.table["stratum"].to_numpy()[rows], people.patients[rows])


def _everything(
    config: FinetuneConfig, people: People, train: Rows, validate: Rows, start: Finetuned, run: Run
) -> Finetuned:
    before = {name: value.clone() for name, value in start.model.state_dict().items()}
    batches = RiskSets(people, train, config.batch_size, config.fit.seed, config.controls_per_event)
    trained = _Trained(start.model, draws=config.reconstruction > 0)
    options = config.fit.model_copy(update={"select": SCORE, "larger_is_better": True})

    def score(model: _Trained) -> dict[str, float]:
        return {SCORE: concordance(people, validate, log_hazards(model.risk, people, validate))}

    twins = _twins(config, people, start.model.network)
    fitted = fit(trained, batches, _Objective(config, twins), options, run, score)
    model = trained.risk.cpu().eval()
    if fitted.best_score is None or fitted.best_score <= start.head_c:
        model.load_state_dict(before)
        return start
    embedded = Embedded(model.network, people)
    return Finetuned(model, embedded, start.ridge, fitted.best_epoch, fitted.best_score, start.head_c)


def _twins(config: FinetuneConfig, people: People, network: Network) -> Twins | None:
    if not config.pointing:
        return None
    if not (isinstance(network, DualAttention) and network.adds_up):
        raise FinetuneError("pointing asks for a network whose risk is a sum over leads and cells")
    return pointing.draw(network, people.recipe, config.pointing_people, config.fit.seed)


@torch.no_grad()
def log_hazards(model: RiskModel, people: People, rows: Rows) -> np.ndarray:
    """Raw, as the exported graph gives them, of the given rows."""
    model.eval()
    device = next(model.parameters()).device
    found = []
    for start in range(0, len(rows), AT_ONCE):
        batch = people.batch(rows[start : start + AT_ONCE])
        found.append(model(batch.ecg.to(device), batch.lead_mask.to(device)).log_hazard.double().cpu().numpy())
    return np.concatenate(found)


def concordance(people: People, rows: Rows, log_hazard: np.ndarray) -> float:
    """Harrell's C within each cohort, weighted by its events."""
    outcomes = people.outcomes[rows]
    stratum = people.table["stratum"].to_numpy()[rows]
    found, weights = [], []
    for each in np.unique(stratum):
        inside = np.flatnonzero(stratum == each)
        if outcomes[inside].n_events:
            found.append(harrell_c(outcomes[inside], log_hazard[inside]))
            weights.append(outcomes[inside].n_events)
    if not weights:
        raise FinetuneError("no event in the validation folds: nothing can be chosen on them")
    return float(np.average(found, weights=weights))


def save_model(path: Path, model: RiskModel, config: FinetuneConfig, people: People) -> None:
    """Weights with what is needed to build the model again and to refuse another recipe."""
    network = model.network
    about: dict[str, Any] = {
        "network": network.config.to_dict() if isinstance(network, DualAttention) else config.network,
        "recipe": config.recipe,
        "recipe_digest": people.recipe.digest,
        "folds": config.folds.model_dump(mode="json"),
        "label": people.label,
        "simulated": people.simulated,
    }
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    path.write_bytes(save(state, metadata={"about": json.dumps(about)}))


def load_model(path: Path) -> tuple[RiskModel, dict[str, Any]]:
    with safe_open(path, framework="pt") as file:
        about: dict[str, Any] = json.loads(file.metadata()["about"])
    state = load_file(path)
    told = about["network"]
    if isinstance(told, str):
        from model_training import recipe

        network = nets.build(told, recipe.load(about["recipe"]).input.samples)
    else:
        network = DualAttention(DualAttentionConfig.from_dict(told))
    model = RiskModel(network, RiskHead(network.embedding_size, hidden=0))
    model.load_state_dict(state)
    return model.eval(), about
