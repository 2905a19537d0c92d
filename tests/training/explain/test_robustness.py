"""Each planted change does what its name says, and the measures of movement count right."""

from __future__ import annotations

import numpy as np
import pytest

from ecg.leads import INDEX, LEADS
from ecg.quality import Verdict
from model_training.robustness import measure, report
from model_training.robustness.changes import CHANGES, Person
from tests.training.explain.planted import RHYTHM, Planted

BY_NAME = {change.name: change for change in CHANGES}


@pytest.fixture(scope="module")
def cohort():
    return measure.simulated(RHYTHM, 12, seed=3)


def made(name: str, person: Person):
    return BY_NAME[name].plant(person, np.random.default_rng(0))


def snr_db(clean, noisy):
    rows = [INDEX[name] for name in ("I", "II", *LEADS[6:])]
    high = np.percentile(clean[rows], 99.5, axis=1) - np.percentile(clean[rows], 0.5, axis=1)
    return 10 * np.log10(np.mean(high**2) / 8 / np.mean((noisy - clean)[rows] ** 2))


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: f"{change.family}, {change.name}")
def test_limb_leads_stay_consistent_and_no_sample_is_lost(cohort, change):
    """Whatever is planted comes from electrodes and machines, which keep Einthoven's law; V leads may change places."""
    person = cohort.people[0]
    sent = change.plant(person, np.random.default_rng(1))
    samples = sent.samples_mv
    assert np.isfinite(samples).all()
    assert np.abs(samples[0] + samples[2] - samples[1]).max() < 0.04  # two steps of the coarsest device
    seconds = float(change.name.split()[0]) if change.family == "duration" else 10.0
    assert sent.duration_s == pytest.approx(seconds, abs=0.01)


@pytest.mark.parametrize("db", [24, 12, 0])
def test_muscle_noise_has_the_power_that_it_says(cohort, db):
    """SNR against a sine as high as the QRS complexes."""
    person = cohort.people[1]
    assert snr_db(person.twelve.samples_mv, made(f"{db} dB", person).samples_mv) == pytest.approx(db, abs=0.1)


def test_an_exchange_made_twice_is_none(cohort):
    """Electrodes exchanged and exchanged back."""
    person = cohort.people[2]
    for name in ("RA/LA exchanged", "RA/LL exchanged", "LA/LL exchanged", "V1/V6 exchanged"):
        once = made(name, person)
        assert not np.allclose(once.samples_mv, person.twelve.samples_mv, atol=0.02)
        assert np.allclose(made(name, Person("", once)).samples_mv, person.twelve.samples_mv, atol=1e-4)


def test_a_recording_that_goes_on_is_begun_later_and_one_that_does_not_is_mirrored(cohort):
    """200 ms later, the samples are those that follow; the end of a file is mirrored there."""
    person = cohort.people[3]
    later = made("200 ms later", person).samples_mv
    assert np.array_equal(later, person.longer.samples_mv[:, 100:5100])
    mirrored = made("200 ms later", Person("", person.twelve)).samples_mv
    assert np.array_equal(mirrored[:, :4900], later[:, :4900])
    assert np.array_equal(mirrored[:, 4900], person.twelve.samples_mv[:, -2])


def test_the_cohort_is_what_the_gate_calls_good(cohort):
    """A change is judged against a sound recording."""
    assert len(cohort.people) == 12
    assert len(cohort.truth) == 12
    assert all(measure.judge(each.twelve, RHYTHM).verdict is Verdict.GOOD for each in cohort.people)


def test_what_changes_nothing_moves_nobody_and_what_the_model_feels_moves_it(cohort):
    """Fine steps: no movement. Twice the gain on a sum of voltages: much. Too short: refused."""
    changes = [BY_NAME[name] for name in ("5 uV", "x 2", "8 s", "I")]
    model = Planted(scale=0.02)
    fine, gain, short, lead = measure.effects(model, cohort, changes)
    assert fine.moved_percentile.value < 0.5
    assert fine.refused == 0
    assert gain.moved_percentile.value > 5 * max(fine.moved_percentile.value, 0.1)
    assert short.refused == 1
    assert short.moved_percentile is None
    assert lead.c_intact is None  # twelve people are too few for a concordance
    assert lead.moved_percentile.value > 0
    assert 0 <= gain.silent <= gain.crossed <= 1


def test_coverage_begins_with_the_least_doubt():
    """If doubt goes with movement, the curve rises with coverage; its end is the mean of all."""
    effect = measure.Effect(
        "a", "noise", "c", 4, 0.0, 0.0, None, None, None, None, None, None, None,
        doubts=np.array([0.0, 1.0, 2.0, 3.0]), moves=np.array([0.0, 1.0, 2.0, 9.0]),
    )  # fmt: skip
    coverage, moves = measure.coverage_curve([effect], points=4)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert moves.tolist() == [0.0, 0.5, 1.0, 3.0]


def test_the_report_has_a_small_figure_and_says_simulated(cohort, tmp_path):
    """One SVG below 150 kB, JSON without NaN, Markdown with every change."""
    import json

    found = measure.effects(Planted(scale=0.02), cohort, CHANGES[:4])
    paths = report.write("planted-0.0.1", "0" * 64, [cohort], found, tmp_path)
    assert [each.suffix for each in paths] == [".json", ".md", ".svg"]
    json.loads(paths[0].read_text(), parse_constant=lambda _: pytest.fail("NaN in JSON"))
    assert "SIMULATED" in paths[1].read_text()
    assert paths[2].stat().st_size < 150_000
    assert paths[2].read_text().lstrip().startswith("<?xml")
