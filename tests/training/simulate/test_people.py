"""Simulated people: the same whoever else is drawn, and with traits as published."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from model_training.simulate import people
from model_training.simulate.chance import Chance


@pytest.fixture(scope="module")
def crowd() -> pd.DataFrame:
    return people.draw(20_000, seed=1)


def test_a_person_does_not_depend_on_the_others(crowd: pd.DataFrame) -> None:
    """Person i is a function of seed and i alone, so any stretch of a cohort can be drawn again."""
    some = people.draw(50, seed=1, first=4_090)
    pd.testing.assert_frame_equal(some, crowd.iloc[4_090:4_140].reset_index(drop=True))


def test_another_seed_is_another_cohort(crowd: pd.DataFrame) -> None:
    """Two seeds share nothing."""
    other = people.draw(2_000, seed=2)
    assert abs(np.corrcoef(other["age_years"], crowd["age_years"][:2_000])[0, 1]) < 0.1


def test_draws_are_uniform_and_unrelated() -> None:
    """The hash gives uniform numbers, and two names give independent ones."""
    chance = Chance.of(3, np.arange(50_000))
    one, two = chance.uniform("one"), chance.uniform("two")
    assert abs(one.mean() - 0.5) < 0.005
    assert abs(one.var() - 1 / 12) < 0.001
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.02
    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 0.02


@pytest.mark.parametrize(
    ("column", "quantile", "low", "high"),
    [
        ("axis_deg", 0.50, 25, 55),
        ("axis_deg", 0.025, -65, -30),
        ("axis_deg", 0.975, 85, 110),
        ("sokolow_mv", 0.50, 2.0, 2.6),
        ("sokolow_mv", 0.025, 0.9, 1.5),
        ("sokolow_mv", 0.975, 3.6, 4.4),
        ("cornell_mv", 0.50, 0.9, 1.5),
        ("qrs_ms", 0.50, 88, 98),
        ("qtc_ms", 0.50, 410, 430),
        ("qtc_ms", 0.975, 450, 475),
        ("heart_rate_bpm", 0.50, 62, 72),
        ("heart_rate_bpm", 0.975, 85, 100),
        ("pr_ms", 0.50, 150, 175),
        ("p_ms", 0.50, 105, 125),
        ("qrs_t_angle_deg", 0.50, 45, 85),
    ],
)
def test_measurements_lie_in_published_ranges(
    crowd: pd.DataFrame, column: str, quantile: float, low: float, high: float
) -> None:
    """Quantiles of each measurement lie where population studies have them."""
    assert low <= crowd[column].quantile(quantile) <= high


@pytest.mark.parametrize(
    ("finding", "low", "high"),
    [
        ("lafb", 0.01, 0.04),
        ("af", 0.012, 0.03),
        ("flutter", 0.001, 0.006),
        ("paced", 0.001, 0.008),
        ("pre_excitation", 0.0008, 0.003),
        ("pvc", 0.03, 0.07),
        ("pac", 0.02, 0.06),
        ("old_inferior_mi", 0.01, 0.035),
        ("old_anterior_mi", 0.005, 0.025),
        ("low_voltage", 0.004, 0.015),
    ],
)
def test_findings_are_as_common_as_published(crowd: pd.DataFrame, finding: str, low: float, high: float) -> None:
    """Every finding has the share that surveys of people about sixty report."""
    assert low <= crowd[finding].mean() <= high


def test_bundle_blocks_and_long_pr_are_as_common_as_published(crowd: pd.DataFrame) -> None:
    """LBBB about 1.8 %, RBBB about 3 %, PR over 200 ms about 5 %."""
    share = crowd["condition"].value_counts(normalize=True)
    assert 0.012 <= share["lbbb"] <= 0.025
    assert 0.022 <= share["rbbb"] <= 0.040
    assert 0.04 <= (crowd["pr_ms"] > 200).mean() <= 0.07


def test_fibrosis_and_mass_leave_their_marks(crowd: pd.DataFrame) -> None:
    """The latents are behind the traits: that is what makes the traits foretell anything."""
    lbbb = crowd["condition"] == "lbbb"
    assert crowd.loc[lbbb, "fibrosis"].mean() > crowd.loc[~lbbb, "fibrosis"].mean() + 0.5
    narrow = crowd[crowd["condition"] == "normal"]
    assert np.corrcoef(narrow["lv_mass"], narrow["sokolow_mv"])[0, 1] > 0.3
    assert np.corrcoef(crowd["atrial_myopathy"], crowd["p_terminal_force_mv_ms"])[0, 1] > 0.3


def test_what_excludes_each_other_never_meets(crowd: pd.DataFrame) -> None:
    """No fibrillation with flutter, no hemiblock of both fascicles, no delta wave under a pacemaker."""
    enriched = people.draw(3_000, 5, prevalence=dict.fromkeys(("af", "flutter", "lafb", "lpfb", "paced", "lbbb"), 0.3))
    for table in (crowd, enriched):
        assert not (table["af"] & table["flutter"]).any()
        assert not (table["lafb"] & table["lpfb"]).any()
        assert not (table["paced"] & ((table["condition"] != "normal") | table["pre_excitation"])).any()
        assert not ((table["av_block"] != "") & (table["af"] | table["flutter"])).any()


def test_an_enriched_sample_has_more_of_what_was_asked() -> None:
    """`prevalence` moves the named finding; a name that is not there is refused."""
    assert (people.draw(2_000, 1, prevalence={"lbbb": 0.3})["condition"] == "lbbb").mean() > 0.25
    with pytest.raises(ValueError, match="no such finding"):
        people.draw(5, 1, prevalence={"lbb": 0.3})
