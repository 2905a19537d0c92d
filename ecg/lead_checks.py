"""What the gate measures on the leads, all at once: without BLAS, whose threads cost more than they give."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg import native
from ecg.beats import BEFORE_MS, Beats
from ecg.leads import LEADS
from ecg.recording import Samples

Values = NDArray[np.float64]

_MAINS_HZ: Final = (50.0, 60.0)
_COARSE: Final = 8
_DENSE_HZ: Final = 250.0
# Two samples beyond a plateau a cut peak has fallen by this share of the lead's span, a round top has not.
_CUT_EDGE: Final = 0.03
_CUT_EDGE_STEPS: Final = 5  # and by so many of the lead's finest steps, where those are coarse
_DUPLICATE_CORRELATION: Final = 0.9999
_LATER: Final = np.triu(np.ones((len(LEADS), len(LEADS))), 1)  # each pair of leads once
_QRS_HALF_S: Final = 0.06
_BEAT_S: Final = (0.12, 0.2)
# A pacing spike: steeper than any heart, and over within a few milliseconds.
_SPIKE_MV: Final = 0.25
_SPIKE_S: Final = 0.003
_SPIKE_BEFORE_R_S: Final = (-0.2, -0.05)
# A tall spike is itself taken for the R peak; there it has to stand out from a QRS.
_SPIKE_AT_R_MV: Final = 0.8
_SPIKE_AT_R_S: Final = (-0.05, 0.01)
_SPIKED_SHARE: Final = 0.6
_SLOWEST_RATE_FOR_SPIKES_HZ: Final = 400.0


@dataclass(frozen=True, slots=True, eq=False)
class Clipped:
    """Per lead: `share` of samples in a run at the lead's own highest or lowest value; `cut` peaks that end flat there.

    A run is three samples, or two where samples lie far apart; of a cut peak, three. A flat lead has neither.
    """

    share: Values
    cut: Values


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What is measured on every lead as it came."""

    spread: Values
    clipped: Clipped
    wander: Values
    mains: Values


def facts(samples_mv: Samples, rate_hz: float) -> Facts:
    if not native.compiled:
        return Facts(
            spread(samples_mv), clipped(samples_mv, rate_hz), wander(samples_mv, rate_hz), mains(samples_mv, rate_hz)
        )
    waves = _mains_waves(samples_mv.shape[1], rate_hz)
    found = native.lead_facts(samples_mv, _run_at_rail(rate_hz), _second(rate_hz), waves)
    none = np.zeros(len(found))
    at_rail = clipped(samples_mv, rate_hz) if found[:, 3].any() else Clipped(none, none)
    return Facts(found[:, 0], at_rail, found[:, 1], found[:, 2])


def spread(samples_mv: Samples) -> Values:
    """Standard deviation of each lead."""
    mean = samples_mv.mean(axis=1, keepdims=True)
    centred = samples_mv - mean
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", centred, centred) / samples_mv.shape[1]), dtype=np.float64)


def height(signal_mv: Samples) -> Values:
    """Farthest from zero that each lead goes."""
    if native.compiled:
        return np.asarray(native.height(signal_mv), dtype=np.float64)
    return np.asarray(np.maximum(signal_mv.max(axis=1), -signal_mv.min(axis=1)), dtype=np.float64)


