"""Miniature copies of each data set's layout on disk, with its traps planted."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from ecg.leads import LEADS

MIMIC_ORDER = ("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6")


def signal_uv(seed: int, samples: int) -> np.ndarray:
    """(12, samples) int16 microvolts, Einthoven-exact, a different constant pattern for each seed."""
    generator = np.random.default_rng(seed)
    free = np.cumsum(generator.integers(-8, 9, (8, samples)), axis=1).astype(np.int64)
    i, ii = free[0] * 2, free[1] * 2
    limb = [i, ii, ii - i, -(i + ii) // 2, i - ii // 2, ii - i // 2]
    return np.stack([*limb, *free[2:]]).astype(np.int16)


def write_wfdb(folder: Path, name: str, rate_hz: int, signal: np.ndarray, order=LEADS, comments=()) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    stored = np.stack([signal[LEADS.index(lead)] for lead in order])
    stored.T.astype("<i2").tofile(folder / f"{name}.dat")
    lines = [f"{name} 12 {rate_hz} {stored.shape[1]}"]
    for lead, samples in zip(order, stored, strict=True):
        checksum = int(samples.astype(np.int64).sum()) & 0xFFFF
        lines.append(f"{name}.dat 16 1000.0(0)/mV 16 0 {samples[0]} {checksum} 0 {lead}")
    lines += [f"#{comment}" for comment in comments]
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n")


def ptbxl(root: Path) -> None:
    """Likelihood 0, age 300, a record at 100 Hz only, a record without a file, two records of one patient."""
    rows = [
        (1, 11.0, 56.0, 1, "sinusrhythmus", "{'NORM': 100.0, 'SR': 0.0}", 1, "records500/00000/00001_hr"),
        (2, 11.0, 300.0, 0, "links schenkelblock", "{'CLBBB': 100.0, 'SR': 0.0}", 1, ""),
        (3, 12.0, 61.0, 0, None, "{'IMI': 35.0, 'LVH': 0.0}", 9, "records500/00000/00003_hr"),
    ]
    columns = ["ecg_id", "patient_id", "age", "sex", "report", "scp_codes", "strat_fold", "filename_hr"]
    table = pd.DataFrame(rows, columns=columns)
    table["filename_lr"] = [f"records100/00000/{ecg_id:05d}_lr" for ecg_id in table["ecg_id"]]
    table["recording_date"] = ["1984-11-09 09:17:34", "1984-11-14 12:55:37", "1999-01-01 00:00:00"]
    table["device"], table["site"], table["pacemaker"] = "CS-12   E", 0.0, [None, None, "ja, pacemaker"]
    for column in ("baseline_drift", "static_noise", "burst_noise", "electrodes_problems"):
        table[column] = None
    root.mkdir(parents=True, exist_ok=True)
    table.to_csv(root / "ptbxl_database.csv", index=False)
    statements = pd.DataFrame(
        {
            "description": [
                "normal ECG",
                "left bundle branch block",
                "inferior infarction",
                "hypertrophy",
                "sinus rhythm",
            ],
            "diagnostic": [1.0, 1.0, 1.0, 1.0, None],
            "form": [None] * 5,
            "rhythm": [None, None, None, None, 1.0],
            "diagnostic_class": ["NORM", "CD", "MI", "HYP", None],
            "diagnostic_subclass": ["NORM", "CLBBB", "IMI", "LVH", None],
            "Statement Category": ["Normal/abnormal", "Conduction", "Infarction", "Hypertrophy", "Rhythm"],
            "SCP-ECG Statement Description": [
                "normal",
                "complete LBBB",
                "inferior MI",
                "LV hypertrophy",
                "sinus rhythm",
            ],
        },
        index=["NORM", "CLBBB", "IMI", "LVH", "SR"],
    )
    statements.to_csv(root / "scp_statements.csv")
    write_wfdb(root / "records500/00000", "00001_hr", 500, signal_uv(1, 5000))
    write_wfdb(root / "records100/00000", "00001_lr", 100, signal_uv(1, 1000))
    write_wfdb(root / "records100/00000", "00002_lr", 100, signal_uv(2, 1000))


def mimic(root: Path) -> None:
    """aVF before aVL; reports in another row order; HF coded in the ECG's own admission; a death."""
    records = [
        # subject, study, time, what must become of it
        (1, 101, "2150-03-01 10:00:00"),  # event at the admission of 2152-03-01
        (1, 102, "2150-06-01 10:00:00"),  # a later ECG of the same patient
        (2, 103, "2160-01-02 08:00:00"),  # inside an admission that is coded HF: prevalent
        (3, 104, "2170-05-05 12:00:00"),  # dies without HF
        (4, 105, "2180-01-01 00:00:00"),  # censored
        (5, 106, "2190-01-01 00:00:00"),  # not in hosp
        (6, 107, "2190-01-01 00:00:00"),  # no file
    ]
    paths = {study: f"files/p1000/p{subject:08d}/s{study}/{study}" for subject, study, _ in records}
    table = pd.DataFrame(records, columns=["subject_id", "study_id", "ecg_time"])
    table["file_name"] = table["study_id"]
    table["path"] = table["study_id"].map(paths)
    root.mkdir(parents=True, exist_ok=True)
    table.to_csv(root / "record_list.csv", index=False)
    reports = pd.DataFrame({"subject_id": table["subject_id"], "study_id": table["study_id"], "cart_id": 7}).iloc[::-1]
    for number in range(18):
        reports[f"report_{number}"] = [f"finding of {study}" if number == 0 else None for study in reports["study_id"]]
    reports["rr_interval"] = 29999
    reports.to_csv(root / "machine_measurements.csv", index=False)
    for _, study, _ in records[:-1]:
        write_wfdb(root / Path(paths[study]).parent, str(study), 500, signal_uv(study, 5000), MIMIC_ORDER)
    hosp = root / "hosp"
    hosp.mkdir()
    admissions = [
        (1, 11, "2150-02-27 00:00:00", "2150-03-03 00:00:00"),
        (1, 12, "2152-03-01 10:00:00", "2152-03-09 00:00:00"),
        (2, 21, "2160-01-01 00:00:00", "2160-01-09 00:00:00"),
        (3, 31, "2170-05-05 00:00:00", "2170-05-06 00:00:00"),
        (4, 41, "2179-12-31 00:00:00", "2180-01-01 12:00:00"),
        (6, 61, "2190-01-01 00:00:00", "2190-01-02 00:00:00"),
    ]
    pd.DataFrame(admissions, columns=["subject_id", "hadm_id", "admittime", "dischtime"]).to_csv(
        hosp / "admissions.csv.gz", index=False
    )
    diagnoses = [(1, 11, "I10", 10), (1, 12, "I5023", 10), (2, 21, "4280", 9), (3, 31, "I251", 10), (4, 41, "4280", 10)]
    pd.DataFrame(diagnoses, columns=["subject_id", "hadm_id", "icd_code", "icd_version"]).to_csv(
        hosp / "diagnoses_icd.csv.gz", index=False
    )
    patients = [
        (1, "F", 60, 2150, None),
        (2, "M", 50, 2160, None),
        (3, "M", 80, 2168, "2170-11-05"),
        (4, "F", 40, 2180, None),
    ]
    patients.append((6, "M", 70, 2190, None))
    pd.DataFrame(patients, columns=["subject_id", "gender", "anchor_age", "anchor_year", "dod"]).to_csv(
        hosp / "patients.csv.gz", index=False
    )


