"""Rendered recordings: exact leads, true rhythm, devices, and measurements that find the truth again."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from ecg import beats
from ecg.leads import INDEX
from model_training.simulate import kernels, noise, people, render, rhythm
from model_training.simulate.rhythm import Origin

SEED = 11


@pytest.fixture(scope="module")
def crowd() -> pd.DataFrame:
    return people.draw(200, SEED)


@pytest.fixture(scope="module")
def drawn(crowd: pd.DataFrame) -> render.Rendered:
    return render.render(crowd, SEED)


@pytest.fixture(scope="module")
def measured(drawn: render.Rendered) -> list[beats.Measurements]:
    return [beats.measure(beats.find(drawn.twelve(i))) for i in range(len(drawn.signal_mv))]


def rendered_rhythm(traits: pd.DataFrame) -> rhythm.Rhythm:
    return render.render(traits, SEED, noise=False).beats


@pytest.mark.parametrize("which", ["signal_mv", "clean_mv"])
def test_limb_leads_obey_einthoven_and_goldberger(drawn: render.Rendered, which: str) -> None:
    """I + III = II, aVR = -(I + II)/2, aVL = I - II/2, aVF = II - I/2, with noise too, to float32's last digits."""
    leads = getattr(drawn, which).astype(np.float64)
    i, ii, iii, avr, avl, avf = (leads[:, k] for k in range(6))
    for left, right in ((i + iii, ii), (avr, -(i + ii) / 2), (avl, i - ii / 2), (avf, ii - i / 2)):
        assert np.abs(left - right).max() < 1e-6


def test_a_recording_is_the_same_again_and_alone(crowd: pd.DataFrame, drawn: render.Rendered) -> None:
    """A recording depends on seed and person, not on the company; another seed is another recording of the person."""
    alone = render.render(crowd.iloc[70:75].reset_index(drop=True), SEED)
    np.testing.assert_array_equal(alone.signal_mv, drawn.signal_mv[70:75])
    again = render.render(crowd.iloc[70:75].reset_index(drop=True), SEED + 1)
    assert np.abs(again.signal_mv - alone.signal_mv).max() > 0.1


def test_two_cores_make_three_hundred_recordings_a_second(crowd: pd.DataFrame) -> None:
    """One core makes 150 recordings of ten seconds in a second of its own time."""
    start = time.process_time()
    render.render(crowd, SEED)
    assert len(crowd) / (time.process_time() - start) > 150


def test_measured_rate_follows_the_truth(crowd: pd.DataFrame, measured: list[beats.Measurements]) -> None:
    """In regular rhythm the service measures the rate that was drawn."""
    regular = ~(crowd["af"] | crowd["flutter"] | crowd["pvc"] | crowd["pac"] | (crowd["av_block"] != "")).to_numpy()
    rate = np.array([m.heart_rate_bpm or np.nan for m in measured])
    error = np.abs(rate - crowd["heart_rate_bpm"])[regular]
    assert error.median() < 2
    assert (error < 6).mean() > 0.95


@pytest.mark.parametrize(
    ("name", "truth", "bias", "near", "correlation"),
    [
        ("qrs_ms", "qrs_ms", 4, 25, 0.85),
        ("pr_ms", "pr_ms", 12, 40, 0.85),
        ("qt_ms", "qt_ms", 12, 50, 0.85),
        ("sokolow_lyon_mv", "sokolow_mv", 0.15, 0.4, 0.97),
        ("cornell_mv", "cornell_mv", 0.15, 0.4, 0.97),
    ],
)
def test_measurements_follow_the_truth(
    crowd: pd.DataFrame,
    measured: list[beats.Measurements],
    name: str,
    truth: str,
    bias: float,
    near: float,
    correlation: float,
) -> None:
    """What the service measures on noisy recordings is what was put in, without bias; few are missed for the noise."""
    sinus = ~(crowd["af"] | crowd["flutter"] | crowd["paced"] | (crowd["av_block"] == "complete"))
    found = pd.Series([getattr(m, name) for m in measured], dtype=float)
    both = pd.DataFrame({"found": found, "true": crowd[truth]})[sinus].dropna()
    assert len(both) > 0.85 * sinus.sum()
    error = both["found"] - both["true"]
    assert abs(error.median()) < bias
    assert (error.abs() < near).mean() > 0.95
    assert both[error.abs() < near].corr().iloc[0, 1] > correlation


