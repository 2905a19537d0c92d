"""The filters against scipy, and the laws that a linear zero-phase filter keeps."""

from __future__ import annotations

from math import gcd

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from ecg import filters
from ecg.harmonise import limb_residual
from tests.ecg import hearts

RATE = 500.0
WANDERING = hearts.normal_mv(seed=3, drift_mv=0.8)
EDGE = 1000


@pytest.mark.parametrize(
    ("low", "high", "order"), [(0.5, 40, 2), (0.5, 150, 2), (0.67, 100, 3), (5, 20, 2), (1, 30, 1)]
)
def test_bandpass_is_scipys_forward_backward_butterworth(low: float, high: float, order: int) -> None:
    """Within 2 uV of sosfiltfilt from two seconds off either end, within 60 uV at the ends, under 0.4 mV of drift."""
    sos = signal.butter(order, [low, high], "bandpass", fs=RATE, output="sos")
    expected = signal.sosfiltfilt(sos, WANDERING.astype(np.float64), padlen=4999)
    error = np.abs(filters.bandpass(WANDERING, RATE, low, high, order) - expected)
    assert error[:, EDGE:-EDGE].max() < 0.002
    assert error.max() < 0.06


def test_highpass_lowpass_and_notch_are_scipys() -> None:
    """The same law for the other three."""
    exact = WANDERING.astype(np.float64)
    high = signal.sosfiltfilt(signal.butter(2, 0.5, "highpass", fs=RATE, output="sos"), exact, padlen=4999)
    low = signal.sosfiltfilt(signal.butter(4, 40, fs=RATE, output="sos"), exact, padlen=4999)
    notch = signal.filtfilt(*signal.iirnotch(50, 30, fs=RATE), exact, padlen=4999)
    assert np.abs(filters.highpass(WANDERING, RATE, 0.5, 2) - high)[:, EDGE:-EDGE].max() < 0.002
    assert np.abs(filters.lowpass(WANDERING, RATE, 40, 4) - low).max() < 0.001
    assert np.abs(filters.notch(WANDERING, RATE, 50, 30) - notch).max() < 0.002


@pytest.mark.parametrize(
    ("from_hz", "to_hz"), [(500, 250), (1000, 500), (100, 500), (257, 500), (360, 500), (240, 500), (500, 100)]
)
def test_resampling_is_scipys_polyphase(from_hz: int, to_hz: int) -> None:
    """To 1 uV scipy's resample_poly of what is left when the line between the ends is set aside."""
    n = WANDERING.shape[1]
    ramp = np.linspace(0, 1, n)
    first, last = WANDERING[:, :1].astype(np.float64), WANDERING[:, -1:].astype(np.float64)
    common = gcd(from_hz, to_hz)
    bent = signal.resample_poly(WANDERING - first - (last - first) * ramp, to_hz // common, from_hz // common, axis=1)
    position = np.arange(bent.shape[1]) * from_hz / to_hz / (n - 1)
    resampled = filters.resample(WANDERING, from_hz, to_hz)
    assert resampled.shape == bent.shape
    assert resampled.dtype == np.float32
    assert np.abs(resampled - (bent + first + (last - first) * position)).max() < 0.001


def test_resampling_there_and_back() -> None:
    """Up and down again gives the signal back where it is band-limited, away from the ends."""
    smooth = filters.lowpass(WANDERING, RATE, 60, 4)
    back = filters.resample(filters.resample(smooth, 500, 1000), 1000, 500)
    assert np.abs(back - smooth)[:, 50:-50].max() < 0.005


def test_the_same_rate_costs_nothing() -> None:
    """Resampling to the rate that is there returns the very array."""
    assert filters.resample(WANDERING, 500.0, 500.0) is WANDERING


def test_decimated_output_lies_on_the_full_one() -> None:
    """Every fourth sample of a band far below the new Nyquist is the same, decimated in frequency or in time."""
    spectrum = filters.Spectrum(WANDERING, RATE)
    full, few = spectrum.bandpass(5, 20, 4), spectrum.bandpass(5, 20, 4, every=4)
    assert few.shape == (12, 1250)
    assert np.abs(full[:, ::4] - few).max() < 0.003


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(0.01, 100), low=st.floats(0.3, 3), high=st.floats(20, 200), order=st.integers(1, 4))
def test_filters_scale_with_the_signal(scale: float, low: float, high: float, order: int) -> None:
    """A filter is linear: k times the signal gives k times the result, within single precision."""
    one = filters.bandpass(WANDERING, RATE, low, high, order)
    scaled = filters.bandpass((WANDERING * np.float32(scale)).astype(np.float32), RATE, low, high, order)
    assert np.abs(scaled - one * np.float32(scale)).max() < 1e-5 * scale


