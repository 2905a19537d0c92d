"""PTB-XL: 21,799 twelve-lead ECGs with reports and SCP statements, and no outcome."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_training.data.cohort import Cohort, CohortError, table_of
from model_training.data.flow import Flow
from model_training.data.signals import Files

SUPERCLASSES: Final = ("NORM", "MI", "STTC", "CD", "HYP")
_OVER_89: Final = 300
_AGE_OVER_89_YEARS: Final = 90.0


@dataclass(frozen=True, slots=True)
class Statement:
    """One row of scp_statements.csv: what a code says, and to which classes it belongs."""

    code: str
    category: str
    description: str
    superclass: str | None
    subclass: str | None
    is_form: bool
    is_rhythm: bool


def load(root: Path) -> Cohort:
    """Every record on disk, at 500 Hz where it is there, else 100. Likelihood 0 is kept: unknown, not absent."""
    database = _read(root / "ptbxl_database.csv")
    flow = Flow.of("PTB-XL", database)
    paths = database["filename_hr"].where(database["filename_hr"].notna(), database["filename_lr"])
    present = paths.map(lambda path: isinstance(path, str) and (root / f"{path}.hea").is_file())
    kept = flow.keep(database, present, "no signal file on disk")
    table = table_of(
        {
            "ecg_id": kept["ecg_id"].astype(str).to_numpy(),
            "patient_id": kept["patient_id"].astype("int64").astype(str).to_numpy(),
            "recorded_at": pd.to_datetime(kept["recording_date"]).to_numpy(),
            "age_years": np.where(kept["age"] == _OVER_89, _AGE_OVER_89_YEARS, kept["age"]),
            "sex": kept["sex"].map({0: "male", 1: "female"}).to_numpy(),
            "report": kept["report"].fillna("").to_numpy(),
            "codes": [parse_codes(text) for text in kept["scp_codes"]],
            "fold": kept["strat_fold"].astype(int).to_numpy(),
            "site": kept["site"].map(lambda site: "" if pd.isna(site) else f"{site:g}").to_numpy(),
            "device": kept["device"].fillna("").str.strip().to_numpy(),
            "pacemaker": kept["pacemaker"].notna().to_numpy(),
            "noise_noted": kept[["baseline_drift", "static_noise", "burst_noise", "electrodes_problems"]]
            .notna()
            .any(axis=1)
            .to_numpy(),
        },
        len(kept),
    )
    return Cohort("PTB-XL", table, Files(root, tuple(paths[kept.index])), flow)


def parse_codes(text: str) -> dict[str, float]:
    """`{'NORM': 100.0, 'SR': 0.0}` as written in the database, evaluated as a literal only."""
    codes = ast.literal_eval(text)
    if not isinstance(codes, dict):
        raise CohortError(f"scp_codes is no dictionary: {text[:80]}")
    return {str(code): float(likelihood) for code, likelihood in codes.items()}


def statements(root: Path) -> dict[str, Statement]:
    """The meaning of every code, from scp_statements.csv."""
    table = pd.read_csv(root / "scp_statements.csv", index_col=0)

    def text(row: pd.Series, column: str) -> str | None:
        return None if pd.isna(row[column]) else str(row[column]).strip()

    return {
        str(code): Statement(
            code=str(code),
            category=text(row, "Statement Category") or "",
            description=text(row, "SCP-ECG Statement Description") or text(row, "description") or "",
            superclass=text(row, "diagnostic_class"),
            subclass=text(row, "diagnostic_subclass"),
            is_form=row["form"] == 1,
            is_rhythm=row["rhythm"] == 1,
        )
        for code, row in table.iterrows()
    }


def superclass_labels(cohort: Cohort, meanings: dict[str, Statement]) -> NDArray[np.float32]:
    """(n, 5) multi-hot diagnostic superclasses; the public benchmark counts a code whatever its likelihood."""
    labels = np.zeros((len(cohort), len(SUPERCLASSES)), dtype=np.float32)
    for position, codes in enumerate(cohort.table["codes"]):
        for code in codes:
            superclass = meanings[code].superclass if code in meanings else None
            if superclass:
                labels[position, SUPERCLASSES.index(superclass)] = 1
    return labels


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise CohortError(f"{path.name} not found: give the folder that holds it")
    return pd.read_csv(path, dtype={"filename_hr": "string", "filename_lr": "string"})