@pytest.mark.parametrize("finding", ["lbbb", "rbbb", "paced", "pre_excitation"])
def test_wide_complexes_are_measured_as_wide_as_drawn(finding: str) -> None:
    """In every kind of wide complex the service's QRS duration is the drawn one to 12 ms in the median."""
    traits = people.draw(60, 12, prevalence={finding: 0.7})
    has = (traits["condition"] == finding) if finding in ("lbbb", "rbbb") else traits[finding]
    wide = traits[has & ~traits["pvc"]]
    drawn = render.render(wide, SEED)
    found = [beats.measure(beats.find(drawn.twelve(i))).qrs_ms or np.nan for i in range(len(wide))]
    assert abs(np.nanmedian(np.array(found) - wide["qrs_ms"])) < 12


def test_measured_axis_follows_the_truth(crowd: pd.DataFrame, measured: list[beats.Measurements]) -> None:
    """The frontal axis of the noisy recording is that of the dipole."""
    found = np.array([np.nan if m.axis_deg is None else m.axis_deg for m in measured])
    apart = np.abs((found - crowd["axis_deg"] + 180) % 360 - 180)
    assert np.nanmedian(apart) < 6


def test_right_block_ends_in_v1_upwards_left_block_downwards() -> None:
    """RBBB has its late R in V1 and a wide S in I; LBBB is negative in V1 and positive in I and V6."""
    traits = people.draw(300, 3, prevalence={"lbbb": 0.4, "rbbb": 0.4})
    drawn = render.render(traits, SEED, noise=False)
    for condition, sign in (("rbbb", 1), ("lbbb", -1)):
        late = [_late_qrs(drawn, traits, k) for k in np.flatnonzero(traits["condition"] == condition)]
        v1, i = (np.array([each[INDEX[lead]] for each in late]) for lead in ("V1", "I"))
        assert (np.sign(v1) == sign).mean() > 0.95
        assert (np.sign(i) == -sign).mean() > 0.95


def _late_qrs(drawn: render.Rendered, traits: pd.DataFrame, k: int) -> np.ndarray:
    """Mean of the leads between 55 % and 80 % of the third conducted complex."""
    onset = drawn.beats.qrs_s[k, np.flatnonzero(drawn.beats.origin[k] == Origin.CONDUCTED)[3]]
    length = traits["qrs_ms"].iloc[k] / 1000
    first, last = (round((onset + share * length) * 500) for share in (0.55, 0.80))
    return drawn.clean_mv[k, :, first:last].mean(axis=1)


def test_fibrillation_has_no_order_and_no_p() -> None:
    """Intervals of fibrillation scatter; sinus rhythm's do not; and no P wave is ever drawn."""
    traits = people.draw(200, 4, prevalence={"af": 0.5})
    beat = rendered_rhythm(traits)
    spread = beat.before_s[:, 2:9].std(axis=1) / beat.before_s[:, 2:9].mean(axis=1)
    sinus = ~(traits["af"] | traits["flutter"] | traits["pvc"] | traits["pac"] | (traits["av_block"] != "")).to_numpy()
    assert np.median(spread[traits["af"]]) > 3 * np.median(spread[sinus])
    assert np.isnan(beat.p_s[traits["af"]]).all()


