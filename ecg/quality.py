"""The gate: TwelveLead and limits -> QualityReport with machine-readable reasons."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg import filters
from ecg.beats import Beats
from ecg.contract import QualityLimits
from ecg.errors import QualityRejected
from ecg.harmonise import limb_residual
from ecg.leads import LEADS
from ecg.recording import Samples, Source, TwelveLead

# What the shipped recipes use; each artefact states its own in the contract.
RECOMMENDED: Final = QualityLimits(
    min_duration_s=7.0,
    max_amplitude_mv=15.0,
    flat_below_mv=0.01,
    max_clipped_fraction=0.01,
    max_baseline_mv=2.0,
    max_noise_mv=0.08,
    max_mains_mv=0.15,
    max_einthoven_residual=0.25,
    min_heart_rate_bpm=25.0,
    max_heart_rate_bpm=220.0,
    min_beat_correlation=0.75,
    max_masked_leads=2,
    refuse_paced=True,
)

_MAINS_HZ: Final = (50.0, 60.0)
_FEWEST_BEATS: Final = 3
_LOWEST_PEAKEDNESS: Final = 2.0
_QRS_HALF_S: Final = 0.06
_DUPLICATE_CORRELATION: Final = 0.99999
_LEAST_SECOND_AXIS: Final = 0.02


class Verdict(StrEnum):
    GOOD = "good"
    LIMITED = "limited"
    REJECTED = "rejected"


class IssueCode(StrEnum):
    NON_FINITE = "non_finite"
    FLAT = "flat"
    CLIPPED = "clipped"
    NOISE = "noise"
    BASELINE = "baseline"
    MAINS = "mains"
    IMPLAUSIBLE_AMPLITUDE = "implausible_amplitude"
    TOO_SHORT = "too_short"
    IMPLAUSIBLE_RATE = "implausible_rate"
    LEADS_INCONSISTENT = "leads_inconsistent"
    DUPLICATE_LEADS = "duplicate_leads"
    NOT_AN_ECG = "not_an_ecg"


@dataclass(frozen=True, slots=True)
class Issue:
    """`lead` is None where the whole recording is meant. `detail` gives the number and the limit."""

    code: IssueCode
    lead: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class LeadQuality:
    """`sqi` from 0 to 1: how alike this lead's beats are."""

    sqi: float
    issues: tuple[IssueCode, ...]


@dataclass(frozen=True, slots=True)
class QualityReport:
    verdict: Verdict
    issues: tuple[Issue, ...]
    leads: dict[str, LeadQuality]

    @property
    def lead_mask(self) -> NDArray[np.bool_]:
        """The leads that the model may use."""
        return np.array([not self.leads[name].issues for name in LEADS])

    def require(self) -> None:
        if self.verdict is Verdict.REJECTED:
            codes = sorted({issue.code.value for issue in self.issues})
            raise QualityRejected(f"the recording cannot be judged: {', '.join(codes)}", report=self)


def inspect(twelve: TwelveLead, limits: QualityLimits, beats: Beats) -> QualityReport:
    """Every issue of every lead and of the recording. A few bad leads limit the answer; more of them refuse it."""
    by_lead = _lead_issues(twelve, limits, beats)
    of_recording = [*_recording_issues(twelve, limits, beats)]
    sqi = _likeness(beats)
    leads = {
        name: LeadQuality(round(float(sqi[row]), 3), tuple(issue.code for issue in by_lead if issue.lead == name))
        for row, name in enumerate(LEADS)
    }
    bad = sum(bool(lead.issues) for lead in leads.values())
    verdict = Verdict.LIMITED if bad else Verdict.GOOD
    if of_recording or bad > limits.max_masked_leads:
        verdict = Verdict.REJECTED
    return QualityReport(verdict, (*of_recording, *by_lead), leads)


