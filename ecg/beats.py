"""R peaks, rhythm, ectopic beats and the aligned median beat, from all leads together.

Everything here is at 500 Hz on band-passed signals, which `Beats` carries along so that nobody filters twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg import filters
from ecg.recording import Samples, TwelveLead

RATE_HZ: Final = 500.0
LOW_HZ: Final = 0.5
HIGH_HZ: Final = 150.0
ORDER: Final = 2
# 600 samples with R at sample 240, as the median beats of the 12SL program lie, on which the paper's model was trained.
BEFORE_MS: Final = 480.0
AFTER_MS: Final = 720.0
R_SAMPLE: Final = round(BEFORE_MS * RATE_HZ / 1000)
BEAT_SAMPLES: Final = round((BEFORE_MS + AFTER_MS) * RATE_HZ / 1000)
# The median needs no more beats than this; a longer recording gives its first ones.
MAX_MEDIAN_BEATS: Final = 64

_QRS_BAND_HZ: Final = (8.0, 30.0)
_ENVELOPE_S: Final = 0.1
_REFRACTORY_S: Final = 0.24
_MATCH_S: Final = 0.08
_LAG_S: Final = 0.03
_ALIKE: Final = 0.8
_PREMATURE: Final = 0.8

Indices = NDArray[np.int64]


class BeatKind(StrEnum):
    NORMAL = "normal"
    ECTOPIC = "ectopic"


@dataclass(frozen=True, slots=True, eq=False)
class Beats:
    """What was found at 500 Hz. `signal_mv` is the whole recording, 0.5 to 150 Hz; R peaks are samples of it."""

    signal_mv: Samples
    r_samples: Indices
    kinds: tuple[BeatKind, ...]
    correlation: NDArray[np.float32]
    median_mv: Samples | None
    sampling_rate_hz: float = RATE_HZ

    @property
    def rr_ms(self) -> NDArray[np.float64]:
        return np.diff(self.r_samples) * (1000 / self.sampling_rate_hz)

    @property
    def heart_rate_bpm(self) -> float | None:
        """Ventricular rate: beats between the first and the last R peak over the time between them."""
        if self.r_samples.size < 2:
            return None
        return float(60_000 / self.rr_ms.mean())

    @property
    def normal_r_samples(self) -> Indices:
        return self.r_samples[[kind is BeatKind.NORMAL for kind in self.kinds]]


def find(twelve: TwelveLead) -> Beats:
    """The beats of a recording; none at all when nothing in it repeats like a QRS complex."""
    signal_mv = at_beat_rate(twelve)
    peaks = _r_peaks(signal_mv)
    aligned, kinds, correlation = _matched(signal_mv, peaks)
    normal = aligned[[kind is BeatKind.NORMAL for kind in kinds]]
    return Beats(signal_mv, aligned, kinds, correlation, median_beat(signal_mv, normal))


def at_beat_rate(twelve: TwelveLead) -> Samples:
    """The recording at 500 Hz without drift and without what lies above 150 Hz, missing samples bridged."""
    samples = filters.resample(filters.filled(twelve.samples_mv), twelve.sampling_rate_hz, RATE_HZ)
    return filters.bandpass(samples, RATE_HZ, LOW_HZ, HIGH_HZ, ORDER)


def median_beat(signal_mv: Samples, r_samples: Indices) -> Samples | None:
    """The sample-wise median of the beats that lie wholly inside the recording; of all, edges held, when none does."""
    n = signal_mv.shape[1]
    whole = r_samples[(r_samples >= R_SAMPLE) & (r_samples + BEAT_SAMPLES - R_SAMPLE <= n)]
    chosen = (whole if whole.size else r_samples)[:MAX_MEDIAN_BEATS]
    if not chosen.size:
        return None
    starts = chosen - R_SAMPLE
    if whole.size:
        windows = [signal_mv[:, start : start + BEAT_SAMPLES] for start in starts]
    else:
        windows = [signal_mv[:, np.clip(start + np.arange(BEAT_SAMPLES), 0, n - 1)] for start in starts]
    return median_of(windows)


def median_of(arrays: list[Samples]) -> Samples:
    """The element-wise median by odd-even exchange: whole arrays are compared, far faster than sorting each column."""
    rows = [np.array(each) for each in arrays]
    count, middle = len(rows), len(rows) // 2
    for turn in range(count):
        for low in range(turn % 2, count - 1, 2):
            rows[low], rows[low + 1] = np.minimum(rows[low], rows[low + 1]), np.maximum(rows[low], rows[low + 1])
    return rows[middle] if count % 2 else (rows[middle - 1] + rows[middle]) * np.float32(0.5)


def _r_peaks(signal_mv: Samples) -> Indices:
    """QRS complexes as bursts of slope that all leads share, each then placed on its R peak."""
    qrs = filters.bandpass(signal_mv, RATE_HZ, *_QRS_BAND_HZ, 2)
    envelope = _shared_slope(qrs)
    bursts = _peaks_apart(envelope, round(_REFRACTORY_S * RATE_HZ))
    bursts = bursts[envelope[bursts] > _threshold(envelope, bursts)]
    return _on_r(qrs, bursts)


def _shared_slope(qrs: Samples) -> NDArray[np.float32]:
    """Smoothed slope of the eight independent leads, each on its own scale, so that no loud lead drowns the others."""
    slope = np.abs(np.diff(qrs[[0, 1, 6, 7, 8, 9, 10, 11]], axis=1, append=qrs[[0, 1, 6, 7, 8, 9, 10, 11], -1:]))
    width = round(_ENVELOPE_S * RATE_HZ)
    summed = np.cumsum(np.pad(slope, ((0, 0), (width // 2 + 1, width // 2))), axis=1, dtype=np.float64)
    smooth = (summed[:, width:] - summed[:, :-width]) / width
    smooth = smooth[:, : qrs.shape[1]]
    scale = np.partition(smooth, -max(1, smooth.shape[1] // 50), axis=1)[:, -max(1, smooth.shape[1] // 50)]
    mean = smooth.mean(axis=1)
    # A lead whose bursts stand out from its average says more about where the beats are.
    weight = np.where(scale > 1e-6, (scale / np.maximum(mean, 1e-9) - 1) ** 2 / np.maximum(scale, 1e-9), 0.0)
    return np.asarray(weight @ smooth / max(float((weight * scale).sum()), 1e-9), dtype=np.float32)


def _peaks_apart(envelope: NDArray[np.float32], distance: int) -> Indices:
    """Local maxima, of which the higher wins where two lie closer than `distance`."""
    inner = envelope[1:-1]
    tops = np.flatnonzero((inner > envelope[:-2]) & (inner >= envelope[2:])) + 1
    kept: list[int] = []
    for top in tops[np.argsort(-envelope[tops], kind="stable")]:
        if envelope[top] < 0.05:
            break
        if all(abs(int(top) - other) >= distance for other in kept):
            kept.append(int(top))
    return np.sort(np.array(kept, dtype=np.int64))


def _threshold(envelope: NDArray[np.float32], bursts: Indices) -> float:
    """Between the typical burst and the typical quiet."""
    if not bursts.size:
        return 0.0
    high = float(np.median(np.sort(envelope[bursts])[-max(1, bursts.size // 2) :]))
    quiet = float(np.median(envelope))
    return quiet + 0.35 * (high - quiet)


def _on_r(qrs: Samples, bursts: Indices) -> Indices:
    """Each burst's R: where the leads together are farthest from zero."""
    reach = round(_MATCH_S * RATE_HZ)
    power = np.einsum("ij,ij->j", qrs, qrs)
    padded = np.pad(power, reach)
    if not bursts.size:
        return bursts
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)[bursts]
    return np.unique(bursts - reach + windows.argmax(axis=1))


