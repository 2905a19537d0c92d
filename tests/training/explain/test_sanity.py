"""Random weights, exchanged attention, stability and Shapley values where the answer is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from ecg.contract import MapKind
from ecg.leads import INDEPENDENT, INDEX
from model_training.explain import rivals, sanity, shapley
from model_training.explain.subject import infer, maps_of, stacked
from tests.training import nets
from tests.training.explain.planted import RHYTHM, Planted

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    known = nets.risk_model("additive", hidden=0)
    with torch.no_grad():
        # as if taught: attention that differs from lead to lead and moment to moment
        known.network.read_out.token_score.weight.mul_(8)
        known.network.read_out.lead_bias.normal_()
    return known.requires_grad_(False)


def test_weights_answer_like_the_graph_that_serves_them(model, people):
    """The cascade speaks of the artefact only if both give one answer."""
    some = people.subjects[:4]
    weights = sanity.Weights(model, RHYTHM)
    tensors, masks = stacked(some)
    with torch.no_grad():
        own = model(torch.from_numpy(tensors), torch.from_numpy(masks.astype(np.float32))).log_hazard.numpy()
    assert [each.log_hazard for each in infer(weights, tensors, masks)] == pytest.approx(own.tolist(), abs=1e-5)
    assert sanity.infers_alike(weights, model, some) == 0


def test_randomised_parts_are_exchanged_from_the_top_and_the_map_goes_with_them(model, people):
    """The first step changes the head alone; after the last nothing of the map of the risk is left."""
    some = people.subjects[:8]
    first = sanity.randomised(model, 1, some)
    assert torch.equal(first.network.encoder.state_dict()[k := next(iter(model.network.encoder.state_dict()))],
                       model.network.encoder.state_dict()[k])  # fmt: skip
    assert not torch.equal(first.head.out.weight, model.head.out.weight)
    found = sanity.cascade(model, RHYTHM, some, MapKind.RISK)
    assert list(found) == list(sanity.CASCADE)
    assert abs(found["network.encoder"]) < 0.2


def test_a_map_that_knows_no_weights_survives_their_loss(model, people):
    """An edge detector is the same before and after: rank correlation 1, which is what the test has to reveal."""
    drawn = rivals.energy_map(RHYTHM)
    assert np.array_equal(drawn(people.subjects), drawn(people.subjects))


def test_exchanged_attention_moves_nothing_where_attention_was_even(model, people):
    """Uniform attention in place of uniform attention is the same answer; in place of a sharp one it is not."""
    flat = nets.risk_model("additive", hidden=0)
    with torch.no_grad():
        for part in (flat.network.read_out.token_score, flat.network.read_out.lead_score):
            for parameter in part.parameters():
                parameter.zero_()
        flat.network.read_out.lead_bias.zero_()
    some = people.subjects[:8]
    assert sanity.exchanged_attention(flat, RHYTHM, some)["uniform"].moved_sd.value == pytest.approx(0, abs=1e-5)
    assert sanity.exchanged_attention(model, RHYTHM, some)["uniform"].moved_sd.value > 1e-3
    assert sanity.exchanged_attention(model, RHYTHM, some)["another person's"].moved_sd.low > 1e-5


def test_a_map_that_follows_the_signal_holds_still_and_noise_does_not(planted, people):
    """Small shifts and 20 microvolts leave an exact map nearly as it was; a map of nothing has no such rank."""
    exact = sanity.stability(planted, people.subjects, MapKind.RISK)
    blind = sanity.stability(planted, people.subjects, MapKind.ATTENTION)
    assert min(exact.values()) > 0.8
    assert max(blind.values()) < 0.5


@dataclass
class Additive(Planted):
    """Each lead that is there is worth its weight, whatever it shows."""

    def _one(self, x: Any, mask: Any) -> Any:
        from dataclasses import replace

        return replace(super()._one(x, mask), log_hazard=float((self.weights * mask).sum()) + self.centre)

    @property
    def centre(self) -> float:
        return self.contract.output.calibration.center


def test_shapley_gives_each_lead_of_a_sum_its_own_term(people):
    """In a game where nobody depends on anybody, everyone is paid what they bring; together they are paid it all."""
    weights = np.zeros(12)
    weights[[INDEX[name] for name in ("I", "V2", "V6")]] = (1.0, -2.0, 0.5)
    game = Additive(weights=weights)
    one = people.subjects[0]
    values = shapley.values_of(game, one)
    assert dict(zip(INDEPENDENT, values, strict=True)) == pytest.approx(
        dict.fromkeys(INDEPENDENT, 0) | {"I": 1.0, "V2": -2.0, "V6": 0.5}
    )


def test_derived_limb_leads_are_there_only_with_both_that_they_come_from(people):
    """aVF counts half to I and half to II, since without either it cannot be had."""
    weights = np.zeros(12)
    weights[INDEX["aVF"]] = 1.0
    values = shapley.values_of(Additive(weights=weights), people.subjects[0])
    assert values[:2] == pytest.approx([0.5, 0.5])
    assert values[2:] == pytest.approx(np.zeros(6), abs=1e-12)


def test_gradients_of_a_sum_are_complete(model, people):
    """Integrated gradients add up to the difference from the start of the path, nearly."""
    typical = np.zeros((12, 600), dtype=np.float32)
    some = people.subjects[:3]
    maps = rivals.of_weights(model, RHYTHM, typical)
    assert set(maps) == {"integrated gradients", "gradient x input", "Grad-CAM"}
    weights = sanity.Weights(model, RHYTHM)
    tensors, masks = stacked(some)
    own = np.array([each.log_hazard for each in infer(weights, tensors, masks)])
    start = np.array([each.log_hazard for each in infer(weights, np.zeros_like(tensors), masks)])
    assert maps["integrated gradients"](some).sum(axis=(1, 2)) == pytest.approx(
        own - start, abs=0.15 * np.ptp(own) + 0.05
    )
    assert (maps["Grad-CAM"](some) >= 0).all()


def test_occlusion_of_a_sum_is_its_terms(planted, people):
    """Exchanged for a flat line, each cell loses exactly what it brought."""
    some = people.subjects[:1]
    drawn = rivals.Occlusion(planted, np.zeros((12, 600), dtype=np.float32))(some)
    assert drawn == pytest.approx(maps_of(planted, some, MapKind.RISK), abs=1e-6)


def test_an_exact_map_changes_only_where_the_signal_did(planted, people):
    """All of the change in that cell for a sum over cells; all over the place for a map of nothing."""
    flat = np.zeros((12, 600), dtype=np.float32)
    exact = sanity.locality(planted, people.subjects[:4], flat, MapKind.RISK)
    assert exact["that cell"] == pytest.approx(1, abs=1e-6)
    blind = sanity.locality(planted, people.subjects[:4], flat, MapKind.ATTENTION)
    assert blind["that cell"] < 0.05
    assert sum(blind.values()) == pytest.approx(1)