def clipped(samples_mv: Samples, rate_hz: float) -> Clipped:
    run = _run_at_rail(rate_hz)
    share, cut = np.zeros(samples_mv.shape[0]), np.zeros(samples_mv.shape[0])
    if samples_mv.shape[1] < run:
        return Clipped(share, cut)
    highest, lowest = samples_mv.max(axis=1, keepdims=True), samples_mv.min(axis=1, keepdims=True)
    span = (highest - lowest)[:, 0]
    for rail in (highest, lowest):
        at = samples_mv == rail
        some = np.bincount(np.flatnonzero(at) // at.shape[1], minlength=at.shape[0]) >= run
        if not (some & (span > 0)).any():  # so it is with nearly every recording
            continue
        together = at[:, 1:] & at[:, :-1]
        in_run = (together[:, 1:] & at[:, :-2] if run == 3 else together).mean(axis=1)
        share = np.maximum(share, np.where(some & (span > 0), in_run, 0.0))
        for row in np.flatnonzero(some & (span > 0)):
            cut[row] += _cut_peaks(samples_mv[row], at[row])
    return Clipped(share, cut)


def _run_at_rail(rate_hz: float) -> int:
    return 3 if rate_hz >= _DENSE_HZ else 2


def _cut_peaks(lead: NDArray[np.float32], at_rail: NDArray[np.bool_]) -> int:
    """Runs of three samples and more at the rail that the lead enters and leaves steeply, as no round top does."""
    change = np.flatnonzero(np.diff(at_rail, prepend=False, append=False))
    first, after = change[0::2], change[1::2]
    whole = (after - first >= 3) & (first >= 2) & (after + 2 <= lead.size)
    first, after = first[whole], after[whole]
    if not first.size:
        return 0
    before_it, behind_it = np.abs(lead[first - 2] - lead[first]), np.abs(lead[after + 1] - lead[first])
    steps = np.abs(np.diff(lead))
    finest = float(steps[steps > 1e-3 * float(np.ptp(lead))].min())
    edge_mv = max(_CUT_EDGE * float(np.ptp(lead)), _CUT_EDGE_STEPS * finest)
    return int((np.minimum(before_it, behind_it) > edge_mv).sum())


def wander(samples_mv: Samples, rate_hz: float) -> Values:
    """Span of the one-second averages."""
    width = _second(rate_hz)
    whole = samples_mv.shape[1] // width * width
    if whole == 0:
        return np.zeros(samples_mv.shape[0])
    averages = samples_mv[:, :whole].reshape(samples_mv.shape[0], -1, width).mean(axis=2)
    return np.asarray(np.ptp(averages, axis=1), dtype=np.float64)


def _second(rate_hz: float) -> int:
    return max(1, round(rate_hz))


def noise(samples_mv: Samples, beats: Beats, rate_hz: float) -> Values:
    """Typical size of what changes sign from sample to sample: between beats a heart leaves next to none.

    Looked for below 150 Hz; a slower recording holds nothing above, and resampling would smooth away what it holds.
    """
    # One sample in three says as much as all of them.
    signal_mv, step = (beats.signal_mv, 3) if rate_hz >= _DENSE_HZ else (samples_mv, 1)
    if signal_mv.shape[1] < 3:
        return np.zeros(signal_mv.shape[0])
    if native.compiled:
        return np.asarray(native.roughness(signal_mv, step), dtype=np.float64) / 0.6745
    middle = signal_mv[:, 1:-1:step]
    rough = np.abs(middle - 0.5 * (signal_mv[:, :-2:step] + signal_mv[:, 2::step]))
    rank = rough.shape[1] // 2
    # The median of absolute values is 0.67 SD of a Gaussian, and the QRS complexes do not move it.
    return np.asarray(np.partition(rough, rank, axis=1)[:, rank] / 0.6745, dtype=np.float64)


def mains(samples_mv: Samples, rate_hz: float) -> Values:
    """Amplitude of the stronger of 50 and 60 Hz."""
    waves = _mains_waves(samples_mv.shape[1], rate_hz)
    if not waves.size:
        return np.zeros(samples_mv.shape[0])
    amplitude = np.einsum("it,kt->ik", samples_mv, waves).astype(np.float64) * 2 / samples_mv.shape[1]
    # Cosine and sine of one frequency together, then the stronger frequency.
    return np.asarray(np.sqrt(amplitude[:, 0::2] ** 2 + amplitude[:, 1::2] ** 2).max(axis=1))


@lru_cache(maxsize=32)
def _mains_waves(samples: int, rate_hz: float) -> Samples:
    time = np.arange(samples) / rate_hz
    waves = [
        wave(2 * np.pi * frequency * time)
        for frequency in _MAINS_HZ
        if frequency < rate_hz / 2
        for wave in (np.cos, np.sin)
    ]
    return np.array(waves, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """How the leads run together, on every eighth sample: sums of products of two leads, as they are and centred."""

    products: Values  # (12, 12)
    centred: Values


def together(signal_mv: Samples) -> Together:
    coarse = signal_mv[:, ::_COARSE]
    total, count = coarse.sum(axis=1, dtype=np.float64), coarse.shape[1]
    if native.compiled:
        products = native.products(coarse, np.array([[0, count]]))[0]
    else:
        wide = coarse.astype(np.float64)
        products = np.einsum("it,jt->ij", wide, wide)
    return Together(products, products - total[:, None] * total / count)


def copies(leads: Together) -> tuple[str, str] | None:
    """Names of two leads with one signal; two flat leads are flat, not copies."""
    size = np.sqrt(np.maximum(leads.centred.diagonal(), 0))
    alive = size > max(float(size.max()) * 1e-3, 1e-6)
    # What is not alive has a length of 1 in the division and of 0 beside it, and so is like nothing.
    alike = (leads.centred * _LATER) / np.where(alive, size, 1.0) / np.where(alive, size, np.inf)[:, None]
    first, second = divmod(int(alike.argmax()), len(LEADS))
    if alike[first, second] <= _DUPLICATE_CORRELATION or abs(size[first] - size[second]) > 1e-2 * size[second]:
        return None
    return LEADS[first], LEADS[second]


def has_second_axis(leads: Together, least: float) -> bool:
    """Whether a share of the signal leaves the direction that holds most of it: second over first singular value."""
    # The first eigenvalue is at most the root of all squares, and the second at least a fair part of the rest.
    most = float(np.sqrt(np.einsum("ij,ij->", leads.products, leads.products)))
    rest = float(np.einsum("ii->", leads.products)) - most
    if rest > least**2 * most * (len(LEADS) - 1):
        return True
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(leads.products), 0))
    return bool(values[-1] > 0 and values[-2] >= least * values[-1])


