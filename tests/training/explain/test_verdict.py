"""The whole battery on a planted model, and the words that come of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ecg.contract import ExplanationFacts, MapKind
from model_training.explain import examine, report, verdict
from model_training.explain.examine import OfKind, Sizes

SMALL = Sizes(pairs=6, gradients=2, occluded=1, deleted=16, population=24, typical=16, shapley=2, sanity=6, textbook=8)


@pytest.fixture(scope="module")
def found(planted):
    return examine.examine(planted, "planted-0.0.1", "0" * 64, SMALL)


def test_an_exact_map_meets_what_can_be_tested_and_a_blind_one_does_not(found):
    """The planted sum points and deletes; the noise beside it fails, and is called what it is."""
    judged = verdict.judge(found)
    exact = {each.key: each.passed for each in judged[MapKind.RISK].criteria}
    blind = {each.key: each.passed for each in judged[MapKind.ATTENTION].criteria}
    assert exact["pointing_lbbb"] is True
    assert exact["pointing_strain"] is True
    assert exact["mass_above_energy"] is True
    assert exact["deletion_over_random_sd"] is True
    assert not any(blind[key] for key in ("mass_over_chance", "mass_above_energy", "deletion_over_random_sd"))
    assert verdict.recommended(judged) is MapKind.RISK
    assert "not an explanation" in judged[MapKind.ATTENTION].statement
    assert judged[MapKind.ATTENTION].statement.startswith("Attention weights")


def test_what_was_not_tested_is_no_pass(found):
    """Without weights the randomisation stays open, so that even the exact map is not declared an explanation."""
    exact = verdict.judge(found)[MapKind.RISK]
    assert exact.untested == ["gone when the weights are random"]
    assert not exact.passed
    assert "not tested" in exact.statement


def test_all_tests_met_is_said_with_its_limit(found):
    """A kind that meets everything is told to explain the model, not the patient."""
    met = tuple(
        verdict.Criterion(each.key, each.title, each.wanted, 1.0, True)
        for each in verdict.judge(found)[MapKind.RISK].criteria
    )
    told = verdict.Verdict(MapKind.RISK, met)
    assert told.passed
    assert "not the patient" in told.statement
    assert "not an explanation" not in told.statement


def test_the_contract_takes_the_words(found):
    """Strict floats, strings and truths under each kind, so that the artefact can carry them."""
    told = verdict.for_contract(found)
    facts = ExplanationFacts(
        default=MapKind.RISK, tokens=50, token_start_ms=0.0, token_step_ms=200.0, faithfulness=told
    )
    assert facts.faithfulness["attention"]["tested"] is True
    assert facts.faithfulness["risk"]["passed"] is False
    assert all(isinstance(value, float | str | bool) for each in told.values() for value in each.values())


def test_the_report_is_written_and_says_simulated(found, tmp_path):
    """JSON without NaN and Markdown with every part; whoever was simulated is said to be."""
    numbers, text = report.write(found, tmp_path)
    assert numbers.name == "faithfulness-planted-0.0.1.json"
    read = json.loads(numbers.read_text(), parse_constant=lambda _: pytest.fail("NaN in JSON"))
    assert read["recommended"] == "risk"
    assert read["for_contract"]["risk"]["tested"] is True
    written = text.read_text()
    for part in ("SIMULATED", "Deletion and insertion", "Shapley", "occlusion", "the mask itself", "not tested"):
        assert part in written


def test_maps_that_are_not_served_are_held_to_the_same_tests(found):
    """Whatever stands among the rivals is judged by its own figures, test by test, and open where none were taken."""
    judged = verdict.judge_rivals(replace(found, rivals={"energy": OfKind()}))["energy"]
    served = verdict.judge(found)[MapKind.RISK].criteria
    assert [each.key for each in judged] == [each.key for each in served]
    told = {each.key: each for each in judged}
    assert told["pointing_lbbb"].passed is True
    assert told["deletion_over_random_sd"].value is not None
    assert told["mass_above_energy"].passed is None
    assert told["randomised_rank_correlation"].passed is None
