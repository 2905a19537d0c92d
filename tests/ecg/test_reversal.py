"""Exchanged electrodes and leads: undone on trial, named, and rarely suspected of an ordinary heart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecg import beats, harmonise, left_limbs, reversal
from ecg.leads import LEADS
from ecg.recording import Samples
from tests.ecg import ptbxl


def limb(one: Samples, two: Samples) -> Samples:
    return np.stack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]).astype(np.float32)


# What the six limb leads become, written out electrode by electrode.
EXCHANGED = {
    "RA/LA": lambda s: np.stack([-s[0], s[2], s[1], s[4], s[3], s[5]]),
    "RA/LL": lambda s: np.stack([-s[2], -s[1], -s[0], s[5], s[4], s[3]]),
    "LA/LL": lambda s: np.stack([s[1], s[0], -s[2], s[3], s[5], s[4]]),
}


def clean_median_beats(folder: Path, n: int) -> list[Samples]:
    wanted = [each for each in ptbxl.records(folder) if each.fold == 9 and each.clean][:n]
    found = [beats.find(harmonise.to_twelve(each.read())).median_mv for each in wanted]
    return [np.array(each) for each in found if each is not None]


@pytest.mark.parametrize("name", EXCHANGED)
def test_putting_right_undoes_the_exchange(name: str) -> None:
    """The matrices agree with what exchanged electrodes do to each of the six leads."""
    rng = np.random.default_rng(3)
    sound = limb(*rng.standard_normal((2, 50)))
    wrong = EXCHANGED[name](sound)
    assert np.allclose(wrong, limb(wrong[0], wrong[1]), atol=1e-6)
    assert np.allclose(reversal.PUT_RIGHT[name] @ wrong[:2], sound[:2], atol=1e-6)


def test_arm_and_leg_reversals_are_found_on_real_hearts(ptbxl_dir: Path) -> None:
    """RA/LA and RA/LL are named in at least 95 % of recordings in which they are planted."""
    hearts = clean_median_beats(ptbxl_dir, 100)
    for name in ("RA/LA", "RA/LL"):
        named = []
        for beat in hearts:
            planted = np.concatenate([EXCHANGED[name](beat), beat[6:]])
            named.append(any(each.what == name and each.limb for each in reversal.suspicions(planted)))
        assert np.mean(named) >= 0.95, name


def test_left_arm_and_left_leg_are_mostly_told_apart(ptbxl_dir: Path) -> None:
    """LA/LL, which stands nothing on its head, is named in at least 80 % of recordings in which it is planted."""
    hearts = clean_median_beats(ptbxl_dir, 200)
    planted = [np.concatenate([EXCHANGED["LA/LL"](beat), beat[6:]]) for beat in hearts]
    named = [any(each.what == "LA/LL" for each in reversal.suspicions(beat)) for beat in planted]
    assert np.mean(named) >= 0.8


@pytest.mark.parametrize(("left", "sure"), [(0.02, True), (0.06, False)])
def test_an_arm_electrode_on_a_leg_is_told_by_a_silent_lead_ii(ptbxl_dir: Path, left: float, sure: bool) -> None:
    """RA/RL, by which lead II keeps a fiftieth or a sixteenth of its height, is named in 95 % of recordings; the
    first is sure."""
    told = []
    for beat in clean_median_beats(ptbxl_dir, 100):
        lost = (1 - left) * beat[1]
        planted = np.concatenate([limb(beat[0] - lost, left * beat[1]), beat[6:] - lost / 3])
        told += [each.what == "RA/RL" and each.sure >= sure for each in reversal.suspicions(planted)[:1]] or [False]
    assert np.mean(told) >= 0.95


def test_the_other_order_is_as_much_likelier_as_this_one_is_less(ptbxl_dir: Path) -> None:
    """I and II exchanged turn the sign of the evidence and nothing else of it; the limb leads that follow add none."""
    network = left_limbs.stored().network
    for beat in clean_median_beats(ptbxl_dir, 20):
        planted = np.concatenate([EXCHANGED["LA/LL"](beat), beat[6:]])
        both = np.stack([left_limbs.form(beat), left_limbs.form(planted)])
        stored, exchanged = network.exchanged(both)
        assert stored == pytest.approx(-exchanged, abs=1e-3)
        without = np.array(beat)
        without[2:6] = 0.0
        assert np.array_equal(left_limbs.form(without), both[0])


def test_ordinary_hearts_are_rarely_suspected(ptbxl_dir: Path) -> None:
    """At most 3 % of clean recordings are suspected of anything; those suspected may truly be exchanged."""
    hearts = clean_median_beats(ptbxl_dir, 200)
    assert np.mean([bool(reversal.suspicions(beat)) for beat in hearts]) <= 0.03


def test_a_far_swap_of_precordial_leads_is_named(ptbxl_dir: Path) -> None:
    """V1 and V6 exchanged leave no doubt."""
    first, last = LEADS.index("V1"), LEADS.index("V6")
    named = []
    for beat in clean_median_beats(ptbxl_dir, 60):
        planted = beat.copy()
        planted[[first, last]] = planted[[last, first]]
        named.append("V1/V6" in {each.what for each in reversal.suspicions(planted)})
    assert np.mean(named) >= 0.8


def test_a_scaled_heart_is_suspected_alike(ptbxl_dir: Path) -> None:
    """The suspicion is of form, not of size."""
    for beat in clean_median_beats(ptbxl_dir, 10):
        planted = np.concatenate([EXCHANGED["RA/LA"](beat), beat[6:]])
        assert reversal.suspicions(planted) == reversal.suspicions(planted * np.float32(1.7))
