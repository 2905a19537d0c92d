"""The table of the textbook, and its score on maps that do and do not lie where it says."""

from __future__ import annotations

import numpy as np
import pytest

from ecg.leads import LEADS
from model_training.explain import textbook
from model_training.explain.subject import on_tokens
from tests.training.explain.planted import RHYTHM

STATEMENTS = {each.name: each for each in textbook.statements()}


def test_the_table_names_leads_and_waves_that_exist_and_says_why():
    """Six statements, each with codes, places and a reason."""
    assert len(STATEMENTS) == 6
    for each in STATEMENTS.values():
        assert set(each.leads) <= set(LEADS)
        assert set(each.waves) <= {"p", "qrs", "st", "t", "baseline"}
        assert each.codes
        assert len(each.why) > 40


def test_the_named_place_lies_on_the_named_waves_and_leads(people):
    """QRS of four leads: narrow, around each R peak, and nowhere else."""
    one = people.subjects[0]
    field = textbook.named(one.beats, STATEMENTS["complete right bundle branch block"])
    assert field is not None
    assert {LEADS[row] for row in np.flatnonzero(field.any(axis=1))} == {"I", "V1", "V2", "V6"}
    assert field[0, one.beats.normal_r_samples].all()
    beats = one.beats.normal_r_samples.size
    assert 0.06 < field[0].sum() / beats / one.beats.sampling_rate_hz < 0.22
    baseline = textbook.named(one.beats, STATEMENTS["atrial fibrillation"])
    assert baseline is not None
    assert not baseline[1, one.beats.normal_r_samples].any()


@pytest.mark.parametrize(("on_place", "passes"), [(True, True), (False, False)])
def test_a_map_passes_where_only_the_ill_are_marked_at_the_place(people, on_place, passes):
    """Cases marked at the named place and normals evenly: met. Everybody marked evenly: not met."""
    cases, normals = people.subjects[:8], people.subjects[8:]
    statement = STATEMENTS["inferior infarction"]
    ill = {each.name for each in cases}

    def drawn(some):
        chance = np.random.default_rng(0)
        found = [chance.random((12, 50)) for _ in some]
        for map_, each in zip(found, some, strict=True):
            if on_place and each.name in ill:
                map_ += 3 * textbook.place(each, statement, RHYTHM)
        return np.stack(found)

    found = textbook.agreement(drawn, cases, normals, statement, RHYTHM)
    assert found is not None
    assert found.passes is passes
    assert found.n == 8


def test_too_few_recordings_are_not_judged(people):
    """Four cases say nothing."""
    even = lambda some: np.ones((len(some), 12, 50))  # noqa: E731
    statement = STATEMENTS["inferior infarction"]
    assert textbook.agreement(even, people.subjects[:4], people.subjects[4:], statement, RHYTHM) is None


def test_the_place_on_tokens_keeps_its_share(people):
    """What is marked on the recording is marked on the map, no more and no less."""
    one = people.subjects[0]
    field = textbook.named(one.beats, STATEMENTS["left ventricular hypertrophy"])
    assert field is not None
    assert on_tokens(field, 500, one.place, RHYTHM.explanation).mean() == pytest.approx(field.mean(), abs=0.01)
