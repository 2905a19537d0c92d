"""MIMIC-IV-ECG, with heart failure from the hospital's diagnoses where `hosp/` is at hand.

Diagnosis codes are given at discharge, so heart failure coded in the admission that holds the ECG was there already: it
is prevalent, never an event. Follow-up ends a stated time after the last discharge; who returns to the hospital is not
chance, so censoring is informative.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from model_training.data.cohort import HEART_FAILURE, Cohort, CohortError, Outcome, table_of
from model_training.data.flow import Flow
from model_training.data.signals import Files

ICD10_HF: Final = ("I50", "I110", "I130", "I132")
ICD9_HF: Final = (
    "428",
    "40201",
    "40211",
    "40291",
    *(f"404{digits}" for digits in ("01", "03", "11", "13", "91", "93")),
)
_REPORT_COLUMNS: Final = [f"report_{number}" for number in range(18)]
_DAYS_PER_YEAR: Final = 365.25


@dataclass(frozen=True, slots=True)
class FollowUp:
    """How long a patient counts as seen after the last discharge, and how early an event is still the same illness."""

    tracked_days_after_discharge: float = 365.0
    blanking_days: float = 0.0


def load(root: Path, hosp: Path | None = None, follow_up: FollowUp | None = None) -> Cohort:
    """All ECGs without an outcome, or, with the `hosp` folder, each patient's first eligible ECG with its outcome."""
    records = _read(root / "record_list.csv", parse_dates=["ecg_time"])
    records["patient_id"] = records["subject_id"].astype(str)
    flow = Flow.of("MIMIC-IV-ECG", records)
    present = records["path"].map(lambda path: (root / f"{path}.hea").is_file())
    records = flow.keep(records, present, "no signal file on disk")
    # Reports are joined by study, never by row: the two files are not in the same order.
    records = records.merge(_reports(root), on="study_id", how="left")
    if hosp is None:
        return _cohort(root, records, flow)
    return _with_outcome(root, records, flow, hosp, follow_up or FollowUp())


def is_heart_failure(code: pd.Series[str], version: pd.Series[int]) -> pd.Series[bool]:
    """Heart failure by ICD-9 or ICD-10 code as MIMIC writes them, without dots."""
    plain = code.str.replace(".", "", regex=False).str.strip().str.upper()
    return (plain.str.startswith(ICD10_HF) & (version == 10)) | (plain.str.startswith(ICD9_HF) & (version == 9))


def _reports(root: Path) -> pd.DataFrame:
    table = _read(root / "machine_measurements.csv", dtype=dict.fromkeys(_REPORT_COLUMNS, "string"))
    lines = [column for column in _REPORT_COLUMNS if column in table.columns]
    report = table[lines].apply(lambda row: "; ".join(text.strip() for text in row.dropna() if text.strip()), axis=1)
    device = table["cart_id"].astype(str) if "cart_id" in table else ""
    return pd.DataFrame({"study_id": table["study_id"], "report": report, "device": device}).drop_duplicates("study_id")


def _cohort(root: Path, records: pd.DataFrame, flow: Flow, **outcome: object) -> Cohort:
    columns = {
        "ecg_id": records["study_id"].astype(str).to_numpy(),
        "patient_id": records["patient_id"].to_numpy(),
        "recorded_at": records["ecg_time"].to_numpy(),
        "report": records["report"].fillna("").to_numpy(),
        "device": records["device"].fillna("").to_numpy(),
        **outcome,
    }
    endpoint = HEART_FAILURE if outcome else None
    return Cohort(
        "MIMIC-IV-ECG", table_of(columns, len(records)), Files(root, tuple(records["path"])), flow, endpoint=endpoint
    )


def _with_outcome(root: Path, records: pd.DataFrame, flow: Flow, hosp: Path, follow_up: FollowUp) -> Cohort:
    patients = _hosp(hosp, "patients")
    admissions = _hosp(hosp, "admissions", parse_dates=["admittime", "dischtime"])
    diagnoses = _hosp(hosp, "diagnoses_icd", dtype={"icd_code": "string"})
    failing = diagnoses[is_heart_failure(diagnoses["icd_code"], diagnoses["icd_version"])]["hadm_id"].unique()
    hf_times = admissions[admissions["hadm_id"].isin(failing)].groupby("subject_id")["admittime"].agg(list)
    last_seen = admissions.groupby("subject_id")["dischtime"].max()

    records = flow.keep(records, records["subject_id"].isin(patients["subject_id"]), "no hospital record")
    prevalent = [
        any(admitted <= at for admitted in hf_times.get(subject, []))
        for subject, at in zip(records["subject_id"], records["ecg_time"], strict=True)
    ]
    records = flow.keep(
        records, ~pd.Series(prevalent, index=records.index), "heart failure coded in this or an earlier admission"
    )
    records = records.sort_values(["ecg_time", "study_id"])
    records = flow.keep(records, ~records["subject_id"].duplicated(), "not the patient's first eligible ECG")
    records = records.merge(patients, on="subject_id", how="left")
    time_days, event = _outcomes(records, hf_times, last_seen, follow_up)
    followed = pd.Series(time_days > 0, index=records.index)
    records = flow.keep(records, followed, "no follow-up after the ECG")
    age = records["anchor_age"] + records["ecg_time"].dt.year - records["anchor_year"]
    return _cohort(
        root,
        records,
        flow,
        age_years=age.astype(float).to_numpy(),
        sex=records["gender"].map({"F": "female", "M": "male"}).to_numpy(),
        time_years=time_days[followed.to_numpy()] / _DAYS_PER_YEAR,
        event=event[followed.to_numpy()],
    )


def _outcomes(
    records: pd.DataFrame, hf_times: pd.Series[object], last_seen: pd.Series[object], follow_up: FollowUp
) -> tuple[np.ndarray, np.ndarray]:
    """Days to the first of heart failure, death and the end of follow-up, and which of them it was."""
    tracked = pd.Timedelta(days=follow_up.tracked_days_after_discharge)
    blanking = pd.Timedelta(days=follow_up.blanking_days)
    time_days, event = np.zeros(len(records)), np.zeros(len(records), dtype=int)
    for row, (subject, at, dod) in enumerate(
        zip(records["subject_id"], records["ecg_time"], pd.to_datetime(records["dod"]), strict=True)
    ):
        end = max(last_seen.get(subject, at), at) + tracked
        later = [each for each in hf_times.get(subject, []) if each > at + blanking]
        candidates = [(end, Outcome.CENSORED)]
        candidates += [(min(later), Outcome.EVENT)] if later else []
        # dod is a date without a clock: it counts from the end of that day, so that a final admission comes first.
        candidates += [(dod + pd.Timedelta(days=1), Outcome.COMPETING_DEATH)] if pd.notna(dod) else []
        when, what = min(candidates, key=lambda each: (each[0], -each[1]))
        time_days[row], event[row] = (when - at) / pd.Timedelta(days=1), int(what)
    return time_days, event


def _hosp(hosp: Path, name: str, **options: object) -> pd.DataFrame:
    for suffix in (".csv.gz", ".csv"):
        if (hosp / f"{name}{suffix}").is_file():
            return _read(hosp / f"{name}{suffix}", **options)
    raise CohortError(f"{name}.csv(.gz) not found in the hosp folder")


def _read(path: Path, **options: object) -> pd.DataFrame:
    if not path.is_file():
        raise CohortError(f"{path.name} not found: give the folder that holds it")
    return pd.read_csv(path, **options)
