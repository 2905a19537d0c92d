"""From twelve rows of tokens to one embedding: the paper's average and maximum, or attention that adds up."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from model_training.nets.attention import LeadwiseLinear
from model_training.nets.config import DualAttentionConfig
from model_training.nets.interface import N_LEADS, Share
from model_training.nets.layers import HIDDEN, masked_softmax


class AverageAndMaximum(nn.Module):
    """All leads' channels side by side, two pointwise maps, one averaged and one maximised over usable time."""

    LEAD_AXES: ClassVar = {"average.weight": 1, "maximum.weight": 1}

    def __init__(self, config: DualAttentionConfig) -> None:
        super().__init__()
        wide, half = N_LEADS * config.channels[-1], config.context_size // 2
        self.average, self.maximum = nn.Linear(wide, half), nn.Linear(wide, half)

    def forward(self, tokens: Tensor, usable: Tensor) -> Tensor:
        beside = (tokens * usable[..., None]).transpose(1, 2).flatten(2)
        in_time = usable.amax(dim=1)[..., None]
        average = (self.average(beside) * in_time).sum(dim=1) / in_time.sum(dim=1).clamp(min=1)
        maximum = (self.maximum(beside) + (1 - in_time) * HIDDEN).amax(dim=1)
        return torch.cat((average, maximum), dim=-1)


class AttentionPooling(nn.Module):
    """embedding = sum over leads and tokens of weight * projection * content, so a linear risk splits exactly.

    The weight is a product: of the lead among leads (softmax over usable leads) and of the token within its lead.
    """

    LEAD_AXES: ClassVar = {"projection": 0, "lead_bias": 0}

    def __init__(self, config: DualAttentionConfig) -> None:
        super().__init__()
        size, self.heads = config.channels[-1], config.read_out_heads
        each, bound = config.context_size // self.heads, 1 / math.sqrt(size)
        self.token_score = LeadwiseLinear(size, self.heads)
        from_others = config.lead_attention and config.lead_size > 0
        self.lead_score = nn.Linear(config.lead_size if from_others else 2 * size, self.heads)
        self.lead_bias = nn.Parameter(torch.zeros(N_LEADS, self.heads))
        self.projection = nn.Parameter(torch.empty(N_LEADS, self.heads, size, each).uniform_(-bound, bound))

    def forward(self, tokens: Tensor, leads: Tensor, usable: Tensor, lead_mask: Tensor) -> tuple[Tensor, Share]:
        """tokens (batch, 12, tokens, channels), leads (batch, 12, size): what the lead weights are judged from."""
        # within (batch, 12, heads, tokens): each token's weight in its lead
        scores = self.token_score(tokens.transpose(0, 1)).permute(1, 0, 3, 2)
        within = masked_softmax(scores, usable[:, :, None])
        # among (batch, heads, 12): each lead's weight
        among = masked_softmax((self.lead_score(leads) + self.lead_bias).transpose(1, 2), lead_mask[:, None])
        # summary (batch, 12, heads, channels): the lead's content under its weights
        summary = (within @ tokens) * among.transpose(1, 2)[..., None]
        weight = within.transpose(2, 3) * among.transpose(1, 2)[:, :, None]
        return projected(summary, self.projection), Share(tokens, weight, self.projection, weight)


class Evidence(nn.Module):
    """What each short window of a lead says by itself, gated and summed: what is elsewhere cannot move its share.

    A gate opens by its own window alone; no weight is taken from another to give it to this one.
    """

    LEAD_AXES: ClassVar = {"projection": 0, "gate": 0, "gate_bias": 0}

    def __init__(self, config: DualAttentionConfig) -> None:
        super().__init__()
        size, self.heads = config.channels[-1], config.evidence_heads
        each, bound = config.evidence_size // self.heads, 1 / math.sqrt(size)
        self.features = nn.Sequential(
            nn.Conv2d(config.stem_channels, size, 1, bias=False), nn.BatchNorm2d(size), nn.ReLU(),
            nn.Conv2d(size, size, 1, bias=False), nn.BatchNorm2d(size), nn.ReLU(),
        )  # fmt: skip
        self.gate = nn.Parameter(torch.empty(N_LEADS, size, self.heads).uniform_(-bound, bound))
        self.gate_bias = nn.Parameter(torch.zeros(N_LEADS, 1, self.heads))
        self.projection = nn.Parameter(torch.empty(N_LEADS, self.heads, size, each).uniform_(-bound, bound))

    def forward(self, windows: Tensor, usable: Tensor) -> tuple[Tensor, Share]:
        """windows (batch, 12, windows, channels), as `features` makes them, usable (batch, 12, windows)."""
        # ground (batch, 12, windows): one over the number of usable windows
        ground = usable / usable.sum(dim=(1, 2), keepdim=True).clamp(min=1)
        # weight (batch, 12, windows, heads), each between 0 and 1 of the window's even part
        weight = torch.sigmoid(windows @ self.gate + self.gate_bias) * ground[..., None]
        share = Share(windows, weight, self.projection, ground[..., None])
        return projected(weight.transpose(2, 3) @ windows, self.projection), share


def projected(summary: Tensor, projection: Tensor) -> Tensor:
    """(batch, heads * each) = sum over leads of summary (batch, 12, heads, channels) times the lead's projection."""
    each_lead = summary.permute(1, 2, 0, 3).flatten(0, 1) @ projection.flatten(0, 1)
    embedding: Tensor = each_lead.unflatten(0, projection.shape[:2]).sum(dim=0).transpose(0, 1).flatten(1)
    return embedding
