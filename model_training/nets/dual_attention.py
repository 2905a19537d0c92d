"""The dual attention network, lead-true: a lead's tokens come from that lead alone; leads meet in attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from model_training.nets.attention import LeadAttention, TemporalAttention
from model_training.nets.config import Arrangement, DropoutKind, DualAttentionConfig, LeadContext, ReadOut
from model_training.nets.encoder import LeadEncoder
from model_training.nets.interface import N_LEADS, Maps, Network, Seen, Share, spread
from model_training.nets.layers import HIDDEN
from model_training.nets.readout import AttentionPooling, AverageAndMaximum, Evidence

AT_ONCE = 16  # records


class Tokens(NamedTuple):
    """values (batch, 12, tokens, channels); usable (batch, 12, tokens) and lead_mask (batch, 12) as 0 or 1.

    Where the network gathers evidence: windows (batch, 12, windows, channels) and which of them hold signal.
    """

    values: Tensor
    usable: Tensor
    lead_mask: Tensor
    windows: Tensor | None = None
    usable_windows: Tensor | None = None

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return tuple(each for each in self if each is not None)

    def of(self, records: slice) -> Tokens:
        return Tokens(*(each[records] for each in self.tensors))


class DualAttention(Network):
    """encode: leads apart. attend: leads together. What lies between them is what the risk maps are taken at."""

    def __init__(self, config: DualAttentionConfig) -> None:
        super().__init__()
        if config.lead_context is LeadContext.WEIGHT and not (
            config.lead_size and config.read_out is ReadOut.ATTENTION
        ):
            raise ValueError("leads that only weigh each other need a lead_size and the attention read-out")
        self.config, self.embedding_size = config, config.embedding_size
        self.encoder = LeadEncoder(config)
        self.lead_attention = LeadAttention(config) if config.lead_attention else None
        self.temporal_attention = TemporalAttention(config) if config.temporal_attention else None
        pooled = config.lead_size > 0
        self.to_lead = (
            nn.Linear(2 * config.channels[-1], config.lead_size) if pooled and config.lead_attention else None
        )
        speaks = self.to_lead is not None and config.lead_context is LeadContext.CONTENT
        self.from_lead = nn.Linear(config.lead_size, config.channels[-1]) if speaks else None
        self.read_out: nn.Module = (
            AttentionPooling(config) if config.read_out is ReadOut.ATTENTION else AverageAndMaximum(config)
        )
        self.evidence = Evidence(config) if config.evidence_size else None

    @property
    def adds_up(self) -> bool:
        """The embedding is a sum over leads and tokens."""
        return isinstance(self.read_out, AttentionPooling)

    def forward(self, ecg: Tensor, lead_mask: Tensor) -> Seen:
        return self.attend(self.encode(ecg, lead_mask))

    def encode(self, ecg: Tensor, lead_mask: Tensor) -> Tokens:
        """What attention may look at; a network that does not honour the mask sees silent leads as leads."""
        encoded, mask = self.encoder(ecg, lead_mask), lead_mask if self.config.honour_lead_mask else None
        heard = torch.ones_like(lead_mask) if mask is None else mask
        tokens = Tokens(encoded.tokens, encoded.usable * heard[..., None], heard)
        if self.evidence is None:
            return tokens
        windows = self.evidence.features(encoded.stem).permute(0, 2, 3, 1)
        return tokens._replace(windows=windows, usable_windows=encoded.usable_windows * heard[..., None])

    def attend(self, tokens: Tokens) -> Seen:
        """Records do not meet here: in training on a CPU a few at a time stay in the cache, for the same answer."""
        if not (self.training and self._splits and tokens.values.device.type == "cpu"):
            return self.attend_whole(tokens)
        parts = (part.split(AT_ONCE) for part in tokens.tensors)
        some = [self.attend_whole(Tokens(*few)) for few in zip(*parts, strict=True)]
        maps = Maps(*(torch.cat(rows) for rows in zip(*(each.maps for each in some if each.maps), strict=True)))
        return Seen(torch.cat([each.embedding for each in some]), maps)

    @property
    def _splits(self) -> bool:
        """One dropout mask for the whole batch does not split."""
        return self.config.dropout == 0 or self.config.dropout_kind is DropoutKind.PLAIN

    def attend_whole(self, tokens: Tokens) -> Seen:
        """With the shares of the embedding, which a split batch does not keep."""
        spoken, leads, cross = self._across_leads(tokens)
        values, received = self._over_time(tokens, spoken)
        if isinstance(self.read_out, AttentionPooling):
            embedding, share = self.read_out(values, leads, tokens.usable, tokens.lead_mask)
            return self._beside_evidence(tokens, embedding, share, cross)
        asking = tokens.lead_mask / tokens.lead_mask.sum(dim=1, keepdim=True).clamp(min=1)
        lead_weights = asking if self.lead_attention is None else (asking[:, None] @ cross)[:, 0]
        return Seen(self.read_out(values, tokens.usable), Maps(lead_weights, cross, received))

    def _beside_evidence(self, tokens: Tokens, context: Tensor, share: Share, cross: Tensor) -> Seen:
        if self.evidence is None or tokens.windows is None or tokens.usable_windows is None:
            return Seen(context, _paid((share,), cross), (share,))
        said, evidence = self.evidence(tokens.windows, tokens.usable_windows)
        return Seen(torch.cat((said, context), dim=1), _paid((evidence, share), cross), (evidence, share))

    def _across_leads(self, tokens: Tokens) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens that have heard the other leads, the lead tokens, and the 12 x 12 matrix (identity when off)."""
        values = tokens.values
        if self.lead_attention is None:
            itself = torch.eye(N_LEADS, dtype=values.dtype, device=values.device)
            return values, self._summary(tokens), itself.expand(values.shape[0], -1, -1)
        leads = values.flatten(2) if self.to_lead is None else self.to_lead(self._summary(tokens))
        leads, cross = self.lead_attention(leads, tokens.lead_mask)
        if self.to_lead is None:
            return leads.unflatten(-1, values.shape[2:]), leads, cross
        if self.from_lead is None:
            return values, leads, cross
        return values + self.from_lead(leads)[:, :, None], leads, cross

    def _summary(self, tokens: Tokens) -> Tensor:
        """Each lead in brief: average and maximum over its usable tokens."""
        usable = tokens.usable[..., None]
        average = (tokens.values * usable).sum(dim=2) / usable.sum(dim=2).clamp(min=1)
        maximum = (tokens.values + (1 - usable) * HIDDEN).amax(dim=2)
        silent = tokens.usable.amax(dim=2, keepdim=True)
        return torch.cat((average, maximum * silent), dim=-1)

    def _over_time(self, tokens: Tokens, spoken: Tensor) -> tuple[Tensor, Tensor]:
        if self.temporal_attention is None:
            return spoken, tokens.usable / tokens.usable.sum(dim=-1, keepdim=True).clamp(min=1)
        if self.config.arrangement is Arrangement.SEQUENTIAL:
            after, received = self.temporal_attention(spoken, tokens.usable)
            return after, received
        after, received = self.temporal_attention(tokens.values, tokens.usable)
        return (after if spoken is tokens.values else spoken + after), received


def _paid(shares: Sequence[Share], cross: Tensor) -> Maps:
    """The maps of pooling are its weights, every head's alike: of leads, and of cells within their lead."""
    cells = max(each.weight.shape[2] for each in shares)
    by_head = torch.cat([_even_sums(spread(each.weight, cells)) for each in shares], dim=-1)
    by_cell = by_head.mean(dim=-1)
    lead = by_cell.sum(dim=-1)
    return Maps(lead, cross, by_cell / lead[..., None].clamp(min=1e-12))


def _even_sums(weight: Tensor) -> Tensor:
    """Each head's weights over leads and cells to the sum 1."""
    return weight / weight.sum(dim=(1, 2), keepdim=True).clamp(min=1e-12)