def _lead_issues(twelve: TwelveLead, limits: QualityLimits, beats: Beats) -> list[Issue]:
    raw = twelve.samples_mv
    missing = ~np.isfinite(raw).all(axis=1)
    known = filters.filled(raw)
    extent = np.ptp(known, axis=1)
    checks = (
        (IssueCode.NON_FINITE, missing, np.mean(~np.isfinite(raw), axis=1), 0.0, "share of samples missing"),
        (IssueCode.FLAT, known.std(axis=1) < limits.flat_below_mv, known.std(axis=1), limits.flat_below_mv, "mV SD"),
        _above(IssueCode.IMPLAUSIBLE_AMPLITUDE, np.abs(beats.signal_mv).max(axis=1), limits.max_amplitude_mv, "mV"),
        _above(IssueCode.CLIPPED, _clipped(known, extent), limits.max_clipped_fraction, "of samples at a rail"),
        _above(IssueCode.BASELINE, _wander(known, twelve.sampling_rate_hz), limits.max_baseline_mv, "mV of wander"),
        _above(IssueCode.NOISE, _noise(beats.signal_mv), limits.max_noise_mv, "mV of noise"),
        _above(IssueCode.MAINS, _mains(known, twelve.sampling_rate_hz), limits.max_mains_mv, "mV of mains hum"),
    )
    return [
        Issue(code, LEADS[row], f"{value[row]:.3g} {what}, limit {limit:g}")
        for code, wrong, value, limit, what in checks
        for row in np.flatnonzero(wrong)
    ]


def _above(
    code: IssueCode, value: NDArray[np.floating], limit: float, what: str
) -> tuple[IssueCode, NDArray[np.bool_], NDArray[np.floating], float, str]:
    return code, value > limit, value, limit, what


def _recording_issues(twelve: TwelveLead, limits: QualityLimits, beats: Beats) -> list[Issue]:
    issues = []
    residual = limb_residual(filters.filled(twelve.samples_mv))
    if residual > limits.max_einthoven_residual:
        issues.append(
            Issue(
                IssueCode.LEADS_INCONSISTENT, None,
                f"limb leads contradict each other by {residual:.0%}, limit {limits.max_einthoven_residual:.0%}",
            )
        )  # fmt: skip
    copies = _copies(beats.signal_mv)
    if copies:
        issues.append(Issue(IssueCode.DUPLICATE_LEADS, None, f"the same signal under two names: {copies}"))
    if twelve.source is Source.MEDIAN_BEAT:
        return issues
    if twelve.duration_s < limits.min_duration_s:
        detail = f"{twelve.duration_s:.1f} s, at least {limits.min_duration_s:g} s are needed"
        return [*issues, Issue(IssueCode.TOO_SHORT, None, detail)]
    unlike = _unlike_an_ecg(beats, limits)
    if unlike:
        return [*issues, Issue(IssueCode.NOT_AN_ECG, None, unlike)]
    rate = beats.heart_rate_bpm
    if rate is None or not limits.min_heart_rate_bpm <= rate <= limits.max_heart_rate_bpm:
        told = "no rate" if rate is None else f"{rate:.0f} bpm"
        allowed = f"{limits.min_heart_rate_bpm:g} to {limits.max_heart_rate_bpm:g}"
        issues.append(Issue(IssueCode.IMPLAUSIBLE_RATE, None, f"{told}; plausible is {allowed} bpm"))
    return issues


def _unlike_an_ecg(beats: Beats, limits: QualityLimits) -> str | None:
    """Why this is no ECG: no beats, beats that are all different, no sharp complex, or one signal in every lead."""
    if beats.r_samples.size < _FEWEST_BEATS:
        return f"{beats.r_samples.size} beats found, at least {_FEWEST_BEATS} are needed"
    alike = float(np.median(beats.correlation))
    if alike < limits.min_beat_correlation:
        return f"beats resemble each other by {alike:.2f} only, at least {limits.min_beat_correlation:g} is needed"
    sharp = _peakedness(beats)
    if sharp < _LOWEST_PEAKEDNESS:
        return f"no complex stands out: its slope is {sharp:.1f} times the average, at least {_LOWEST_PEAKEDNESS:g}"
    second = _second_axis(beats.signal_mv)
    if second < _LEAST_SECOND_AXIS:
        return "every lead shows one and the same signal, which no heart gives"
    return None


def _peakedness(beats: Beats) -> float:
    """Mean slope inside the QRS complexes over the mean slope of everything, all leads together."""
    slope = np.abs(np.diff(beats.signal_mv)).sum(axis=0)
    half = round(_QRS_HALF_S * beats.sampling_rate_hz)
    inside = np.zeros(slope.size, dtype=bool)
    for r in beats.r_samples.tolist():
        inside[max(0, r - half) : r + half] = True
    overall = float(slope.mean())
    return float(slope[inside].mean()) / overall if overall > 0 else 0.0


