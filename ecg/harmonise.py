"""Recording -> TwelveLead: rename, order, units, derive missing limb leads; computes what the gate judges of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import Final

import numpy as np

from ecg import native
from ecg.errors import LeadsInconsistent, LeadsMissing, Malformed, RateUnsupported, UnitsUnknown
from ecg.filters import are_all_known
from ecg.guards import MAX_RATE_HZ, MIN_RATE_HZ
from ecg.leads import LEADS, LIMB, LIMB_FROM_I_II, PRECORDIAL, canonical_name
from ecg.middle import median
from ecg.recording import MV_PER, Recording, Samples, Source, TwelveLead, Unit, Waveform

# A lead that names its negative, as the Cabrera order does with -aVR.
_NEGATIVE: Final = re.compile(r"^\s*(?:[-−–]|\(-\)|minus\s)\s*|[\s_-]*(?:neg|inv)\s*$", re.IGNORECASE)
# A typical lead spans 0.1 to 20 mV from lowest to highest sample; far outside, the leads are in another unit.
_SMALLEST_SPAN_MV: Final = 0.02
_LARGEST_SPAN_MV: Final = 50.0
# A kilovolt: no amplifier gives it, in whatever unit, and squares of more would leave single precision.
_BEYOND_ANY_MV: Final = 1e6
_PLAUSIBLE_SPAN_MV: Final = (0.1, 20.0)
# A QRS complex cannot hide between samples this dense.
_SPAN_RATE_HZ: Final = 125.0
_CALIBRATION_STEP_S: Final = 0.1
_CALIBRATION_TOLERANCE_MV: Final = 0.05
_SHORTEST_PADDING_S: Final = 0.2


def to_twelve(recording: Recording) -> TwelveLead:
    """The recording in canonical order and millivolts, at its own rate; or the median beat of a file with no more."""
    beat = None if recording.median_beat is None else _harmonised(recording.median_beat, Source.MEDIAN_BEAT, None)
    if recording.rhythm is not None:
        return _harmonised(recording.rhythm, Source.RHYTHM, beat)
    if beat is None:
        raise Malformed("the file holds no ECG waveform", where="the file")
    return beat


def limb_residual(samples_mv: Samples) -> float:
    """How far the limb leads contradict Einthoven and Goldberger: the worst law's RMS error over the RMS of lead II.

    Offsets are left out, since devices filter each lead's baseline by itself. Where lead II is smaller than I or III
    the largest of the three is the yardstick, so that a near-flat lead II does not turn rounding into contradiction.
    """
    limb = samples_mv[:6]
    if not are_all_known(limb):
        limb = limb[:, np.isfinite(limb).all(axis=0)]
    if not limb.size:
        return 0.0
    if native.compiled:
        return sqrt(native.limb_residual(limb))
    limb = limb - limb.mean(axis=1, keepdims=True)
    i, ii, iii, avr, avl, avf = limb
    half = limb[:2] * np.float32(0.5)
    laws = (i + iii - ii, avr + half[0] + half[1], avl - i + half[1], avf - ii + half[0])
    yardstick = max(_square(lead) for lead in limb[:3])
    return sqrt(max(map(_square, laws)) / yardstick) if yardstick > 0 else 0.0


def _square(lead: Samples) -> float:
    return float(np.einsum("i,i->", lead, lead))


@dataclass(slots=True)
class _Leads:
    """The file's own leads by canonical name, and what had to be said about them."""

    by_name: dict[str, Samples]
    notes: list[str]


# Numbers beyond single precision become infinite on the way, and the check at its end refuses those.
@np.errstate(over="ignore", invalid="ignore")
def _harmonised(waveform: Waveform, source: Source, median_beat: TwelveLead | None) -> TwelveLead:
    _require_rate(waveform.sampling_rate_hz)
    to_mv = _mv_per(waveform.unit)
    found = _by_name(waveform)
    derived = _derive_limb_leads(found.by_name)
    # Leads that lie in this order already are taken as they lie.
    own = waveform.leads == LEADS
    samples_mv = waveform.samples if own else np.stack([found.by_name[name] for name in LEADS])
    if to_mv != 1.0:
        samples_mv = samples_mv * np.float32(to_mv)
    samples_mv = _without_calibration(samples_mv, waveform.sampling_rate_hz, found.notes)
    samples_mv = _without_padding(samples_mv, waveform.sampling_rate_hz, found.notes)
    _require_plausible_unit(samples_mv, waveform.sampling_rate_hz, waveform.unit)
    return TwelveLead(samples_mv, waveform.sampling_rate_hz, source, derived, median_beat, tuple(found.notes))


def _require_rate(rate_hz: float) -> None:
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise RateUnsupported(
            f"a sampling rate of {rate_hz:g} Hz; {MIN_RATE_HZ:g} to {MAX_RATE_HZ:g} Hz are read", rate_hz=rate_hz
        )


def _mv_per(unit: Unit) -> float:
    if unit not in MV_PER:
        raise UnitsUnknown("the file does not say what unit its samples are in")
    return MV_PER[unit]


