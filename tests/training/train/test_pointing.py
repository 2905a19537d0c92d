"""Pairs that differ in one trait teach the map of the risk where to lie."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model_training import nets
from model_training import recipe as recipes
from model_training.explain import pairs
from model_training.losses import Ties
from model_training.nets.dual_attention import DualAttention
from model_training.nets.heads import RiskHead
from model_training.nets.risk_model import RiskModel
from model_training.train import finetune, pointing
from model_training.train.people import SurvivalBatch
from model_training.train.pointing import Twins
from tests.training.train.test_finetune import config

RECIPE = recipes.load("rhythm-100hz")


def model() -> RiskModel:
    torch.manual_seed(0)
    network = DualAttention(nets.dual_attention_config("evidence"))
    head = RiskHead(network.embedding_size, hidden=0)
    torch.nn.init.normal_(head.out.weight)
    return RiskModel(network, head).eval()


@pytest.fixture(scope="module")
def twins() -> Twins:
    network = model().network
    assert isinstance(network, DualAttention)
    return pointing.draw(network, RECIPE, people=3, seed=0)


def test_a_pair_differs_where_it_says(twins: Twins) -> None:
    """Cells that are not covered at all hold the same signal before and after; all before come first."""
    cells = twins.covered.shape[-1]
    batch = twins.drawn(6, torch.Generator().manual_seed(1))
    before, after = (half.unflatten(-1, (cells, -1)) for half in batch.ecg.chunk(2))
    moved = (after - before).square().mean(dim=-1)
    covered, clear = moved[batch.covered > 0.9].mean(), moved[batch.covered == 0].mean()
    assert covered > 20 * clear
    assert batch.covered.amax(dim=(1, 2)).allclose(torch.ones(6))


def test_those_who_teach_are_not_those_who_judge() -> None:
    """The people of the tests of the maps are other people."""
    taught, judged = pairs.candidates(50, pointing.SEED), pairs.candidates(50, pairs._SEED)
    assert not set(taught["person_key"]) & set(judged["person_key"])


@torch.no_grad()
def test_astray_is_about_place_alone(twins: Twins) -> None:
    """0 where everything is covered, the same for a head that is three times as steep, large where nothing is."""
    risk, batch = model(), twins.drawn(4, torch.Generator().manual_seed(2))
    seen = risk.network(batch.ecg, batch.lead_mask)
    first = pointing.astray(risk, seen, batch.covered)
    assert pointing.astray(risk, seen, torch.ones_like(batch.covered)).item() == pytest.approx(0, abs=1e-5)
    assert pointing.astray(risk, seen, torch.zeros_like(batch.covered)) > 10
    risk.head.out.weight.mul_(3)
    assert pointing.astray(risk, seen, batch.covered).item() == pytest.approx(first.item(), rel=1e-4)


def test_maps_learn_where_to_lie(twins: Twins) -> None:
    """A few steps of the objective on nothing but pairs bring the map of other pairs nearer to what changed."""
    risk, chance = model(), np.random.default_rng(0)
    wanted = config(pointing=5.0, pairs=8)
    trained = finetune._Trained(risk, draws=False).train()
    assert isinstance(risk.network, DualAttention)
    others = pointing.draw(risk.network, RECIPE, people=2, seed=1).drawn(8, torch.Generator().manual_seed(3))
    optimiser = torch.optim.AdamW(risk.parameters(), lr=3e-3)
    people = SurvivalBatch(
        torch.from_numpy(0.1 * chance.standard_normal((8, 12, 1000)).astype(np.float32)), torch.ones(8, 12),
        torch.arange(1.0, 9.0), torch.ones(8, dtype=torch.bool), torch.zeros(8, dtype=torch.long),
    )  # fmt: skip
    before = _astray(risk, others)
    for step in range(12):
        losses = finetune._Objective(wanted, twins)(trained, people, torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        losses["loss"].backward()
        optimiser.step()
    assert wanted.ties is Ties.EFRON
    assert losses["loss"].item() == pytest.approx((losses["cox"] + 5 * losses["astray"]).item(), rel=1e-5)
    assert _astray(risk, others) < before - 0.1


@torch.no_grad()
def _astray(risk: RiskModel, batch: pointing.PairBatch) -> float:
    risk.eval()
    found = pointing.astray(risk, risk.network(batch.ecg, batch.lead_mask), batch.covered).item()
    risk.train()
    return found


def test_a_network_that_cannot_be_asked_is_refused() -> None:
    """A risk that is no sum over cells has no map to point with."""
    with pytest.raises(finetune.FinetuneError, match="sum over leads"):
        finetune._twins(config(pointing=0.1), None, nets.build("xresnet1d101", 1000))  # type: ignore[arg-type]
