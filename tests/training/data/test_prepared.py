"""Tensors are made through the core, cached by recipe, resumed after a kill, and the verbs say what they found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ecg import beats, harmonise, preprocess, probe
from ecg.leads import LEADS
from model_training import recipe as recipes
from model_training.cli import app
from model_training.data import catalogue, manifest, prepared
from model_training.data.cohort import CohortError
from tests.training.data import layouts

RECIPE = recipes.load("median-beat")


def hearts(root: Path, n: int, noise: int = 1) -> Path:
    """A manifest of the known ECG at n gains, and of `noise` records that are no ECG."""
    known = probe.known_ecg().samples_mv
    rows = ["path,patient_id,time_years,event"]
    for number in range(n):
        signal = np.round(known * (0.6 + 0.05 * number) * 1000).astype(np.int16)
        layouts.write_wfdb(root / "ecg", f"h{number:02d}", 500, signal)
        rows.append(f"ecg/h{number:02d},p{number},{1 + number},{number % 2}")
    for number in range(noise):
        signal = np.random.default_rng(number).normal(0, 300, (12, 5_000)).astype(np.int16)
        layouts.write_wfdb(root / "ecg", f"n{number}", 500, signal)
        rows.append(f"ecg/n{number},q{number},1,0")
    path = root / "manifest.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_a_tensor_is_what_serving_makes(tmp_path: Path) -> None:
    """Bit for bit the tensor that the core prepares for that recording; what is no ECG is refused, not prepared."""
    cohort = manifest.load(hearts(tmp_path, 3))
    made = prepared.prepare(cohort, RECIPE, tmp_path / "cache", workers=1)
    assert len(made) == 3
    assert prepared.outcomes(made.folder) == {"ready": 3, "quality_rejected": 1}
    for row in range(3):
        twelve = harmonise.to_twelve(cohort.recording(row))
        expected = preprocess.prepare(twelve, RECIPE.steps, beats.find(twelve))
        np.testing.assert_array_equal(made.tensors(np.array([row]))[0], expected)
    assert made.lead_masks(np.arange(3)).all()
    assert made.table["measured_heart_rate_bpm"].between(60, 75).all()


def test_rows_come_in_the_order_asked(tmp_path: Path) -> None:
    """Across shards, with repeats."""
    cohort = manifest.load(hearts(tmp_path, 4, noise=0))
    made = prepared.prepare(cohort, RECIPE, tmp_path / "cache", workers=1)
    found = made.tensors(np.array([3, 0, 3]))
    np.testing.assert_array_equal(found[0], found[2])
    assert np.ptp(found[0]) > np.ptp(found[1])


def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished shards are kept, a half-written one is made anew, and the end is the same as without the kill."""
    monkeypatch.setattr(prepared, "SHARD_RECORDS", 2)
    cohort = manifest.load(hearts(tmp_path, 5, noise=0))
    whole = prepared.prepare(cohort, RECIPE, tmp_path / "whole", workers=1)
    cut = prepared.prepare(cohort, RECIPE, tmp_path / "cut", workers=1)
    (cut.folder / "part-00001.parquet").unlink()
    before = (cut.folder / "part-00000.npy").stat().st_mtime_ns
    with pytest.raises(CohortError, match="prepare it to the end"):
        prepared.read(cohort, RECIPE, cut.folder)
    steps: list[int] = []
    again = prepared.prepare(cohort, RECIPE, tmp_path / "cut", workers=1, on_progress=steps.append)
    assert (cut.folder / "part-00000.npy").stat().st_mtime_ns == before
    assert steps == [3, 2]
    np.testing.assert_array_equal(again.tensors(np.arange(5)), whole.tensors(np.arange(5)))


