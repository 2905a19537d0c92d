"""The gate: a sound recording passes, each fault is named, what is rejected is told with its reasons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.faults import FAULTS, Fault, outcome
from ecg import beats, harmonise, probe, quality, tempo
from ecg.errors import QualityRejected
from ecg.leads import LEADS
from ecg.quality import RECOMMENDED, IssueCode, QualityReport, Verdict
from ecg.recording import Recording, Source, TwelveLead, Unit, Waveform
from tests.ecg import hearts, ptbxl

LBBB_BEATS = (*hearts.P, *hearts.LBBB, *hearts.T)
# As wide as the typical block among real recordings; the one above is wider than nearly all of them.
BLOCK_BEATS = (*hearts.P, *((0.75 * at, 0.75 * width, size) for at, width, size in hearts.LBBB), *hearts.T)


def known() -> TwelveLead:
    """The ECG that the probe of every model knows; its form is that of an ordinary heart."""
    return harmonise.to_twelve(Recording("test", probe_waveform()))


def probe_waveform() -> Waveform:
    return Waveform(LEADS, probe.known_ecg().samples_mv, 500.0, Unit.MILLIVOLT)


def inspected(twelve: TwelveLead, **limits: object) -> QualityReport:
    return quality.inspect(twelve, RECOMMENDED.model_copy(update=limits), beats.find(twelve))


def codes(report: QualityReport) -> set[IssueCode]:
    return {issue.code for issue in report.issues}


def spoiled(change: Callable[[np.ndarray], None], seconds: float = 10.0) -> TwelveLead:
    samples = hearts.normal_mv(seconds=seconds).copy()
    change(samples)
    return hearts.twelve(samples)


def test_a_sound_recording_is_good() -> None:
    """No issue, every lead usable, every lead's likeness near one."""
    report = inspected(known())
    assert report.verdict is Verdict.GOOD, report.issues
    assert report.lead_mask.all()
    assert min(lead.sqi for lead in report.leads.values()) > 0.9
    report.require()


@pytest.mark.parametrize("fault", [each for each in FAULTS if each.must_catch], ids=lambda fault: fault.name)
def test_each_required_fault_is_named(fault: Fault) -> None:
    """A fault planted in the known ECG is flagged or refused for what it is."""
    verdict, found = outcome(fault.plant(known(), np.random.default_rng(1)))
    assert verdict != Verdict.GOOD.value
    assert found & fault.expected, found


@pytest.mark.parametrize("lead", LEADS)
def test_a_flat_lead_is_masked_and_no_other(lead: str) -> None:
    """One lead without signal limits the answer to the other eleven; a limb lead may also break Einthoven's law."""
    row = LEADS.index(lead)

    def flatten(samples: np.ndarray) -> None:
        samples[row] = 0.0

    report = inspected(spoiled(flatten))
    assert report.leads[lead].issues == (IssueCode.FLAT,)
    assert np.flatnonzero(~report.lead_mask).tolist() == [row]
    assert report.verdict in ((Verdict.LIMITED,) if row >= 6 else (Verdict.LIMITED, Verdict.REJECTED))


def test_more_bad_leads_than_allowed_are_refused_with_the_report() -> None:
    """The refusal carries the reasons, and the limit is the contract's."""

    def flatten(samples: np.ndarray) -> None:
        samples[6:9] = 0.0

    twelve = spoiled(flatten)
    assert inspected(twelve, max_masked_leads=3).verdict is Verdict.LIMITED
    report = inspected(twelve, max_masked_leads=2)
    with pytest.raises(QualityRejected) as refusal:
        report.require()
    assert refusal.value.report is report
    assert "flat" in str(refusal.value)


def test_a_missing_stretch_is_told_with_its_share() -> None:
    """The detail gives the number and the limit."""

    def lose(samples: np.ndarray) -> None:
        samples[9, 1000:1500] = np.nan

    report = inspected(spoiled(lose))
    (issue,) = [each for each in report.issues if each.code is IssueCode.NON_FINITE]
    assert (issue.lead, issue.detail) == ("V4", "0.1 of samples missing, limit 0")


