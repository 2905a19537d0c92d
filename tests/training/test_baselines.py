"""The baselines: one interface, real sizes, and the tabular models against independent fits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from lifelines import CoxPHFitter
from numpy.typing import NDArray
from sksurv.ensemble import GradientBoostingSurvivalAnalysis
from sksurv.metrics import concordance_index_censored
from sksurv.util import Surv

from model_training.losses import Ties, cox_partial_likelihood, kullback_leibler
from model_training.nets import BASELINES, DUAL_ATTENTION, build, dual_attention_config
from model_training.nets.conv_vae import ConvVAE
from model_training.nets.heads import RiskHead
from model_training.nets.interface import parameters_in
from model_training.nets.random_encoder import RandomEncoder
from model_training.nets.risk_model import RiskModel
from model_training.nets.s4 import DiagonalStates
from model_training.nets.tabular import BoostedCox, Cox, martingale_residuals

pytestmark = pytest.mark.torch
MILLIONS = {
    "xresnet1d101": (1.7, 2.1), "resnet1d_wang": (0.3, 0.7), "inception_time": (0.4, 0.6), "bilstm": (0.5, 0.7),
    "s4": (0.1, 0.5), "conv_vae": (4, 12), "random_encoder": (1.7, 2.1),
}  # fmt: skip


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("samples", [600, 1000])
def test_a_baseline_answers_like_any_network(name: str, samples: int) -> None:
    """Law: an embedding of the promised size, no maps, blind to what a masked lead holds, of about its known size."""
    torch.manual_seed(0)
    net = build(name, samples).eval()
    ecg, mask = torch.randn(2, 12, samples), torch.ones(2, 12)
    mask[0, 4] = 0
    other = ecg.clone()
    other[0, 4] = 7
    with torch.no_grad():
        seen, again = net(ecg, mask), net(other, mask)
    assert seen.embedding.shape == (2, net.embedding_size)
    assert seen.maps is None
    assert torch.equal(seen.embedding, again.embedding)
    low, high = MILLIONS[name]
    assert low <= parameters_in(net) / 1e6 <= high
    print(name, samples, parameters_in(net))


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_learns_a_risk(name: str) -> None:
    """Law: a few steps on the Cox loss lower it; the frozen encoder's own weights stay as they were."""
    torch.manual_seed(0)
    net = build(name, 600)
    ecg, mask = torch.randn(16, 12, 600), torch.ones(16, 12)
    ecg[:8] *= 3
    time, event = torch.linspace(1, 2, 16), torch.ones(16)
    if isinstance(net, RandomEncoder):
        net.settle(ecg, mask)
    before = [part.clone() for part in net.parameters()]
    model = RiskModel(net, RiskHead(net.embedding_size, 0, rate=0.0))
    optimiser = torch.optim.AdamW([part for part in model.parameters() if part.requires_grad], lr=1e-3)
    losses = []
    for _ in range(6):
        loss = cox_partial_likelihood(model(ecg, mask).log_hazard, time, event)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    moved = [not torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True)]
    assert any(moved) is not isinstance(net, RandomEncoder)


def test_every_network_is_found_by_name() -> None:
    """Law: shipped configurations and baselines build; an unknown name and a wrong length are refused."""
    for name in DUAL_ATTENTION:
        assert build(name, dual_attention_config(name).samples).embedding_size > 0
    with pytest.raises(ValueError, match="no network"):
        build("perceptron", 600)
    with pytest.raises(ValueError, match="samples"):
        build("paper", 1000)


def test_the_state_space_layer_is_the_recurrence_it_stands_for() -> None:
    """Law: the long convolution by FFT equals stepping x <- exp(A dt) x + (exp(A dt) - 1) / A u sample by sample."""
    torch.manual_seed(0)
    layer = DiagonalStates(channels=3, states=4).double()
    u = torch.randn(2, 3, 50, dtype=torch.float64)
    a = torch.complex(-layer.log_decay.exp(), layer.frequency)
    step = torch.exp(a * layer.log_step.exp()[:, None])
    enter, leave = (step - 1) / a, torch.view_as_complex(layer.c)
    x, outs = torch.zeros(2, 3, 4, dtype=torch.complex128), []
    for moment in range(50):
        x = step * x + enter * u[..., moment, None]
        outs.append(2 * (leave * x).sum(dim=-1).real + layer.d * u[..., moment])
    torch.testing.assert_close(layer(u), torch.stack(outs, dim=-1))


