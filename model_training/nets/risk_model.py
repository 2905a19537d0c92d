"""A network and its risk head: the log-hazard, and which lead and which moment it came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from model_training.nets.dual_attention import DualAttention, Tokens
from model_training.nets.heads import RiskHead
from model_training.nets.interface import Network, Seen, Share, spread


class Judgement(NamedTuple):
    log_hazard: Tensor  # (batch,)
    seen: Seen


class Relevance(NamedTuple):
    """Signed: what raised the log-hazard is positive. The lead's is the sum over its tokens."""

    lead: Tensor  # (batch, 12)
    temporal: Tensor  # (batch, 12, tokens)


class RiskModel(nn.Module):
    def __init__(self, network: Network, head: RiskHead) -> None:
        super().__init__()
        self.network, self.head = network, head

    def forward(self, ecg: Tensor, lead_mask: Tensor, covariates: Tensor | None = None) -> Judgement:
        return self._judged(self.network(ecg, lead_mask), covariates)

    def _judged(self, seen: Seen, covariates: Tensor | None = None) -> Judgement:
        return Judgement(self.head(seen.embedding, covariates), seen)

    def after_tokens(self, tokens: Tokens) -> Judgement:
        """The part of the trip on which leads meet."""
        assert isinstance(self.network, DualAttention)
        return self._judged(self.network.attend(tokens))

    @property
    def splits_exactly(self) -> bool:
        """The log-hazard is a sum over leads and cells: no gradient is needed to share it out."""
        return isinstance(self.network, DualAttention) and self.network.adds_up and self.head.is_affine


def exact_relevance(shares: Sequence[Share], direction: Tensor, mean: Tensor) -> Relevance:
    """Attention times gradient where the embedding is additive: the shares sum to log-hazard minus that of the mean."""
    cells, sizes = max(each.weight.shape[2] for each in shares), [each.numbers for each in shares]
    parts = zip(shares, direction.split(sizes), mean.split(sizes), strict=True)
    by_cell = torch.stack([spread(_of_share(*each), cells) for each in parts]).sum(dim=0)
    return Relevance(by_cell.sum(dim=-1), by_cell)


def _of_share(share: Share, direction: Tensor, mean: Tensor) -> Tensor:
    """At lead l, cell t: sum over heads of weight_lt direction' projection_l content_lt - ground_lt direction' mean."""
    heads = share.weight.shape[-1]
    towards = share.projection @ direction.unflatten(0, (heads, -1))[..., None]  # (12, heads, channels, 1)
    pull = share.content @ towards[..., 0].transpose(1, 2)  # (batch, 12, cells, heads)
    rest = (direction * mean).unflatten(0, (heads, -1)).sum(dim=-1)
    by_cell: Tensor = (share.weight * pull - share.ground * rest).sum(dim=-1)
    return by_cell


def gradient_relevance(gradient: Tensor, tokens: Tensor, seen: Seen) -> Relevance:
    """Attention times gradient times token, each read at its own lead: gradient (batch, 12, tokens, channels)."""
    assert seen.maps is not None
    pull = (gradient * tokens).sum(dim=-1)
    temporal = pull * seen.maps.temporal_attention
    return Relevance(temporal.sum(dim=-1) * seen.maps.lead_attention, temporal * seen.maps.lead_attention[..., None])


class Explained(nn.Module):
    """Log-hazard, what was seen, and the risk-directed relevance, from tokens that `encode` made."""

    def __init__(self, model: RiskModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tokens) -> tuple[Judgement, Relevance]:
        if self.model.splits_exactly:
            judgement = self.model.after_tokens(tokens)
            return judgement, exact_relevance(judgement.seen.shares, *self.model.head.direction())
        if tokens.windows is not None:
            raise ValueError("evidence is shared out exactly, so the risk head must be affine")
        with torch.enable_grad():
            leaf = tokens.values.detach().requires_grad_()
            judgement = self.model.after_tokens(tokens._replace(values=leaf))
            (gradient,) = torch.autograd.grad(judgement.log_hazard.sum(), leaf)
        return judgement, gradient_relevance(gradient, tokens.values, judgement.seen)