def _matched(signal_mv: Samples, peaks: Indices) -> tuple[Indices, tuple[BeatKind, ...], NDArray[np.float32]]:
    """The peaks shifted to where each beat's QRS best fits the typical one, its kind, and how well it fits."""
    if not peaks.size:
        return peaks, (), np.zeros(0, dtype=np.float32)
    reach, lag = round(_MATCH_S * RATE_HZ), round(_LAG_S * RATE_HZ)
    padded = np.pad(signal_mv, ((0, 0), (reach + lag, reach + lag)), mode="edge")
    spans = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=1)
    lags = peaks[:, None] + np.arange(2 * lag + 1)[None, :]
    # (beat, lag, lead x time), each without its own mean, so that the product with the template is a correlation.
    windows = spans[:, lags].transpose(1, 2, 0, 3)
    windows = windows - windows.mean(axis=3, keepdims=True)
    windows = windows.reshape(peaks.size, 2 * lag + 1, -1)
    windows /= np.maximum(np.linalg.norm(windows, axis=2, keepdims=True), 1e-9)
    template = _typical(windows[:, lag])
    fit = windows @ template
    best = fit.argmax(axis=1)
    template = _typical(windows[np.arange(peaks.size), best])
    fit = windows @ template
    best, correlation = fit.argmax(axis=1), fit.max(axis=1)
    aligned = peaks + best - lag
    return aligned, _kinds(aligned, correlation), correlation.astype(np.float32)


def _typical(beats: NDArray[np.float32]) -> NDArray[np.float32]:
    """The beat that resembles most others, averaged with those that resemble it."""
    alike = beats @ beats.T
    centre = int(np.argmax((alike > _ALIKE).sum(axis=1) + alike.mean(axis=1)))
    mean: NDArray[np.float32] = beats[alike[centre] >= min(_ALIKE, float(alike[centre].max()))].mean(axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-9)


def _kinds(r_samples: Indices, correlation: NDArray[np.float32]) -> tuple[BeatKind, ...]:
    """Ectopic is what looks different, or comes early and looks a little different."""
    rr = np.diff(r_samples, prepend=r_samples[0])
    typical_rr = float(np.median(rr[1:])) if rr.size > 1 else 0.0
    early = np.concatenate(([False], rr[1:] < _PREMATURE * typical_rr))
    ectopic = (correlation < _ALIKE) | (early & (correlation < 0.9))
    return tuple(BeatKind.ECTOPIC if each else BeatKind.NORMAL for each in ectopic)
