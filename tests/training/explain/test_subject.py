"""Moments of a recording land on the token that stands for them."""

from __future__ import annotations

import numpy as np
import pytest

from ecg.preprocess import Prepared
from model_training.explain import subject
from tests.training import contracts, nets
from tests.training.explain.planted import RHYTHM

BEAT = contracts.contract(
    nets.config("lead_additive", view="median_beat", sampling_rate_hz=500.0, samples=600, strides=[2, 2])
)


def test_a_moment_of_a_rhythm_strip_lands_on_its_token():
    """At 500 Hz, 2.0 to 2.2 s of one lead is one whole token of 200 ms, and no other."""
    field = np.zeros((12, 5000))
    field[3, 1000:1100] = 1
    drawn = subject.on_tokens(field, 500, Prepared(np.zeros((12, 1000), np.float32), 100), RHYTHM.explanation)
    assert drawn[3, 10] == pytest.approx(1, abs=0.02)
    assert drawn.sum() == pytest.approx(1, abs=0.05)


def test_a_strip_cut_from_the_middle_moves_the_token():
    """A tensor that starts one second into the recording shows the same moment five tokens earlier."""
    field = np.zeros((12, 6000))
    field[0, 1000:1100] = 1
    late = Prepared(np.zeros((12, 1000), np.float32), 100, start_ms=1000.0)
    assert subject.on_tokens(field, 500, late, RHYTHM.explanation)[0].argmax() == 5


def test_a_token_of_a_median_beat_stands_for_that_moment_of_every_beat():
    """What is there in one of two beats covers half of its token."""
    field = np.zeros((12, 5000))
    field[1, 1000:1020] = 1  # at the R peak of the first of two beats
    place = Prepared(np.zeros((12, 600), np.float32), 500, start_ms=-480.0, anchors_ms=(2000.0, 6000.0))
    drawn = subject.on_tokens(field, 500, place, BEAT.explanation)
    token = int(480 // BEAT.explanation.token_step_ms)
    assert drawn[1].argmax() == token
    assert drawn.max() == pytest.approx(0.5, abs=0.05)


def test_each_sample_belongs_to_one_token_in_order():
    """Twenty samples a token at 100 Hz and 200 ms."""
    assert (subject.token_of_sample(RHYTHM) == np.arange(1000) // 20).all()


def test_masked_leads_have_no_energy(people):
    """What the model may not see no map shows."""
    from dataclasses import replace

    one = people.subjects[0]
    masked = replace(one, lead_mask=np.arange(12) != 4)
    assert subject.energy(masked, RHYTHM)[4].sum() == 0
    assert (subject.energy(one, RHYTHM)[one.lead_mask].sum(axis=1) > 0).all()
