"""CODE-15% and SaMi-Trop: Brazilian tele-ECG with death as the outcome, a proxy that is labelled as one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import h5py
import numpy as np
import pandas as pd

from ecg.recording import Unit
from model_training.data.cohort import DEATH, Cohort, CohortError, Outcome, table_of
from model_training.data.flow import Flow
from model_training.data.signals import Hdf5Rows

RATE_HZ: Final = 400.0
_DIAGNOSES: Final = ("1dAVb", "RBBB", "LBBB", "SB", "ST", "AF")


def load(root: Path) -> Cohort:
    """Exams found in the HDF5 parts, joined by exam_id: row order differs, and some traces have no exam."""
    exams = _exams(root)
    exams["patient_id"] = exams["patient_id"].astype(str)
    flow = Flow.of("CODE-15%", exams)
    parts = sorted(root.glob("exams_part*.hdf5"))
    if not parts:
        raise CohortError("no exams_part*.hdf5 in the folder")
    rows = {exam: (part, row) for part, path in enumerate(parts) for row, exam in enumerate(_exam_ids(path)) if exam}
    exams = flow.keep(exams, exams["exam_id"].isin(rows.keys()), "no trace in the HDF5 parts on disk")
    codes = [
        {name: 100.0 for name in _DIAGNOSES if bool(exam[name])} for exam in exams[list(_DIAGNOSES)].to_dict("records")
    ]
    table = table_of({**_people(exams, _truth(exams["is_male"])), **_follow_up(exams), "codes": codes}, len(exams))
    where = tuple(rows[exam] for exam in exams["exam_id"])
    signals = Hdf5Rows(tuple(parts), "tracings", where, RATE_HZ, Unit.MILLIVOLT, "code15")
    return Cohort("CODE-15%", table, signals, flow, endpoint=DEATH)


def load_sami_trop(root: Path) -> Cohort:
    """SaMi-Trop's HDF5 has no exam_id: its rows are the rows of the CSV, so that a count that differs is refused."""
    exams = _exams(root)
    exams["patient_id"] = exams["exam_id"].astype(str)
    path = root / "exams.hdf5"
    if not path.is_file():
        raise CohortError("exams.hdf5 not found in the folder")
    with h5py.File(path, "r") as file:
        traces = file["tracings"].shape[0]
    if traces != len(exams):
        raise CohortError(f"{traces} traces for {len(exams)} exams: they are matched by row and must be as many")
    flow = Flow.of("SaMi-Trop", exams)
    exams = flow.keep(exams, exams["timey"].notna(), "no follow-up")
    table = table_of({**_people(exams, _truth(exams["is_male"])), **_follow_up(exams)}, len(exams))
    where = tuple((0, int(row)) for row in exams.index)
    signals = Hdf5Rows((path,), "tracings", where, RATE_HZ, Unit.MILLIVOLT, "sami_trop")
    return Cohort("SaMi-Trop", table, signals, flow, endpoint=DEATH)


def _people(exams: pd.DataFrame, male: np.ndarray) -> dict[str, object]:
    return {
        "ecg_id": exams["exam_id"].astype(str).to_numpy(),
        "patient_id": exams["patient_id"].to_numpy(),
        "age_years": exams["age"].astype(float).to_numpy(),
        "sex": np.where(male, "male", "female"),
    }


def _follow_up(exams: pd.DataFrame) -> dict[str, object]:
    """Follow-up is given for a patient's first exam alone; the others keep 'unknown' and serve pretraining only."""
    followed = exams["timey"].notna().to_numpy()
    died = np.where(_truth(exams["death"]), int(Outcome.EVENT), int(Outcome.CENSORED))
    return {
        "time_years": exams["timey"].astype(float).to_numpy(),
        "event": np.where(followed, died, int(Outcome.UNKNOWN)),
    }


def _truth(column: pd.Series) -> np.ndarray:
    """True where the file says True, true or 1; blank counts as false."""
    text = column.astype("string").str.strip().str.lower()
    return np.asarray(text.isin(["true", "1", "1.0"]), dtype=bool)


def _exam_ids(path: Path) -> list[int]:
    with h5py.File(path, "r") as file:
        return [int(exam) for exam in file["exam_id"][:]]


def _exams(root: Path) -> pd.DataFrame:
    path = root / "exams.csv"
    if not path.is_file():
        raise CohortError("exams.csv not found: give the folder that holds it")
    return pd.read_csv(path)