def test_a_hum_is_measured_in_millivolts() -> None:
    """A hum of 0.2 mV is over a limit of 0.15 and under one of 0.25."""
    hum = 0.2 * np.sin(2 * np.pi * 50 * np.arange(5000) / 500)

    def add(samples: np.ndarray) -> None:
        samples[11] += hum.astype(np.float32)

    twelve = spoiled(add)
    assert IssueCode.MAINS in inspected(twelve, max_mains_mv=0.15).leads["V6"].issues
    assert IssueCode.MAINS not in inspected(twelve, max_mains_mv=0.25).leads["V6"].issues


@pytest.mark.parametrize("rate_hz", [100.0, 500.0])
def test_noise_and_rails_are_seen_at_every_sampling_rate(rate_hz: float) -> None:
    """Muscle noise and clipping are found in a slow recording as in a fast one."""
    rng = np.random.default_rng(0)
    samples = hearts.normal_mv(rate_hz=rate_hz).copy()
    samples[7] += 0.2 * rng.standard_normal(samples.shape[1]).astype(np.float32)
    samples[10] = np.clip(samples[10], -0.25, 0.25)
    report = inspected(hearts.twelve(samples, rate_hz))
    assert IssueCode.NOISE in report.leads["V2"].issues
    assert IssueCode.CLIPPED in report.leads["V5"].issues
    assert report.leads["V3"].issues == ()


@pytest.mark.parametrize("rate_hz", [100.0, 250.0, 500.0])
def test_tall_narrow_peaks_are_seen_cut_and_round_ones_are_let_be(rate_hz: float) -> None:
    """A rail too short in time to count as a share is seen by its edges; coarse steps do not make a rail of a top."""
    samples = hearts.normal_mv(rate_hz=rate_hz, noise_mv=0.002).copy()
    samples[10] = np.minimum(samples[10], 0.8 * samples[10].max())
    report = inspected(hearts.twelve(samples, rate_hz))
    assert report.leads["V5"].issues == ((IssueCode.CLIPPED,) if rate_hz > 200 else ())
    for step_mv in (0.001, 0.005, 0.01):
        coarse = np.round(0.3 * hearts.normal_mv(rate_hz=rate_hz) / step_mv) * step_mv
        issues = lead_issues(hearts.twelve(coarse.astype(np.float32), rate_hz))
        assert IssueCode.CLIPPED not in {issue.code for issue in issues}


def lead_issues(twelve: TwelveLead) -> list[quality.Issue]:
    return quality.lead_issues(twelve, RECOMMENDED, beats.find(twelve))


@pytest.mark.parametrize("bpm", [60, 75, 100, 130])
def test_a_heart_at_half_speed_is_suspected_and_a_slow_one_is_not(bpm: float) -> None:
    """Half the declared rate is suspected at every pace, in a rhythm that slow hearts have too; the detail says why."""
    samples = hearts.normal_mv(bpm=bpm)
    halved = inspected(hearts.twelve(samples, 250.0))
    (issue,) = [each for each in halved.issues if each.code is IssueCode.SAMPLING_RATE_SUSPECT]
    assert f"{bpm / 2:.0f} bpm" in issue.detail
    assert halved.verdict is Verdict.LIMITED
    assert IssueCode.SAMPLING_RATE_SUSPECT not in codes(inspected(hearts.twelve(samples)))
    slow = hearts.twelve(hearts.normal_mv(bpm=bpm / 2, seconds=20.0))
    assert IssueCode.SAMPLING_RATE_SUSPECT not in codes(inspected(slow))


def test_a_long_qt_at_a_low_rate_is_no_wrong_rate() -> None:
    """A late T wave at 41 bpm behind complexes that are not wide is a heart's own, as genuine recordings show it."""
    late = ((400.0, 45.0, (0.35, 0.3, -0.15)),)
    samples = hearts.leads_mv([(at, (*hearts.P, *hearts.QRS, *late)) for at in hearts.regular(41, 10)])
    slow = beats.find(hearts.twelve(samples))
    found = tempo.of(slow)
    assert found is not None
    assert found.st_t_ms > 370
    assert tempo.suspicion(slow) is None
    assert tempo.suspicion(replace(slow, median_mv=wider(slow.median_mv))) is not None


