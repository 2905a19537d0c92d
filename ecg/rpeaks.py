"""Where the QRS complexes are: bursts of slope that the leads share, aligned on each other by correlation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg import native
from ecg.filters import windows_of
from ecg.leads import INDEPENDENT_ROWS
from ecg.middle import median
from ecg.recording import Samples

QRS_BAND_HZ: Final = (5.0, 20.0)
# A complex as different as this from the typical one did not begin in the same place.
ALIKE: Final = 0.8

_SIMILAR: Final = 0.5
_ENVELOPE_S: Final = 0.096
_REFRACTORY_S: Final = 0.24
_FAINTEST_BURST: Final = 0.05
_BURST_ABOVE_QUIET: Final = 0.25
_T_WITHIN_S: Final = 0.42
_T_STEEPNESS: Final = 0.2
_MATCH_S: Final = 0.096
_COARSE_LAG_S: Final = 0.104
_TYPICAL_OF: Final = 64
_EDGE_S: Final = 0.12

Indices = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """Beats shifted to where their QRS fits the typical one, how well it fits, and the typical one (lead, time)."""

    at: Indices
    correlation: Floats
    typical: Samples


def find(qrs: Samples, rate_hz: float) -> Indices:
    """R peaks of band-passed leads (`QRS_BAND_HZ`); none when nothing stands out from the quiet."""
    envelope = shared_slope(qrs, rate_hz)
    bursts = _bursts(qrs, envelope, rate_hz)
    if not bursts.size:
        return bursts
    coarse = align(qrs, bursts, rate_hz, lag_s=_COARSE_LAG_S)
    # A beat that looks different has no better place than its own peak.
    at = np.where(coarse.correlation >= _SIMILAR, coarse.at, bursts)
    # A burst cut by an end of the recording that fits no beat is the cut, not a beat.
    edge = round(_EDGE_S * rate_hz)
    cut = ((at < edge) | (at >= qrs.shape[1] - edge)) & (coarse.correlation < ALIKE)
    kept: Indices = at[~cut]
    return kept


def shared_slope(qrs: Samples, rate_hz: float) -> Floats:
    """Smoothed slope of the leads, about 1 at a QRS; each on its own scale, so that no loud one drowns the others."""
    half, n = round(_ENVELOPE_S * rate_hz) // 2, qrs.shape[1]
    if native.compiled:
        return native.shared_slope(qrs, half)
    qrs = qrs[INDEPENDENT_ROWS, :]
    slope = np.zeros((qrs.shape[0], n + 2 * half + 1), dtype=np.float32)
    np.abs(qrs[:, 1:] - qrs[:, :-1], out=slope[:, half + 1 : half + n])
    # A running mean as the difference of running sums.
    summed = np.cumsum(slope, axis=1, dtype=np.float64)
    smooth = (summed[:, 2 * half + 1 :] - summed[:, : -2 * half - 1]) / (2 * half + 1)
    rank = smooth.shape[1] - max(1, smooth.shape[1] // 50)
    scale = np.partition(smooth, rank, axis=1)[:, rank]
    # A lead whose bursts stand out from its average says more about where the beats are.
    peakedness = np.maximum(scale / np.maximum(smooth.mean(axis=1), 1e-9) - 1, 0) ** 2 * (scale > 1e-6)
    weight = peakedness / np.maximum(scale, 1e-9) / max(float(peakedness.sum()), 1e-9)
    shared: Floats = np.einsum("l,lt->t", weight, smooth).astype(np.float32)
    return shared


def _bursts(qrs: Samples, envelope: Floats, rate_hz: float) -> Indices:
    """Bursts of the shared slope that are no T waves, on their R."""
    distance, reach, half = (round(each * rate_hz) for each in (_REFRACTORY_S, _MATCH_S, _ENVELOPE_S))
    around = -half // 2, half // 2
    if native.compiled:
        return native.bursts(
            qrs, envelope, distance=distance, faintest=_FAINTEST_BURST, above=_BURST_ABOVE_QUIET, around=around,
            soon=_T_WITHIN_S * rate_hz, less=_T_STEEPNESS**2, reach=reach,
        )  # fmt: skip
    bursts = _peaks_apart(envelope, distance)
    if not bursts.size:
        return bursts
    bursts = _without_t_waves(qrs, bursts[envelope[bursts] > _threshold(envelope, bursts)], around, rate_hz)
    return _on_r(qrs, bursts, reach)


def _peaks_apart(envelope: Floats, distance: int) -> Indices:
    """Local maxima, of which the higher wins where two lie closer than `distance`."""
    inner = envelope[1:-1]
    tops = np.flatnonzero((inner > envelope[:-2]) & (inner >= envelope[2:]) & (inner > _FAINTEST_BURST)) + 1
    free = np.ones(envelope.size, dtype=bool)
    kept: list[int] = []
    for top in tops[np.argsort(-envelope[tops], kind="stable")].tolist():
        if free[top]:
            kept.append(top)
            free[max(0, top - distance + 1) : top + distance] = False
    return np.array(sorted(kept), dtype=np.int64)


def _threshold(envelope: Floats, bursts: Indices) -> float:
    """A quarter of the way from the quiet to the typical larger burst: above T waves, below wide ectopic beats."""
    larger = np.sort(envelope[bursts])[-((bursts.size + 1) // 2) :]
    quiet = median(envelope)
    return quiet + _BURST_ABOVE_QUIET * (median(larger) - quiet)


def _without_t_waves(qrs: Samples, bursts: Indices, near: tuple[int, int], rate_hz: float) -> Indices:
    """Leads with a small QRS and a large T make a burst of both; in volts the T wave is far less steep."""
    change = np.diff(qrs, axis=1, append=qrs[:, -1:])
    power = np.einsum("ij,ij->j", change, change)
    around = np.arange(near[0], near[1] + 1)
    steep = power[np.clip(bursts[:, None] + around, 0, power.size - 1)].max(axis=1).tolist()
    kept: list[int] = []
    for burst in range(bursts.size):
        soon = bool(kept) and bursts[burst] - bursts[kept[-1]] < _T_WITHIN_S * rate_hz
        if not (soon and steep[burst] < _T_STEEPNESS**2 * steep[kept[-1]]):
            kept.append(burst)
    return bursts[kept] if kept else bursts


def _on_r(qrs: Samples, bursts: Indices, reach: int) -> Indices:
    """Each burst's R: where the leads together are farthest from zero."""
    power = np.einsum("ij,ij->j", qrs, qrs)
    around = np.clip(bursts[:, None] + np.arange(-reach, reach + 1), 0, power.size - 1)
    at = around[np.arange(bursts.size), power[around].argmax(axis=1)]
    once: Indices = at[np.diff(at, prepend=-1) > 0]
    return once


