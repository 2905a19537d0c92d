"""What training minimises, as pure functions: time to event, reconstruction, alignment of ECG and text."""

from __future__ import annotations

import math
from enum import StrEnum

import torch
import torch.nn.functional as F
from torch import Tensor


class Ties(StrEnum):
    EFRON = "efron"
    BRESLOW = "breslow"


def cox_partial_likelihood(log_hazard: Tensor, time: Tensor, event: Tensor, ties: Ties = Ties.EFRON) -> Tensor:
    """Negative log partial likelihood divided by the number of events; 0 when nobody in the batch has an event.

    In float64 and in logarithms throughout: shifting every log-hazard by a constant, however large, changes nothing.
    """
    order = torch.argsort(time, descending=True, stable=True)
    risk, at, died = log_hazard.double()[order], time[order], event[order].bool()
    events = died.sum()
    if events == 0:
        return (log_hazard * 0).sum()
    # log of the summed hazards of everyone still at risk at each time; people who share a time share the whole set
    running = torch.logcumsumexp(risk, dim=0)
    _, group, members = torch.unique_consecutive(at, return_inverse=True, return_counts=True)
    at_risk = running[members.cumsum(0) - 1][group]
    if ties is Ties.EFRON:
        at_risk = at_risk + _efron_correction(risk, died, group, len(members), at_risk)
    return (torch.where(died, at_risk - risk, 0.0).sum() / events).to(log_hazard.dtype)


def _efron_correction(risk: Tensor, died: Tensor, group: Tensor, groups: int, at_risk: Tensor) -> Tensor:
    """log(1 - rank / d * share): of d deaths at one time, those before take part of their own hazard out of the set."""
    deaths = torch.zeros(groups, dtype=torch.float64, device=risk.device).index_add(0, group, died.double())
    before = torch.cumsum(died.double(), 0) - died.double()
    first = torch.full((groups,), torch.inf, dtype=torch.float64, device=risk.device).scatter_reduce(
        0, group, torch.where(died, before, torch.inf), "amin"
    )
    rank = torch.where(died, before - first[group], 0.0)
    # the deaths' share of the risk set's hazard, each person scaled by the set before exponentiating, so never above 1
    share = torch.zeros(groups, dtype=torch.float64, device=risk.device).index_add(
        0, group, torch.where(died, torch.exp(risk - at_risk), 0.0)
    )
    taken = rank / deaths[group].clamp(min=1) * share[group]
    return torch.log1p(-torch.where(died, taken, 0.0))


def discrete_time_hazard(logits: Tensor, interval: Tensor, event: Tensor) -> Tensor:
    """Mean negative log-likelihood of surviving the intervals before `interval` and, with an event, dying in it.

    `logits` (batch, intervals) are of the conditional hazards; `interval` is the index of the last one observed.
    """
    index = torch.arange(logits.shape[1], device=logits.device)
    observed = index <= interval[:, None]
    died = (index == interval[:, None]) & event.bool()[:, None]
    each = F.binary_cross_entropy_with_logits(logits, died.to(logits.dtype), reduction="none")
    return (each * observed).sum(dim=1).mean()


def reconstruction(drawn: Tensor, clean: Tensor, lead_mask: Tensor | None = None) -> Tensor:
    """Mean squared error over all leads, or over those the mask keeps."""
    if lead_mask is None:
        return F.mse_loss(drawn, clean)
    squared = (drawn - clean).square().mean(dim=-1)
    return (squared * lead_mask).sum() / lead_mask.sum().clamp(min=1)


def cosine_distance(ecg: Tensor, text: Tensor) -> Tensor:
    """The paper's alignment: mean of 1 - cosine. It has no negatives, so watch `spread` for collapse."""
    return (1 - F.cosine_similarity(ecg, text, dim=-1)).mean()


def soft_targets(text: Tensor, temperature: float) -> Tensor:
    """Rows of probabilities over the batch, by the texts' likeness: reports that say the same are no negatives."""
    unit = F.normalize(text, dim=-1)
    return torch.softmax(unit @ unit.T / temperature, dim=-1)


def info_nce(ecg: Tensor, text: Tensor, temperature: float | Tensor, targets: Tensor | None = None) -> Tensor:
    """Symmetric cross-entropy over the batch; `targets` (batch, batch) soften the diagonal, rows summing to 1."""
    logits = F.normalize(ecg, dim=-1) @ F.normalize(text, dim=-1).T / temperature
    if targets is None:
        targets = torch.eye(len(logits), dtype=logits.dtype, device=logits.device)
    return 0.5 * (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets))


def siglip(
    ecg: Tensor, text: Tensor, scale: float | Tensor, bias: float | Tensor, alike: Tensor | None = None
) -> Tensor:
    """Each pair judged by itself: match or not. `alike` (batch, batch) in [0, 1] is how far a pair matches."""
    logits = F.normalize(ecg, dim=-1) @ F.normalize(text, dim=-1).T * scale + bias
    if alike is None:
        alike = torch.eye(len(logits), dtype=logits.dtype, device=logits.device)
    return F.binary_cross_entropy_with_logits(logits, alike, reduction="sum") / len(logits)


def spread(projected: Tensor) -> Tensor:
    """Mean SD of unit-length projections times sqrt(size): 1 when they fill the sphere, 0 when they have collapsed."""
    deviation: Tensor = F.normalize(projected, dim=-1).std(dim=0).mean()
    return deviation * math.sqrt(projected.shape[-1])


def kullback_leibler(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Mean over the batch of the divergence of N(mean, variance) from N(0, 1)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=-1).mean()
