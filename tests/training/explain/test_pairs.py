"""On planted changes an exact map passes and a blind one fails."""

from __future__ import annotations

import pytest

from ecg.contract import MapKind
from model_training.explain import examine, pairs, rivals
from model_training.explain.pairs import Object
from tests.training.explain.planted import Planted


@pytest.fixture(scope="module")
def levelled():
    return Planted(from_median=True)


@pytest.fixture(scope="module")
def seen(levelled):
    return {change: pairs.make(levelled, change, 6) for change in ("st_depression", "strain", "anterior_mi")}


def test_the_exact_map_of_a_sum_points_at_the_change(levelled, seen):
    """The terms of a sum over cells differ where the signal differs: far above chance, and at the right cell."""
    exact = examine.kind_maps(levelled)[MapKind.RISK]
    for some in seen.values():
        score = pairs.score("risk", exact, some, Object.DIFFERENCE)
        assert score is not None
        assert score.gained > 2
        assert score.pointing > 0.7
        assert score.separation > 0.8
        assert score.mass <= 1


def test_a_blind_map_reaches_chance(levelled, seen):
    """Noise has no more weight on the mask than the mask's share of cells."""
    blind = examine.kind_maps(levelled)[MapKind.ATTENTION]
    for some in seen.values():
        score = pairs.score("attention", blind, some, Object.DIFFERENCE)
        assert score is not None
        assert score.gained == pytest.approx(1, abs=0.25)
        assert score.pointing < 0.7


def test_nothing_is_told_of_a_change_that_the_model_ignores(planted):
    """Without a reaction there is nothing to localise."""
    deaf = Planted(scale=1e-6)
    some = pairs.make(deaf, "qtc", 3)
    assert some
    assert pairs.score("risk", examine.kind_maps(deaf)[MapKind.RISK], some, Object.DIFFERENCE) is None


def test_dose_response_of_an_exact_map_is_perfect(planted):
    """More of the change on the mask goes with more of the risk, in each pair."""
    higher = pairs.make(planted, "voltage", 6)
    within, across = pairs.dose_response(planted, MapKind.RISK, higher)
    blind, _ = pairs.dose_response(planted, MapKind.ATTENTION, higher)
    assert within == pytest.approx(1)
    assert across > 0
    assert blind < 0.9


def test_a_mask_without_room_for_three_times_chance_is_cut_to_its_core(planted):
    """Fibrillation moves every beat: the judged mask still leaves room."""
    wide = pairs.make(planted, "af", 4)
    assert all(each.covered.mean() < pairs.WIDEST_MASK for each in wide)


def test_candidates_have_what_the_changes_would_add_to_nobody():
    """A change is news: narrow complexes, sinus rhythm, no infarction."""
    traits = pairs.candidates(20)
    assert len(traits) == 20
    assert (traits["condition"] == "normal").all()
    assert not traits[["af", "old_inferior_mi", "paced"]].any().any()


def test_the_blind_rival_is_blind(levelled, seen):
    """The map that others are held against reaches chance too, as a difference and alone."""
    blind = rivals.random_map(levelled.contract)
    for some in seen.values():
        for each in Object:
            score = pairs.score("random", blind, some, each)
            assert score is not None
            assert score.gained == pytest.approx(1, abs=0.25)
