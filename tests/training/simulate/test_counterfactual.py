"""Counterfactual pairs: one trait changes, everything else stays, and the mask says where."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from model_training.simulate import counterfactual, kernels, people, render

SEED = 31


@pytest.fixture(scope="module")
def healthy() -> pd.DataFrame:
    crowd = people.draw(200, SEED)
    calm = (crowd["condition"] == "normal") & ~crowd[["af", "flutter", "paced", "pvc", "pac", "lafb", "lpfb"]].any(
        axis=1
    )
    return crowd[calm & (crowd["av_block"] == "") & (crowd["heart_rate_bpm"] < 80)].reset_index(drop=True)


@pytest.mark.parametrize("change", counterfactual.CHANGES)
def test_the_mask_is_where_the_recordings_differ(healthy: pd.DataFrame, change: str) -> None:
    """Outside the mask the noisy recordings agree to the threshold and a few device steps, inside they do not."""
    pair = counterfactual.pair(healthy, 3, change, SEED)
    apart = np.abs(pair.after_mv - pair.before_mv)
    assert pair.mask.shape == apart.shape == (12, 5000)
    assert 0 < pair.mask.mean() < 0.95
    assert apart[~pair.mask].max() < counterfactual.THRESHOLD_MV + 0.012
    assert apart[pair.mask].min() > counterfactual.THRESHOLD_MV - 0.012


def test_the_noise_is_the_same(healthy: pd.DataFrame) -> None:
    """Recording minus clean recording is the same before and after, but for the device's steps and smoothing."""
    after = counterfactual.changed(healthy.iloc[[3]], "inferior_mi")
    both = pd.concat([healthy.iloc[[3]], after], ignore_index=True)
    drawn = render.render(both, SEED)
    noise = drawn.signal_mv - drawn.clean_mv
    noise = noise - noise.mean(axis=-1, keepdims=True)
    assert np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1] > 0.98


@pytest.mark.parametrize(
    ("change", "after_qrs"), [("st_depression", True), ("qtc", True), ("left_atrium", False), ("inferior_mi", False)]
)
def test_the_mask_keeps_to_its_wave(healthy: pd.DataFrame, change: str, after_qrs: bool) -> None:
    """ST and T change after the QRS only; the left atrium before it only; an early scar not in the late T wave."""
    pair = counterfactual.pair(healthy, 3, change, SEED)
    person = pair.before.iloc[0]
    onsets = render.render(pair.before, SEED, noise=False).beats.qrs_s[0]
    onset = onsets[(onsets > 2) & (onsets < 8)][0]
    inside = np.arange(5000) / 500 - onset
    any_lead = pair.mask.any(axis=0)
    qrs_s, qt_s, pr_s = (person[name] / 1000 for name in ("qrs_ms", "qt_ms", "pr_ms"))
    if after_qrs:
        assert not any_lead[(inside > -pr_s) & (inside < 0.5 * qrs_s)].any()
        assert any_lead[(inside > qrs_s) & (inside < qt_s + 0.1)].any()
    elif change == "left_atrium":
        assert not any_lead[(inside > 0.02) & (inside < qt_s)].any()
        assert any_lead[(inside > -pr_s) & (inside < 0)].any()
    else:
        assert any_lead[(inside > 0) & (inside < qrs_s)].any()
        assert not any_lead[(inside > 1.5 * qrs_s) & (inside < qt_s)].any()


def test_inferior_scar_gives_q_waves(healthy: pd.DataFrame) -> None:
    """After an inferior infarct the complex starts downwards in III and aVF in nearly everyone."""
    after = counterfactual.changed(healthy.iloc[[0]], "inferior_mi")
    everyone = pd.concat([counterfactual.changed(healthy.iloc[[i]], "inferior_mi") for i in range(20)])
    bells, field = kernels.qrs(everyone), kernels.lead_field(everyone)
    early = np.einsum("nlx,nx->nl", field, bells.vector_mv[:, 0])
    avf = early[:, 1] - early[:, 0] / 2
    assert after["old_inferior_mi"].all()
    assert (avf < 0).mean() > 0.85


def test_measured_traits_follow_the_change(healthy: pd.DataFrame) -> None:
    """What a reader would measure is computed anew for the changed heart."""
    before, after = healthy.iloc[[3]], counterfactual.changed(healthy.iloc[[3]], "voltage")
    assert after["sokolow_mv"].item() == pytest.approx(1.5 * before["sokolow_mv"].item())
    strained = counterfactual.changed(before, "strain")
    assert strained["qrs_t_angle_deg"].item() > before["qrs_t_angle_deg"].item() + 20


def test_an_unknown_change_is_refused(healthy: pd.DataFrame) -> None:
    """A misspelt change names those there are."""
    with pytest.raises(ValueError, match="lbbb"):
        counterfactual.changed(healthy.iloc[[0]], "lbb")
