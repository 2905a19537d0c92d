"""Every survival figure equals an independent implementation's on random censored data with ties."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from lifelines import AalenJohansenFitter, CoxPHFitter, KaplanMeierFitter
from lifelines.calibration import survival_probability_calibration
from sksurv import metrics as sksurv
from sksurv.util import Surv

from model_training.survival import accuracy, bootstrap, calibration, curves, discrimination, utility
from model_training.survival.curves import Outcomes

SEEDS = [0, 1, 2]


def censored_data(seed: int, n: int = 400, ties: bool = True, death: bool = False) -> tuple[Outcomes, np.ndarray]:
    generator = np.random.default_rng(seed)
    score = generator.normal(size=n)
    fails = generator.exponential(8 * np.exp(-0.8 * score))
    leaves = generator.uniform(0.5, 12, n)
    dies = generator.exponential(25, n) if death else np.full(n, np.inf)
    time = np.minimum.reduce([fails, leaves, dies])
    event = np.where(time == fails, 1, np.where(time == dies, 2, 0))
    if ties:
        time, score = np.ceil(time * 4) / 4, np.round(score, 1)
    return Outcomes.of(time, event), score


def structured(outcomes: Outcomes) -> np.ndarray:
    return Surv.from_arrays(outcomes.happened, outcomes.time)


@pytest.mark.parametrize("seed", SEEDS)
def test_concordance_equals_scikit_survival(seed: int) -> None:
    """Harrell's and Uno's C, with ties in time and in score, to 1e-10."""
    reference, _ = censored_data(seed + 100)
    outcomes, score = censored_data(seed)
    expected = sksurv.concordance_index_censored(outcomes.happened, outcomes.time, score)[0]
    assert discrimination.harrell_c(outcomes, score) == pytest.approx(expected, abs=1e-10)
    expected = sksurv.concordance_index_ipcw(structured(reference), structured(outcomes), score, tau=9)[0]
    assert discrimination.uno_c(reference, outcomes, score, tau=9) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_dynamic_auc_equals_scikit_survival(seed: int) -> None:
    """Cumulative/dynamic AUC at three horizons, to 1e-10."""
    reference, _ = censored_data(seed + 100)
    outcomes, score = censored_data(seed)
    expected, _ = sksurv.cumulative_dynamic_auc(structured(reference), structured(outcomes), score, [2, 5, 9])
    np.testing.assert_allclose(discrimination.dynamic_auc(reference, outcomes, score, [2, 5, 9]), expected, atol=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_brier_equals_scikit_survival(seed: int) -> None:
    """IPCW Brier score and its integral, to 1e-10."""
    reference, _ = censored_data(seed + 100)
    outcomes, score = censored_data(seed)
    times = [1.0, 3.0, 5.0, 8.0]
    survival = np.exp(-np.outer(np.exp(0.8 * score), np.array(times) / 8))
    _, expected = sksurv.brier_score(structured(reference), structured(outcomes), survival, times)
    np.testing.assert_allclose(accuracy.brier(reference, outcomes, survival, times), expected, atol=1e-10)
    expected = sksurv.integrated_brier_score(structured(reference), structured(outcomes), survival, times)
    assert accuracy.integrated_brier(reference, outcomes, survival, times) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_curves_equal_lifelines(seed: int) -> None:
    """Kaplan-Meier and Aalen-Johansen at every time, to 1e-10."""
    outcomes, _ = censored_data(seed, death=True)
    expected = KaplanMeierFitter().fit(outcomes.time, outcomes.happened).survival_function_at_times([0.1, 2, 5, 9])
    np.testing.assert_allclose(curves.kaplan_meier(outcomes)([0.1, 2, 5, 9]), expected, atol=1e-10)
    # lifelines jitters ties before Aalen-Johansen, so this one compares data without ties.
    outcomes, _ = censored_data(seed, ties=False, death=True)
    fitted = AalenJohansenFitter(calculate_variance=False).fit(outcomes.time, outcomes.event, event_of_interest=1)
    at = fitted.cumulative_density_
    np.testing.assert_allclose(curves.aalen_johansen(outcomes)(at.index.to_numpy()), at.iloc[:, 0], atol=1e-10)


def test_incidences_and_freedom_sum_to_one() -> None:
    """At every time a person is free, failed or dead: the two incidences and the rest are all there is."""
    outcomes, _ = censored_data(0, death=True)
    both = Outcomes.of(outcomes.time, (outcomes.event > 0).astype(int))
    at = np.linspace(0, 10, 50)
    total = (
        curves.aalen_johansen(outcomes, curves.EVENT)(at)
        + curves.aalen_johansen(outcomes, curves.DEATH)(at)
        + curves.kaplan_meier(both)(at)
    )
    np.testing.assert_allclose(total, 1, atol=1e-12)


def test_breslow_equals_lifelines() -> None:
    """The baseline hazard of a Cox model at its own coefficients; lifelines centres its covariates, which is undone."""
    outcomes, score = censored_data(0, ties=False)
    frame = pd.DataFrame({"time": outcomes.time, "event": outcomes.happened, "x": score})
    fitted = CoxPHFitter().fit(frame, "time", "event")
    beta = float(fitted.params_["x"])
    expected = fitted.baseline_cumulative_hazard_.iloc[:, 0] * np.exp(-beta * score.mean())
    np.testing.assert_allclose(curves.breslow(outcomes, beta * score)(expected.index.to_numpy()), expected, rtol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_ici_is_close_to_lifelines() -> None:
    """Both smooth the same scatter of predicted and observed risk, with other splines: ICI agrees within one point."""
    outcomes, score = censored_data(5, n=2_000, ties=False)
    frame = pd.DataFrame({"time": outcomes.time, "event": outcomes.happened, "x": score})
    fitted = CoxPHFitter().fit(frame, "time", "event")
    risk = 1 - fitted.predict_survival_function(frame, times=[5]).to_numpy()[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import matplotlib

        matplotlib.use("Agg")
        _, ici, _ = survival_probability_calibration(fitted, frame, t0=5)
    found = calibration.calibrate(outcomes, risk, 5)
    assert found.ici == pytest.approx(ici, abs=0.01)
    assert found.slope == pytest.approx(1, abs=0.02)
    assert found.observed_over_expected == pytest.approx(1, abs=0.05)


def test_miscalibration_is_seen() -> None:
    """Risks doubled and log-hazards halved: O/E falls to one half, the slope says two, ICI grows."""
    outcomes, score = censored_data(5, n=4_000, ties=False)
    true_risk = 1 - np.exp(-np.exp(0.8 * score) * 1 / 8)
    good = calibration.calibrate(outcomes, true_risk, 1)
    doubled = calibration.calibrate(outcomes, np.minimum(2 * true_risk, 0.99), 1)
    timid = calibration.calibrate(outcomes, 1 - np.exp(-np.exp(0.4 * score) / 8), 1)
    assert good.ici < 0.015 < 0.08 < doubled.ici
    assert doubled.observed_over_expected == pytest.approx(0.5, abs=0.08)
    assert timid.slope == pytest.approx(2, abs=0.2)
    assert good.slope == pytest.approx(1, abs=0.1)


def test_net_benefit_by_counting() -> None:
    """Without censoring net benefit is a count: true positives less false positives at the odds, over everyone."""
    generator = np.random.default_rng(0)
    risk = generator.uniform(0, 0.5, 500)
    failed = generator.random(500) < risk
    outcomes = Outcomes.of(np.where(failed, 2.0, 10.0), failed.astype(int))
    curve = utility.decision_curve(outcomes, risk, 5, [0.1, 0.3])
    for threshold, found in zip([0.1, 0.3], curve.model, strict=True):
        treated = risk >= threshold
        counted = (treated & failed).sum() - (treated & ~failed).sum() * threshold / (1 - threshold)
        assert found == pytest.approx(counted / 500, abs=1e-12)


def test_intervals_cover() -> None:
    """Over 60 cohorts a 90 % interval of Harrell's C holds the true value about 54 times; below 46 is too few."""
    _, big_score = censored_data(10_000, n=6_000, ties=False)
    truth = discrimination.harrell_c(*censored_data(10_000, n=6_000, ties=False))
    assert len(big_score) == 6_000
    covered = 0
    for seed in range(60):
        outcomes, score = censored_data(seed, n=150, ties=False)
        found = bootstrap.interval(
            lambda rows, o=outcomes, s=score: discrimination.harrell_c(o[rows], s[rows]),
            np.arange(150), seed, draws=150, level=0.9,
        )  # fmt: skip
        covered += found.low <= truth <= found.high
    assert covered >= 46


