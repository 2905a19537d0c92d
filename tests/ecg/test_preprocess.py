"""The recipe: every step, what it refuses, what it shares with the beats, and where its samples lie in time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from ecg import beats as beat_room
from ecg import filters
from ecg.contract import Number, Step
from ecg.errors import ContractInvalid, TooShort
from ecg.harmonise import limb_residual, to_twelve
from ecg.leads import LEADS
from ecg.preprocess import STEPS, needs_beats, prepare, prepared, validate
from ecg.recording import Recording, Source, TwelveLead, Unit, Waveform
from tests.ecg import hearts


def step(name: str, **parameters: Number) -> Step:
    return Step(step=name, parameters=parameters)


TO_500 = step("resample.v1", rate_hz=500.0)
OWN_BAND = step("bandpass.v1", low_hz=0.5, high_hz=150.0, order=2)
OTHER_BAND = step("bandpass.v1", low_hz=0.7, high_hz=40.0, order=2)
BEAT = step("median_beat.v1", before_ms=480.0, after_ms=720.0)
TEN_S = step("rhythm.v1", seconds=10.0)
HEART = hearts.twelve(hearts.normal_mv(seed=4, drift_mv=0.3))
BEATS = beat_room.find(HEART)


def test_what_the_beats_made_is_used_again() -> None:
    """The recipe that the beats were found with gives their very median beat, without filtering anew."""
    assert prepared(HEART, (TO_500, OWN_BAND, BEAT), BEATS).samples_mv is BEATS.median_mv
    assert prepared(HEART, (TO_500, OWN_BAND), BEATS).samples_mv is BEATS.signal_mv


def test_a_strip_needs_no_beats() -> None:
    """It is the same before they are known; a median beat is refused until then."""
    heard = beat_room.filtered(HEART)
    strip = (TO_500, OWN_BAND, TEN_S, step("clip.v1", limit_mv=10.0))
    assert not needs_beats(strip)
    assert np.array_equal(prepared(HEART, strip, heard).samples_mv, prepare(HEART, strip, BEATS))
    for beat in (BEAT, step("file_median_beat.v1", before_ms=480.0, after_ms=720.0)):
        assert needs_beats((TO_500, OWN_BAND, beat))
        with pytest.raises(TypeError):
            prepared(HEART, (TO_500, OWN_BAND, beat), heard)


def test_shared_and_separate_ways_agree() -> None:
    """A band a hair off the beats' own is filtered anew and gives the same within 5 uV: sharing changes no answer."""
    hair = step("bandpass.v1", low_hz=0.5, high_hz=149.999, order=2)
    assert (
        np.abs(prepare(HEART, (TO_500, hair, BEAT), BEATS) - prepare(HEART, (TO_500, OWN_BAND, BEAT), BEATS)).max()
        < 0.005
    )


@pytest.mark.parametrize("rate_hz", [100.0, 250.0, 500.0, 1000.0])
def test_the_tensor_has_the_contracts_shape(rate_hz: float) -> None:
    """Whatever the file's rate: (12, 600) for the beat, (12, 5000) for the strip, float32, contiguous, the caller's."""
    heart = hearts.twelve(hearts.normal_mv(rate_hz=rate_hz), rate_hz)
    found = beat_room.find(heart)
    for steps, samples in (((TO_500, OTHER_BAND, BEAT), 600), ((TO_500, OWN_BAND, TEN_S), 5000)):
        tensor = prepare(heart, steps, found)
        assert tensor.shape == (12, samples)
        assert tensor.dtype == np.float32
        assert tensor.flags.c_contiguous
        assert tensor.flags.writeable
        assert not np.shares_memory(tensor, found.signal_mv)


def test_rates_agree_on_the_beat() -> None:
    """The same heart at 250 and 1000 Hz gives the same median beat within 20 uV."""
    tensors = []
    for rate_hz in (250.0, 1000.0):
        heart = hearts.twelve(hearts.normal_mv(rate_hz=rate_hz, noise_mv=0.0), rate_hz)
        tensors.append(prepare(heart, (TO_500, OTHER_BAND, BEAT), beat_room.find(heart)))
    assert np.abs(tensors[0] - tensors[1])[:, 20:580].max() < 0.02


@settings(max_examples=15, deadline=None)
@given(power=st.integers(-3, 3))
def test_absolute_voltage_is_kept(power: int) -> None:
    """Twice the voltage in, exactly twice the tensor out, through every linear step."""
    scale = np.float32(2.0**power)
    steps = (
        TO_500,
        OTHER_BAND,
        step("notch.v1", frequency_hz=50.0, quality=30.0),
        BEAT,
        step("scale.v1", mv_per_unit=1.0),
    )
    louder = hearts.twelve(HEART.samples_mv * scale)
    assert np.array_equal(prepare(louder, steps, beat_room.find(louder)), prepare(HEART, steps, BEATS) * scale)


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(12)))
def test_the_order_of_leads_in_the_file_does_not_matter(order: list[int]) -> None:
    """Bit for bit the same tensor from the same leads listed in any order."""
    shuffled = to_twelve(hearts.recording(HEART.samples_mv[order], [LEADS[k] for k in order]))
    steps = (TO_500, OWN_BAND, BEAT)
    assert prepare(shuffled, steps, beat_room.find(shuffled)).tobytes() == prepare(HEART, steps, BEATS).tobytes()


