"""Zero-phase filters and resampling for all leads at once.

A Butterworth or notch filter run forwards and backwards multiplies the spectrum by |H|^2, so it is applied here as
exactly that: one real FFT of the extended signal, one product, one inverse. Numpy alone, since importing scipy.signal
takes longer than a thousand of these calls. Away from the edges the result is that of `scipy.signal.sosfiltfilt`.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import isfinite
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg import native
from ecg.recording import Samples

Gain = NDArray[np.float32]
Band = tuple[float, float, int]  # lowest and highest frequency, order

# A 0.5 Hz second-order high-pass forgets a step to under 2 % in this time.
EXTENSION_S: Final = 2.0
# Extension and transform lengths divide by this, so that a decimated result falls on the samples of the full one.
DECIMATION: Final = 4
# Half-width of the resampling kernel, in samples of the slower of the two rates, and the shape of its Kaiser window.
_HALF_WIDTH: Final = 10
_KAISER_BETA: Final = 5.0
_BLOCK_VALUES: Final = 500_000


class Spectrum:
    """The transform of all leads, made once; each filter on it then costs one inverse transform.

    What lies beyond an end is the signal mirrored through its last point, as in `scipy.signal.sosfiltfilt`.
    """

    __slots__ = ("_length", "_line", "_n", "_pad", "_values", "rate_hz")

    def __init__(self, samples: Samples, rate_hz: float) -> None:
        self.rate_hz, self._n = rate_hz, samples.shape[-1]
        self._pad, self._length = extension(self._n, rate_hz)
        self._line = _line_between_ends(samples)
        # norm="ortho" on both sides keeps numpy in single precision; its default forward transform is six times slower.
        self._values = np.fft.rfft(self._extended(samples), norm="ortho")

    def _extended(self, samples: Samples) -> Samples:
        n, pad = self._n, self._pad
        extended = np.zeros((*samples.shape[:-1], self._length), dtype=np.float32)
        inside = extended[..., pad : pad + n]
        # Without the line both ends are zero, so mirroring through them is a change of sign.
        np.subtract(samples, self._line, out=inside)
        fade = _fade(pad)
        np.multiply(inside[..., pad:0:-1], -fade, out=extended[..., :pad])
        after = inside[..., n - 1 - pad : n - 1][..., ::-1]
        np.multiply(after, -fade[::-1], out=extended[..., pad + n : n + 2 * pad])
        return extended

    def bandpass(self, low_hz: float, high_hz: float, order: int, *, every: int = 1) -> Samples:
        """Butterworth band-pass of that order, forwards and backwards; of the result, every so many samples."""
        return self._filtered(bandpass_gain(self._length, self.rate_hz, low_hz, high_hz, order), every)

    def highpass(self, low_hz: float, order: int) -> Samples:
        """Butterworth high-pass of that order, forwards and backwards."""
        return self._filtered(highpass_gain(self._length, self.rate_hz, low_hz, order))

    def lowpass(self, high_hz: float, order: int) -> Samples:
        """Butterworth low-pass of that order, forwards and backwards."""
        return self._filtered(lowpass_gain(self._length, self.rate_hz, high_hz, order)) + self._line

    def notch(self, frequency_hz: float, quality: float) -> Samples:
        """Second-order notch of that quality factor, forwards and backwards."""
        return self._filtered(notch_gain(self._length, self.rate_hz, frequency_hz, quality)) + self._line

    def _filtered(self, gain: Gain, every: int = 1) -> Samples:
        """Under a real, even gain. Of the line, mirrored without end, a high-pass leaves nothing; others keep it."""
        length, pad, n = self._length // every, self._pad // every, -(-self._n // every)
        # A shorter inverse transform of the low bins is the filtered signal at fewer samples.
        bins = length // 2 + 1
        filtered = np.fft.irfft(self._values[..., :bins] * gain[:bins], length, norm="ortho")
        kept: Samples = np.ascontiguousarray(filtered[..., pad : pad + n], dtype=np.float32)
        if every > 1:
            kept *= np.float32(1 / np.sqrt(every))
        return kept


def bands(samples: Samples, rate_hz: float, whole: Band, coarse: Band, every: int) -> tuple[Samples, Samples]:
    """Two Butterworth band-passes, forwards and backwards, of the second of which every so many samples are wanted."""
    if not native.compiled:
        spectrum = Spectrum(samples, rate_hz)
        return spectrum.bandpass(*whole), spectrum.bandpass(*coarse, every=every)
    pad, length = extension(samples.shape[-1], rate_hz)
    gain, coarse_gain = (bandpass_gain(length, rate_hz, *each) for each in (whole, coarse))
    return native.bands(samples, pad, _fade(pad), _turns(length), gain, coarse_gain, every)


def bandpass(samples: Samples, rate_hz: float, low_hz: float, high_hz: float, order: int) -> Samples:
    return Spectrum(samples, rate_hz).bandpass(low_hz, high_hz, order)


def highpass(samples: Samples, rate_hz: float, low_hz: float, order: int) -> Samples:
    return Spectrum(samples, rate_hz).highpass(low_hz, order)


def lowpass(samples: Samples, rate_hz: float, high_hz: float, order: int) -> Samples:
    return Spectrum(samples, rate_hz).lowpass(high_hz, order)


def notch(samples: Samples, rate_hz: float, frequency_hz: float, quality: float) -> Samples:
    return Spectrum(samples, rate_hz).notch(frequency_hz, quality)


def are_all_known(samples: Samples) -> bool:
    """Whether no sample is missing. A sum that leaves single precision says no, and the samples are then looked at."""
    if native.compiled:
        return native.all_known(samples)
    return isfinite(np.add.reduce(samples, axis=None)) or bool(np.isfinite(samples).all())


def filled(samples: Samples) -> Samples:
    """Missing samples bridged by straight lines, a wholly missing lead by zero; the same array when none is missing."""
    if are_all_known(samples):
        return samples
    bridged = np.array(samples, dtype=np.float32)
    times = np.arange(samples.shape[-1])
    for lead in bridged:
        known = np.isfinite(lead)
        lead[~known] = np.interp(times[~known], times[known], lead[known]) if known.any() else 0.0
    return bridged


@lru_cache(maxsize=32)
def bandpass_gain(length: int, rate_hz: float, low_hz: float, high_hz: float, order: int) -> Gain:
    """|H|^2 of the band-pass on the bins of a real FFT of `length`."""
    _require(0 < low_hz < high_hz < rate_hz / 2 and order >= 1, "0 < low < high < half the rate, order >= 1")
    warped, low, high = _warped(length, rate_hz), _prewarp(low_hz, rate_hz), _prewarp(high_hz, rate_hz)
    # The band-pass transform of the prototype: s -> (s^2 + low*high) / (s*(high - low)).
    with np.errstate(divide="ignore", over="ignore"):
        prototype = (warped * warped - low * high) / (warped * (high - low))
        return _readonly(1.0 / (1.0 + prototype ** (2 * order)))


@lru_cache(maxsize=32)
def highpass_gain(length: int, rate_hz: float, low_hz: float, order: int) -> Gain:
    _require(0 < low_hz < rate_hz / 2 and order >= 1, "0 < low < half the rate, order >= 1")
    with np.errstate(divide="ignore", over="ignore"):
        return _readonly(1.0 / (1.0 + (_prewarp(low_hz, rate_hz) / _warped(length, rate_hz)) ** (2 * order)))


@lru_cache(maxsize=32)
def lowpass_gain(length: int, rate_hz: float, high_hz: float, order: int) -> Gain:
    _require(0 < high_hz < rate_hz / 2 and order >= 1, "0 < high < half the rate, order >= 1")
    with np.errstate(over="ignore"):
        return _readonly(1.0 / (1.0 + (_warped(length, rate_hz) / _prewarp(high_hz, rate_hz)) ** (2 * order)))


@lru_cache(maxsize=32)
def notch_gain(length: int, rate_hz: float, frequency_hz: float, quality: float) -> Gain:
    _require(0 < frequency_hz < rate_hz / 2 and quality > 0, "0 < frequency < half the rate, quality > 0")
    angle = 2 * np.pi * np.fft.rfftfreq(length)
    centre = 2 * np.pi * frequency_hz / rate_hz
    # The second-order notch passes (cos w - cos w0)^2 against the square of its bandwidth term tan(bw/2) sin w.
    passed = (np.cos(angle) - np.cos(centre)) ** 2
    return _readonly(passed / (passed + (np.tan(centre / quality / 2) * np.sin(angle)) ** 2))


def _warped(length: int, rate_hz: float) -> NDArray[np.float64]:
    """The bins' analogue frequencies under the bilinear transform; the last bin of an even length is infinite."""
    warped: NDArray[np.float64] = np.tan(np.pi * np.minimum(np.fft.rfftfreq(length), 0.5 - 1e-12))
    return warped