def _by_name(waveform: Waveform) -> _Leads:
    found = _Leads({}, [])
    for label, samples in zip(waveform.leads, waveform.samples, strict=True):
        name, negative = _name_and_sign(label)
        if name is None:
            found.notes.append("a lead beyond the twelve was ignored")
            continue
        samples = -samples if negative else samples
        if name not in found.by_name:
            found.by_name[name] = samples
        elif not np.array_equal(found.by_name[name], samples, equal_nan=True):
            raise LeadsInconsistent(f"lead {name} is there twice, with different samples", leads=(name,))
    return found


@lru_cache(maxsize=256)  # files spell their leads in few ways
def _name_and_sign(label: str) -> tuple[str | None, bool]:
    bare = _NEGATIVE.sub("", label)
    return canonical_name(bare), bare != label.strip() and bare != label


def _derive_limb_leads(by_name: dict[str, Samples]) -> tuple[str, ...]:
    """Adds the limb leads that the file leaves out, from two that it has; returns their names."""
    present = [name for name in LIMB if name in by_name]
    missing = [name for name in LEADS if name not in by_name]
    lost = [name for name in missing if name in PRECORDIAL or len(present) < 2]
    if lost:
        raise LeadsMissing(f"leads missing: {', '.join(lost)}", leads=tuple(lost))
    if not missing:
        return ()
    first, second = present[:2]
    # The two leads as combinations of I and II, inverted: every limb lead from the two.
    basis = np.array([LIMB_FROM_I_II[first], LIMB_FROM_I_II[second]])
    weights = np.array([LIMB_FROM_I_II[name] for name in missing]) @ np.linalg.inv(basis)
    pair = by_name[first].astype(np.float64), by_name[second].astype(np.float64)
    for name, (of_first, of_second) in zip(missing, weights, strict=True):
        by_name[name] = (of_first * pair[0] + of_second * pair[1]).astype(np.float32)
    return tuple(missing)


def _without_calibration(samples_mv: Samples, rate_hz: float, notes: list[str]) -> Samples:
    """Without the second that some carts append, which ends in one 1 mV pulse of 0.2 s in every lead."""
    tenth = round(_CALIBRATION_STEP_S * rate_hz)
    tail = samples_mv[:, -4 * tenth :]
    if samples_mv.shape[1] <= 2 * rate_hz or not np.ptp(tail, axis=0).max() <= _CALIBRATION_TOLERANCE_MV:
        return samples_mv
    before, pulse, after = tail[0, : tenth - 1], tail[0, tenth + 1 : 3 * tenth - 1], tail[0, 1 - tenth :]
    for part, level_mv in ((before, 0.0), (pulse, 1.0), (after, 0.0)):
        if np.abs(part - level_mv).max() > _CALIBRATION_TOLERANCE_MV:
            return samples_mv
    notes.append("a calibration pulse at the end was cut off")
    return samples_mv[:, : -round(rate_hz)]


def _without_padding(samples_mv: Samples, rate_hz: float, notes: list[str]) -> Samples:
    """Without long stretches of zeros, or of nothing, in all leads at either end: some archives pad to one length.

    A last value held for a tenth of a second is left alone: devices end so, and a strip must not lose its length by it.
    """
    head, tail = _empty_run(samples_mv), _empty_run(samples_mv[:, ::-1])
    head, tail = (run if run >= _SHORTEST_PADDING_S * rate_hz else 0 for run in (head, tail))
    if head + tail == 0 or head + tail >= samples_mv.shape[1]:
        return samples_mv
    notes.append(f"{(head + tail) / rate_hz:.2f} s of padding was cut off")
    return samples_mv[:, head : samples_mv.shape[1] - tail]


def _empty_run(samples_mv: Samples) -> int:
    """For how many samples from the start on every lead is zero or missing."""
    first = samples_mv[:, 0]
    if not np.all((first == 0) | np.isnan(first)):
        return 0
    empty = np.all((samples_mv == 0) | np.isnan(samples_mv), axis=0)
    return samples_mv.shape[1] if empty.all() else int(np.argmin(empty))


def _require_plausible_unit(samples_mv: Samples, rate_hz: float, declared: Unit) -> None:
    """Refuses amplitudes that no heart makes in the declared unit but an ordinary one makes in another."""
    highest, lowest = np.fmax.reduce(samples_mv, axis=None), np.fmin.reduce(samples_mv, axis=None)
    farthest = max(float(highest), -float(lowest))
    if farthest > _BEYOND_ANY_MV:
        raise UnitsUnknown(f"samples of up to {farthest:.3g} mV as {declared.value}", declared=declared.value)
    thinned = samples_mv[:, :: max(1, int(rate_hz / _SPAN_RATE_HZ))]
    span_mv = median(np.ptp(thinned, axis=1))
    if not span_mv > 0 or _SMALLEST_SPAN_MV <= span_mv <= _LARGEST_SPAN_MV:
        return
    for unit, factor in MV_PER.items():
        if _PLAUSIBLE_SPAN_MV[0] <= span_mv / MV_PER[declared] * factor <= _PLAUSIBLE_SPAN_MV[1]:
            raise UnitsUnknown(
                f"a typical lead spans {span_mv:.3g} mV as {declared.value}; it would be ordinary as {unit.value}",
                declared=declared.value,
                plausible=unit.value,
            )