def wider(median_mv: np.ndarray | None) -> np.ndarray:
    """The complex drawn out to twice its length, the rest of the beat as it was."""
    assert median_mv is not None
    drawn = np.array(median_mv)
    drawn[:, 190:290] = median_mv[:, np.linspace(215, 264.5, 100).astype(int)]
    return drawn


def test_wide_complexes_alone_are_no_wrong_rate() -> None:
    """A bundle branch block is wide at its ordinary pace, and its recording is not held to be slowed."""
    for bpm in (65, 80, 95):
        samples = hearts.leads_mv([(at, BLOCK_BEATS) for at in hearts.regular(bpm, 10)])
        assert IssueCode.SAMPLING_RATE_SUSPECT not in codes(inspected(hearts.twelve(samples)))


@pytest.mark.parametrize(("bpm", "refused"), [(20, True), (60, False), (230, True)])
def test_an_implausible_rate_is_refused(bpm: float, refused: bool) -> None:
    """Outside 25 to 220 bpm the recording is not judged."""
    report = inspected(hearts.twelve(hearts.normal_mv(bpm=bpm, seconds=30.0)))
    told = codes(report) & {IssueCode.IMPLAUSIBLE_RATE, IssueCode.NOT_AN_ECG}
    assert bool(told) is refused, report.issues


def spiked(share: float) -> TwelveLead:
    """A pacemaker's pulse of 2 ms before the given share of the beats, wide beats after it."""
    times = hearts.regular(70, 10)
    pulse = ((-100.0, 0.8, (1.2, 1.0, -0.4)),)
    paced = round(share * times.size)
    beats_at = [(at, (*pulse, *LBBB_BEATS) if row < paced else LBBB_BEATS) for row, at in enumerate(times)]
    return hearts.twelve(hearts.leads_mv(beats_at))


def test_a_paced_heart_is_refused_where_the_model_is_not_for_it() -> None:
    """Spikes before the beats are a pacemaker's; one or two of them are an artefact."""
    assert IssueCode.PACING_SPIKES in codes(inspected(spiked(1.0)))
    assert inspected(spiked(1.0)).verdict is Verdict.REJECTED
    assert inspected(spiked(1.0), refuse_paced=False).verdict is not Verdict.REJECTED
    assert IssueCode.PACING_SPIKES not in codes(inspected(spiked(0.2)))


def test_a_median_beat_alone_is_not_asked_for_a_rhythm() -> None:
    """A file that carries only its median beat has no duration and no rate to judge."""
    beat = beats.find(known()).median_mv
    assert beat is not None
    alone = TwelveLead(np.array(beat), 500.0, source=Source.MEDIAN_BEAT)
    assert not codes(inspected(alone)) & {IssueCode.TOO_SHORT, IssueCode.IMPLAUSIBLE_RATE, IssueCode.NOT_AN_ECG}


def test_the_report_is_the_same_whatever_came_before() -> None:
    """The gate keeps nothing between recordings and does not touch the signal."""
    twelve = known()
    before = twelve.samples_mv.copy()
    first = inspected(twelve)
    inspected(replace(twelve, samples_mv=-twelve.samples_mv))
    assert inspected(twelve) == first
    assert np.array_equal(twelve.samples_mv, before)


def test_on_real_recordings_faults_are_caught_and_sound_ones_pass(ptbxl_dir: Path) -> None:
    """Of 80 normal recordings 95 % are good; of reversals, wrong rates, wrong units and non-ECGs 95 % are caught."""
    rng = np.random.default_rng(2)
    clean = [each for each in ptbxl.records(ptbxl_dir) if each.fold == 9 and each.clean and "NORM" in each.codes][:80]
    twelves = [harmonise.to_twelve(each.read()) for each in clean]
    verdicts = [outcome(twelve)[0] for twelve in twelves]
    assert verdicts.count("rejected") <= 2
    assert verdicts.count("good") >= 0.95 * len(verdicts)
    named = {"RA/LA", "RA/LL", "played", "microvolts", "volts", "no ECG"}
    faults = [each for each in FAULTS if any(each.name.startswith(name) for name in named)]
    caught = [
        bool(outcome(fault.plant(twelve, rng))[1] & fault.expected) for fault in faults for twelve in twelves[::4]
    ]
    assert np.mean(caught) >= 0.95
