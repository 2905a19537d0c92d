"""A simulated cohort on disk is the same however it is made, keeps its truth apart, and opens like any other."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ecg import beats, harmonise, quality
from ecg.harmonise import limb_residual
from model_training import recipe as recipes
from model_training.cli import app
from model_training.data import catalogue, leakage, simulated, splits
from model_training.data.cohort import SIMULATED, CohortError
from model_training.data.leakage import Leak
from model_training.simulate import outcomes, people, render, report_leak, reports, write_cohort
from model_training.simulate.folder import read_truth
from model_training.simulate.noise import DEVICES
from model_training.simulate.outcomes import Drawn
from model_training.simulate.presets import PRESETS

SEED = 23


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort.write(tmp_path_factory.mktemp("whole"), "hospital", 48, SEED, workers=1)


def signals(folder: Path) -> np.ndarray:
    cohort = simulated.load(folder)
    strips = [cohort.recording(row).rhythm for row in range(len(cohort))]
    return np.stack([strip.samples for strip in strips if strip is not None])


def test_shards_and_workers_leave_no_trace(whole: Path, tmp_path: Path) -> None:
    """Tables, oracles and every sample are equal for one shard in this process and many shards in two others."""
    pieces = write_cohort.write(tmp_path, "hospital", 48, SEED, workers=2, shard_records=20)
    where = ["shard", "slot"]
    a, b = (pd.read_parquet(folder / simulated.TABLE).drop(columns=where) for folder in (whole, pieces))
    pd.testing.assert_frame_equal(a, b)
    pd.testing.assert_frame_equal(*(pd.read_parquet(folder / simulated.ORACLE) for folder in (whole, pieces)))
    np.testing.assert_array_equal(signals(whole), signals(pieces))


def test_a_killed_run_goes_on(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was finished is not made again, what was lost is, and the result is the same; another seed is refused."""
    folder = write_cohort.write(tmp_path, "hospital", 48, SEED, workers=1, shard_records=16)
    (folder / simulated.TABLE).unlink()
    (folder / ".part-00001.parquet").unlink()
    (folder / simulated.shard_name(1)).write_bytes(b"half a file")
    (folder / ".part-00001-99.npy").write_bytes(b"half a file")
    with pytest.raises(CohortError, match="unfinished"):
        simulated.load(folder)
    made: list[int] = []
    kept = (folder / simulated.shard_name(0)).stat().st_mtime_ns
    write_cohort.write(folder, "hospital", 48, SEED, workers=1, shard_records=16, on_progress=made.append)
    assert made == [32, 16]
    assert not (folder / ".part-00001-99.npy").exists()
    assert (folder / simulated.shard_name(0)).stat().st_mtime_ns == kept
    np.testing.assert_array_equal(signals(folder), signals(whole))
    with pytest.raises(CohortError, match="another"):
        write_cohort.write(folder, "hospital", 48, SEED + 1, workers=1, shard_records=16)
    with pytest.raises(CohortError, match="another"):
        write_cohort.write(folder, "hospital", 48, SEED, workers=1, shard_records=17)


def test_the_signal_is_the_rendered_one(whole: Path) -> None:
    """To half a microvolt, through the eight stored leads; the derived ones keep Einthoven's law."""
    cohort = simulated.load(whole)
    twelve = harmonise.to_twelve(cohort.recording(7))
    person = people.draw(1, SEED, first=7)
    device = DEVICES[cohort.table["device"].iat[7]]
    made = render.render(person, SEED, device=device).signal_mv[0]
    assert np.abs(twelve.samples_mv - made).max() < 0.0016
    assert limb_residual(twelve.samples_mv) < 1e-6
    assert quality.inspect(twelve, recipes.load("rhythm-100hz").quality, beats.find(twelve)).verdict != "rejected"


def test_a_study_sees_no_truth(whole: Path, tmp_path: Path) -> None:
    """The table holds nothing of the oracle, in no column and under no other name; a planted column is refused."""
    cohort = simulated.load(whole)
    truth, oracle = read_truth(whole)
    assert not simulated.HIDDEN & set(cohort.table.columns)
    assert list(oracle["ecg_id"]) == list(cohort.table["ecg_id"])
    numbers = cohort.table.select_dtypes("number").drop(columns=["age_years"])
    for name in numbers.columns.difference(["time_years", "event"]):
        assert numbers[name].nunique() == 1 or abs(np.corrcoef(numbers[name], truth.frailty)[0, 1]) < 0.6
    planted = pd.read_parquet(whole / simulated.TABLE).assign(frailty=truth.frailty)
    (tmp_path / simulated.ABOUT).write_text((whole / simulated.ABOUT).read_text())
    planted.to_parquet(tmp_path / simulated.TABLE)
    with pytest.raises(CohortError, match="frailty"):
        simulated.load(tmp_path)


