"""The gate: TwelveLead and limits -> QualityReport with machine-readable reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg import filters, reversal, tempo
from ecg import lead_checks as checks
from ecg.beats import Beats
from ecg.contract import QualityLimits
from ecg.errors import QualityRejected
from ecg.harmonise import limb_residual
from ecg.leads import LEADS
from ecg.middle import median
from ecg.recording import Source, TwelveLead

# What the shipped recipes use; each artefact states its own in the contract.
RECOMMENDED: Final = QualityLimits(
    min_duration_s=7.0,
    max_amplitude_mv=15.0,
    flat_below_mv=0.01,
    max_clipped_fraction=0.02,
    max_baseline_mv=3.0,
    max_noise_mv=0.05,
    max_mains_mv=0.15,
    max_einthoven_residual=0.25,
    min_heart_rate_bpm=25.0,
    max_heart_rate_bpm=220.0,
    min_beat_correlation=0.75,
    max_masked_leads=2,
    refuse_paced=True,
)

_FEWEST_BEATS: Final = 3
# Tall and narrow peaks that are cut off spend too little time at the rail for a share to tell.
_MOST_CUT_PEAKS: Final = 2
_LOWEST_PEAKEDNESS: Final = 2.0
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
    SAMPLING_RATE_SUSPECT = "sampling_rate_suspect"
    LEADS_INCONSISTENT = "leads_inconsistent"
    DUPLICATE_LEADS = "duplicate_leads"
    LIMB_REVERSAL = "limb_reversal"
    PRECORDIAL_SWAP = "precordial_swap"
    PACING_SPIKES = "pacing_spikes"
    NOT_AN_ECG = "not_an_ecg"


@dataclass(frozen=True, slots=True)
class Issue:
    """`lead` is None where the whole recording is meant. `detail` gives the number and the limit, or the name."""

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
    """Every issue of every lead and of the recording.

    A few bad leads limit the answer, more of them refuse it. What is wrong with the recording as a whole refuses it;
    what is only suspected of it limits the answer.
    """
    by_lead = lead_issues(twelve, limits, beats)
    wrong = list(_recording_issues(twelve, limits, beats))
    suspected = [] if wrong else list(_suspicions(twelve, limits, beats))
    sure = [issue for issue, is_sure in suspected if is_sure]
    sqi = checks.likeness(beats)
    leads = {
        name: LeadQuality(round(float(sqi[row]), 3), tuple(issue.code for issue in by_lead if issue.lead == name))
        for row, name in enumerate(LEADS)
    }
    bad = sum(bool(lead.issues) for lead in leads.values())
    verdict = Verdict.LIMITED if bad or suspected else Verdict.GOOD
    if wrong or sure or bad > limits.max_masked_leads:
        verdict = Verdict.REJECTED
    return QualityReport(verdict, (*wrong, *(issue for issue, _ in suspected), *by_lead), leads)


def lead_issues(twelve: TwelveLead, limits: QualityLimits, beats: Beats) -> list[Issue]:
    """What is wrong with single leads."""
    raw, known = twelve.samples_mv, filters.filled(twelve.samples_mv)
    missing = np.zeros(len(LEADS)) if known is raw else np.mean(~np.isfinite(raw), axis=1)
    facts = checks.facts(known, twelve.sampling_rate_hz)
    clipped = facts.clipped
    much = clipped.share > limits.max_clipped_fraction
    measured = (
        (IssueCode.NON_FINITE, missing, 0.0, "of samples missing"),
        (IssueCode.IMPLAUSIBLE_AMPLITUDE, checks.height(beats.signal_mv), limits.max_amplitude_mv, "mV"),
        (IssueCode.CLIPPED, clipped.share, limits.max_clipped_fraction, "of samples at a rail"),
        (IssueCode.CLIPPED, np.where(much, 0, clipped.cut), _MOST_CUT_PEAKS, "peaks cut off flat"),
        (IssueCode.BASELINE, facts.wander, limits.max_baseline_mv, "mV of wander"),
        (IssueCode.NOISE, checks.noise(known, beats, twelve.sampling_rate_hz), limits.max_noise_mv, "mV of noise"),
        (IssueCode.MAINS, facts.mains, limits.max_mains_mv, "mV of mains hum"),
    )
    found = [
        Issue(code, LEADS[row], f"{each:.3g} {what}, limit {limit:g}")
        for code, value, limit, what in measured
        for row, each in enumerate(value.tolist())
        if each > limit
    ]
    return found + [
        Issue(IssueCode.FLAT, LEADS[row], f"{each:.3g} mV spread, at least {limits.flat_below_mv:g}")
        for row, each in enumerate(facts.spread.tolist())
        if each < limits.flat_below_mv
    ]


def _recording_issues(twelve: TwelveLead, limits: QualityLimits, beats: Beats) -> Iterator[Issue]:
    residual = limb_residual(filters.filled(twelve.samples_mv))
    if residual > limits.max_einthoven_residual:
        detail = f"limb leads contradict each other by {residual:.0%}, limit {limits.max_einthoven_residual:.0%}"
        yield Issue(IssueCode.LEADS_INCONSISTENT, None, detail)
    together = checks.together(beats.signal_mv)
    if copies := checks.copies(together):
        yield Issue(IssueCode.DUPLICATE_LEADS, None, f"the same signal under two names: {' and '.join(copies)}")
    if twelve.source is Source.MEDIAN_BEAT:
        return
    if twelve.duration_s < limits.min_duration_s:
        detail = f"{twelve.duration_s:.1f} s, at least {limits.min_duration_s:g} s are needed"
        yield Issue(IssueCode.TOO_SHORT, None, detail)
    elif unlike := _unlike_an_ecg(beats, together, limits):
        yield Issue(IssueCode.NOT_AN_ECG, None, unlike)
    else:
        yield from _rate_issues(beats.heart_rate_bpm, limits)


def _rate_issues(rate: float | None, limits: QualityLimits) -> Iterator[Issue]:
    if rate is None or not limits.min_heart_rate_bpm <= rate <= limits.max_heart_rate_bpm:
        told = "no rate" if rate is None else f"{rate:.0f} bpm"
        allowed = f"{limits.min_heart_rate_bpm:g} to {limits.max_heart_rate_bpm:g} bpm"
        yield Issue(IssueCode.IMPLAUSIBLE_RATE, None, f"{told}; plausible is {allowed}")


def _unlike_an_ecg(beats: Beats, together: checks.Together, limits: QualityLimits) -> str | None:
    """Why this is no ECG: no beats, beats that are all different, no sharp complex, or one signal in every lead."""
    if beats.r_samples.size < _FEWEST_BEATS:
        return f"{beats.r_samples.size} beats found, at least {_FEWEST_BEATS} are needed"
    alike = median(beats.correlation)
    if alike < limits.min_beat_correlation:
        return f"beats resemble each other by {alike:.2f} only, at least {limits.min_beat_correlation:g} is needed"
    sharp = checks.peakedness(beats)
    if sharp < _LOWEST_PEAKEDNESS:
        return f"no complex stands out: its slope is {sharp:.1f} times the average, at least {_LOWEST_PEAKEDNESS:g}"
    if not checks.has_second_axis(together, _LEAST_SECOND_AXIS):
        return "every lead shows one and the same signal, which no heart gives"
    return None


def _suspicions(twelve: TwelveLead, limits: QualityLimits, beats: Beats) -> Iterator[tuple[Issue, bool]]:
    """What may be wrong with the recording, and whether it surely is."""
    if beats.median_mv is None:
        return
    spikes = checks.pacing_spikes(twelve.samples_mv, twelve.sampling_rate_hz, beats)
    if spikes:
        told = f"{spikes} of {beats.r_samples.size} beats follow a spike, as after a pacemaker's pulse"
        yield Issue(IssueCode.PACING_SPIKES, None, told), limits.refuse_paced
    if why := tempo.suspicion(beats):
        yield Issue(IssueCode.SAMPLING_RATE_SUSPECT, None, why), False
    for each in reversal.suspicions(beats.median_mv):
        code = IssueCode.LIMB_REVERSAL if each.limb else IssueCode.PRECORDIAL_SWAP
        what = "electrodes" if each.limb else "leads"
        yield Issue(code, None, f"{what} {each.what} {'are' if each.sure else 'may be'} exchanged"), each.sure