def _prewarp(frequency_hz: float, rate_hz: float) -> float:
    return float(np.tan(np.pi * frequency_hz / rate_hz))


def _readonly(gain: NDArray[np.float64]) -> Gain:
    rounded = gain.astype(np.float32)
    rounded.flags.writeable = False
    return rounded


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise ValueError(f"a filter needs {rule}")


def extension(n: int, rate_hz: float) -> tuple[int, int]:
    """By how many samples each end is lengthened, and what the whole is transformed as."""
    pad = min(round(EXTENSION_S * rate_hz), n - 1) // DECIMATION * DECIMATION
    return pad, fast_length(n + 2 * pad)


@lru_cache(maxsize=256)
def fast_length(at_least: int) -> int:
    """The smallest length from there on that decimates evenly and has no prime factor over five."""
    length = -(-at_least // (2 * DECIMATION)) * 2 * DECIMATION
    while _rest_of_small_primes(length) != 1:
        length += 2 * DECIMATION
    return length


def _rest_of_small_primes(number: int) -> int:
    for prime in (2, 3, 5):
        while number % prime == 0:
            number //= prime
    return number


def _line_between_ends(samples: Samples) -> Samples:
    first, last = samples[..., :1], samples[..., -1:]
    line: Samples = first + (last - first) * _ramp(samples.shape[-1])
    return line


@lru_cache(maxsize=64)
def _ramp(n: int) -> Gain:
    return _readonly(np.linspace(0, 1, n))


@lru_cache(maxsize=16)
def _turns(length: int) -> NDArray[np.complex64]:
    """The roots of one, by which a transform of that length turns."""
    turns: NDArray[np.complex64] = np.exp(-2j * np.pi * np.arange(length) / length).astype(np.complex64)
    turns.flags.writeable = False
    return turns


@lru_cache(maxsize=64)
def _fade(pad: int) -> Gain:
    """From 0 to 1 over the extension, so that its two outer ends meet without a step."""
    return _readonly(np.sin(np.pi / 2 * (np.arange(pad) + 0.5) / max(pad, 1)) ** 2)


@lru_cache(maxsize=32)
def _ratio(from_hz: float, to_hz: float) -> tuple[int, int]:
    return Fraction(to_hz / from_hz).limit_denominator(1_000).as_integer_ratio()


def resample(samples: Samples, from_hz: float, to_hz: float) -> Samples:
    """Polyphase resampling (Kaiser-windowed sinc); the first sample keeps its time. Unchanged when the rates agree."""
    up, down = _ratio(from_hz, to_hz)
    if up == down:
        return samples
    phases, half = _phases(up, down)
    n_out = -(-samples.shape[-1] * up // down)
    if native.compiled and samples.ndim == 2:
        return native.resample(samples, phases, up, down, half, n_out)
    line = _line_between_ends(samples)
    # Sample m of the result lies at input position m*down/up: a whole part and one of `up` phases.
    position = np.arange(n_out) * down
    start, phase = position // up, position % up
    padded = np.zeros((*samples.shape[:-1], samples.shape[-1] + 2 * half + 1), dtype=np.float32)
    padded[..., half : half + samples.shape[-1]] = samples - line
    windows = windows_of(padded, phases.shape[1])
    resampled = np.empty((*samples.shape[:-1], n_out), dtype=np.float32)
    if up == 1:  # every sample of the result is weighed alike: its windows are looked at where they lie
        np.einsum("...mk,k->...m", windows[..., : n_out * down : down, :], phases[0], out=resampled)
        return _with_line(resampled, samples, position.astype(np.float32))
    # In blocks, since the windows overlap and would together take many times the memory of the recording.
    block = max(1, _BLOCK_VALUES // (phases.shape[1] * padded[..., 0].size))
    for some in (slice(first, first + block) for first in range(0, n_out, block)):
        np.einsum("...mk,mk->...m", windows[..., start[some], :], phases[phase[some]], out=resampled[..., some])
    return _with_line(resampled, samples, (position / up).astype(np.float32))


def windows_of(samples: Samples, width: int) -> Samples:
    """Every window of that width along the last axis of a contiguous array: a view, the windows as one axis more."""
    shape = (*samples.shape[:-1], samples.shape[-1] - width + 1, width)
    return np.ndarray(shape, samples.dtype, samples, strides=(*samples.strides, samples.strides[-1]))


def _with_line(resampled: Samples, samples: Samples, position: NDArray[np.float32]) -> Samples:
    """The line between the ends again, at these positions of the samples."""
    slope = (samples[..., -1:] - samples[..., :1]) / np.float32(max(samples.shape[-1] - 1, 1))
    resampled += samples[..., :1] + slope * position
    return resampled


@lru_cache(maxsize=16)
def _phases(up: int, down: int) -> tuple[Gain, int]:
    """The kernel as one row of weights a phase, and how many input samples it reaches to either side."""
    widest = max(up, down)
    reach = _HALF_WIDTH * widest
    taps = np.arange(-reach, reach + 1)
    # A sinc that cuts at the slower rate's half, windowed, with unit gain at zero frequency.
    kernel = np.sinc(taps / widest) * np.kaiser(taps.size, _KAISER_BETA)
    kernel *= up / kernel.sum()
    half = -(-reach // up)
    # Input sample start + j lies j*up - phase upsampled steps away from the result.
    away = np.arange(up)[:, None] - np.arange(-half, half + 1)[None, :] * up
    weights = np.where(np.abs(away) <= reach, kernel[np.clip(away + reach, 0, 2 * reach)], 0.0)
    return _readonly(weights), half