def code15(root: Path) -> None:
    """Traces in another order than the exams, a trace without an exam, zero padding, follow-up of first exams alone."""
    root.mkdir(parents=True, exist_ok=True)
    exams = pd.DataFrame(
        {
            "exam_id": [501, 502, 503],
            "age": [60, 61, 45],
            "is_male": [True, True, False],
            "nn_predicted_age": [58.0, 60.0, 47.0],
            "1dAVb": [False, False, True],
            "RBBB": False,
            "LBBB": [True, False, False],
            "SB": False,
            "ST": False,
            "AF": False,
            "patient_id": [9001, 9001, 9002],
            "death": ["True", "", "False"],
            "timey": [2.5, None, 3.0],
            "normal_ecg": False,
            "trace_file": "exams_part0.hdf5",
        }
    )
    exams.to_csv(root / "exams.csv", index=False)
    tracings = np.zeros((4, 4096, 12), dtype=np.float32)
    for row, exam in enumerate((503, 0, 502, 501)):
        tracings[row, 648:3448] = signal_uv(exam, 2800).T / 1000
    with h5py.File(root / "exams_part0.hdf5", "w") as file:
        file["exam_id"], file["tracings"] = np.array([503, 0, 502, 501]), tracings


def sami_trop(root: Path, traces: int = 3) -> None:
    root.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(
        {"exam_id": [7, 8, 9], "age": [60, 70, 50], "is_male": [1, 0, 1], "death": [1, 0, 0], "timey": [1.0, 2.0, None]}
    ).to_csv(root / "exams.csv", index=False)
    with h5py.File(root / "exams.hdf5", "w") as file:
        file["tracings"] = np.stack([signal_uv(seed, 4096).T / 1000 for seed in range(traces)]).astype(np.float32)


