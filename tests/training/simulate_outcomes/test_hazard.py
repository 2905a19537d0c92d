"""The hazard shows the published ratios among its people, and says of each term where it comes from."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter

from model_training.nets.tabular import Cox
from model_training.simulate import calibrate_hazard, expected_cox, hazard, people
from model_training.simulate.expected_cox import Expected
from model_training.simulate.outcomes import Drawn

TERMS = hazard.shipped().terms


@pytest.fixture(scope="module")
def found(crowd: pd.DataFrame, hospital: Drawn) -> dict[str, float]:
    return hazard.marginals(hazard.shipped(), crowd, hospital.truth.frailty)


def test_every_term_says_what_was_published_what_is_used_and_why() -> None:
    """No number without its source; the joint ratio is never protective."""
    content = tomllib.loads(Path(hazard.__file__).with_name("hazard.toml").read_text())
    for name, entry in {**content["visible"], **content["hidden"]}.items():
        assert {"used", "target", "why", "published", "exposure"} <= set(entry), name
        assert entry["published"]["source"]
        assert entry["why"]
        assert entry["used"] >= entry["floor"] >= 0
        assert entry["published"]["low"] <= entry["target"] <= entry["published"]["high"]


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.name)
def test_marginal_ratio_lies_in_the_published_interval(term: hazard.Term, found: dict[str, float]) -> None:
    """What infinitely many outcomes of 40,000 new people would show, adjusted for age and sex."""
    assert term.published.low <= found[term.name] <= term.published.high


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.name)
def test_a_study_of_these_people_would_agree_with_the_published_interval(
    term: hazard.Term, crowd: pd.DataFrame, hospital: Drawn
) -> None:
    """A Cox fit to one draw of outcomes lies within 2.6 of its own standard errors of the interval."""
    about = hazard.facts(crowd)
    rows = about[term.exposure.among].to_numpy(bool)
    exposure = term.exposure.of(about, rows)
    adjusted = [about[name].to_numpy(float)[rows] for name in ("age_years", "male") if name != term.exposure.column]
    event = hospital.event[rows] == 1
    fitted = Cox.fit(np.column_stack([exposure, *adjusted]), hospital.time_years[rows], event)
    log_hr = fitted.beta[0] / fitted.scaling.sd[0]
    # of the failures, how many carry how much information on the exposure
    error = 1 / np.sqrt(event.sum() * exposure[event].var())
    assert np.log(term.published.low) - 2.6 * error < log_hr < np.log(term.published.high) + 2.6 * error


def test_expected_cox_is_the_limit_of_cox_fits(crowd: pd.DataFrame, hospital: Drawn) -> None:
    """The fit to expected failures equals, within errors, lifelines' fit to drawn ones followed to the horizon."""
    truth, about = hospital.truth, hazard.facts(crowd)
    x = np.column_stack([about["lbbb"], about["af"], about["age_years"] / 10]).astype(float)
    expected = expected_cox.fit(x, Expected.of(truth.survival(np.linspace(0, 10, 21))))
    times = truth.times(np.random.default_rng(3).random(len(truth)))
    frame = pd.DataFrame(x).assign(time=np.minimum(times, 10), event=times <= 10)
    fitted = CoxPHFitter().fit(frame, "time", "event")
    z = (fitted.params_.to_numpy() - expected) / fitted.standard_errors_.to_numpy()
    assert np.abs(z).max() < 3


def test_calibration_settles_and_comes_back(crowd: pd.DataFrame, hospital: Drawn) -> None:
    """The shipped ratios are at their targets, and from a displaced start the procedure finds them again."""
    some = crowd.iloc[:8_000]
    frailty = hospital.truth.frailty[:8_000]
    start = hazard.shipped()
    displaced = start.with_log_hrs({"lbbb": start.term("lbbb").log_hr - 0.5, "af": start.term("af").log_hr + 0.5})
    from_here = hazard.calibrate(start, some, frailty, rounds=12)
    from_there = hazard.calibrate(displaced, some, frailty, rounds=12)
    for name in ("lbbb", "af", "pvc", "age"):
        assert from_there.term(name).log_hr == pytest.approx(from_here.term(name).log_hr, abs=0.03)
    for term in from_there.terms:
        if term.log_hr > term.floor:
            reached = hazard.marginals(from_there, some, frailty)[term.name]
            assert reached == pytest.approx(term.target_hr, rel=0.05), term.name
            break


def test_shipped_ratios_fit_the_people_of_today(found: dict[str, float]) -> None:
    """Whoever changes the people must set the ratios anew: marginals stay within 12 % of targets, floors apart."""
    for term in TERMS:
        if term.log_hr > term.floor + 0.02:
            assert found[term.name] == pytest.approx(term.target_hr, rel=0.12), term.name


def test_rewriting_keeps_all_but_the_ratios() -> None:
    """The calibration's file differs in `used` alone."""
    text = Path(hazard.__file__).with_name("hazard.toml").read_text()
    moved = hazard.shipped().with_log_hrs({"qtc": 0.5})
    after = tomllib.loads(calibrate_hazard.rewritten(text, moved))
    before = tomllib.loads(text)
    assert after["visible"]["qtc"].pop("used") == 0.5
    before["visible"]["qtc"].pop("used")
    assert after == before


def test_repolarisation_and_voltage_count_only_in_narrow_complexes(crowd: pd.DataFrame) -> None:
    """In a bundle branch block, paced or pre-excited complex the terms marked so are silent."""
    about = hazard.facts(crowd)
    wide = about["wide"].to_numpy()
    assert wide[crowd["condition"] != "normal"].all()
    assert wide[crowd["paced"]].all()
    for name in ("qtc", "qrs_t_angle", "cornell", "st_depression", "qrs"):
        value = hazard.shipped().term(name).of(about)
        assert not value[wide].any()
        assert np.abs(value[~wide]).max() > 0


def test_what_is_not_known_takes_no_part() -> None:
    """A missing number adds nothing, as if it were at its centre; a missing column likewise."""
    bare = people.draw(50, 1)[["condition", "male", "age_years"]].assign(condition="normal")
    assert not hazard.shipped().log_hazard(hazard.facts(bare), visible=True).any()
    unknown = bare.assign(qtc_ms=np.nan, heart_rate_bpm=np.nan, cornell_mv=np.nan)
    assert not hazard.shipped().log_hazard(hazard.facts(unknown), visible=True).any()
