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
        wide, half = N_LEADS * config.channels[-1], config.embedding_size // 2
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
        each, bound = config.embedding_size // self.heads, 1 / math.sqrt(size)
        self.token_score = LeadwiseLinear(size, self.heads)
        from_others = config.lead_attention and config.lead_size > 0
        self.lead_score = nn.Linear(config.lead_size if from_others else 2 * size, self.heads)
        self.lead_bias = nn.Parameter(torch.zeros(N_LEADS, self.heads))
        self.projection = nn.Parameter(torch.empty(N_LEADS, self.heads, size, each).uniform_(-bound, bound))

    def forward(
        self, content: Tensor, judged: Tensor, leads: Tensor, usable: Tensor, lead_mask: Tensor
    ) -> tuple[Tensor, Share]:
        """content (batch, 12, tokens, channels) is what counts; `judged`, of the same shape, and `leads`
        (batch, 12, size) are what its weights are judged from."""
        # within (batch, 12, heads, tokens): each token's weight in its lead
        scores = self.token_score(judged.transpose(0, 1)).permute(1, 0, 3, 2)
        within = masked_softmax(scores, usable[:, :, None])
        # among (batch, heads, 12): each lead's weight
        among = masked_softmax((self.lead_score(leads) + self.lead_bias).transpose(1, 2), lead_mask[:, None])
        # summary (batch, 12, heads, channels): the lead's content under its weights
        summary = (within @ content) * among.transpose(1, 2)[..., None]
        # embedding (batch, heads, each) = sum over leads of summary * projection
        each_lead = summary.permute(1, 2, 0, 3).flatten(0, 1) @ self.projection.flatten(0, 1)
        embedding = each_lead.unflatten(0, (N_LEADS, self.heads)).sum(dim=0).transpose(0, 1).flatten(1)
        weight = within.transpose(2, 3) * among.transpose(1, 2)[:, :, None]
        return embedding, Share(content, weight, self.projection)