@settings(max_examples=10, deadline=None)
@given(low=st.floats(0.3, 5), high=st.floats(20, 200), rate=st.sampled_from([100.0, 250.0, 360.0, 1000.0]))
def test_limb_leads_stay_consistent(low: float, high: float, rate: float) -> None:
    """What holds between the leads before a filter or a resampling holds after it."""
    assert limb_residual(filters.bandpass(WANDERING, RATE, low, high, 2)) < 1e-4
    assert limb_residual(filters.resample(WANDERING, RATE, rate)) < 1e-4
    assert limb_residual(filters.notch(WANDERING, RATE, 50, 30)) < 1e-4


def test_zero_phase() -> None:
    """The signal backwards gives the result backwards: nothing is delayed."""
    forward = filters.bandpass(WANDERING, RATE, 0.5, 40, 2)
    backward = filters.bandpass(np.ascontiguousarray(WANDERING[:, ::-1]), RATE, 0.5, 40, 2)[:, ::-1]
    assert np.abs(forward - backward).max() < 1e-5


def test_the_same_samples_give_the_same_bits() -> None:
    """Twice the same call, whatever was computed in between, gives identical bits."""
    first = filters.bandpass(WANDERING, RATE, 0.5, 150, 2)
    filters.bandpass(WANDERING[:, :3111], RATE, 0.7, 90, 3)
    assert filters.bandpass(WANDERING.copy(), RATE, 0.5, 150, 2).tobytes() == first.tobytes()


@pytest.mark.parametrize("n", [1, 2, 3, 5, 9, 30, 600])
def test_short_signals_pass(n: int) -> None:
    """A signal shorter than the filter's memory still gives as many finite samples."""
    for filtered in (
        filters.bandpass(WANDERING[:, :n], RATE, 0.5, 40, 2),
        filters.lowpass(WANDERING[:, :n], RATE, 40, 2),
        filters.resample(WANDERING[:, :n], 500, 1000),
    ):
        assert np.isfinite(filtered).all()


@pytest.mark.parametrize(("low", "high", "order"), [(0, 40, 2), (40, 0.5, 2), (0.5, 250, 2), (0.5, 40, 0)])
def test_an_impossible_band_is_an_error(low: float, high: float, order: int) -> None:
    """A band outside (0, half the rate) or without order is refused, never clipped silently."""
    with pytest.raises(ValueError, match="a filter needs"):
        filters.bandpass(WANDERING, RATE, low, high, order)


def test_missing_samples_are_bridged() -> None:
    """NaN becomes the line between its neighbours, a lead of nothing but NaN becomes zero, and nothing else changes."""
    holed = WANDERING.copy()
    holed[0, 100:110] = np.nan
    holed[5] = np.nan
    holed[7, 0] = np.inf
    bridged = filters.filled(holed)
    assert bridged[0, 105] == pytest.approx(np.interp(105, [99, 110], WANDERING[0, [99, 110]]), abs=1e-6)
    assert not bridged[5].any()
    assert bridged[7, 0] == WANDERING[7, 1]
    assert np.array_equal(bridged[6], WANDERING[6])
    assert filters.filled(WANDERING) is WANDERING