@pytest.mark.slow
def test_processes_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers, one result."""
    cohort = manifest.load(hearts(tmp_path, 4, noise=0))
    one = prepared.prepare(cohort, RECIPE, tmp_path / "one", workers=1)
    two = prepared.prepare(cohort, RECIPE, tmp_path / "two", workers=2)
    np.testing.assert_array_equal(one.tensors(np.arange(4)), two.tensors(np.arange(4)))


def test_another_recipe_is_another_cache(tmp_path: Path) -> None:
    """The cache is named by the recipe's digest: nothing made by one is read by the other."""
    cohort = manifest.load(hearts(tmp_path, 2, noise=0))
    beat = prepared.prepare(cohort, RECIPE, tmp_path / "cache", workers=1)
    rhythm = prepared.prepare(cohort, recipes.load("rhythm-100hz"), tmp_path / "cache", workers=1)
    assert beat.folder != rhythm.folder
    assert beat.tensors(np.array([0])).shape == (1, 12, 600)
    assert rhythm.tensors(np.array([0])).shape == (1, 12, 1000)


def test_scaled_data_are_not_taken_for_millivolts(tmp_path: Path) -> None:
    """A cohort without a unit is refused unless the researcher says what it is."""
    layouts.echonext(tmp_path)
    cohort = catalogue.open_cohort(tmp_path)
    with pytest.raises(CohortError, match="no millivolts"):
        prepared.prepare(cohort, RECIPE, tmp_path / "cache", workers=1)
    prepared.prepare(cohort, RECIPE, tmp_path / "cache", workers=1, assume_millivolts=True)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[input]\nsamples = 600\n", "preprocessing"),
        (
            '[input]\nsamples = 600\nsampling_rate_hz = 500.0\nview = "beat"\n'
            '[[preprocessing]]\nstep = "x.v1"\nparameters = {}\n',
            "view",
        ),
    ],
)
def test_an_incomplete_recipe_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    """The message names what is missing or wrong."""
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(recipes.RecipeError, match=complaint):
        recipes.load(tmp_path / "r.toml")


def test_every_shipped_recipe_makes_its_tensor() -> None:
    """Of the shape that it promises, from the known ECG."""
    for path in recipes.RECIPES.glob("*.toml"):
        recipe = recipes.load(path.stem)
        assert probe.tensor(recipe.steps).shape == (len(LEADS), recipe.input.samples), path.stem


class TestVerbs:
    def test_check_cohort_tells_what_it_found(self, tmp_path: Path) -> None:
        """Counts, the endpoint, refusals, no leak, and a diagram on request."""
        hearts(tmp_path, 3)
        diagram = tmp_path / "flow.mmd"
        words = [
            "check-cohort",
            str(tmp_path),
            "--cache",
            str(tmp_path / "c"),
            "--workers",
            "1",
            "--diagram",
            str(diagram),
        ]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
        for told in ("4 recordings of 4 patients", "incident heart failure", "quality_rejected", "no leak found"):
            assert told in result.output
        assert diagram.read_text().startswith("flowchart")

    def test_a_leak_is_an_exit_status(self, tmp_path: Path) -> None:
        """The same signal under two patients fails the check."""
        path = hearts(tmp_path, 3, noise=0)
        path.write_text(path.read_text() + "ecg/h00.hea,someone else,2,0\n")
        result = CliRunner().invoke(
            app, ["check-cohort", str(tmp_path), "--cache", str(tmp_path / "c"), "--workers", "1"]
        )
        assert result.exit_code == 1
        assert "same signal under several patients" in result.output

    def test_prepare_counts(self, tmp_path: Path) -> None:
        """How many are ready, how many refused for what, and where the tensors are."""
        hearts(tmp_path, 2)
        result = CliRunner().invoke(
            app, ["prepare", str(tmp_path), "--recipe", "median-beat", "--cache", str(tmp_path / "c"), "--workers", "1"]
        )
        assert result.exit_code == 0, result.output
        assert "2 of 3 recordings are ready" in result.output

    def test_a_folder_of_nothing_is_explained(self, tmp_path: Path) -> None:
        """It says what it looked for."""
        result = CliRunner().invoke(app, ["check-cohort", str(tmp_path)])
        assert result.exit_code == 2
        assert "ptbxl_database.csv" in result.output
