"""What every network hands on: an embedding, and the attention maps where it has any."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ecg.leads import LEADS

N_LEADS = len(LEADS)


class Maps(NamedTuple):
    """Attention as it was paid: rows of `cross_lead` are query leads; both weightings sum to 1."""

    lead_attention: Tensor  # (batch, 12), sum 1
    cross_lead: Tensor  # (batch, 12, 12), rows sum 1
    temporal_attention: Tensor  # (batch, 12, tokens), sum 1 over the usable tokens of a lead


class Share(NamedTuple):
    """Numbers of an embedding that are a sum over leads and cells: a cell's content, weight and projection a head."""

    content: Tensor  # (batch, 12, cells, channels)
    weight: Tensor  # (batch, 12, cells, heads)
    projection: Tensor  # (12, heads, channels, numbers / heads)
    ground: Tensor  # (batch, 12, cells, heads or 1), sums to 1: on which cells the mean person's part is laid

    @property
    def numbers(self) -> int:
        return self.projection.shape[1] * self.projection.shape[3]


def spread(by_cell: Tensor, cells: int) -> Tensor:
    """(batch, 12, cells, ...) on a finer grid that divides it: each cell's amount goes to its parts evenly."""
    parts = cells // by_cell.shape[2]
    return by_cell.repeat_interleave(parts, dim=2) / parts if parts > 1 else by_cell


class Seen(NamedTuple):
    """What a network made of a batch. Where the embedding is additive over leads and cells, `shares` are its parts."""

    embedding: Tensor  # (batch, embedding_size)
    maps: Maps | None = None
    shares: tuple[Share, ...] = ()


class Network(nn.Module):
    """`ecg` (batch, 12, samples) in mV and `lead_mask` (batch, 12), 1 = usable, to `Seen`."""

    embedding_size: int

    def forward(self, ecg: Tensor, lead_mask: Tensor) -> Seen:
        raise NotImplementedError

    def __call__(self, ecg: Tensor, lead_mask: Tensor) -> Seen:
        seen: Seen = super().__call__(ecg, lead_mask)
        return seen


def all_leads(ecg: Tensor) -> Tensor:
    """The lead mask of a batch whose leads are all usable."""
    return torch.ones(ecg.shape[0], N_LEADS, dtype=ecg.dtype, device=ecg.device)


def parameters_in(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def permute_leads(module: nn.Module, order: list[int]) -> None:
    """Give the lead at `order[i]` position i: every parameter and buffer that belongs to one lead moves with it.

    A module names those tensors in LEAD_AXES as {name: axis}; an axis of 12 k entries holds k in a row for each lead.
    """
    for part in module.modules():
        for name, axis in getattr(part, "LEAD_AXES", {}).items():
            tensor = part.get_parameter(name) if name in dict(part.named_parameters()) else part.get_buffer(name)
            by_lead = tensor.data.unflatten(axis, (N_LEADS, -1))
            tensor.data = by_lead.index_select(axis, torch.tensor(order)).flatten(axis, axis + 1).contiguous()
