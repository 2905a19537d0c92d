"""The compiled kernels beside their numpy twins, and within their own memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ecg import beats, filters, harmonise, left_limbs, native, quality, reversal, rpeaks, tempo
from ecg import lead_checks as checks
from ecg.recording import TwelveLead
from tests.conftest import ROOT
from tests.ecg import hearts, ptbxl

COMPILER = shutil.which("cc")
needs_kernels = pytest.mark.skipif(not native.compiled, reason="no kernels here: no C compiler, or ECG_KERNELS=numpy")

HEARTS = {
    "normal": [(at, hearts.NORMAL) for at in hearts.regular(72, 10)],
    "fast": [(at, hearts.NORMAL) for at in hearts.regular(150, 10)],
    "left bundle": [(at, (*hearts.P, *hearts.LBBB, *hearts.T)) for at in hearts.regular(60, 10)],
    "ectopic": [(at, hearts.PVC if n % 4 == 3 else hearts.NORMAL) for n, at in enumerate(hearts.regular(66, 10))],
    "no P": [(at, (*hearts.QRS, *hearts.T)) for at in hearts.regular(80, 10) + 0.1 * np.sin(np.arange(13))],
    "silent": [],
}


def trip(twelve: TwelveLead) -> tuple[Any, ...]:
    found = beats.find(twelve)
    report = quality.inspect(twelve, quality.RECOMMENDED, found)
    return found, report, beats.measure(found)


def told(report: quality.QualityReport) -> list[tuple[str, str | None]]:
    return [(issue.code.value, issue.lead) for issue in report.issues]


def require_alike(fast: tuple[Any, ...], plain: tuple[Any, ...]) -> None:
    found, report, measured = fast
    assert np.array_equal(found.r_samples, plain[0].r_samples)
    assert found.kinds == plain[0].kinds
    assert np.abs(found.signal_mv - plain[0].signal_mv).max() < 1e-4
    assert np.allclose(found.correlation, plain[0].correlation, atol=1e-4)
    if found.median_mv is not None:
        assert np.abs(found.median_mv - plain[0].median_mv).max() < 1e-4
    assert (report.verdict, told(report)) == (plain[1].verdict, told(plain[1]))
    assert [each.sqi for each in report.leads.values()] == pytest.approx(
        [each.sqi for each in plain[1].leads.values()], abs=2e-3
    )
    for name in ("p_ms", "pr_ms", "qrs_ms", "qt_ms", "heart_rate_bpm"):
        assert getattr(measured, name) == pytest.approx(getattr(plain[2], name)), name


@needs_kernels
@pytest.mark.parametrize("rate_hz", [100.0, 257.0, 500.0, 1000.0])
@pytest.mark.parametrize("heart", HEARTS)
def test_the_whole_trip_is_the_same(heart: str, rate_hz: float) -> None:
    """Beats, their kinds, the median beat, the gate's verdict and the measurements, at several rates."""
    samples_mv = hearts.leads_mv(HEARTS[heart], rate_hz=rate_hz, noise_mv=0.01, drift_mv=0.3)
    require_alike(*in_turns(lambda: trip(hearts.twelve(samples_mv, rate_hz))))


@needs_kernels
@pytest.mark.parametrize("rate_hz", [100.0, 500.0])
def test_real_hearts_take_the_same_trip(ptbxl_dir: Path, rate_hz: float) -> None:
    """Of real recordings at most one in a hundred differs at all, by a sample or by a wave's edge where values tie."""
    chosen = [each for each in ptbxl.records(ptbxl_dir) if each.rate_hz == rate_hz][::12][:60]
    other = 0
    for record in chosen:
        twelve = harmonise.to_twelve(record.read())
        try:
            require_alike(*in_turns(lambda: trip(twelve)))  # noqa: B023 (called at once)
        except AssertionError:
            other += 1
    assert len(chosen) == 60
    assert other <= 1


@needs_kernels
def test_missing_samples_and_masked_leads_are_the_same() -> None:
    """Gaps, a flat lead, a clipped one, hum and a pacemaker's spikes: the same issues are told."""
    samples_mv = hearts.normal_mv(noise_mv=0.01)
    samples_mv[3, 100:400] = np.nan
    samples_mv[7] = 0.25
    samples_mv[8] = np.clip(samples_mv[8], -0.2, 0.2)
    samples_mv[9] += 0.3 * np.sin(2 * np.pi * 50 * np.arange(5000) / 500).astype(np.float32)
    samples_mv[10:, 55::400] += 3
    fast, plain = in_turns(lambda: trip(hearts.twelve(samples_mv)))
    require_alike(fast, plain)
    assert {"non_finite", "flat", "clipped", "mains"} <= {code for code, _ in told(fast[1])}