def test_the_same_recording_gives_the_same_bits() -> None:
    """Alone, again, or after others of other lengths."""
    steps = (TO_500, OTHER_BAND, BEAT)
    first = prepare(HEART, steps, BEATS)
    other = hearts.twelve(hearts.normal_mv(seconds=7.7, bpm=88))
    prepare(other, steps, beat_room.find(other))
    again = hearts.twelve(HEART.samples_mv.copy())
    assert prepare(again, steps, beat_room.find(again)).tobytes() == first.tobytes()


def test_limb_leads_stay_consistent_through_linear_steps() -> None:
    """Einthoven holds after every step that treats all leads alike; only the sample-wise median bends it a little."""
    steps = (
        TO_500,
        OTHER_BAND,
        step("lowpass.v1", high_hz=30.0, order=4),
        step("highpass.v1", low_hz=0.6, order=1),
        TEN_S,
    )
    assert limb_residual(prepare(HEART, steps, BEATS)) < 1e-4
    assert limb_residual(prepare(HEART, (TO_500, OWN_BAND, BEAT), BEATS)) < 0.02


def test_steps_do_what_scipy_does() -> None:
    """A recipe of band-pass and notch equals scipy's forward-backward filters within 3 uV, away from the ends."""
    steps = (OTHER_BAND, step("notch.v1", frequency_hz=50.0, quality=30.0))
    sos = signal.butter(2, [0.7, 40.0], "bandpass", fs=500, output="sos")
    expected = signal.sosfiltfilt(sos, HEART.samples_mv.astype(np.float64), padlen=4999)
    expected = signal.filtfilt(*signal.iirnotch(50, 30, fs=500), expected, padlen=4999)
    assert np.abs(prepare(HEART, steps, BEATS) - expected)[:, 1000:-1000].max() < 0.003


def test_scale_and_clip() -> None:
    """Division by the unit, and a limit at both ends."""
    scaled = prepare(HEART, (step("scale.v1", mv_per_unit=0.5),), BEATS)
    assert np.array_equal(scaled, HEART.samples_mv * 2)
    clipped = prepare(HEART, (step("clip.v1", limit_mv=0.3),), BEATS)
    assert np.abs(clipped).max() == np.float32(0.3)


def test_level_is_where_a_lead_rests() -> None:
    """A wave that turns over moves the mean of what a filter leaves, and so the rest; level brings the rest to 0."""
    at_rest = np.zeros((12, 5000), dtype=np.float32)
    at_rest[:, np.arange(5000) % 500 < 100] = 0.4
    for leads in (at_rest, -at_rest):
        filtered = hearts.twelve(leads - leads.mean(axis=1, keepdims=True))
        levelled = prepare(filtered, (step("level.v1", share=0.25),), BEATS)
        assert np.abs(levelled[leads == 0]).max() < 1e-6
        assert np.allclose(levelled, leads, atol=1e-6)
    with pytest.raises(ContractInvalid):
        prepare(HEART, (step("level.v1", share=1.5),), BEATS)


def test_rhythm_takes_the_middle_or_refuses() -> None:
    """A longer recording gives its middle, a shorter one is refused; nothing is padded."""
    long = hearts.twelve(hearts.normal_mv(seconds=12.0))
    strip = prepared(long, (TO_500, TEN_S), beat_room.find(long))
    assert np.array_equal(strip.samples_mv, long.samples_mv[:, 500:5500])
    assert strip.recording_ms(0).tolist() == [1000.0]
    assert strip.recording_ms(250).tolist() == [1500.0]
    with pytest.raises(TooShort):
        prepare(hearts.twelve(HEART.samples_mv[:, :4999]), (TEN_S,), BEATS)


def test_no_heartbeat_no_median_beat() -> None:
    """A recording without a beat is refused, not filled with zeros."""
    silent = hearts.twelve(np.zeros((12, 5000), dtype=np.float32))
    with pytest.raises(TooShort, match="heartbeat"):
        prepare(silent, (TO_500, OWN_BAND, BEAT), beat_room.find(silent))


