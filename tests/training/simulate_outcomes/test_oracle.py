"""What can be reached at best: formulas against each other and against Monte Carlo, and always with their terms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from model_training.data.cohort import SIMULATED
from model_training.simulate import oracle
from model_training.simulate.oracle import Judge
from model_training.simulate.outcomes import Drawn
from model_training.simulate.truth import Truth
from model_training.survival.curves import Outcomes
from model_training.survival.discrimination import harrell_c


@pytest.fixture(scope="module")
def judge(hospital: Drawn) -> Judge:
    return Judge.of(hospital.truth)


def normal(sd: float, scale: float, n: int = 3_000) -> Truth:
    zero = np.zeros(n)
    eta = sd * np.random.default_rng(1).standard_normal(n)
    return Truth("test", 10.0, scale, eta, zero, zero, zero)


def test_running_sums_equal_the_sum_over_pairs(hospital: Drawn) -> None:
    """The fast formula is the closed form of the weighted pairs, for a good score, a coarse one and noise."""
    some = hospital.truth[np.arange(600)]
    judge = Judge.of(some)
    for score in (some.eta_ecg, np.round(some.eta), np.random.default_rng(0).random(600)):
        assert judge.c(score) == pytest.approx(oracle.pairwise(score, some, 10.0), abs=2e-4)


def test_formula_agrees_with_monte_carlo(hospital: Drawn) -> None:
    """Harrell's C over many draws of outcomes, followed to the horizon, has the formula as its mean."""
    some = hospital.truth[np.arange(1_500)]
    generator, judge = np.random.default_rng(8), Judge.of(some)
    found = []
    for _ in range(150):
        times = some.times(generator.random(len(some)))
        found.append(harrell_c(Outcomes.of(np.minimum(times, 10), (times <= 10).astype(int)), some.eta_ecg))
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - judge.c(some.eta_ecg)) < 3.5 * error
    # the formula varies with the people only, Harrell's C with the outcomes too
    assert np.std(found) > 0.015


def test_formula_agrees_with_monte_carlo_when_effects_fade() -> None:
    """Without proportional hazards as well."""
    own, other, none = (np.tile(pair, 700) for pair in ([1.5, 0.0], [0.0, 0.6], [0.0, 0.0]))
    truth = Truth("test", 10.0, 0.02, own, other, none, fading=own, fading_years=3.0)
    generator, found = np.random.default_rng(2), []
    for _ in range(60):
        times = truth.times(generator.random(len(truth)))
        found.append(harrell_c(Outcomes.of(np.minimum(times, 10), (times <= 10).astype(int)), truth.eta_ecg))
    assert Judge.of(truth).c(truth.eta_ecg) == pytest.approx(np.mean(found), abs=3.5 * np.std(found) / np.sqrt(60))


@pytest.mark.parametrize("sd", [0.75, 1.0, 1.5])
def test_limits_of_rare_and_of_certain_failure(sd: float) -> None:
    """C* is Phi(sd / sqrt 2) when failures are rare, E[expit |difference|] when all fail: never without incidence."""
    rare, certain = normal(sd, 1e-7), normal(sd, 50.0)
    assert Judge.of(rare).c(rare.eta) == pytest.approx(oracle.rare_event_c(rare.eta.std()), abs=0.012)
    gap = np.abs(certain.eta[:, None] - certain.eta[None])[np.triu_indices(len(certain), 1)]
    # a fine grid of time is needed where nearly all fail at once
    dense = certain.survival(np.linspace(0, 0.6, 400))
    assert oracle.concordance(certain.eta, dense) == pytest.approx(expit(gap).mean(), abs=0.01)


def test_hospital_ecg_reaches_what_is_published(judge: Judge, crowd: pd.DataFrame) -> None:
    """The ECG alone: C .70 to .72 at 10 years and 5 %; what it implies of age adds, and all together adds more."""
    best = oracle.best_ecg_score(crowd, "hospital")
    ladder = {each.name: each for each in judge.bounds(best)}
    own, implied = ladder["ECG, its own part of the hazard"], ladder["ECG, with what it implies of the rest"]
    assert 0.70 <= own.c <= 0.72
    assert own.c < implied.c <= ladder["ECG, age and sex"].c < ladder["everything, frailty too"].c
    for each in ladder.values():
        assert each.horizon_years == 10
        assert each.incidence == pytest.approx(0.05, abs=0.002)
        assert SIMULATED in str(each)
        assert "10 years" in str(each)
        assert "incidence" in str(each)


def test_ties_reversal_and_constants(judge: Judge, hospital: Drawn) -> None:
    """A constant score is worth one half, a reversed one the complement; monotone changes alter nothing."""
    eta = hospital.truth.eta_ecg
    assert judge.c(np.zeros(len(eta))) == pytest.approx(0.5)
    assert judge.c(-eta) == pytest.approx(1 - judge.c(eta))
    assert judge.c(np.exp(eta)) == pytest.approx(judge.c(eta))


def test_recovery_is_the_share_of_what_can_be_reached(judge: Judge, hospital: Drawn) -> None:
    """1 for the oracle, about 0 for chance, falling with noise on the score."""
    eta, noise = hospital.truth.eta_ecg, np.random.default_rng(4).standard_normal(len(hospital.truth))
    assert judge.recovery(eta) == 1.0
    assert abs(judge.recovery(noise)) < 0.05
    shares = [judge.recovery(eta + k * eta.std() * noise) for k in (0.25, 0.5, 1.0, 2.0)]
    assert sorted(shares, reverse=True) == shares
    assert shares[0] > 0.9
    assert shares[-1] < 0.6


def test_paired_comparison_sees_what_outcomes_hide(hospital: Drawn) -> None:
    """A small loss of 4,000 people's ranking is certain by the paired formula, and lost in Harrell's noise."""
    some = hospital.truth[np.arange(4_000)]
    judge, generator = Judge.of(some), np.random.default_rng(6)
    worse = some.eta_ecg + 0.35 * some.eta_ecg.std() * generator.standard_normal(len(some))
    gain = judge.paired(some.eta_ecg, worse, np.arange(len(some)), seed=1, draws=120)
    assert gain.excludes_zero
    assert gain.value > 0
    differences = []
    for _ in range(25):
        times = some.times(generator.random(len(some)))
        seen = Outcomes.of(np.minimum(times, 10), (times <= 10).astype(int))
        differences.append(harrell_c(seen, some.eta_ecg) - harrell_c(seen, worse))
    assert np.std(differences) > 2 * (gain.high - gain.low) / 3.92


def test_true_risk_calibrates_exactly(judge: Judge, hospital: Drawn) -> None:
    """The distance from the truth is 0 for the truth, and what a constant shift makes it."""
    risk = hospital.truth.risk(10.0)
    assert judge.calibration_error(risk) == 0
    assert judge.calibration_error(risk + 0.01) == pytest.approx(0.01)