def echonext(root: Path) -> None:
    """Lowercase metadata name, rows by split in file order, a flag that was never measured, z-scored arrays."""
    root.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(
        {
            "ecg_key": [1, 2, 3],
            "patient_key": [10, 10, 11],
            "age_at_ecg": [70, 71, 50],
            "sex": ["F", "F", "M"],
            "location_setting": ["inpatient", None, "emergency"],
            "split": ["val", "train", "train"],
            "lvef_lte_45_flag": [1, 0, 0],
            "lvef_value": [30.0, None, 60.0],
            "shd_moderate_or_greater_flag": [1, 0, 0],
        }
    ).to_csv(root / "echonext_metadata_100k.csv", index=False)
    for split, seeds in {"train": (2, 3), "val": (1,)}.items():
        np.save(
            root / f"EchoNext_{split}_waveforms.npy",
            np.stack([signal_uv(seed, 2500).T[None] / 500 for seed in seeds]).astype(np.float64),
        )


def ukb(root: Path, ecg_xml: bytes) -> None:
    """Two visits, prevalent and placeholder heart failure dates, early death, loss to follow-up, no visit date."""
    ecgs = root / "ecg"
    ecgs.mkdir(parents=True)
    for name in (
        "1_20205_2_0",
        "1_20205_3_0",
        "2_20205_2_0",
        "3_20205_2_0",
        "4_20205_2_0",
        "5_20205_2_0",
        "6_20205_2_0",
        "7_20205_2_0",
    ):
        (ecgs / f"{name}.xml").write_bytes(ecg_xml)
    people = pd.DataFrame(
        {
            "participant.eid": [1, 2, 3, 4, 5, 6],
            "participant.p31": [0, 1, 1, 0, 1, 0],
            "participant.p21003_i2": [60, 65, 70, 55, 58, 62],
            "participant.p53_i2": ["2016-01-01", "2016-01-01", "2016-01-01", "2016-01-01", "2016-01-01", None],
            "participant.p53_i3": ["2019-01-01", None, None, None, None, None],
            "participant.p131354": ["2018-01-01", "2015-06-01", "1902-02-02", None, None, None],
            "participant.p40000_i0": [None, None, None, "2016-07-01", None, None],
            "participant.p191": [None, None, None, None, "2017-01-01", None],
            "participant.p131286": ["2010-01-01", "2010-01-01", "2010-01-01", "2020-01-01", None, "2010-01-01"],
            "participant.p42000": ["2012-01-01", None, "1900-01-01", None, None, None],
        }
    )
    people.to_csv(root / "participants.csv", index=False)


def challenge(root: Path) -> None:
    """Two sites, an absurd age, a corrupt header, a header without its signals."""
    write_wfdb(
        root / "georgia/g1",
        "E00001",
        500,
        signal_uv(1, 5000),
        comments=("Age: 61", "Sex: Female", "Dx: 426783006,164889003"),
    )
    write_wfdb(root / "cpsc/g1", "A0001", 500, signal_uv(2, 5000), comments=("Age: 999", "Sex: M", "Dx: 270492004"))
    write_wfdb(root / "cpsc/g1", "A0002", 500, signal_uv(3, 5000))
    (root / "cpsc/g1/A0002.dat").unlink()
    (root / "cpsc/g1/JS01052.hea").write_text("")