def peakedness(beats: Beats) -> float:
    """Mean slope inside the QRS complexes over the mean slope of everything, all leads together."""
    half = round(_QRS_HALF_S * beats.sampling_rate_hz / 2)
    if native.compiled:
        return native.peakedness(beats.signal_mv, beats.r_samples, half)
    slope = np.abs(np.diff(beats.signal_mv[:, ::2], axis=1)).sum(axis=0)
    inside = np.zeros(slope.size, dtype=bool)
    for r in (beats.r_samples // 2).tolist():
        inside[max(0, r - half) : r + half] = True
    overall = float(slope.mean())
    return float(slope[inside].mean()) / overall if overall > 0 and inside.any() else 0.0


def likeness(beats: Beats) -> Values:
    """Per lead: mean correlation of its beats with its own median beat, from 0 to 1."""
    before, after = (round(each * beats.sampling_rate_hz) for each in _BEAT_S)
    r_samples = beats.r_samples
    inside = r_samples[(r_samples >= before) & (r_samples + after <= beats.signal_mv.shape[1])]
    if beats.median_mv is None or r_samples.size < 2 or not inside.size:
        return np.zeros(len(LEADS))
    middle = round(BEFORE_MS / 1000 * beats.sampling_rate_hz)
    if native.compiled:
        alike = native.likeness(beats.signal_mv, inside, before, after, beats.median_mv, middle)
        return np.asarray(np.clip(alike, 0, 1))
    template = beats.median_mv[:, middle - before : middle + after : 2]
    windows = beats.signal_mv[:, inside[:, None] + np.arange(-before, after, 2)]
    windows = windows - windows.mean(axis=2, keepdims=True)
    template = template - template.mean(axis=1, keepdims=True)
    product = np.einsum("lbt,lt->lb", windows, template)
    size = np.sqrt(np.einsum("lbt,lbt->lb", windows, windows) * np.einsum("lt,lt->l", template, template)[:, None])
    return np.asarray(np.clip((product / np.maximum(size, 1e-9)).mean(axis=1), 0, 1), dtype=np.float64)


def pacing_spikes(samples_mv: Samples, rate_hz: float, beats: Beats) -> int:
    """How many beats follow a spike, where at least half of them do; 0 at rates too low to show one."""
    if rate_hz < _SLOWEST_RATE_FOR_SPIKES_HZ:
        return 0
    width = max(1, round(_SPIKE_S * rate_hz))
    ends, sharp = native.steep(samples_mv, width, _SPIKE_MV) if native.compiled else _steep(samples_mv, width)
    if not (sharp > _SPIKE_MV).any():
        return 0
    moments = ends / rate_hz
    r_s = beats.r_samples / beats.sampling_rate_hz
    spiked = np.zeros(r_s.size, dtype=bool)
    for threshold_mv, (first_s, last_s) in ((_SPIKE_MV, _SPIKE_BEFORE_R_S), (_SPIKE_AT_R_MV, _SPIKE_AT_R_S)):
        after = moments[sharp > threshold_mv] - r_s[:, None]
        spiked |= ((after > first_s) & (after < last_s)).any(axis=1)
    return int(spiked.sum()) if spiked.mean() >= _SPIKED_SHARE else 0


def _steep(samples_mv: Samples, width: int) -> tuple[NDArray[np.int64], Samples]:
    """Where a rise ends that is steep enough to be looked at, and how sharply it turns: most are QRS flanks."""
    rise = samples_mv[:, width:] - samples_mv[:, :-width]
    # A lead that is missing there says nothing, and leaves the word to the others.
    steep = np.flatnonzero(np.fmax.reduce(np.abs(rise), axis=0)[:-width] > _SPIKE_MV)
    # Up and down again within the width: high on both sides of a narrow peak, near nothing on a QRS flank.
    before, after = rise[:, steep], -rise[:, steep + width]
    sharp = np.where(before * after > 0, np.minimum(np.abs(before), np.abs(after)), np.float32(0))
    return steep + width, sharp.max(axis=0, initial=0.0)