def test_every_person_with_ectopic_beats_has_one_in_the_recording() -> None:
    """What a report names can be seen, and the pause after a ventricular ectopic beat makes up for it."""
    traits = people.draw(300, 5, prevalence={"pvc": 0.5, "pac": 0.0001})
    beat = rendered_rhythm(traits)
    inside = (beat.qrs_s > 0.3) & (beat.qrs_s < 9.7)
    assert ((beat.origin == Origin.PVC) & inside)[traits["pvc"]].any(axis=1).all()
    assert not (beat.origin == Origin.PVC)[~traits["pvc"]].any()
    row, at = np.argwhere(
        (beat.origin[:, :-1] == Origin.PVC) & (traits["af"] | traits["flutter"]).eq(False).to_numpy()[:, None]
    )[0]
    around = beat.before_s[row, at] + beat.before_s[row, at + 1]
    assert around == pytest.approx(2 * 60 / traits["heart_rate_bpm"][row], rel=0.15)


def test_blocks_leave_p_waves_without_complexes() -> None:
    """Second degree: pauses of two atrial intervals. Third degree: P and QRS each keep their own time."""
    traits = people.draw(400, 6, prevalence={"mobitz": 0.3, "complete": 0.3, "pvc": 1e-9, "pac": 1e-9})
    beat = rendered_rhythm(traits)
    mobitz = beat.before_s[(traits["av_block"] == "mobitz").to_numpy(), 1:8]
    assert np.allclose(mobitz.max(axis=1) / mobitz.min(axis=1), 2, atol=0.05)
    complete = (traits["av_block"] == "complete").to_numpy()
    p_count = ((beat.p_s > 0) & (beat.p_s < 10)).sum(axis=1)[complete]
    qrs_count = ((beat.qrs_s > 0) & (beat.qrs_s < 10) & (beat.origin > 0)).sum(axis=1)[complete]
    assert (p_count > 1.2 * qrs_count).all()


@pytest.mark.parametrize("name", list(noise.DEVICES))
def test_devices_write_their_own_steps_and_band(crowd: pd.DataFrame, name: str) -> None:
    """Samples are whole steps of the device, and nothing much passes far above its band."""
    device = noise.DEVICES[name]
    lead = render.render(crowd.iloc[:20], SEED, device=device).signal_mv[:, 0].astype(np.float64)
    steps = lead * 1000 / device.step_uv
    assert np.abs(steps - np.round(steps)).max() < 0.01
    power = np.abs(np.fft.rfft(lead, axis=-1)) ** 2
    frequency = np.fft.rfftfreq(lead.shape[-1], 1 / 500)
    open_ = render.render(
        crowd.iloc[:20], SEED, device=noise.Device("open", lowpass_hz=1e4, noise=device.noise)
    ).signal_mv
    passed = np.abs(np.fft.rfft(open_[:, 0].astype(np.float64), axis=-1)) ** 2
    high = frequency > min(2 * device.lowpass_hz, 200)
    assert (
        power[:, high].sum()
        < 0.25 * passed[:, high].sum() + 20 * high.sum() * lead.shape[-1] * (device.step_uv / 1000) ** 2
    )


@pytest.mark.parametrize("rate_hz", [250.0, 400.0, 1000.0])
def test_other_rates_show_the_same_heart(crowd: pd.DataFrame, rate_hz: float) -> None:
    """The clean recording at another rate agrees with the one at 500 Hz where both have a sample."""
    some = crowd.iloc[:4]
    usual = render.render(some, SEED, noise=False).clean_mv
    other = render.render(some, SEED, noise=False, rate_hz=rate_hz).clean_mv
    assert other.shape[-1] == round(10 * rate_hz)
    common = np.arange(0, 10, 0.02)
    pick = [np.round(common * each).astype(int) for each in (500, rate_hz)]
    np.testing.assert_allclose(other[:, :, pick[1]], usual[:, :, pick[0]], atol=2e-3)


def test_the_field_is_each_persons_own(crowd: pd.DataFrame) -> None:
    """Nobody's chest is the mean chest, and it does not change from recording to recording."""
    field = kernels.lead_field(crowd)
    assert (field.std(axis=0) > 0.02).all()
    np.testing.assert_array_equal(field[5:6], kernels.lead_field(crowd.iloc[5:6]))