def test_everything_says_simulated(whole: Path, tmp_path: Path) -> None:
    """The label, the flow, the description; a folder that does not say so is not opened."""
    cohort = catalogue.open_cohort(whole)
    assert cohort.simulated
    assert SIMULATED in cohort.label
    assert SIMULATED in cohort.flow.to_text()
    about = json.loads((whole / simulated.ABOUT).read_text())
    assert about["outcomes"] == SIMULATED
    assert {"horizon_years", "incidence_by_horizon", "scale", "seed"} <= set(about)
    (tmp_path / simulated.ABOUT).write_text(json.dumps(about | {"outcomes": "real"}))
    with pytest.raises(CohortError, match=SIMULATED):
        simulated.load(tmp_path)


def test_people_of_a_population_only(tmp_path: Path) -> None:
    """A biobank preset holds only its own people, as many as were asked for."""
    folder = write_cohort.write(tmp_path, "ukb_mi", 12, SEED, workers=1)
    _, oracle = read_truth(folder)
    assert len(oracle) == 12
    assert oracle["age_years"].between(45, 82).all()
    assert ((oracle["ischaemia"] > 1.5) | oracle["old_inferior_mi"] | oracle["old_anterior_mi"]).all()


def test_arms_of_the_reports(whole: Path, tmp_path: Path) -> None:
    """Exchanged reports are the same ones at other people's ECGs, in every shard alike; missing ones are empty."""
    noisy = pd.read_parquet(whole / simulated.TABLE)
    folder = write_cohort.write(tmp_path / "s", "hospital", 48, SEED, workers=1, shard_records=16, arm="shuffled")
    shuffled = pd.read_parquet(folder / simulated.TABLE)
    assert sorted(shuffled["report"]) == sorted(noisy["report"])
    assert (shuffled["report"] == noisy["report"]).mean() < 0.3
    np.testing.assert_array_equal(shuffled["time_years"], noisy["time_years"])
    folder = write_cohort.write(tmp_path / "m", "hospital", 48, SEED, workers=1, arm="missing")
    assert 4 < (pd.read_parquet(folder / simulated.TABLE)["report"] == "").sum() < 28


def test_the_verb_makes_a_cohort_and_says_what_can_be_reached(tmp_path: Path) -> None:
    """`simulate` ends with the oracle's ladder, labelled; --help teaches by example."""
    run = CliRunner().invoke(app, ["simulate", str(tmp_path / "c"), "--people", "30", "--workers", "1"])
    assert run.exit_code == 0, run.output
    assert run.output.count(SIMULATED) >= 2
    assert "horizon" in run.output
    assert len(catalogue.open_cohort(tmp_path / "c")) == 30
    told = CliRunner().invoke(app, ["simulate", "--help"], env={"COLUMNS": "200"}).output
    assert "python -m model_training simulate" in told
    assert "non_proportional" in told


def test_split_by_person_and_a_planted_breach(whole: Path) -> None:
    """The cohort's own folds keep people apart, bookkeeping tells nothing; recordings dealt freely are found out."""
    cohort = simulated.load(whole)
    assert not leakage.find(cohort, cohort.table["fold"].to_numpy())
    twice = cohort.table.assign(patient_id=cohort.table["patient_id"].iloc[np.arange(48) // 2].to_numpy())
    pairs = type(cohort)("twice", twice, cohort.signals, cohort.flow, cohort.endpoint, simulated=True)
    assert not leakage.shared_patients(pairs, splits.by_patient(pairs, 5, seed=1))
    assert leakage.shared_patients(pairs, np.arange(48) % 5)


@dataclass(frozen=True)
class Told:
    """Reports and outcomes of many people, without signals."""

    traits: pd.DataFrame
    drawn: Drawn
    texts: list[str]

    def leaks(self, texts: list[str]) -> list[Leak]:
        made = self.drawn
        return report_leak.find(texts, self.traits, made.truth, made.time_years, made.event)


@pytest.fixture(scope="module")
def told() -> Told:
    traits = people.draw(4_000, 91)
    texts = [each.text for each in reports.describe(traits, 91, arm="noisy")]
    return Told(traits, outcomes.draw(traits, PRESETS["hospital"], 91), texts)


def test_reports_know_no_more_than_the_ecg(told: Told) -> None:
    """Given the traits, words foretell neither frailty nor age nor the outcome, in people they were not learnt on."""
    assert not told.leaks(told.texts)


@pytest.mark.parametrize("planted", ["outcome", "frailty", "age"])
def test_a_planted_leak_in_the_reports_is_found(told: Told, planted: str) -> None:
    """A few words too many, in some of those whom they betray, raise the alarm."""
    betrayed = {
        "outcome": (told.drawn.event == 1) & (np.arange(4_000) % 2 == 0),
        "frailty": told.drawn.truth.frailty > 0.35,
        "age": told.traits["age_years"].to_numpy() > 70,
    }[planted]
    texts = [text + " comparison advised" * bool(flag) for text, flag in zip(told.texts, betrayed, strict=True)]
    assert any(planted in leak.detail for leak in told.leaks(texts))


def test_drawing_outcomes_for_real_recordings_by_the_verb(tmp_path: Path) -> None:
    """`simulate --plasmode` on a folder that is no PTB-XL says what is missing."""
    run = CliRunner().invoke(app, ["simulate", str(tmp_path / "p"), "--plasmode", str(tmp_path)])
    assert run.exit_code == 2
    assert "ptbxl_database.csv" in run.output