def test_patients_are_drawn_whole() -> None:
    """Whoever is drawn brings every one of their rows, as often as they are drawn."""
    patients = np.array(["a", "b", "a", "c", "c", "c"])
    for rows in bootstrap.resamples(patients, 0, 50):
        counts = np.bincount(rows, minlength=6)
        assert counts[0] == counts[2]
        assert counts[3] == counts[4] == counts[5]


def test_a_paired_difference_is_sharper_than_its_parts() -> None:
    """Two nearly equal models differ by little on every draw, though each alone varies much."""
    outcomes, score = censored_data(0, ties=False)
    other = score + np.random.default_rng(1).normal(0, 0.1, len(score))
    people = np.arange(len(score))

    def c_of(of: np.ndarray):
        return lambda rows: discrimination.harrell_c(outcomes[rows], of[rows])

    alone = bootstrap.interval(c_of(score), people, 0, draws=200)
    difference = bootstrap.paired(c_of(score), c_of(other), people, 0, draws=200)
    assert difference.high - difference.low < (alone.high - alone.low) / 3


def test_horizons_without_enough_events_are_not_estimable() -> None:
    """Fewer than twenty events before, or twenty people beyond: no figure is given."""
    outcomes, _ = censored_data(0)
    assert discrimination.estimable(outcomes, 5)
    assert not discrimination.estimable(outcomes, 0.25)
    assert not discrimination.estimable(outcomes, 11.9)
