"""R peaks, rhythm, ectopic beats and the aligned median beat, from all leads together.

Everything here is at 500 Hz on band-passed signals, which `Beats` carries along so that nobody filters twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg import filters, native, rpeaks
from ecg.delineate import delineate
from ecg.leads import INDEPENDENT_ROWS
from ecg.measure import Measurements, of_beat
from ecg.middle import median
from ecg.recording import Samples, TwelveLead
from ecg.rpeaks import Indices

RATE_HZ: Final = 500.0
LOW_HZ: Final = 0.5
HIGH_HZ: Final = 150.0
ORDER: Final = 2
# 600 samples with R at sample 240: so lie the median beats of the 12SL program, which the paper's model was trained on.
BEFORE_MS: Final = 480.0
AFTER_MS: Final = 720.0
# The median needs no more beats than this; a longer recording gives its first ones.
MAX_MEDIAN_BEATS: Final = native.MOST_BEATS

BEAT_SAMPLES: Final = round((BEFORE_MS + AFTER_MS) * RATE_HZ / 1000)
_FINE_LAG_S: Final = 0.006
_R_REACH_S: Final = 0.06
_PREMATURE: Final = 0.8
_REGULAR_WITHIN: Final = 0.1
_REGULAR_SHARE: Final = 0.6
_TYPICAL_WITHIN: Final = 0.2
_IRREGULAR_FROM: Final = 0.1


class BeatKind(StrEnum):
    NORMAL = "normal"
    ECTOPIC = "ectopic"


@dataclass(frozen=True, slots=True, eq=False)
class Beats:
    """What was found, at 500 Hz. `signal_mv` is the whole recording, 0.5 to 150 Hz; R peaks are samples of it.

    `correlation` says how well each beat's QRS fits the typical one; `median_mv` is (12, 600) with R at sample 240.
    """

    signal_mv: Samples
    r_samples: Indices
    kinds: tuple[BeatKind, ...]
    correlation: NDArray[np.float32]
    median_mv: Samples | None
    sampling_rate_hz: float = RATE_HZ
    heart_rate_bpm: float | None = field(init=False)

    def __post_init__(self) -> None:
        for array in (self.signal_mv, self.r_samples, self.correlation, self.median_mv):
            if array is not None:
                array.flags.writeable = False
        object.__setattr__(self, "heart_rate_bpm", self._heart_rate_bpm())

    @property
    def rr_ms(self) -> NDArray[np.float64]:
        return np.asarray(self.r_samples[1:] - self.r_samples[:-1], np.float64) * (1000 / self.sampling_rate_hz)

    def _heart_rate_bpm(self) -> float | None:
        """Ventricular rate by the median interval, which a missed or an ectopic beat does not move.

        Where it lies far from the mean (bigeminy, block, pauses) no single interval is typical, and the mean is given.
        """
        if self.r_samples.size < 2:
            return None
        rr_ms = self.rr_ms
        typical, mean = median(rr_ms), float(rr_ms.mean())
        return 60_000 / (typical if abs(typical - mean) <= _TYPICAL_WITHIN * mean else mean)

    @property
    def irregularity(self) -> float:
        """How much each interval differs from the next, over the typical one: about 0.1 and more in fibrillation."""
        rr = self.rr_ms
        return median(np.abs(rr[1:] - rr[:-1])) / median(rr) if rr.size >= 3 else 0.0

    @property
    def normal_r_samples(self) -> Indices:
        return _normal(self.r_samples, self.kinds)


@dataclass(frozen=True, slots=True, eq=False)
class Filtered:
    """A recording at 500 Hz before its beats are known: `signal_mv` as in `Beats`, and of the QRS band every so many
    samples one."""

    signal_mv: Samples
    qrs: Samples
    sampling_rate_hz: float = RATE_HZ


def filtered(twelve: TwelveLead) -> Filtered:
    samples = filters.resample(filters.filled(twelve.samples_mv), twelve.sampling_rate_hz, RATE_HZ)
    bands = (LOW_HZ, HIGH_HZ, ORDER), (*rpeaks.QRS_BAND_HZ, ORDER)
    return Filtered(*filters.bands(samples, RATE_HZ, *bands, filters.DECIMATION))


def find(twelve: TwelveLead) -> Beats:
    """The beats of a recording; none at all when nothing in it stands out like a QRS complex."""
    return find_in(filtered(twelve))


def find_in(given: Filtered) -> Beats:
    signal_mv = given.signal_mv
    peaks = rpeaks.find(given.qrs, RATE_HZ / filters.DECIMATION) * filters.DECIMATION
    if not peaks.size:
        return Beats(signal_mv, peaks, (), np.zeros(0, dtype=np.float32), None)
    aligned = rpeaks.align(signal_mv, peaks, RATE_HZ, lag_s=_FINE_LAG_S)
    r_samples = np.minimum(np.maximum(aligned.at + _r_offset(aligned.typical), 0), signal_mv.shape[1] - 1)
    # Two peaks that the end of the recording pushes onto one sample are one beat.
    apart = np.concatenate([[True], r_samples[1:] > r_samples[:-1]])
    r_samples, correlation = r_samples[apart], aligned.correlation[apart]
    kinds = _kinds(r_samples, correlation)
    median_mv = median_beat(signal_mv, _normal(r_samples, kinds))
    return Beats(signal_mv, r_samples, kinds, correlation, median_mv)


def _normal(r_samples: Indices, kinds: tuple[BeatKind, ...]) -> Indices:
    chosen: Indices = r_samples[np.array([kind is BeatKind.NORMAL for kind in kinds], dtype=bool)]
    return chosen


def measure(beats: Beats) -> Measurements:
    """Rate from the rhythm, everything else from the median beat."""
    rate = beats.heart_rate_bpm
    if beats.median_mv is None:
        return Measurements(heart_rate_bpm=rate)
    rr = 60 * beats.sampling_rate_hz / rate if rate else beats.sampling_rate_hz
    r, irregular = round(BEFORE_MS * beats.sampling_rate_hz / 1000), beats.irregularity > _IRREGULAR_FROM
    waves = delineate(beats.median_mv, r, rr, beats.sampling_rate_hz, irregular=irregular)
    return of_beat(beats.median_mv, waves, rate, beats.sampling_rate_hz)


def _r_offset(typical: Samples) -> int:
    """From the middle of the typical complex to its R: where the leads together are farthest from zero."""
    middle, reach = typical.shape[1] // 2, round(_R_REACH_S * RATE_HZ)
    power = np.einsum("ij,ij->j", typical, typical)[middle - reach : middle + reach + 1]
    return int(power.argmax()) - reach


def _kinds(r_samples: Indices, correlation: NDArray[np.float32]) -> tuple[BeatKind, ...]:
    """Ectopic is a beat that looks different, or that comes early in a rhythm that is otherwise regular."""
    rr = (r_samples[1:] - r_samples[:-1]).astype(np.float64)
    early = np.zeros(r_samples.size, dtype=bool)
    if rr.size >= 3 and _is_regular(rr):
        early[1:] = rr < _PREMATURE * median(rr)
    ectopic = (correlation < rpeaks.ALIKE) | early
    return tuple(BeatKind.ECTOPIC if each else BeatKind.NORMAL for each in ectopic)


def _is_regular(rr: NDArray[np.float64]) -> bool:
    if not rr.size:
        return False
    middle = median(rr)
    return bool(np.mean(np.abs(rr - middle) <= _REGULAR_WITHIN * middle) >= _REGULAR_SHARE)


def median_beat(
    signal_mv: Samples, r_samples: Indices, before: int = round(BEFORE_MS / 2), after: int = round(AFTER_MS / 2)
) -> Samples | None:
    """The sample-wise median of the beats that lie wholly inside the recording; of all, edges held, when none does."""
    n = signal_mv.shape[1]
    whole = r_samples[(r_samples >= before) & (r_samples + after <= n)]
    if whole.size and native.compiled:
        return native.median_beat(signal_mv, whole[:MAX_MEDIAN_BEATS], before, after)
    if whole.size:
        return median_of([signal_mv[:, r - before : r + after] for r in whole[:MAX_MEDIAN_BEATS].tolist()])
    if not r_samples.size:
        return None
    span = np.arange(-before, after)
    return median_of([signal_mv[:, np.clip(r + span, 0, n - 1)] for r in r_samples[:MAX_MEDIAN_BEATS].tolist()])


def r_of_beat(beat_mv: Samples, rate_hz: float) -> int:
    """The R peak of one beat: where the leads are farthest from their usual level, near where they move most."""
    leads = beat_mv[INDEPENDENT_ROWS, :]
    moving = np.einsum("ij,ij->j", np.diff(leads), np.diff(leads))
    about, reach = int(moving.argmax()), round(_R_REACH_S * rate_hz)
    height = leads - np.median(leads, axis=1, keepdims=True)
    first = max(0, about - reach)
    power = np.einsum("ij,ij->j", height, height)[first : about + reach + 1]
    return first + int(power.argmax())


def median_of(arrays: list[Samples]) -> Samples:
    """The element-wise median by odd-even exchange: whole arrays are compared, far faster than sorting each column."""
    rows = [np.array(each) for each in arrays]
    count, middle = len(rows), len(rows) // 2
    spare = np.empty_like(rows[0])
    for turn in range(count):
        for low in range(turn % 2, count - 1, 2):
            np.minimum(rows[low], rows[low + 1], out=spare)
            np.maximum(rows[low], rows[low + 1], out=rows[low + 1])
            rows[low], spare = spare, rows[low]
    return rows[middle] if count % 2 else (rows[middle - 1] + rows[middle]) * np.float32(0.5)