@needs_kernels
@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 700), seed=st.integers(0, 999), from_hz=st.sampled_from([100, 257, 360, 500, 1000, 977]))
def test_filters_are_the_same_at_every_length(n: int, seed: int, from_hz: int) -> None:
    """Both bands and resampling of random walks, from one sample on."""
    walk = np.random.default_rng(seed).standard_normal((12, n)).cumsum(axis=1).astype(np.float32)
    scale = max(float(np.abs(walk).max()), 1.0)
    for act in (
        lambda: filters.bands(walk, 500.0, (0.5, 150.0, 2), (5.0, 20.0, 2), 4),
        lambda: (filters.resample(walk, from_hz, 500.0),),
        lambda: (filters.resample(walk, 500.0, from_hz),),
    ):
        for fast, plain in zip(*in_turns(act), strict=True):
            assert fast.shape == plain.shape
            assert np.abs(fast - plain).max() < 1e-5 * scale


@needs_kernels
@settings(max_examples=60, deadline=None)
@given(n=st.integers(30, 2000), seed=st.integers(0, 999), kind=st.sampled_from(["noise", "steps", "spikes", "still"]))
def test_every_kernel_is_the_same_on_what_is_no_heart(n: int, seed: int, kind: str) -> None:
    """Noise, few values that repeat, single spikes and silence, where ties and empty sets lie."""
    samples = odd(n, seed, kind)
    envelope, plain = in_turns(lambda: rpeaks.shared_slope(samples, 125.0))
    assert np.allclose(envelope, plain, atol=1e-5)
    fast, slow = in_turns(lambda: rpeaks._bursts(samples, plain, 125.0))
    assert fast.tolist() == slow.tolist()
    for rate_hz in (100.0, 500.0):
        facts, other = in_turns(lambda: checks.facts(samples, rate_hz))  # noqa: B023 (called at once)
        for name in ("spread", "wander", "mains"):
            assert np.allclose(getattr(facts, name), getattr(other, name), rtol=1e-4, atol=1e-5)
        assert np.array_equal(facts.clipped.share, other.clipped.share)
        assert np.array_equal(facts.clipped.cut, other.clipped.cut)
    assert np.array_equal(*in_turns(lambda: checks.height(samples)))
    together, apart = in_turns(lambda: checks.together(samples))
    assert np.allclose(together.products, apart.products, rtol=1e-9)
    assert checks.copies(together) == checks.copies(apart)
    (ends, sharp), (others, flat) = in_turns(lambda: steep(samples))
    assert ends.tolist() == others.tolist()
    assert np.allclose(sharp, flat, atol=1e-6)
    assert harmonise.limb_residual(samples) == pytest.approx(unfast(lambda: harmonise.limb_residual(samples)), rel=1e-3)


@needs_kernels
@pytest.mark.parametrize("odd_one", [np.nan, np.inf, -np.inf, 3.4e38, 1e-45, 0.0])
@pytest.mark.parametrize("at", [0, 17, -1])
def test_what_is_no_number_is_seen_wherever_it_lies(odd_one: float, at: int) -> None:
    """And neither extremes nor silence are taken for it."""
    samples = np.ones((12, 101), np.float32)
    samples.flat[at] = odd_one
    fast, plain = in_turns(lambda: filters.are_all_known(samples))
    assert fast == plain == bool(np.isfinite(odd_one))


@needs_kernels
def test_a_long_recording_takes_no_more_than_its_length() -> None:
    """A quarter of a million peaks, each higher than the one before: what is sorted the slow way takes minutes."""
    n = 500_000
    envelope = np.where(np.arange(n) % 2, np.linspace(0.1, 1, n), 0).astype(np.float32)
    begun = time.process_time()
    found = rpeaks._bursts(np.zeros((12, n), np.float32), envelope, 125.0)
    assert time.process_time() - begun < 5
    assert found.tolist() == unfast(lambda: rpeaks._bursts(np.zeros((12, n), np.float32), envelope, 125.0)).tolist()


@needs_kernels
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), kind=st.sampled_from(["noise", "steps", "spikes", "still"]))
def test_what_is_read_off_a_median_beat_is_the_same(seed: int, kind: str) -> None:
    """Levels, products, likelihoods of exchanges, slope and centre of arbitrary beats."""
    beat = odd(beats.BEAT_SAMPLES, seed, kind)
    for act in (
        lambda: reversal.levelled(beat),
        lambda: reversal.products_of(beat[:8]),
        lambda: left_limbs.likelier(beat),
        lambda: tempo.slope_width_ms(beat, 500.0),
        lambda: tempo._st_t_ms(beat, 800.0, 500.0),
    ):
        assert np.allclose(*in_turns(act), rtol=1e-4, atol=1e-4)
    fast, plain = in_turns(lambda: reversal._likely(beat, reversal._known()))
    for name in ("silence", "limbs", "swaps"):
        assert np.allclose(getattr(fast, name), getattr(plain, name), rtol=1e-4, atol=1e-4), name


