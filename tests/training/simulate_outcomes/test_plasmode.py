"""Real recordings with drawn outcomes: their risk follows what cardiologists wrote, and their truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from model_training.data import catalogue, leakage, ptbxl, simulated
from model_training.data.cohort import SIMULATED
from model_training.simulate import hazard, measured, plasmode
from model_training.simulate.folder import read_truth
from tests.training.data import layouts


def test_statements_in_the_hazards_words() -> None:
    """Likelihood 0 means present; a doubtful statement is none; strain needs hypertrophy beside the ST change."""
    assert measured.of_codes({"CLBBB": 100.0})["condition"] == "lbbb"
    assert measured.of_codes({"AFIB": 0.0})["af"]
    assert not measured.of_codes({"ASMI": 35.0})["old_anterior_mi"]
    assert measured.of_codes({"ASMI": 80.0})["old_anterior_mi"]
    assert measured.of_codes({"LVH": 100.0, "ISC_": 100.0})["coded_lvh_strain"]
    assert not measured.of_codes({"LVH": 100.0})["coded_lvh_strain"]
    assert np.isnan(float(str(measured.of_codes({"NORM": 100.0})["left_atrial"])))


@pytest.fixture(scope="module")
def real(ptbxl_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spread of PTB-XL, a few recordings of each finding, in its own layout."""
    source = ptbxl.load(ptbxl_dir)
    root = tmp_path_factory.mktemp("some")
    database = pd.read_csv(ptbxl_dir / "ptbxl_database.csv")
    database = database[database["ecg_id"].astype(str).isin(set(source.table["ecg_id"]))]
    wanted = pd.concat(
        [
            database[database["scp_codes"].str.contains(f"'{code}': (?:100|80|0)", regex=True)].head(25)
            for code in ("NORM", "CLBBB", "AFIB", "LVH", "ASMI", "IMI")
        ]
    ).drop_duplicates("ecg_id")
    wanted.to_csv(root / "ptbxl_database.csv", index=False)
    for name in ("records100", "records500"):
        if (ptbxl_dir / name).is_dir():
            (root / name).symlink_to((ptbxl_dir / name).resolve())
    return root


@pytest.fixture(scope="module")
def folder(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plasmode.write(tmp_path_factory.mktemp("plasmode"), real, "hospital", seed=3, repeats=2, workers=1)


def test_risk_follows_the_findings(folder: Path) -> None:
    """Left bundle branch block, fibrillation, hypertrophy with strain and infarction lie above normal."""
    cohort, (truth, oracle) = simulated.load(folder), read_truth(folder)
    likely = [{code for code, p in codes.items() if p == 0 or p >= 50} for codes in cohort.table["codes"]]
    normal = np.median(truth.eta_ecg[["NORM" in codes for codes in likely]])
    for code in ("CLBBB", "AFIB", "ASMI", "IMI"):
        assert np.median(truth.eta_ecg[[code in codes for codes in likely]]) > normal + 0.6, code
    assert np.median(truth.eta_ecg[oracle["coded_lvh_strain"].to_numpy(bool)]) > normal + 0.6
    assert np.quantile(truth.risk(10.0), 0.9) > 5 * np.median(truth.risk(10.0)[["NORM" in codes for codes in likely]])


def test_folds_patients_and_signals_are_ptbxls_own(folder: Path, real: Path) -> None:
    """Repeats are rows of the same patient and fold; the signals are the files themselves."""
    cohort, source = catalogue.open_cohort(folder), ptbxl.load(real)
    assert cohort.simulated
    assert SIMULATED in cohort.label
    assert len(cohort) == 2 * len(source)
    by_id = source.table.set_index("ecg_id")
    original = cohort.table["ecg_id"].str.split("-").str[0]
    for column in ("fold", "patient_id", "age_years", "sex"):
        expected = by_id.loc[original, column].reset_index(drop=True)
        pd.testing.assert_series_equal(cohort.table[column], expected, check_names=False)
    assert not leakage.shared_patients(cohort, cohort.table["fold"].to_numpy())
    ours, theirs = cohort.recording(5).rhythm, source.recording(5).rhythm
    assert ours is not None
    assert theirs is not None
    np.testing.assert_array_equal(ours.samples, theirs.samples)


def test_repeats_are_other_lives_at_the_same_hazard(folder: Path) -> None:
    """The ECG's part of the hazard is the same in both repeats, times are not."""
    cohort, (truth, _) = simulated.load(folder), read_truth(folder)
    half = len(cohort) // 2
    np.testing.assert_array_equal(truth.eta_ecg[:half], truth.eta_ecg[half:])
    assert (cohort.table["time_years"].to_numpy()[:half] != cohort.table["time_years"].to_numpy()[half:]).all()


def test_measured_traits_are_the_hazards(folder: Path) -> None:
    """The stored truth is the hazard of the stored traits; a recording that cannot be measured stays neutral there."""
    truth, oracle = read_truth(folder)
    again = hazard.shipped().log_hazard(hazard.facts(oracle), visible=True)
    np.testing.assert_allclose(again, truth.eta_ecg, atol=1e-9)
    assert oracle["qrs_t_angle_deg"].between(0, 180).mean() > 0.9
    assert oracle["st_depression_mv"].dropna().between(0, 1).all()


def test_unreadable_recordings_are_left_out_and_counted(tmp_path: Path) -> None:
    """Files that hold no ECG draw no outcome; the description says how many."""
    layouts.ptbxl(tmp_path / "source")
    folder = plasmode.write(tmp_path / "out", tmp_path / "source", "hospital", seed=1, workers=1)
    about = simulated.read_about(folder)
    assert about["recordings"] + about["left_out_unreadable"] == len(ptbxl.load(tmp_path / "source"))
