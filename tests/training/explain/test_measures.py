"""The measures on maps whose answer can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from model_training.explain import measures

COVERED = np.array([[0.0, 1.0, 0.5, 0.0], [0.0, 0.0, 0.0, 0.0]])
USABLE = np.array([True, True])


def test_mass_is_the_share_on_the_mask_and_an_even_map_has_that_of_chance():
    """All weight on a fully covered cell is mass 1; an even map has the covered share, whatever its sign or scale."""
    assert measures.mass(np.array([[0, -7, 0, 0], [0, 0, 0, 0]]), COVERED) == 1
    assert measures.mass(np.full((2, 4), -3.0), COVERED) == pytest.approx(measures.chance(COVERED, USABLE))
    assert measures.chance(COVERED, USABLE) == pytest.approx(1.5 / 8)
    assert measures.ceiling(COVERED, USABLE) == pytest.approx(8 / 1.5)


def test_chance_is_told_of_usable_leads_only():
    """A lead that nobody may look at takes no part in what a blind map would reach."""
    assert measures.chance(COVERED, np.array([True, False])) == pytest.approx(1.5 / 4)


@pytest.mark.parametrize(("cell", "hit"), [((0, 1), True), ((0, 2), True), ((0, 0), False), ((1, 1), False)])
def test_pointing_hits_where_the_mask_covers_well(cell, hit):
    """The highest cell must be covered at least half as well as the best one; grazing or missing is no hit."""
    drawn = np.zeros((2, 4))
    drawn[cell] = -1
    assert measures.points_at(drawn, COVERED) is hit
    grazed = COVERED.copy()
    grazed[0, 2] = 0.4
    assert not measures.points_at(np.array([[0, 0, 1, 0], [0, 0, 0, 0]]), grazed)


def test_separation_is_one_for_the_mask_and_half_for_a_flat_map():
    """AUROC: perfect order 1, reversed order 0, ties one half."""
    assert measures.separation(COVERED, COVERED, USABLE) == 1
    assert measures.separation(1 - COVERED, COVERED, USABLE) == 0
    assert measures.separation(np.ones((2, 4)), COVERED, USABLE) == 0.5


def test_the_core_is_the_fewest_samples_that_hold_half_of_the_difference():
    """One large sample outweighs many small ones; an even difference needs half of all samples."""
    assert measures.core(np.array([[1.0, 1.0, 3.0, 1.0]])).tolist() == [[False, False, True, False]]
    assert measures.core(np.ones((2, 10))).sum() == 10


def test_concordance_counts_pairs():
    """Same order 1, reverse 0, one answer for all one half; people with equal truth are no pair."""
    truth = np.array([0.0, 0.0, 1.0, 2.0])
    assert measures.concordance(truth, truth) == 1
    assert measures.concordance(-truth, truth) == 0
    assert measures.concordance(np.zeros(4), truth) == 0.5


def test_rank_correlation_does_not_see_the_sign_and_a_flat_map_is_like_nothing():
    """Maps are drawn without their sign; a map without any contrast correlates with none."""
    drawn = np.arange(8.0).reshape(2, 4)
    assert measures.rank_correlation(drawn, -drawn) == pytest.approx(1)
    assert measures.rank_correlation(drawn, np.ones((2, 4))) == 0
