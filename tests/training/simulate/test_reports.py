"""Reports: what the ECG shows and nothing else, in two languages, as complete as their arm."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from model_training.simulate import people, reports

HIDDEN = ["age_years", "male", "lv_mass", "fibrosis", "atrial_myopathy", "ischaemia"]


@pytest.fixture(scope="module")
def crowd() -> pd.DataFrame:
    return people.draw(4_000, 21)


@pytest.fixture(scope="module")
def truth(crowd: pd.DataFrame) -> dict[str, np.ndarray]:
    return {name: margin > 0 for name, margin in reports.findings(crowd).items()}


@pytest.mark.parametrize("arm", reports.ARMS)
def test_reports_rest_on_visible_traits_alone(crowd: pd.DataFrame, arm: reports.Arm) -> None:
    """With every hidden column turned upside down, not a letter of any report changes."""
    some = crowd.iloc[:300]
    unseen = [name for name in crowd.columns if name not in (*reports.VISIBLE, "person", "person_key")]
    other = some.assign(**{name: some[name].to_numpy()[::-1] for name in unseen})
    assert set(HIDDEN) <= set(unseen)
    assert reports.describe(some, 1, arm=arm) == reports.describe(other, 1, arm=arm)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_given_the_findings_reports_tell_nothing_of_the_person(
    crowd: pd.DataFrame, truth: dict[str, np.ndarray], hidden: str
) -> None:
    """Partial correlation of each statement with age, sex and latents is zero once the findings are known."""
    told = reports.describe(crowd, 2, arm="noisy")
    target = crowd[hidden].to_numpy(float)
    for name in ("long_pr", "lvh", "lbbb", "af", "st_depression", "flat_t", "normal"):
        code = reports.WORDINGS[name].codes[0]
        said = np.array([code in each.codes for each in told], dtype=float)
        others = np.column_stack([np.ones(len(crowd)), *truth.values()]).astype(float)
        left = [column - others @ np.linalg.lstsq(others, column, rcond=None)[0] for column in (said, target)]
        partial = np.corrcoef(*left)[0, 1]
        assert abs(partial) * np.sqrt(len(crowd)) < 4


def test_a_report_that_knows_age_is_caught(crowd: pd.DataFrame, truth: dict[str, np.ndarray]) -> None:
    """The partial correlation is no empty test: a word that leaks age stands out."""
    others = np.column_stack([np.ones(len(crowd)), *truth.values()]).astype(float)
    said, target = (crowd["age_years"] > 70).to_numpy(float), crowd["age_years"].to_numpy(float)
    left = [column - others @ np.linalg.lstsq(others, column, rcond=None)[0] for column in (said, target)]
    assert np.corrcoef(*left)[0, 1] * np.sqrt(len(crowd)) > 10


def test_the_clean_arm_says_all_and_only_what_is_there(crowd: pd.DataFrame, truth: dict[str, np.ndarray]) -> None:
    """Codes of the clean arm are exactly those of the findings."""
    for row, told in enumerate(reports.describe(crowd.iloc[:500], 3)):
        expected = {code for name, there in truth.items() if there[row] for code in reports.WORDINGS[name].codes}
        assert set(told.codes) == expected


def test_the_noisy_arm_omits_and_invents_a_little(crowd: pd.DataFrame, truth: dict[str, np.ndarray]) -> None:
    """15 to 25 % of the findings go unsaid; few that are said are not there."""
    told = reports.describe(crowd, 4, arm="noisy")
    for name in ("long_pr", "lvh", "rbbb"):
        code = reports.WORDINGS[name].codes[0]
        said = np.array([code in each.codes for each in told])
        assert 0.70 <= said[truth[name]].mean() <= 0.90
        assert said[~truth[name]].mean() < 0.02


def test_likelihood_is_one_of_the_steps(crowd: pd.DataFrame) -> None:
    """Statements carry 15, 35, 50, 80 or 100; rhythms carry 0, as PTB-XL has them; sure things are sure."""
    told = reports.describe(crowd, 5)
    assert {sure for each in told for sure in each.codes.values()} == {0.0, 50.0, 80.0, 100.0}
    assert all(each.codes["CLBBB"] == 100 for each in told if "CLBBB" in each.codes)
    noisy = reports.describe(crowd, 5, arm="noisy")
    assert {sure for each in noisy for sure in each.codes.values()} <= {0.0, *reports.LIKELIHOODS}


def test_shuffled_reports_are_the_same_reports_of_others(crowd: pd.DataFrame) -> None:
    """The control arm has the same words, and they fit nobody."""
    noisy, shuffled = (reports.describe(crowd, 6, arm=arm) for arm in ("noisy", "shuffled"))
    assert sorted(each.text for each in noisy) == sorted(each.text for each in shuffled)
    lbbb = (crowd["condition"] == "lbbb").to_numpy()
    said = np.array(["CLBBB" in each.codes for each in shuffled])
    assert said[lbbb].mean() < 0.2


def test_missing_reports_are_three_in_ten(crowd: pd.DataFrame) -> None:
    """Empty text and no codes together, in 30 % of people."""
    told = reports.describe(crowd, 7, arm="missing")
    empty = np.array([each.text == "" for each in told])
    assert 0.27 < empty.mean() < 0.34
    assert not any(each.codes for each, nothing in zip(told, empty, strict=True) if nothing)


@pytest.mark.parametrize(
    ("language", "words", "others"), [("en", "rhythm", "rhythmus"), ("de", "rhythmus", "sinus rhythm")]
)
def test_reports_keep_to_their_language(crowd: pd.DataFrame, language: str, words: str, others: str) -> None:
    """English or German as asked; mixed has both."""
    text = " ".join(each.text.lower() for each in reports.describe(crowd.iloc[:300], 8, language=language))
    assert words in text
    assert others not in text
    mixed = " ".join(each.text.lower() for each in reports.describe(crowd.iloc[:300], 8))
    assert words in mixed


def test_prose_varies(crowd: pd.DataFrame) -> None:
    """Normal people do not all get the same sentence."""
    normal = [each.text for each in reports.describe(crowd, 9) if "NORM" in each.codes]
    assert len({re.sub(r"\d+", "", text) for text in normal}) > 40


def test_an_unknown_arm_is_refused(crowd: pd.DataFrame) -> None:
    """A misspelt arm is an error, not a clean report."""
    with pytest.raises(ValueError, match="no such arm"):
        reports.describe(crowd.iloc[:1], 1, arm="nosy")  # type: ignore[arg-type]