def _second_axis(signal_mv: Samples) -> float:
    """How much of the signal leaves the one direction that holds most of it: second over first singular value."""
    cross = signal_mv[:, ::4] @ signal_mv[:, ::4].T
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(cross.astype(np.float64)), 0))
    return float(values[-2] / values[-1]) if values[-1] > 0 else 0.0


def _copies(signal_mv: Samples) -> str | None:
    """Names of two leads with one signal; two flat leads are flat, not copies."""
    centred = signal_mv - signal_mv.mean(axis=1, keepdims=True)
    size = np.sqrt(np.einsum("ij,ij->i", centred, centred))
    alive = size > size.max() * 1e-3
    unit = centred / np.maximum(size, 1e-9)[:, None]
    alike = np.triu(unit @ unit.T, 1) * alive * alive[:, None]
    first, second = np.unravel_index(int(alike.argmax()), alike.shape)
    close = np.isclose(size[first], size[second], rtol=1e-3)
    return f"{LEADS[first]} and {LEADS[second]}" if alike[first, second] > _DUPLICATE_CORRELATION and close else None


def _clipped(samples_mv: Samples, extent: NDArray[np.floating]) -> NDArray[np.floating]:
    """Share of samples that stay at the lead's own highest or lowest value for three in a row."""
    high = samples_mv >= samples_mv.max(axis=1, keepdims=True)
    low = samples_mv <= samples_mv.min(axis=1, keepdims=True)
    runs = [at[:, 2:] & at[:, 1:-1] & at[:, :-2] for at in (high, low)]
    share: NDArray[np.floating] = np.maximum(runs[0].mean(axis=1), runs[1].mean(axis=1))
    return np.where(extent > 0, share, 0.0)


def _wander(samples_mv: Samples, rate_hz: float) -> NDArray[np.floating]:
    """Span of the one-second averages."""
    width = max(1, round(rate_hz))
    whole = samples_mv.shape[1] // width * width
    if whole == 0:
        return np.zeros(samples_mv.shape[0])
    averages = samples_mv[:, :whole].reshape(samples_mv.shape[0], -1, width).mean(axis=2)
    return np.asarray(np.ptp(averages, axis=1))


def _noise(signal_mv: Samples) -> NDArray[np.floating]:
    """Typical size of what changes sign from sample to sample: between beats a heart leaves next to none."""
    rough = signal_mv[:, 1:-1] - 0.5 * (signal_mv[:, :-2] + signal_mv[:, 2:])
    # The median of absolute values is 0.67 SD of a Gaussian, and the QRS complexes do not move it.
    return np.asarray(np.median(np.abs(rough), axis=1) / 0.6745)


def _mains(samples_mv: Samples, rate_hz: float) -> NDArray[np.floating]:
    """Amplitude of the stronger of 50 and 60 Hz."""
    time = np.arange(samples_mv.shape[1]) / rate_hz
    amplitudes = []
    for frequency in _MAINS_HZ:
        if frequency < rate_hz / 2:
            wave = np.exp(-2j * np.pi * frequency * time).astype(np.complex64)
            amplitudes.append(2 * np.abs(samples_mv @ wave) / samples_mv.shape[1])
    return np.max(amplitudes, axis=0) if amplitudes else np.zeros(samples_mv.shape[0])


def _likeness(beats: Beats) -> NDArray[np.floating]:
    """Per lead: mean correlation of its beats with its own median beat, from 0 to 1."""
    if beats.median_mv is None or beats.r_samples.size < 2:
        return np.zeros(len(LEADS))
    before, after = 60, 100
    middle = 240
    template = beats.median_mv[:, middle - before : middle + after]
    inside = beats.r_samples[(beats.r_samples >= before) & (beats.r_samples + after <= beats.signal_mv.shape[1])]
    if not inside.size:
        return np.zeros(len(LEADS))
    windows = beats.signal_mv[:, inside[:, None] + np.arange(-before, after)]
    windows = windows - windows.mean(axis=2, keepdims=True)
    template = template - template.mean(axis=1, keepdims=True)
    product = np.einsum("lbt,lt->lb", windows, template)
    size = np.sqrt(np.einsum("lbt,lbt->lb", windows, windows) * np.einsum("lt,lt->l", template, template)[:, None])
    return np.asarray(np.clip((product / np.maximum(size, 1e-9)).mean(axis=1), 0, 1))
