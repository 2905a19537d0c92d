"""Losses against independent implementations, and the laws that they must keep."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from lifelines import CoxPHFitter
from numpy.typing import NDArray
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.util import Surv

from model_training import losses
from model_training.losses import Ties, cox_partial_likelihood

with warnings.catch_warnings():  # the oracle still scripts one function on import
    warnings.simplefilter("ignore", DeprecationWarning)
    from torchsurv.loss.cox import neg_partial_log_likelihood

pytestmark = pytest.mark.torch


def censored_with_ties(seed: int, n: int = 200) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Two covariates, times rounded so that many coincide, about half censored."""
    chance = np.random.default_rng(seed)
    x = chance.normal(size=(n, 2))
    time = np.ceil(10 * chance.exponential(np.exp(-x @ [0.8, -0.5]))) / 10
    return x, time, chance.random(n) < 0.5


def by_hand(risk: NDArray[np.float64], time: NDArray[np.float64], event: NDArray[np.bool_], efron: bool) -> float:
    """The textbook's double sum."""
    total = 0.0
    for at in np.unique(time[event]):
        dead = event & (time == at)
        at_risk, dying = np.exp(risk[time >= at]).sum(), np.exp(risk[dead]).sum()
        steps = np.arange(dead.sum()) / dead.sum() if efron else np.zeros(dead.sum())
        total += np.log(at_risk - steps * dying).sum() - risk[dead].sum()
    return float(total / event.sum())


@pytest.mark.filterwarnings("ignore:Ties in `time` detected")
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("ties", list(Ties))
def test_cox_agrees_with_the_double_sum_and_with_torchsurv(seed: int, ties: Ties) -> None:
    """Law: with ties and censoring both tie rules give the textbook's value to 1e-9, torchsurv's to 1e-6."""
    x, time, event = censored_with_ties(seed)
    risk = x @ [0.7, -0.2]
    ours = float(cox_partial_likelihood(torch.tensor(risk), torch.tensor(time), torch.tensor(event), ties))
    assert ours == pytest.approx(by_hand(risk, time, event, ties is Ties.EFRON), rel=1e-9)
    theirs = neg_partial_log_likelihood(
        torch.tensor(risk, dtype=torch.float32), torch.tensor(event), torch.tensor(time, dtype=torch.float32),
        ties_method=str(ties), reduction="sum",
    )  # fmt: skip
    assert ours == pytest.approx(float(theirs) / event.sum(), rel=1e-6)


def test_cox_agrees_with_lifelines_at_its_optimum() -> None:
    """Law: at lifelines' coefficients the loss is its log-likelihood, and no direction lowers it (Efron)."""
    x, time, event = censored_with_ties(3)
    frame = pd.DataFrame(x, columns=["a", "b"]).assign(time=time, event=event)
    fit = CoxPHFitter().fit(frame, "time", "event", fit_options={"precision": 1e-10})
    beta = torch.tensor(fit.params_.to_numpy(), requires_grad=True)
    loss = cox_partial_likelihood(torch.tensor(x) @ beta, torch.tensor(time), torch.tensor(event))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(-fit.log_likelihood_ / event.sum(), rel=1e-9)
    assert beta.grad is not None
    assert float(beta.grad.abs().max()) < 1e-6


@pytest.mark.parametrize("ties", list(Ties))
def test_gradient_vanishes_at_scikit_survivals_optimum(ties: Ties) -> None:
    """Law: scikit-survival's fit is stationary for this loss under the same tie rule."""
    x, time, event = censored_with_ties(5)
    fit = CoxPHSurvivalAnalysis(alpha=0, ties=str(ties), tol=1e-12).fit(x, Surv.from_arrays(event, time))
    beta = torch.tensor(fit.coef_, requires_grad=True)
    cox_partial_likelihood(torch.tensor(x) @ beta, torch.tensor(time), torch.tensor(event), ties).backward()
    assert beta.grad is not None
    assert float(beta.grad.abs().max()) < 1e-6


@pytest.mark.parametrize("ties", list(Ties))
@pytest.mark.parametrize("shift", [-100.0, 100.0, 1e4])
def test_cox_survives_any_shift(shift: float, ties: Ties) -> None:
    """Law: adding a constant to every log-hazard changes neither value nor gradient, far beyond exp's range."""
    x, time, event = censored_with_ties(7)
    base, moved = (torch.tensor(x @ [3.0, -2.0] + by, requires_grad=True) for by in (0.0, shift))
    values = [cox_partial_likelihood(risk, torch.tensor(time), torch.tensor(event), ties) for risk in (base, moved)]
    for value in values:
        value.backward()
    assert float(values[0].detach()) == pytest.approx(float(values[1].detach()), rel=1e-9)
    assert base.grad is not None
    assert moved.grad is not None
    torch.testing.assert_close(base.grad, moved.grad, rtol=1e-6, atol=1e-9)


def test_cox_in_float32_with_log_hazards_of_a_hundred() -> None:
    """Law: float32 log-hazards of +-100 give a finite loss and finite gradients."""
    risk = torch.tensor([100.0, -100.0, 95.0, 0.0], requires_grad=True)
    loss = cox_partial_likelihood(risk, torch.tensor([1.0, 2.0, 2.0, 3.0]), torch.tensor([0, 1, 1, 1]))
    loss.backward()
    assert torch.isfinite(loss)
    assert risk.grad is not None
    assert torch.isfinite(risk.grad).all()