def test_the_auto_encoder_draws_and_bounds() -> None:
    """Law: drawn recordings have the input's shape; at evaluation the embedding is the latent mean."""
    net = ConvVAE(1000).eval()
    ecg, mask = torch.randn(2, 12, 1000), torch.ones(2, 12)
    latent = net.encode(ecg, mask)
    assert net.reconstruct(latent).shape == ecg.shape
    assert float(kullback_leibler(*latent).detach()) > 0
    torch.testing.assert_close(net(ecg, mask).embedding, latent.mean)


def people(seed: int, n: int = 400) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    chance = np.random.default_rng(seed)
    x = chance.normal(size=(n, 4)) * [1, 10, 0.1, 1] + [0, 100, 0, 5]
    risk = 0.8 * x[:, 0] - 0.05 * (x[:, 1] - 100) + 0.7 * np.abs(x[:, 3] - 5)
    time = np.ceil(20 * chance.exponential(np.exp(-risk)))
    return x, time, chance.random(n) < 0.6


def test_cox_by_newton_is_lifelines_fit() -> None:
    """Law: coefficients per SD equal those of lifelines, on distinct times, where all tie rules agree."""
    x, time, event = people(0)
    time = time + np.linspace(0, 0.5, len(time))
    ours = Cox.fit(x, time, event)
    frame = pd.DataFrame(ours.scaling.apply(x), columns=list("abcd")).assign(time=time, event=event)
    theirs = CoxPHFitter().fit(frame, "time", "event", fit_options={"precision": 1e-12}).params_
    np.testing.assert_allclose(ours.beta, theirs.to_numpy(), rtol=1e-6, atol=1e-8)


def test_cox_fills_what_is_missing_from_training_alone() -> None:
    """Law: a missing measurement counts as the training median; a ridge draws coefficients to 0."""
    x, time, event = people(1)
    fitted = Cox.fit(x, time, event)
    missing, filled = x[:3].copy(), x[:3].copy()
    missing[:, 1], filled[:, 1] = np.nan, np.median(x[:, 1])
    np.testing.assert_allclose(fitted.log_hazard(missing), fitted.log_hazard(filled))
    assert np.abs(Cox.fit(x, time, event, ridge=10.0).beta).max() < 0.2 * np.abs(fitted.beta).max()


def test_martingale_residuals_are_the_gradient_of_the_cox_loss() -> None:
    """Law: residuals are minus the gradient of the summed Breslow loss, ties included, and sum to 0."""
    x, time, event = people(2, 60)
    risk = torch.tensor(0.5 * x[:, 0], requires_grad=True)
    loss = cox_partial_likelihood(risk, torch.tensor(time), torch.tensor(event), Ties.BRESLOW) * event.sum()
    loss.backward()
    residuals = martingale_residuals(0.5 * x[:, 0], time, event)
    assert risk.grad is not None
    np.testing.assert_allclose(residuals, -risk.grad.numpy(), rtol=1e-9, atol=1e-12)
    assert residuals.sum() == pytest.approx(0, abs=1e-9)


def test_boosted_trees_see_what_a_line_cannot() -> None:
    """Law: on new people boosting ranks better than linear Cox where risk bends, and as well as scikit-survival's."""
    x, time, event = people(3, 1500)
    fresh, later, died = people(4, 1500)
    theirs = GradientBoostingSurvivalAnalysis(subsample=0.5, random_state=0).fit(x, Surv.from_arrays(event, time))
    index = {
        name: concordance_index_censored(died, later, risk)[0]
        for name, risk in (
            ("boosted", BoostedCox.fit(x, time, event).log_hazard(fresh)),
            ("cox", Cox.fit(x, time, event).log_hazard(fresh)),
            ("theirs", theirs.predict(fresh)),
        )
    }
    assert index["boosted"] > index["cox"] + 0.01
    assert index["boosted"] > index["theirs"] - 0.01
