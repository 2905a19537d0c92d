"""Deletion and insertion on a sum, where the best order is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecg.contract import MapKind
from model_training.explain import deletion, examine
from model_training.explain.deletion import chosen_samples, typical_twin
from tests.training.explain.planted import RHYTHM, Planted

FLAT = np.zeros((12, 600), dtype=np.float32)


def test_the_exact_order_moves_a_sum_farthest_and_a_blind_one_no_farther_than_chance(planted, people):
    """Where exchanged cells lose their term, taking the largest terms first beats random outside the interval."""
    orders = {kind.value: order for kind, order in examine.kind_maps(planted).items()}
    exact = {each.name: each for each in deletion.curves(planted, people.subjects, FLAT, orders)}
    assert exact["risk"].over_random.low > 0
    assert exact["risk"].nearer.low > 0
    assert exact["attention"].over_random.low <= 0
    assert exact["risk"].deleted == tuple(sorted(exact["risk"].deleted))
    assert exact["random"].over_random.value == 0


def test_direction_is_right_for_exact_signs_and_wrong_for_reversed_ones(people):
    """Taking out what raises the risk lowers it, and the other way round."""
    two_ways = Planted(weights=np.where(np.arange(12) % 2, 1.0, -1.0))
    signed = examine.kind_maps(two_ways)[MapKind.RISK]
    assert deletion.polarity(two_ways, people.subjects, FLAT, signed) == 1
    assert deletion.polarity(two_ways, people.subjects, FLAT, lambda some: -signed(some)) == 0


def test_a_twin_of_ones_own_median_beat_is_nearly_oneself(people):
    """The fill is an ECG in the person's own rhythm: with their own beat it is their recording but for its variety."""
    alike = []
    for each in people.subjects:
        twin = typical_twin(each, each.beats.median_mv, RHYTHM)
        assert twin.shape == each.tensor.shape
        assert np.isfinite(twin).all()
        alike.append(np.corrcoef(twin.ravel(), each.tensor.ravel())[0, 1])
    assert np.median(alike) > 0.9


def test_the_asked_share_of_usable_cells_is_chosen_highest_first():
    """Ten percent of six usable leads, none of a masked lead, the highest among them."""
    order = np.random.default_rng(0).random((1, 12, 50))
    order[0, 8] = 9  # masked: however high, never chosen
    usable = np.arange(12)[None] < 6
    cells = chosen_samples(order, usable, 0.1, RHYTHM)[:, :, ::20]
    assert cells.sum() == 30
    assert not cells[0, 6:].any()
    assert order[0, :6][cells[0, :6]].min() >= np.sort(order[0, :6].ravel())[-30]


def test_discrimination_is_lost_with_the_cells_that_carry_it(planted, people):
    """Truth that is the model's own answer: every exchange can only lose concordance."""
    masks = np.stack([each.lead_mask for each in people.subjects])
    truth = np.array(
        [each.log_hazard for each in planted.infer_batch(np.stack([s.tensor for s in people.subjects]), masks)]
    )
    order = examine.kind_maps(planted)[MapKind.RISK]
    lost, _ = deletion.loss_of_concordance(planted, people.subjects, truth, FLAT, order)
    assert lost.value > 0
    assert lost.low >= 0


def test_the_typical_beat_is_the_median_of_those_that_have_one(people):
    """A person without a median beat is left out."""
    beats = [each.beats for each in people.subjects]
    without = replace(beats[0], median_mv=None)
    assert np.array_equal(deletion.typical_beat([*beats[1:], without]), deletion.typical_beat(beats[1:]))
    assert deletion.typical_beat(beats[:1]) == pytest.approx(beats[0].median_mv)
