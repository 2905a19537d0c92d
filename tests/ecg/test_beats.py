"""R peaks, rhythm, ectopy and the median beat: on hearts with known beats, and against neurokit2 on PTB-XL."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg import beats
from ecg.beats import BeatKind
from ecg.harmonise import to_twelve
from ecg.leads import LEADS
from tests.conftest import CACHE
from tests.ecg import hearts, ptbxl

R_MS = 4.0


def found(samples_mv: np.ndarray, rate_hz: float = 500.0) -> beats.Beats:
    return beats.find(hearts.twelve(samples_mv, rate_hz))


def assert_at(result: beats.Beats, times_s: np.ndarray, within_ms: float = R_MS) -> None:
    assert result.r_samples.size == len(times_s)
    assert np.abs(result.r_samples * 2 - np.asarray(times_s) * 1000).max() <= within_ms


@pytest.mark.parametrize("bpm", [28, 45, 70, 110, 160, 215])
@pytest.mark.parametrize("rate_hz", [100.0, 250.0, 500.0, 1000.0])
def test_every_beat_is_found_where_it_is(bpm: float, rate_hz: float) -> None:
    """From 28 to 215 beats a minute, at any rate of sampling, each R within 4 ms."""
    times = hearts.regular(bpm, 9.8)
    waves = hearts.NORMAL if bpm < 120 else hearts.QRS
    result = found(hearts.leads_mv([(at, waves) for at in times], 10, rate_hz), rate_hz)
    assert_at(result, times)
    assert result.heart_rate_bpm == pytest.approx(bpm, abs=1)


@pytest.mark.parametrize("scale", [0.05, 0.2, 4.0])
def test_voltage_does_not_matter(scale: float) -> None:
    """A heart of a twentieth of the voltage (noise scaled with it) has its beats in the same places."""
    assert np.array_equal(found(hearts.normal_mv()).r_samples, found(hearts.normal_mv() * np.float32(scale)).r_samples)


@settings(max_examples=15, deadline=None)
@given(power=st.integers(-4, 4))
def test_the_median_beat_keeps_absolute_voltage(power: int) -> None:
    """Twice the voltage gives exactly twice the median beat."""
    scale = np.float32(2.0**power)
    one, other = found(hearts.normal_mv()).median_mv, found(hearts.normal_mv() * scale).median_mv
    assert one is not None
    assert other is not None
    assert np.array_equal(one * scale, other)


@settings(max_examples=15, deadline=None)
@given(shift=st.integers(1, 400))
def test_a_later_start_moves_nothing_but_the_clock(shift: int) -> None:
    """Starting up to 0.8 s later finds the same beats that much earlier, to 2 ms, and nearly the same median beat."""
    whole = hearts.normal_mv(seconds=11)
    early, late = found(whole[:, :5000]), found(whole[:, shift : 5000 + shift])
    common = (early.r_samples > shift + 200) & (early.r_samples < 4800)
    nearest = np.abs((early.r_samples[common] - shift)[:, None] - late.r_samples).min(axis=1)
    assert nearest.max() <= 1
    assert early.median_mv is not None
    assert late.median_mv is not None
    assert np.abs(early.median_mv - late.median_mv)[:, 50:550].max() < 0.1


def test_the_same_bytes_give_the_same_bits() -> None:
    """Beats and median beat are bit for bit the same, alone or after other recordings."""
    first = found(hearts.normal_mv(seed=1))
    found(hearts.normal_mv(bpm=93, seconds=7.3, seed=2))
    again = found(hearts.normal_mv(seed=1))
    assert first.median_mv is not None
    assert again.median_mv is not None
    assert first.median_mv.tobytes() == again.median_mv.tobytes()
    assert first.signal_mv.tobytes() == again.signal_mv.tobytes()


def test_the_median_beat_lies_where_it_says() -> None:
    """600 samples with R at sample 240, and there the noise of one beat is averaged down."""
    result = found(hearts.normal_mv(noise_mv=0.03))
    clean = found(hearts.normal_mv(noise_mv=0.0))
    assert result.median_mv is not None
    assert clean.median_mv is not None
    assert result.median_mv.shape == (12, 600)
    power = (result.median_mv**2).sum(axis=0)
    assert abs(int(power.argmax()) - 240) <= 2
    assert np.std(result.median_mv - clean.median_mv) < 0.5 * np.std(result.signal_mv - clean.signal_mv)


def test_wide_complexes_are_one_beat_each() -> None:
    """Left bundle branch block: neither the notch nor the T wave counts as a beat."""
    times = hearts.regular(75, 9.7)
    result = found(hearts.leads_mv([(at, (*hearts.P, *hearts.LBBB, *hearts.T)) for at in times]))
    assert_at(result, times, within_ms=45)
    assert np.ptp(result.r_samples * 2 - times * 1000) <= R_MS


def test_ectopic_beats_are_named_and_left_out() -> None:
    """Premature wide beats are found, called ectopic, and change neither the median beat nor the rate."""
    sinus = hearts.regular(66, 9.8)
    early = [sinus[2] + 0.5, sinus[6] + 0.5]
    kept = [at for at in sinus if at not in (sinus[3], sinus[7])]
    complexes = [(at, hearts.NORMAL) for at in kept] + [(at, hearts.PVC) for at in early]
    result, plain = (
        found(hearts.leads_mv(complexes, noise_mv=0.0)),
        found(hearts.leads_mv([(a, hearts.NORMAL) for a in sinus], noise_mv=0.0)),
    )
    ectopic = result.r_samples[[kind is BeatKind.ECTOPIC for kind in result.kinds]] / 500
    assert result.r_samples.size == len(kept) + 2
    assert np.abs(ectopic - early).max() < 0.08
    assert result.median_mv is not None
    assert plain.median_mv is not None
    assert np.abs(result.median_mv - plain.median_mv)[:, 60:540].max() < 0.05
    assert result.heart_rate_bpm == pytest.approx(66, abs=1)


def test_an_early_beat_of_the_same_shape_is_ectopic_only_in_a_regular_rhythm() -> None:
    """A premature atrial beat stands out of a regular rhythm; in fibrillation early means nothing."""
    sinus = hearts.regular(60, 9.8)
    times = np.sort(np.append(np.delete(sinus, 5), sinus[4] + 0.6))
    premature = found(hearts.leads_mv([(at, hearts.NORMAL) for at in times]))
    assert [kind is BeatKind.ECTOPIC for kind in premature.kinds] == [at == sinus[4] + 0.6 for at in times]
    chaotic = 0.4 + np.cumsum(np.random.default_rng(5).uniform(0.45, 1.1, 11))
    fibrillation = found(hearts.leads_mv([(at, (*hearts.QRS, *hearts.T)) for at in chaotic], 10))
    assert all(kind is BeatKind.NORMAL for kind in fibrillation.kinds)
    assert fibrillation.irregularity > 0.1 > premature.irregularity


def test_bigeminy_has_its_true_rate_and_one_kind_of_median_beat() -> None:
    """Every second beat ectopic: no interval is typical, so the mean gives the rate; the median beat is not a blend."""
    pairs = hearts.regular(40, 9.4)
    complexes = [(at, hearts.NORMAL) for at in pairs] + [(at + 0.5, hearts.PVC) for at in pairs]
    result = found(hearts.leads_mv(complexes))
    assert result.heart_rate_bpm == pytest.approx(80, abs=5)
    assert {BeatKind.NORMAL, BeatKind.ECTOPIC} == set(result.kinds)


@pytest.mark.parametrize("dead", [(0,), (1,), (6, 7, 8), (0, 1, 2, 3, 4, 5)])
def test_dead_or_missing_leads_do_not_hide_the_beats(dead: tuple[int, ...]) -> None:
    """Flat leads, leads of nothing but NaN and one lead of loud noise leave the beats of the others where they are."""
    times = hearts.regular(70, 10)
    for value in (0.0, np.nan):
        broken = hearts.normal_mv()
        broken[list(dead)] = value
        assert_at(found(broken), times, within_ms=12)
    noisy = hearts.normal_mv()
    noisy[dead[0]] += np.random.default_rng(0).normal(0, 2, 5000).astype(np.float32)
    assert_at(found(noisy), times, within_ms=30)


@pytest.mark.parametrize("samples", [1, 2, 30, 200])
def test_snippets_and_silence_have_no_beats_or_few(samples: int) -> None:
    """The shortest inputs, zeros and constants do not fail; nothing comes of nothing."""
    assert found(np.zeros((12, samples), dtype=np.float32)).r_samples.size == 0
    assert found(np.full((12, samples), 3.3, dtype=np.float32)).heart_rate_bpm is None
    assert found(hearts.normal_mv()[:, :samples]).r_samples.size <= 1


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["noise", "steps", "spikes", "sine", "huge", "tiny"]),
    samples=st.integers(1, 3000),
    rate_hz=st.sampled_from([50.0, 100.0, 257.0, 500.0, 20000.0]),
    seed=st.integers(0, 1000),
)
def test_anything_gives_an_answer(kind: str, samples: int, rate_hz: float, seed: int) -> None:
    """Whatever the samples: no failure, no warning, a finite signal, and as many kinds as beats."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal((12, samples))
    made = {
        "noise": noise,
        "steps": np.round(np.cumsum(noise * 0.1, axis=1)),
        "spikes": np.where(np.abs(noise) > 2.5, 1000 * noise, 0),
        "sine": np.tile(np.sin(np.arange(samples) * random.uniform(0.001, 3)), (12, 1)),
        "huge": noise * 3e5,
        "tiny": noise * 1e-30,
    }[kind].astype(np.float32)
    made[random.integers(12), random.integers(samples) :] = np.nan
    result = found(made, rate_hz)
    assert np.isfinite(result.signal_mv).all()
    assert len(result.kinds) == result.r_samples.size == result.correlation.size
    beats.measure(result)


