"""Would the map look the same if the model had learned nothing; is the attention used; does the map hold still."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from torch import Tensor

from ecg.contract import Contract, MapKind
from ecg.predictor import Inference, RawMaps
from model_training.explain import measures
from model_training.explain.deletion import typical_twin
from model_training.explain.subject import (
    Array,
    Bools,
    Model,
    Samples,
    Subject,
    infer,
    maps_of,
    spread,
    stacked,
    token_of_sample,
)
from model_training.export import Served
from model_training.nets.dual_attention import DualAttention
from model_training.nets.heads import RiskHead
from model_training.nets.interface import Share
from model_training.nets.random_encoder import RandomEncoder
from model_training.nets.risk_model import RiskModel
from model_training.survival.bootstrap import Estimate

# From the answer down to the signal; each step keeps what the steps before it destroyed.
CASCADE: Final = ("head", "network.read_out", "network.evidence", "network.temporal_attention",
                  "network.lead_attention", "network.to_lead", "network.encoder")  # fmt: skip
SHIFTS_MS: Final = (10, 20, 50)
NOISE_MV: Final = 0.02
CELLS: Final = 8  # of each person, one at a time
PLACES: Final = ("that cell", "the two beside it", "elsewhere in its lead", "other leads")
_SEED: Final = 77
Maps = Callable[[Sequence[Subject]], Array]


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """A network with its weights, answering like the served artefact."""

    model: RiskModel
    contract: Contract

    def infer_batch(self, tensors: Samples, lead_masks: Bools, *, maps: bool = True) -> list[Inference]:
        served = Served(self.model, self.contract.output)
        with torch.no_grad():
            found = served(torch.from_numpy(tensors), torch.from_numpy(lead_masks.astype(np.float32)))
        hazard, risk, embedding, *rest = (each.detach().numpy() for each in found)
        return [
            Inference(float(hazard[i]), risk[i], embedding[i], RawMaps(*(each[i] for each in rest)) if rest else None)
            for i in range(len(tensors))
        ]


def randomised(model: RiskModel, steps: int, subjects: Sequence[Subject]) -> RiskModel:
    """A copy whose first `steps` parts of CASCADE are as an untaught network has them; its norms see the records."""
    assert isinstance(model.network, DualAttention)
    torch.manual_seed(_SEED)
    fresh = DualAttention(model.network.config)
    untaught = RiskModel(fresh, RiskHead(fresh.embedding_size, hidden=0)).state_dict()
    state = copy.deepcopy(model.state_dict())
    for name in state:
        if name.startswith(tuple(f"{part}." for part in CASCADE[:steps])):
            state[name] = untaught[name]
    changed = copy.deepcopy(model)
    changed.load_state_dict(state)
    _settle(changed, subjects)
    return changed.eval()


@torch.no_grad()
def _settle(model: RiskModel, subjects: Sequence[Subject]) -> None:
    """Running means as the changed weights give them: else every share is the offset of a mean that no longer holds."""
    tensors, masks = (torch.from_numpy(each.astype(np.float32)) for each in stacked(subjects))
    grads = [(each, each.requires_grad) for each in model.network.parameters()]
    RandomEncoder(model.network).settle(tensors, masks)
    for each, before in grads:
        each.requires_grad_(before)
    embedding = model.network(tensors, masks).embedding
    norm = model.head.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(embedding.mean(dim=0))
    norm.running_var.copy_(embedding.var(dim=0).clamp(min=1e-6))


def cascade(model: RiskModel, contract: Contract, subjects: Sequence[Subject], kind: MapKind) -> dict[str, float]:
    """Mean rank correlation of the map with that of the taught network, after each step of the cascade."""

    def of(weights: RiskModel) -> Maps:
        return lambda some: maps_of(Weights(weights, contract), some, kind)

    return {part: left_of(of, model, subjects, step) for step, part in enumerate(CASCADE, start=1)}


def left_of(
    of: Callable[[RiskModel], Maps], model: RiskModel, subjects: Sequence[Subject], steps: int = len(CASCADE)
) -> float:
    """Mean rank correlation of a map made from the weights with the same map after so many steps of the cascade."""
    return _alike(of(model)(subjects), of(randomised(model, steps, subjects))(subjects))


@dataclass(frozen=True, slots=True)
class Exchanged:
    """The same network with other attention: how far the risk moves, in SD, and how alike the answers stay."""

    moved_sd: Estimate
    correlation: float
    loss_of_c: float | None


def exchanged_attention(
    model: RiskModel, contract: Contract, subjects: Sequence[Subject], truth: Array | None = None
) -> dict[str, Exchanged]:
    """Attention pooling made even, and handed on to the next person. Only where the embedding adds up."""
    tensors, masks = (torch.from_numpy(each.astype(np.float32)) for each in stacked(subjects))
    with torch.no_grad():
        judged = model(tensors, masks)
    shares = judged.seen.shares
    if not shares:
        return {}
    others: dict[str, Callable[[Share], Tensor]] = {
        "uniform": lambda share: _even(share, masks), "another person's": lambda share: share.weight.roll(1, dims=0)
    }  # fmt: skip
    intact, unit = judged.log_hazard.double().numpy(), spread(contract)
    found = {}
    for name, other in others.items():
        with torch.no_grad():
            pooled = [_pooled(other(share), share.content, share.projection) for share in shares]
            answer = model.head(torch.cat(pooled, dim=1)).double().numpy()
        loss = None
        if truth is not None:
            loss = measures.concordance(intact, truth) - measures.concordance(answer, truth)
        found[name] = Exchanged(
            measures.mean_interval(np.abs(answer - intact) / unit),
            measures.rank_correlation_signed(intact, answer),
            loss,
        )
    return found


def _even(share: Share, masks: Tensor) -> Tensor:
    """As much weight as there was, laid evenly over the usable leads."""
    usable = masks[:, :, None, None].expand_as(share.weight)
    return usable / usable.sum(dim=(1, 2), keepdim=True) * share.weight.sum(dim=(1, 2), keepdim=True)


def _pooled(weight: Tensor, content: Tensor, projection: Tensor) -> Tensor:
    """embedding (batch, heads * each) = sum over leads and tokens of weight * projection * content."""
    summary = torch.einsum("blth,bltc->blhc", weight, content)
    return torch.einsum("blhc,lhce->bhe", summary, projection).flatten(1)


def stability(model: Model, subjects: Sequence[Subject], kind: MapKind) -> dict[str, float]:
    """Rank correlation of the map with itself after a shift in time (moved back) and after 20 microvolts of noise."""
    known, contract = maps_of(model, subjects, kind), model.contract
    chance = np.random.default_rng(_SEED)
    noisy = [
        replace(each, tensor=each.tensor + NOISE_MV * chance.standard_normal(each.tensor.shape, dtype=np.float32))
        for each in subjects
    ]
    found = {f"noise of {NOISE_MV * 1000:g} uV": _alike(known, maps_of(model, noisy, kind))}
    for shift_ms in SHIFTS_MS:
        by = max(1, round(shift_ms * contract.input.sampling_rate_hz / 1000))
        moved = [replace(each, tensor=_shifted(each.tensor, by)) for each in subjects]
        back = by * 1000 / contract.input.sampling_rate_hz / contract.explanation.token_step_ms
        drawn = maps_of(model, moved, kind)
        found[f"shift of {shift_ms} ms"] = _alike(known, _moved_back(drawn, back))
    return found


def _shifted(tensor: Samples, by: int) -> Samples:
    held = np.repeat(tensor[:, :1], by, axis=1)
    return np.ascontiguousarray(np.concatenate([held, tensor[:, :-by]], axis=1))


def _moved_back(drawn: Array, tokens: float) -> Array:
    """A map of cells lies on the shifted grid: what was in one cell is now spread over it and the next."""
    at = np.arange(drawn.shape[-1])
    return np.apply_along_axis(lambda row: np.interp(at + tokens, at, row), -1, drawn)


def _alike(first: Array, second: Array) -> float:
    return float(np.mean([measures.rank_correlation(a, b) for a, b in zip(first, second, strict=True)]))


def locality(model: Model, subjects: Sequence[Subject], typical_mv: Samples, kind: MapKind) -> dict[str, float]:
    """Where the map changes when the signal changes in a single cell: shares of the map's change by place.

    What a token saw of its neighbours, and what attention moved elsewhere, no map of tokens can tell apart.
    """
    contract, chance = model.contract, np.random.default_rng(_SEED)
    token = token_of_sample(contract)
    shares = []
    for each in subjects:
        twin = typical_twin(each, typical_mv, contract)
        cells = [
            (
                int(chance.choice(np.flatnonzero(each.lead_mask))),
                int(chance.integers(2, contract.explanation.tokens - 2)),
            )
            for _ in range(CELLS)
        ]
        changed = []
        for lead, k in cells:
            tensor = each.tensor.copy()
            tensor[lead, token == k] = twin[lead, token == k]
            changed.append(replace(each, tensor=tensor))
        drawn = maps_of(model, [each, *changed], kind)
        shares += [_by_place(np.abs(one - drawn[0]), *cell) for one, cell in zip(drawn[1:], cells, strict=True)]
    known = np.array([each for each in shares if each is not None])
    return dict(zip(PLACES, known.mean(axis=0).tolist(), strict=True)) if len(known) else {}


def _by_place(change: Array, lead: int, k: int) -> list[float] | None:
    if change.sum() <= 0:
        return None
    cell, near, row, all_ = change[lead, k], change[lead, k - 1 : k + 2].sum(), change[lead].sum(), change.sum()
    return [cell / all_, (near - cell) / all_, (row - near) / all_, (all_ - row) / all_]


def infers_alike(model: Model, weights: RiskModel, subjects: Sequence[Subject]) -> float:
    """The largest difference of log-hazard between the artefact and the weights that it is said to come from."""
    served = np.array([each.log_hazard for each in infer(model, *stacked(subjects))])
    own = np.array([each.log_hazard for each in infer(Weights(weights, model.contract), *stacked(subjects))])
    return float(np.abs(served - own).max())