def test_cox_ignores_the_order_of_people_and_a_batch_without_events() -> None:
    """Law: a permuted batch gives the same loss; no event gives 0 with a usable gradient."""
    x, time, event = (torch.tensor(part) for part in censored_with_ties(11))
    order = torch.randperm(len(time), generator=torch.Generator().manual_seed(0))
    one = cox_partial_likelihood(x[:, 0], time, event)
    assert float(one) == pytest.approx(float(cox_partial_likelihood(x[order, 0], time[order], event[order])), rel=1e-12)
    risk = x[:, 0].clone().requires_grad_()
    nothing = cox_partial_likelihood(risk, time, torch.zeros_like(event))
    nothing.backward()
    assert float(nothing.detach()) == 0
    assert risk.grad is not None
    assert float(risk.grad.abs().max()) == 0


def test_cox_gradient_is_the_numerical_one() -> None:
    """Law: autograd's gradient is that of finite differences, ties included."""
    x, time, event = (torch.tensor(part[:12]) for part in censored_with_ties(13))
    for ties in Ties:
        assert torch.autograd.gradcheck(
            lambda risk, ties=ties: cox_partial_likelihood(risk, time, event, ties), x[:, 0].clone().requires_grad_()
        )


def test_discrete_time_hazard_is_the_log_likelihood_written_out() -> None:
    """Law: surviving intervals count log(1 - h), the last counts log h with an event and log(1 - h) without."""
    chance = np.random.default_rng(0)
    logits, interval, event = chance.normal(size=(40, 6)), chance.integers(0, 6, 40), chance.random(40) < 0.4
    hazard = 1 / (1 + np.exp(-logits))
    total = 0.0
    for h, last, died in zip(hazard, interval, event, strict=True):
        total -= np.log(1 - h[:last]).sum() + np.log(h[last] if died else 1 - h[last])
    ours = losses.discrete_time_hazard(torch.tensor(logits), torch.tensor(interval), torch.tensor(event))
    assert float(ours) == pytest.approx(total / 40, rel=1e-9)


def test_reconstruction_counts_only_kept_leads() -> None:
    """Law: the plain loss is the mean square; under a mask an error in a masked lead costs nothing."""
    clean = torch.zeros(2, 12, 5)
    drawn = clean.clone()
    drawn[0, 3] = 2.0
    assert float(losses.reconstruction(drawn, clean)) == pytest.approx(4 / 24)
    mask = torch.ones(2, 12)
    mask[0, 3] = 0
    assert float(losses.reconstruction(drawn, clean, mask)) == 0


def test_cosine_distance_and_its_collapse_gauge() -> None:
    """Law: 0 for parallel, 1 for orthogonal, 2 for opposite pairs; spread is 0 when all projections are one."""
    a = torch.eye(4, dtype=torch.float64)
    assert float(losses.cosine_distance(a, 3 * a)) == pytest.approx(0, abs=1e-12)
    assert float(losses.cosine_distance(a, a.roll(1, 0))) == pytest.approx(1)
    assert float(losses.cosine_distance(a, -a)) == pytest.approx(2)
    assert float(losses.spread(torch.ones(8, 16))) == pytest.approx(0, abs=1e-6)
    assert float(losses.spread(torch.randn(2000, 64, generator=torch.Generator().manual_seed(0)))) > 0.95


def unit(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))


@pytest.mark.parametrize("soft", [False, True])
def test_info_nce_is_the_symmetric_cross_entropy_written_out(soft: bool) -> None:
    """Law: mean over both directions of -sum target * log softmax, hard or similarity-aware targets."""
    chance = np.random.default_rng(1)
    ecg, text = chance.normal(size=(9, 5)), chance.normal(size=(9, 5))
    text[1] = text[0]  # two reports that say the same
    targets = np.eye(9)
    if soft:
        alike = np.exp(unit(text) @ unit(text).T / 0.1)
        targets = alike / alike.sum(axis=1, keepdims=True)
        torch.testing.assert_close(losses.soft_targets(torch.tensor(text), 0.1), torch.tensor(targets))
        assert targets[0, 0] == pytest.approx(targets[0, 1])
    logits = unit(ecg) @ unit(text).T / 0.07
    each = [
        -(targets * (m - np.log(np.exp(m).sum(axis=1, keepdims=True)))).sum(axis=1).mean() for m in (logits, logits.T)
    ]
    ours = losses.info_nce(torch.tensor(ecg), torch.tensor(text), 0.07, torch.tensor(targets) if soft else None)
    assert float(ours) == pytest.approx(np.mean(each), rel=1e-9)


def test_siglip_is_the_pairwise_logistic_loss_written_out() -> None:
    """Law: -sum over pairs log sigmoid(z * (scale * cos + bias)) / batch, with z = +1 on the diagonal and -1 off it."""
    chance = np.random.default_rng(2)
    ecg, text = chance.normal(size=(7, 5)), chance.normal(size=(7, 5))
    sign = 2 * np.eye(7) - 1
    expected = np.log1p(np.exp(-sign * (10 * unit(ecg) @ unit(text).T - 5))).sum() / 7
    assert float(losses.siglip(torch.tensor(ecg), torch.tensor(text), 10.0, -5.0)) == pytest.approx(expected, rel=1e-9)


def test_divergence_from_the_standard_normal() -> None:
    """Law: equals torch.distributions' closed form, 0 for the standard normal itself."""
    mean, log_variance = torch.randn(6, 3), torch.randn(6, 3)
    normal = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    standard = torch.distributions.Normal(torch.zeros(6, 3), torch.ones(6, 3))
    expected = torch.distributions.kl_divergence(normal, standard).sum(dim=1).mean()
    torch.testing.assert_close(losses.kullback_leibler(mean, log_variance), expected)
