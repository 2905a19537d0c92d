"""Outcomes follow the true hazards, presets reach their incidence, and each stress breaks what it says it breaks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from model_training.data.cohort import Outcome
from model_training.simulate import hazard, outcomes
from model_training.simulate.outcomes import Drawn
from model_training.simulate.presets import PRESETS, eligible
from model_training.survival.curves import Outcomes, aalen_johansen, kaplan_meier


def drawn(crowd: pd.DataFrame, name: str, seed: int = 11) -> Drawn:
    preset = PRESETS[name]
    return outcomes.draw(crowd[eligible(preset, crowd)].reset_index(drop=True), preset, seed)


@pytest.mark.parametrize("name", PRESETS)
def test_failures_follow_the_true_survival(name: str, crowd: pd.DataFrame) -> None:
    """S(T | x) is the uniform number that T came from, fading effects included: the draw is by the stored hazard."""
    truth = drawn(crowd, name).truth[np.arange(0, 4_000, 20)]
    u = np.random.default_rng(5).random(len(truth))
    times = truth.times(u)
    reached = np.diag(truth.survival(times))
    np.testing.assert_allclose(reached, u, atol=2e-3)


def test_hospital_fails_as_often_as_it_says(hospital: Drawn) -> None:
    """5 % within 10 years, deaths and censoring apart; what Kaplan-Meier sees agrees with the truth."""
    assert hospital.truth.incidence == pytest.approx(0.05, abs=0.002)
    seen = Outcomes.of(hospital.time_years, hospital.event)
    observed = float(1 - kaplan_meier(seen)(10.0))
    error = np.sqrt(0.05 / (hospital.event == 1).sum())
    assert abs(observed - hospital.truth.incidence) < 4 * error * np.sqrt(0.05)
    assert float(aalen_johansen(seen)(10.0)) < observed


@pytest.mark.parametrize(("name", "share"), [("ukb_hyp", 0.014), ("ukb_mi", 0.04)])
def test_observed_share_of_failures(name: str, share: float, crowd: pd.DataFrame) -> None:
    """The biobank presets reach the papers' share of observed failures, within chance."""
    event = drawn(crowd, name).event == Outcome.EVENT
    assert event.mean() == pytest.approx(share, abs=4 * np.sqrt(share / len(event)))


def test_death_competes_and_rises_with_age(crowd: pd.DataFrame, hospital: Drawn) -> None:
    """Deaths from all else come in, more among the old, at about the Gompertz rate at 60."""
    died = hospital.event == Outcome.COMPETING_DEATH
    old = crowd["age_years"].to_numpy() > 70
    assert died[old].mean() > 3 * died[crowd["age_years"].to_numpy() < 50].mean()
    sixty = crowd["age_years"].between(58, 62).to_numpy()
    rate = died[sixty].sum() / hospital.time_years[sixty].sum()
    assert 0.008 < rate < 0.017


def test_an_outcome_belongs_to_its_person(crowd: pd.DataFrame, hospital: Drawn) -> None:
    """Order and company of people change nothing; another repeat or seed changes all."""
    rows = np.array([30_000, 5, 77])
    again = outcomes.draw(crowd.iloc[rows], PRESETS["hospital"], 4_711)
    np.testing.assert_array_equal(again.time_years, hospital.time_years[rows])
    np.testing.assert_array_equal(again.event, hospital.event[rows])
    other = outcomes.draw(crowd.iloc[rows], PRESETS["hospital"], 4_711, repeat=1)
    assert (other.time_years != again.time_years).all()
    np.testing.assert_array_equal(other.truth.eta_ecg, again.truth.eta_ecg)


def test_fading_effect_of_fibrillation(crowd: pd.DataFrame) -> None:
    """Without proportional hazards the ratio of fibrillation falls with time; in `hospital` it does not."""

    def ratios(name: str) -> tuple[float, float]:
        truth, af = drawn(crowd, name).truth, hazard.facts(crowd)["af"].to_numpy()
        cumulative = -np.log(truth.survival(np.array([0.5, 9.0, 10.0])))
        early, late = cumulative[:, 0], cumulative[:, 2] - cumulative[:, 1]
        scale = np.exp(truth.eta - truth.fading) if name == "non_proportional" else np.exp(truth.eta)
        return float((early / scale)[af].mean() / (early / scale)[~af].mean()), float(
            (late / scale)[af].mean() / (late / scale)[~af].mean()
        )

    early, late = ratios("non_proportional")
    assert early > 3
    assert late < 1.3
    assert ratios("hospital") == pytest.approx((1.0, 1.0), abs=1e-9)


def test_interaction_bends_the_hazard(crowd: pd.DataFrame) -> None:
    """Among left bundle branch blocks the hazard rises with QRS duration; elsewhere both ends are worse."""
    plain, bent = drawn(crowd, "hospital").truth.eta_ecg, drawn(crowd, "interaction").truth.eta_ecg
    extra, block, qrs = bent - plain, (crowd["condition"] == "lbbb").to_numpy(), crowd["qrs_ms"].to_numpy()
    assert spearmanr(qrs[block], extra[block]).statistic > 0.99
    narrow = hazard.facts(crowd)["narrow"].to_numpy()
    assert extra[narrow & (qrs > 112)].min() > extra[narrow & (abs(qrs - 93) < 3)].max()
    assert extra[narrow & (qrs < 76)].min() > extra[narrow & (abs(qrs - 93) < 3)].max()


def test_informative_censoring_takes_those_at_risk(crowd: pd.DataFrame) -> None:
    """Under the stress who is at risk leaves sooner, and Kaplan-Meier falls short of the truth; else it does not."""

    def tendency(name: str) -> float:
        made = drawn(crowd, name)
        lost = (made.event == Outcome.CENSORED) & (made.time_years < 6)
        return float(made.truth.eta[lost].mean() - made.truth.eta.mean())

    assert tendency("informative_censoring") > 0.2
    assert abs(tendency("hospital")) < 0.1


def test_the_other_site_differs(crowd: pd.DataFrame) -> None:
    """Half the recordings are external, and fail more often at the same ECG."""
    made = drawn(crowd, "device_shift")
    assert made.external.mean() == pytest.approx(0.5, abs=0.02)
    risk = made.truth.risk(10.0)
    assert risk[made.external].mean() > 1.4 * risk[~made.external].mean()
    assert not drawn(crowd, "hospital").external.any()
