"""The dual attention network: leads kept apart, maps that are weights, risk that is shared out truthfully."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ecg.contract import View
from model_training.nets.config import DualAttentionConfig, ReadOut
from model_training.nets.dual_attention import DualAttention
from model_training.nets.heads import ClassificationHead, Decoder, DiscreteTimeHead, ProjectionHead, RiskHead
from model_training.nets.interface import parameters_in, permute_leads
from model_training.nets.risk_model import Explained, RiskModel
from tests.training.nets import SHIPPED, SWITCHED, batch, config, network, risk_model

pytestmark = pytest.mark.torch
ORDER = [0, 1, 7, 3, 4, 5, 6, 2, 8, 9, 10, 11]  # III and V2 change places
LEAD_TRUE = [name for name in SWITCHED if name != "paper_mask_not_honoured"]


@pytest.mark.parametrize("name", SWITCHED)
@pytest.mark.parametrize("lead", [0, 5, 11])
def test_a_lead_changes_its_own_tokens_and_no_others(name: str, lead: int) -> None:
    """Law: perturbing lead k alone changes the encoder tokens of lead k and, bit for bit, of no other lead."""
    net = network(name).eval()
    ecg, mask = batch(net, 2)
    mask.fill_(1)
    other = ecg.clone()
    other[:, lead] += torch.randn(ecg.shape[-1], generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before, after = net.encode(ecg, mask), net.encode(other, mask)
    changed = (before.values != after.values).flatten(2).any(dim=2)
    assert changed[:, lead].all()
    assert changed.sum() == len(changed)


@pytest.mark.parametrize("name", SWITCHED)
def test_permuting_leads_and_their_identities_permutes_the_maps(name: str) -> None:
    """Law: exchange two leads' signals and all that belongs to them, and weights, rows and columns change places."""
    model = risk_model(name)
    ecg, mask = batch(model.network, 4)  # type: ignore[arg-type]
    swapped = risk_model(name)
    permute_leads(swapped, ORDER)
    with torch.no_grad():
        one, two = model(ecg, mask), swapped(ecg[:, ORDER], mask[:, ORDER])
    torch.testing.assert_close(one.log_hazard, two.log_hazard, rtol=1e-4, atol=1e-5)
    maps, other = one.seen.maps, two.seen.maps
    torch.testing.assert_close(maps.lead_attention[:, ORDER], other.lead_attention, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(maps.cross_lead[:, ORDER][:, :, ORDER], other.cross_lead, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(maps.temporal_attention[:, ORDER], other.temporal_attention, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["paper", "additive"])
def test_leads_have_identities(name: str) -> None:
    """Law: the test above can fail: exchanging signals without identities gives another answer."""
    model = risk_model(name)
    ecg, _ = batch(model.network, 4)  # type: ignore[arg-type]
    mask = torch.ones(4, 12)
    with torch.no_grad():
        assert (model(ecg, mask).log_hazard - model(ecg[:, ORDER], mask).log_hazard).abs().max() > 1e-4


@pytest.mark.parametrize("name", LEAD_TRUE)
def test_maps_are_weights_and_a_masked_lead_has_none(name: str) -> None:
    """Law: lead weights and cross-lead rows sum to 1, activation lies in [0, 1]; a masked lead weighs exactly 0."""
    model = risk_model(name)
    ecg, mask = batch(model.network, 6, seed=5)  # type: ignore[arg-type]
    with torch.no_grad():
        lead, cross, temporal = model(ecg, mask).seen.maps
    torch.testing.assert_close(lead.sum(dim=1), torch.ones(6))
    torch.testing.assert_close(cross.sum(dim=2), torch.ones(6, 12))
    assert temporal.min() >= 0
    assert temporal.max() <= 1
    torch.testing.assert_close(temporal.sum(dim=2), mask, rtol=1e-5, atol=1e-5)
    assert (lead[mask == 0] == 0).all()
    assert (temporal[mask == 0] == 0).all()
    if model.network.config.lead_attention:  # type: ignore[union-attr]
        assert (cross[(mask == 0)[:, None].expand_as(cross)] == 0).all()


@pytest.mark.parametrize("name", LEAD_TRUE)
def test_what_a_masked_lead_holds_does_not_matter(name: str) -> None:
    """Law: anything in a masked lead gives the same log-hazard, bit for bit."""
    model = risk_model(name)
    ecg, mask = batch(model.network, 3)  # type: ignore[arg-type]
    other = torch.where(mask[..., None] == 0, torch.full_like(ecg, 3.0), ecg)
    assert not torch.equal(ecg, other)
    with torch.no_grad():
        assert torch.equal(model(ecg, mask).log_hazard, model(other, mask).log_hazard)


@pytest.mark.parametrize("name", ["paper_rhythm", "additive", "additive_rotary", "additive_content"])
def test_attention_ignores_padding(name: str) -> None:
    """Law: tokens that hold nothing but padding get no weight at all."""
    model = risk_model(name)
    net = model.network
    assert isinstance(net, DualAttention)
    ecg, _ = batch(net, 2)
    empty = net.config.tokens // 3
    ecg[..., -(empty + 1) * net.config.token_samples :] = 0
    with torch.no_grad():
        judgement = model(ecg, torch.ones(2, 12))
    assert judgement.seen.maps is not None
    temporal = judgement.seen.maps.temporal_attention
    assert (temporal[..., -empty:] == 0).all()
    torch.testing.assert_close(temporal.sum(dim=2), torch.ones(2, 12))


@pytest.mark.parametrize("name", [name for name in SWITCHED if not name.startswith("paper")])
def test_additive_risk_is_the_sum_of_its_shares(name: str) -> None:
    """Law: shares over leads and tokens sum to the log-hazard less that of the population's mean embedding."""
    model = risk_model(name)
    ecg, mask = batch(model.network, 4, seed=9)  # type: ignore[arg-type]
    assert model.splits_exactly
    assert isinstance(model.network, DualAttention)
    with torch.no_grad():
        judgement, relevance = Explained(model)(model.network.encode(ecg, mask))
        at_mean = model.head(model.head.norm.running_mean[None])
    torch.testing.assert_close(relevance.temporal.sum(dim=(1, 2)), judgement.log_hazard - at_mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(relevance.temporal.sum(dim=2), relevance.lead)
    assert (relevance.lead[mask == 0] == 0).all()


def test_a_share_of_a_lead_that_only_weighs_others_comes_from_that_lead_alone() -> None:
    """Law: where leads only weigh each other, changing lead k leaves the content of every other lead as it was."""
    model = risk_model("additive")
    net = model.network
    assert isinstance(net, DualAttention)
    ecg, _ = batch(net, 2)
    mask = torch.ones(2, 12)
    other = ecg.clone()
    other[:, 7] *= -1
    with torch.no_grad():
        [one], [two] = net(ecg, mask).shares, net(other, mask).shares
    kept = [lead for lead in range(12) if lead != 7]
    assert torch.equal(one.content[:, kept], two.content[:, kept])
    assert not torch.equal(one.weight[:, kept], two.weight[:, kept])


def test_what_a_window_says_is_not_moved_from_elsewhere() -> None:
    """Law: a changed window moves the evidence of the windows that its filter reaches, and of no other, in no lead."""
    net = risk_model("evidence").network
    assert isinstance(net, DualAttention)
    ecg, _ = batch(net, 2)
    mask, other = torch.ones(2, 12), ecg.clone()
    lead, window, step = 7, 60, net.config.stem_stride
    other[:, lead, window * step : (window + 1) * step] += 0.5
    with torch.no_grad():
        one, two = net(ecg, mask).shares[0], net(other, mask).shares[0]
    said = [torch.einsum("blth,bltc,lhce->blte", each.weight, each.content, each.projection) for each in (one, two)]
    moved = (said[0] != said[1]).any(dim=-1).any(dim=0)
    reached = net.config.stem_kernel // step // 2
    assert moved[lead, window]
    assert sorted(set(range(250)) - set(range(window - reached, window + reached + 1))) == [
        place for place in range(250) if not moved[lead, place]
    ]
    assert not moved[[each for each in range(12) if each != lead]].any()


def test_evidence_needs_an_affine_head() -> None:
    """Law: where a risk is to be shared out exactly, a head that bends it is refused."""
    model = risk_model("evidence", hidden=3)
    assert isinstance(model.network, DualAttention)
    with pytest.raises(ValueError, match="affine"):
        Explained(model)(model.network.encode(*batch(model.network, 2)))


@pytest.mark.parametrize("name", ["paper", "paper_sequential", "additive_content"])
def test_gradient_relevance_is_attention_times_the_numerical_gradient(name: str) -> None:
    """Law: at each lead's own tokens, relevance = weight * token * d log-hazard / d token by finite differences."""
    model = risk_model(name, hidden=3).double()
    net = model.network
    assert isinstance(net, DualAttention)
    ecg, mask = (part.double() for part in batch(net, 1, seed=2))
    tokens = net.encode(ecg, mask)
    judgement, relevance = Explained(model)(tokens)
    assert judgement.seen.maps is not None
    lead, token, step = 4, 3, 1e-6
    scaled = []
    for sign in (1, -1):
        values = tokens.values.detach().clone()
        values[0, lead, token] *= 1 + sign * step
        scaled.append(model.after_tokens(tokens._replace(values=values)).log_hazard)
    slope = float((scaled[0] - scaled[1]).detach()) / (2 * step)
    weight = judgement.seen.maps.temporal_attention[0, lead, token] * judgement.seen.maps.lead_attention[0, lead]
    assert float(relevance.temporal[0, lead, token].detach()) == pytest.approx(
        slope * float(weight.detach()), rel=1e-3, abs=1e-12
    )


def test_the_papers_configuration_has_its_size(capsys: pytest.CaptureFixture[str]) -> None:
    """Law: 1.2 to 1.4 million parameters; lead attention is the most of them; every count is printed."""
    for name in SHIPPED:
        net = DualAttention(config(name))
        parts = {part: parameters_in(module) for part, module in net.named_children()}
        print(name, parameters_in(net), parts)
        if name == "paper":
            assert 1.2e6 <= parameters_in(RiskModel(net, RiskHead(512, 3))) <= 1.4e6
            assert parts["lead_attention"] == 1_112_944
            assert net.config.tokens == 19
            assert net.config.lead_token_size == 304
    assert "paper" in capsys.readouterr().out


@pytest.mark.parametrize("name", SWITCHED)
def test_every_switch_learns(name: str) -> None:
    """Law: a few steps on a few records lower the loss, through risk head and decoder, with finite gradients."""
    torch.manual_seed(0)
    net = network(name)
    model, decoder = RiskModel(net, RiskHead(net.embedding_size, 3)), Decoder(net.config)
    ecg, mask = batch(net, 8)
    target = torch.linspace(-1, 1, 8)
    parameters = [*model.parameters(), *decoder.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=3e-3)
    losses = []
    for _ in range(8):
        judgement = model(ecg, mask)
        loss = (judgement.log_hazard - target).square().mean() + (
            decoder(judgement.seen.embedding) - ecg
        ).square().mean()
        optimiser.zero_grad()
        loss.backward()
        assert all(part.grad is None or torch.isfinite(part.grad).all() for part in parameters)
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


def test_heads_answer_in_shape() -> None:
    """Law: each head turns (batch, embedding) into what it promises; covariates move the log-hazard."""
    embedding = torch.randn(8, 64)
    assert DiscreteTimeHead(64, 10)(embedding).shape == (8, 10)
    assert ClassificationHead(64, 5)(embedding).shape == (8, 5)
    assert ProjectionHead(64)(embedding).shape == (8, 128)
    head = RiskHead(64, 3, covariates=2).eval()
    assert head(embedding).shape == (8,)
    assert not torch.equal(head(embedding, torch.ones(8, 2)), head(embedding, torch.zeros(8, 2)))


def test_a_configuration_is_strict(tmp_path: Path) -> None:
    """Law: an unknown switch, a missing one and a word that is no choice are refused."""
    whole = config("paper").to_dict()
    assert DualAttentionConfig.from_dict(whole) == config("paper")
    assert config("paper").view is View.MEDIAN_BEAT
    for wrong in (
        whole | {"colour": 1},
        {k: v for k, v in whole.items() if k != "kernel"},
        whole | {"read_out": "sum"},
    ):
        with pytest.raises(ValueError):
            DualAttentionConfig.from_dict(wrong)
    with pytest.raises(ValueError, match="lead_size"):
        DualAttention(config("paper", lead_context="weight"))
    with pytest.raises(ValueError, match="read-out"):
        config("paper", evidence_size=64, evidence_heads=2)
    assert config("lead_additive").read_out is ReadOut.ATTENTION


def test_tokens_know_their_place_in_time() -> None:
    """Law: 600 samples in 608 begin 8 ms early at 64 ms a token; 1000 at 100 Hz are 25 tokens and 250 windows."""
    paper, ours = config("paper"), config("evidence")
    assert (paper.cells, paper.padding, paper.cell_start_ms, paper.cell_step_ms) == (19, (4, 4), -8.0, 64.0)
    assert (ours.cells, ours.padding, ours.cell_start_ms, ours.cell_step_ms) == (250, (0, 0), 0.0, 40.0)
    assert ours.tokens == 25
