"""What pretraining minimises on a batch: the weighted sum of an arm's losses after augmentation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model_training import losses as loss_room
from model_training.augment import augmented, lead_masks
from model_training.data.ptbxl import SUPERCLASSES
from model_training.nets.dual_attention import DualAttention
from model_training.nets.heads import ClassificationHead, Decoder, ProjectionHead
from model_training.nets.interface import Network
from model_training.train.arms import Alignment, Changes, PretrainConfig, Text
from model_training.train.loop import Losses
from model_training.train.material import Batch, Material


class Pretraining(nn.Module):
    """The network and a head for each objective that counts."""

    def __init__(self, config: PretrainConfig, material: Material, network: Network | None = None) -> None:
        super().__init__()
        self.network: Network = DualAttention(config.net) if network is None else network
        size, weights, rate = self.network.embedding_size, config.weights, config.head_dropout
        made: dict[str, nn.Module] = {}
        if weights.superclass:
            made["superclass"] = ClassificationHead(size, len(SUPERCLASSES), rate)
        if weights.statements:
            made["statements"] = ClassificationHead(size, material.statements.shape[1], rate)
        if weights.demographics:
            made["demographics"] = ClassificationHead(size, 2, rate)
        if weights.alignment:
            made["ecg"], made["text"] = ProjectionHead(size), ProjectionHead(material.text.shape[1])
        if weights.reconstruction:
            made["reconstruction"] = Decoder(config.net)
        self.heads = nn.ModuleDict(made)


@dataclass(frozen=True, slots=True)
class Objective:
    """The weighted sum of an arm's losses on one augmented batch."""

    config: PretrainConfig

    def __call__(self, model: Pretraining, batch: Batch, generator: torch.Generator) -> Losses:
        changes, weights = self.config.augmentation, self.config.weights
        device = next(model.parameters()).device
        batch, mask = changed(batch, changes, generator)
        batch = batch.to(device)
        embedding = model.network(batch.ecg, mask.to(device)).embedding
        found = {
            name: OBJECTIVES[name](model.heads, embedding, batch, self.config.text)
            for name, weight in weights.model_dump().items()
            if weight
        }
        total = torch.stack([getattr(weights, name) * loss for name, loss in found.items()]).sum()
        return {"loss": total} | found | _spreads(model.heads, embedding, batch)


def changed(batch: Batch, changes: Changes, generator: torch.Generator) -> tuple[Batch, Tensor]:
    """The augmented batch and the leads that the encoder may see; the batch's own mask says which leads there are."""
    batch = replace(batch, ecg=augmented(batch.ecg, changes.of_records, generator))
    if changes.mixup:
        batch = blended(batch, changes.mixup, generator)
    return batch, batch.lead_mask * lead_masks(len(batch.ecg), changes.of_records, generator)


def shifted(ecg: Tensor, by: int) -> Tensor:
    """All records moved by so many samples; what is uncovered repeats the edge sample."""
    samples = ecg.shape[-1]
    return ecg[..., (torch.arange(samples, device=ecg.device) - by).clamp(0, samples - 1)]


def blended(batch: Batch, parameter: float, generator: torch.Generator) -> Batch:
    """Each record mixed with another, the larger part its own, and so is all that is known of it."""
    dice = np.random.default_rng(int(torch.randint(1 << 62, (1,), generator=generator)))
    share = dice.beta(parameter, parameter, len(batch.ecg)).astype(np.float32)
    own = torch.from_numpy(np.maximum(share, 1 - share))[:, None]
    other = torch.randperm(len(batch.ecg), generator=generator)

    def mix(values: Tensor) -> Tensor:
        part = own if values.dim() == 2 else own[..., None]
        return part * values + (1 - part) * values[other]

    both = batch.lead_mask * batch.lead_mask[other]  # a lead that one of the two lacks is no mixture
    known = (batch.superclass, batch.statements, batch.demographics, batch.text)
    return Batch(mix(batch.ecg), both, *(mix(values) for values in known))


def _superclass(heads: nn.ModuleDict, embedding: Tensor, batch: Batch, text: Text) -> Tensor:
    return F.binary_cross_entropy_with_logits(heads["superclass"](embedding), batch.superclass)


def _statements(heads: nn.ModuleDict, embedding: Tensor, batch: Batch, text: Text) -> Tensor:
    return F.binary_cross_entropy_with_logits(heads["statements"](embedding), batch.statements)


def _demographics(heads: nn.ModuleDict, embedding: Tensor, batch: Batch, text: Text) -> Tensor:
    """Squared error of the standardised age plus cross-entropy of the sex, where they are known."""
    said, told = heads["demographics"](embedding), batch.demographics
    known = ~told.isnan()
    told = told.nan_to_num()
    age = ((said[:, 0] - told[:, 0]).square() * known[:, 0]).sum() / known[:, 0].sum().clamp(min=1)
    sex = F.binary_cross_entropy_with_logits(said[:, 1], told[:, 1], weight=known[:, 1].to(said.dtype))
    loss: Tensor = age + sex
    return loss


def _alignment(heads: nn.ModuleDict, embedding: Tensor, batch: Batch, text: Text) -> Tensor:
    """Over the records of which something is said."""
    there = batch.text.abs().amax(dim=1) > 0
    if there.sum() < 2:
        return (embedding * 0).sum()
    ecg, said = heads["ecg"](embedding[there]), heads["text"](batch.text[there])
    if text.alignment is Alignment.COSINE:
        return loss_room.cosine_distance(ecg, said)
    targets = loss_room.soft_targets(batch.text[there], text.temperature)
    return loss_room.info_nce(ecg, said, text.temperature, targets)


def _reconstruction(heads: nn.ModuleDict, embedding: Tensor, batch: Batch, text: Text) -> Tensor:
    """All leads that the recording has are drawn, those too that were hidden from the encoder."""
    return loss_room.reconstruction(heads["reconstruction"](embedding), batch.ecg, batch.lead_mask)


OBJECTIVES: Final[dict[str, Callable[[nn.ModuleDict, Tensor, Batch, Text], Tensor]]] = {
    "superclass": _superclass,
    "statements": _statements,
    "demographics": _demographics,
    "alignment": _alignment,
    "reconstruction": _reconstruction,
}


@torch.no_grad()
def _spreads(heads: nn.ModuleDict, embedding: Tensor, batch: Batch) -> Losses:
    """1 when the projections fill the sphere, 0 when they have collapsed to one point."""
    if "ecg" not in heads:
        return {}
    return {
        "spread_ecg": loss_room.spread(heads["ecg"](embedding)),
        "spread_text": loss_room.spread(heads["text"](batch.text)),
    }