def test_a_single_beat_still_has_a_median_beat() -> None:
    """A device's median beat of 1.2 s: one beat, whose window is the file."""
    result = found(hearts.leads_mv([(0.48, hearts.NORMAL)], 1.2))
    assert result.r_samples.tolist() == [240]
    assert result.median_mv is not None
    assert result.heart_rate_bpm is None


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 70), st.integers(0, 10_000))
def test_median_of_is_the_median(count: int, seed: int) -> None:
    """Odd-even exchange gives numpy's median, bit for bit, for any number of beats."""
    arrays = np.random.default_rng(seed).standard_normal((count, 3, 17)).astype(np.float32)
    assert np.array_equal(beats.median_of(list(arrays)), np.median(arrays, axis=0))


def _neurokit_rates_bpm(samples_mv: np.ndarray, rate_hz: int) -> list[float]:
    """neurokit2's rate, 60 over the median interval, in each of the eight independent leads where it finds beats."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import neurokit2 as nk

        rates = []
        for row in (0, 1, 6, 7, 8, 9, 10, 11):
            try:
                clean = nk.ecg_clean(samples_mv[row].astype(np.float64), sampling_rate=rate_hz)
                peaks = nk.ecg_peaks(clean, sampling_rate=rate_hz)[1]["ECG_R_Peaks"]
            except (ValueError, IndexError, ZeroDivisionError):
                continue
            if len(peaks) > 2:
                rates.append(60 * rate_hz / float(np.median(np.diff(peaks))))
    return rates


def _neurokit(records: list[ptbxl.Record], cache: Path) -> dict[str, list[float]]:
    known: dict[str, list[float]] = json.loads(cache.read_text()) if cache.is_file() else {}
    for record in records:
        if str(record.ecg_id) not in known:
            recording = record.read().rhythm
            assert recording is not None
            known[str(record.ecg_id)] = _neurokit_rates_bpm(recording.samples, round(recording.sampling_rate_hz))
    cache.parent.mkdir(exist_ok=True)
    cache.write_text(json.dumps(known))
    return known


@pytest.mark.slow
def test_heart_rate_agrees_with_neurokit(ptbxl_dir: Path) -> None:
    """Within 2 bpm of neurokit2 on 98 % of fold 9, over the records free of faults by PTB-XL's own annotators.

    neurokit2 reads one lead at a time and its leads often contradict each other: its answer is the median of eight
    leads, and it has none where fewer than five of them lie within 2 bpm of that.
    """
    records = [record for record in ptbxl.records(ptbxl_dir) if record.fold == 9 and record.clean]
    expected = _neurokit(records, CACHE / "neurokit2_fold9_lead_rates.json")
    close, unsure = [], 0
    for record in records:
        theirs = np.array(expected[str(record.ecg_id)])
        ours = beats.find(to_twelve(record.read())).heart_rate_bpm
        if np.sum(np.abs(theirs - np.median(theirs)) <= 2) < 5:
            unsure += 1
        else:
            close.append(ours is not None and abs(ours - np.median(theirs)) <= 2)
    assert len(close) > 300, unsure
    assert np.mean(close) >= 0.98, f"{np.mean(close):.3f} of {len(close)}; neurokit2 unsure of {unsure}"


def test_beats_do_not_depend_on_the_order_of_leads_in_the_file(ptbxl_dir: Path) -> None:
    """A genuine record with its leads listed backwards gives bit for bit the same median beat."""
    record = next(iter(ptbxl.records(ptbxl_dir))).read().rhythm
    assert record is not None
    forwards = hearts.recording(record.samples, record.leads, record.sampling_rate_hz, record.unit)
    backwards = hearts.recording(record.samples[::-1], record.leads[::-1], record.sampling_rate_hz, record.unit)
    one, other = (beats.find(to_twelve(each)).median_mv for each in (forwards, backwards))
    assert one is not None
    assert other is not None
    assert one.tobytes() == other.tobytes()
    assert one.shape == (len(LEADS), beats.BEAT_SAMPLES)
