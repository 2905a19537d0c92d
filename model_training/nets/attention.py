"""The two attentions: across leads, and over time with a module of its own for each lead, all twelve at once."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model_training.nets.config import DualAttentionConfig, Positions, ReadOut
from model_training.nets.interface import N_LEADS
from model_training.nets.layers import HIDDEN, dropout, masked_softmax, rotated, rotation, sinusoids


class LeadAttention(nn.Module):
    """A transformer layer over twelve lead tokens; returns them and the head-averaged 12 x 12 matrix."""

    LEAD_AXES: ClassVar = {"place": 0}

    def __init__(self, config: DualAttentionConfig) -> None:
        super().__init__()
        size, self.heads, self.norm_first = config.lead_token_size, config.lead_heads, config.norm_first
        place = sinusoids(N_LEADS, size)
        if config.positions is Positions.SINUSOIDAL:
            self.register_buffer("place", place)
        else:  # a lead has a name, not a position: whatever the tokens' positions, leads learn theirs
            self.place = nn.Parameter(0.02 * torch.randn(N_LEADS, size))
        self.drop = dropout(config.dropout_kind, config.dropout)
        self.first_norm, self.second_norm = nn.LayerNorm(size), nn.LayerNorm(size)
        self.qkv, self.out = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.wider, self.narrower = nn.Linear(size, config.mlp_ratio * size), nn.Linear(config.mlp_ratio * size, size)

    def forward(self, leads: Tensor, usable: Tensor) -> tuple[Tensor, Tensor]:
        x = self.drop(leads + self.place)
        if self.norm_first:
            mixed, attention = self._mix(self.first_norm(x), usable)
            x = x + mixed
            return x + self._mlp(self.second_norm(x)), attention
        mixed, attention = self._mix(x, usable)
        x = self.first_norm(x + mixed)
        return self.second_norm(x + self._mlp(x)), attention

    def _mix(self, x: Tensor, usable: Tensor) -> tuple[Tensor, Tensor]:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        # weights (batch, heads, query lead, key lead) = softmax(q k' / sqrt(d)) over the usable key leads
        weights = masked_softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), usable[:, None, None])
        return self.drop(self.out((weights @ v).transpose(1, 2).flatten(2))), weights.mean(dim=1)

    def _mlp(self, x: Tensor) -> Tensor:
        out: Tensor = self.drop(self.narrower(self.drop(F.gelu(self.wider(x)))))
        return out


def _per_lead(*shape: int) -> nn.Parameter:
    """Weights (12, inside, outside), each lead's as a linear layer would be initialised."""
    bound = 1 / math.sqrt(shape[0])
    return nn.Parameter(torch.empty(N_LEADS, *shape).uniform_(-bound, bound))


class LeadwiseNorm(nn.Module):
    """Layer norm whose scale and shift are each lead's own; leads come first: (12, batch, tokens, channels)."""

    LEAD_AXES: ClassVar = {"scale": 0, "shift": 0}

    def __init__(self, size: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(N_LEADS, size))
        self.shift = nn.Parameter(torch.zeros(N_LEADS, size))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:]) * self.scale[:, None, None] + self.shift[:, None, None]


class LayerNorm(nn.Module):
    """Layer norm without scale and shift: a linear layer of the lead's own follows and would absorb them."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = (size,)

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.size)


class LeadwiseLinear(nn.Module):
    """Twelve linear layers as one batched product over (12, batch * tokens, channels)."""

    LEAD_AXES: ClassVar = {"weight": 0, "bias": 0}

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.weight, self.bias = _per_lead(inside, outside), nn.Parameter(torch.zeros(N_LEADS, 1, outside))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = torch.bmm(x.flatten(1, 2), self.weight).unflatten(1, x.shape[1:3])
        return out + self.bias[:, None]


class TemporalAttention(nn.Module):
    """Twelve transformer layers over time, one a lead, as one computation; returns the weight each token receives."""

    def __init__(self, config: DualAttentionConfig) -> None:
        super().__init__()
        size, self.heads, self.norm_first = config.channels[-1], config.temporal_heads, config.norm_first
        self.shown = config.read_out is not ReadOut.ATTENTION  # attention pooling brings maps of its own
        self.rotary = config.positions is Positions.ROTARY
        self._place(config, size)
        self.drop = dropout(config.dropout_kind, config.dropout, batch_axis=1)
        norm = LayerNorm if self.norm_first else LeadwiseNorm
        self.first_norm, self.second_norm = norm(size), norm(size)
        self.qkv, self.out = LeadwiseLinear(size, 3 * size), LeadwiseLinear(size, size)
        wide = config.mlp_ratio * size
        self.wider, self.narrower = LeadwiseLinear(size, wide), LeadwiseLinear(wide, size)

    cos: Tensor
    sin: Tensor

    def _place(self, config: DualAttentionConfig, size: int) -> None:
        cos, sin = rotation(config.tokens, size // self.heads)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        place = sinusoids(config.tokens, size)
        if config.positions is Positions.LEARNED:
            self.place: Tensor | None = nn.Parameter(0.02 * torch.randn_like(place))
        else:
            kept = place if config.positions is Positions.SINUSOIDAL else None
            self.register_buffer("place", kept, persistent=False)

    def forward(self, tokens: Tensor, usable: Tensor) -> tuple[Tensor, Tensor]:
        """tokens (batch, 12, tokens, channels), usable (batch, 12, tokens)."""
        x, usable = tokens.transpose(0, 1), usable.transpose(0, 1)
        x = self.drop(x if self.place is None else x + self.place)
        if self.norm_first:
            mixed, received = self._mix(self.first_norm(x), usable)
            x = x + mixed
            x = x + self._mlp(self.second_norm(x))
        else:
            mixed, received = self._mix(x, usable)
            x = self.first_norm(x + mixed)
            x = self.second_norm(x + self._mlp(x))
        return x.transpose(0, 1), received.transpose(0, 1)

    def _mix(self, x: Tensor, usable: Tensor) -> tuple[Tensor, Tensor]:
        # q, k, v (12, batch, heads, tokens, size of a head)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(2, 3) for part in self.qkv(x).chunk(3, dim=-1))
        if self.rotary:
            q, k = rotated(q, self.cos, self.sin), rotated(k, self.cos, self.sin)
        if self.training and not self.shown:  # the fused kernel, same answer: nothing is shown or traced here
            hidden = ((1 - usable) * HIDDEN)[:, :, None, None]
            mixed = F.scaled_dot_product_attention(
                q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1), hidden.flatten(0, 1)
            )
            return self.drop(self.out(mixed.transpose(1, 2).flatten(2).unflatten(0, x.shape[:2]))), usable
        # weights (12, batch, heads, query token, key token)
        weights = masked_softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), usable[:, :, None, None])
        return self.drop(self.out((weights @ v).transpose(2, 3).flatten(3))), self._received(weights, usable)

    @staticmethod
    def _received(weights: Tensor, usable: Tensor) -> Tensor:
        """The weight that each token receives, averaged over heads and over the queries that hold signal."""
        asking = usable / usable.sum(dim=-1, keepdim=True).clamp(min=1)
        return (asking[:, :, None] @ weights.mean(dim=2))[:, :, 0]

    def _mlp(self, x: Tensor) -> Tensor:
        out: Tensor = self.drop(self.narrower(self.drop(F.gelu(self.wider(x)))))
        return out