def test_the_constants_of_reversals_have_the_kernels_shape() -> None:
    """Three waves, two limb reversals and sixteen orders of the leads are fixed in reversal.c."""
    assert reversal._known().packed.size == 3 * 2 + 7 * 64 + 2 * 8 + 2 + 3 * 16 * 64 + 3


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=300), st.integers(0, 10**6))
@needs_kernels
def test_the_middle_of_any_values(values: list[float], seed: int) -> None:
    """The rank that the kernels find by counting is the one that sorting gives."""
    lead = np.array(values, dtype=np.float32)
    rows = np.stack([np.random.default_rng(seed + row).permutation(lead) for row in range(12)])
    assert np.array_equal(*in_turns(lambda: reversal.levelled(rows)))


def odd(n: int, seed: int, kind: str) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    made = {
        "noise": lambda: rng.standard_normal((12, n)),
        "steps": lambda: rng.integers(0, 3, (12, n)) * 0.5,
        "spikes": lambda: (rng.random((12, n)) > 0.98) * rng.standard_normal((12, n)) * 3,
        "still": lambda: np.zeros((12, n)),
    }
    return np.asarray(made[kind](), dtype=np.float32)


def steep(samples: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    return native.steep(samples, 2, 0.25) if native.compiled else checks._steep(samples, 2)


def in_turns(act: Callable[[], Any]) -> tuple[Any, Any]:
    """What something gives with the kernels, and without."""
    return act(), unfast(act)


def unfast(act: Callable[[], Any]) -> Any:
    native.compiled = False
    try:
        return act()
    finally:
        native.compiled = True


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the core whose kernels are compiled to report every access that is not theirs."""
    if COMPILER is None:
        pytest.skip("no C compiler")
    home = tmp_path_factory.mktemp("watched")
    shutil.copytree(ROOT / "ecg", home / "ecg", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    made = subprocess.run(
        [sys.executable, "-m", "ecg.native"], cwd=home, capture_output=True, text=True, check=False,
        env={**os.environ, "CFLAGS": "-g -fsanitize=address,undefined -fno-sanitize-recover=all"},
    )  # fmt: skip
    if made.returncode:
        pytest.skip("the compiler has no sanitizers")
    return home


@pytest.mark.slow
@pytest.mark.parametrize("level", native.LEVELS)
def test_the_kernels_keep_to_their_memory(watched: Path, level: int) -> None:
    """Hearts, noise and shapes at the edges, for each level of instructions, under the compiler's sanitizers."""
    if not native.library_of(level).exists():
        pytest.skip("not compiled for this kind of processor")
    preload = [
        subprocess.run([str(COMPILER), f"-print-file-name=lib{name}.so"], capture_output=True, text=True, check=True)
        for name in ("asan", "ubsan")
    ]
    ran = subprocess.run(
        [sys.executable, "-c", WATCHED], cwd=watched, capture_output=True, text=True, timeout=200, check=False,
        env={
            **os.environ,
            "LD_PRELOAD": " ".join(each.stdout.strip() for each in preload),
            "ASAN_OPTIONS": "detect_leaks=0",
            "PYTHONPATH": f"{watched}:{ROOT}",
            "PYTHONMALLOC": "malloc",  # so that numpy's and the interpreter's memory is watched too
            "ECG_KERNELS": str(level),
        },
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ran.stdout.strip() == "done"


WATCHED = """
import numpy as np
from ecg import beats, filters, native, quality
from tests.ecg import hearts, test_native
assert native.compiled and "watched" in str(native.HOME)
for rate_hz in (100.0, 500.0, 1000.0):
    for heart in test_native.HEARTS.values():
        test_native.trip(hearts.twelve(hearts.leads_mv(heart, rate_hz=rate_hz, noise_mv=0.01), rate_hz))
for n in (1, 2, 3, 5, 9, 30, 64, 65, 299, 600, 1001):
    for kind in ("noise", "steps", "spikes", "still"):
        for rate_hz in (50.0, 100.0, 257.0, 500.0, 1000.0):
            test_native.trip(hearts.twelve(test_native.odd(n, n, kind), rate_hz))
print("done")
"""


def test_without_a_compiler_numpy_does_the_work() -> None:
    """That is said, and is no error; with ECG_KERNELS=numpy compiled kernels are left alone."""
    environment = {**os.environ, "CC": "no-such-compiler", "ECG_KERNELS": "numpy"}
    made = subprocess.run(
        [sys.executable, "-m", "ecg.native"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert "no C compiler" in made.stdout
    asked = "from ecg import native; print(native.compiled)"
    heard = subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert heard.stdout.strip() == "False"


@needs_kernels
def test_kernels_of_other_sources_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would read their arguments wrongly."""
    assert native._opened(native.library_of(0)) is not None
    monkeypatch.setattr(native, "digest", lambda: "another")
    assert native._opened(native.library_of(0)) is None


@pytest.mark.skipif(COMPILER is None, reason="no C compiler")
def test_where_there_is_a_compiler_the_kernels_are_used() -> None:
    """Set-up compiles; sources that changed since then are not what runs."""
    assert native.compiled or os.environ.get("ECG_KERNELS") == "numpy", "run python -m ecg.native"