def test_each_sample_of_the_beat_lies_where_it_came_from() -> None:
    """Sample t of a median beat stands for one moment of every normal beat; at sample 240 these are the R peaks."""
    found = prepared(HEART, (TO_500, OWN_BAND, BEAT), BEATS)
    assert np.allclose(found.recording_ms(240), BEATS.normal_r_samples * 2.0)
    assert np.allclose(found.recording_ms(0), BEATS.normal_r_samples * 2.0 - 480)
    assert found.step_ms == 2.0


def test_the_files_own_median_beat() -> None:
    """Where the contract asks for it, the device's beat is taken, its R laid on sample 240 whatever its rate."""
    device = hearts.leads_mv([(0.3, hearts.NORMAL)], 1.2, 250.0, noise_mv=0.0)
    both = TwelveLead(HEART.samples_mv, 500.0, median_beat=TwelveLead(device, 250.0, Source.MEDIAN_BEAT))
    steps = (TO_500, OWN_BAND, step("file_median_beat.v1", before_ms=480.0, after_ms=720.0))
    taken = prepared(both, steps, BEATS)
    assert taken.samples_mv.shape == (12, 600)
    assert abs(int((taken.samples_mv**2).sum(axis=0).argmax()) - 240) <= 2
    assert np.abs(taken.samples_mv[:, 200:400] - filters.resample(device, 250, 500)[:, 110:310]).max() < 0.01
    assert taken.recording_ms(0).size == 0
    without = prepare(HEART, steps, BEATS)
    assert np.array_equal(without, prepare(HEART, (TO_500, OWN_BAND, BEAT), BEATS))


def test_a_file_with_only_a_median_beat() -> None:
    """It serves a contract that takes the file's beat, and is too short for one that makes its own or wants a strip."""
    device = hearts.leads_mv([(0.48, hearts.NORMAL)], 1.2, 500.0)
    only = to_twelve(Recording("test", None, Waveform(LEADS, device, 500.0, Unit.MILLIVOLT)))
    found = beat_room.find(only)
    steps = (TO_500, OWN_BAND, step("file_median_beat.v1", before_ms=480.0, after_ms=720.0))
    assert np.array_equal(prepare(only, steps, found), device)
    for refused in ((TO_500, OWN_BAND, BEAT), (TO_500, step("rhythm.v1", seconds=1.0))):
        with pytest.raises(TooShort):
            prepare(only, refused, found)


def test_missing_samples_do_not_spread() -> None:
    """NaN in one lead gives a finite tensor, and leaves every other lead as it was."""
    holed = HEART.samples_mv.copy()
    holed[4, 1000:1100] = np.nan
    tensor = prepare(hearts.twelve(holed), (TO_500, OTHER_BAND, TEN_S), BEATS)
    assert np.isfinite(tensor).all()
    others = [k for k in range(12) if k != 4]
    assert np.array_equal(tensor[others], prepare(HEART, (TO_500, OTHER_BAND, TEN_S), BEATS)[others])


@pytest.mark.parametrize(
    "wrong",
    [
        step("bandpass.v2", low_hz=0.5, high_hz=40.0, order=2),
        step("bandpass.v1", low_hz=0.5, high_hz=40.0),
        step("bandpass.v1", low_hz=0.5, high_hz=40.0, order=2, ripple=1.0),
        step("bandpass.v1", low_hz="0.5", high_hz=40.0, order=2),
        step("bandpass.v1", low_hz=0.5, high_hz=40.0, order=True),
        step("scale.v1", mv_per_unit=0.0),
        step("clip.v1", limit_mv=-1.0),
    ],
)
def test_unknown_steps_and_parameters_are_refused(wrong: Step) -> None:
    """An unknown step, a parameter missing, one too many, or no positive number: ContractInvalid, never a default."""
    with pytest.raises(ContractInvalid):
        validate((wrong,))
    with pytest.raises(ContractInvalid):
        prepare(HEART, (wrong,), BEATS)


def test_a_band_beyond_the_rate_is_a_broken_contract() -> None:
    """A filter that the sampling rate cannot carry is the artefact's fault, and says so."""
    with pytest.raises(ContractInvalid, match="half the rate"):
        prepare(HEART, (step("resample.v1", rate_hz=250.0), OWN_BAND), BEATS)


def test_released_steps() -> None:
    """The steps and parameters that artefacts out there rely on: adding is free, changing one is a new version."""
    assert {name: kind.parameters for name, kind in STEPS.items()} == {
        "resample.v1": ("rate_hz",),
        "bandpass.v1": ("low_hz", "high_hz", "order"),
        "highpass.v1": ("low_hz", "order"),
        "lowpass.v1": ("high_hz", "order"),
        "notch.v1": ("frequency_hz", "quality"),
        "median_beat.v1": ("before_ms", "after_ms"),
        "file_median_beat.v1": ("before_ms", "after_ms"),
        "rhythm.v1": ("seconds",),
        "scale.v1": ("mv_per_unit",),
        "clip.v1": ("limit_mv",),
        "level.v1": ("share",),
    }