def align(samples: Samples, peaks: Indices, rate_hz: float, *, lag_s: float) -> Aligned:
    """Each beat moved by at most `lag_s` to where it best fits the typical one, over all independent leads at once."""
    reach, lag = round(_MATCH_S * rate_hz), round(lag_s * rate_hz)
    if native.compiled:
        best, correlation, typical = native.align(samples, peaks, reach, lag, ALIKE, _TYPICAL_OF)
        return Aligned(peaks + best - lag, correlation, typical)
    leads = samples[INDEPENDENT_ROWS, :]
    around = np.clip(peaks[:, None] + np.arange(-reach - lag, reach + lag + 1), 0, leads.shape[1] - 1)
    # (beat, lead, time) around each peak without the lead's mean, then every lag of it: (beat, lag, lead x time).
    wide = leads[:, around].transpose(1, 0, 2)
    wide = np.subtract(wide, wide.mean(axis=2, keepdims=True), order="C")
    lags = windows_of(wide, 2 * reach + 1)
    windows = np.ascontiguousarray(lags.transpose(0, 2, 1, 3)).reshape(peaks.size, 2 * lag + 1, -1)
    # With unit length, a product with the template is a correlation.
    windows /= np.maximum(np.sqrt(np.einsum("blt,blt->bl", windows, windows)), 1e-9)[:, :, None]
    best = _fit(windows, _typical(windows[:, lag])).argmax(axis=1)
    typical = _typical(windows[np.arange(peaks.size), best])
    fit = _fit(windows, typical)
    best = fit.argmax(axis=1)
    correlation = fit[np.arange(peaks.size), best]
    return Aligned(peaks + best - lag, correlation.astype(np.float32), typical.reshape(leads.shape[0], -1))


def _fit(windows: Floats, typical: Floats) -> Floats:
    """Correlation of each beat at each lag. Not by BLAS, whose threads cost more than they save on beats this small."""
    fit: Floats = np.einsum("blt,t->bl", windows, typical)
    return fit


def _typical(beats: Floats) -> Floats:
    """The mean of the largest group of beats that look alike, of the first so many beats."""
    beats = beats[:_TYPICAL_OF]
    alike = np.einsum("ik,jk->ij", beats, beats)
    centre = int(np.argmax((alike > ALIKE).sum(axis=1) + alike.mean(axis=1)))
    mean: Floats = beats[alike[centre] >= ALIKE].mean(axis=0) if alike[centre, centre] >= ALIKE else beats[centre]
    return mean / np.float32(max(float(np.sqrt(np.einsum("k,k->", mean, mean))), 1e-9))
