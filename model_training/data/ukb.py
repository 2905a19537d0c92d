"""UK Biobank: CardioSoft ECGs of the imaging visit (field 20205) and the first heart failure date (field 131354).

The hypertension and post-infarction cohorts follow the paper, except that a person without heart failure needs no
minimum follow-up: asking it of them alone would select on the outcome.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from model_training.data.cohort import HEART_FAILURE, Cohort, CohortError, Outcome, table_of
from model_training.data.flow import Flow
from model_training.data.signals import Files

_ECG_FILE: Final = re.compile(r"^(\d+)_20205_([23])_0\.xml$")
# Dates that UK Biobank writes where the true one is unknown or impossible.
PLACEHOLDERS: Final = pd.to_datetime(
    ["1900-01-01", "1901-01-01", "1902-02-02", "1903-03-03", "1909-09-09", "2037-07-07"]
)
_DAYS_PER_YEAR: Final = 365.25


class Population(StrEnum):
    ALL = "all"
    HYPERTENSION = "hypertension"
    POST_INFARCTION = "post-infarction"


@dataclass(frozen=True, slots=True)
class Fields:
    """Columns of the participant table, as the research platform exports them; other names fit an older basket."""

    sex: str = "p31"
    heart_failure_date: str = "p131354"
    death_date: str = "p40000_i0"
    lost_date: str = "p191"
    infarction_date: str = "p42000"
    hypertension_dates: tuple[str, ...] = ("p131286", "p131288", "p131290", "p131292", "p131294")

    def visit_date(self, instance: int) -> str:
        return f"p53_i{instance}"

    def visit_age(self, instance: int) -> str:
        return f"p21003_i{instance}"


def load(
    ecg_dir: Path,
    participants: Path,
    censor_date: date,
    population: Population = Population.ALL,
    fields: Fields | None = None,
) -> Cohort:
    """Each participant's first imaging ECG without heart failure by then, followed to the stated censoring date."""
    fields = fields or Fields()
    people = _participants(participants)
    ecgs = _ecg_files(ecg_dir)
    flow = Flow.of(f"UK Biobank ({population})", ecgs)
    ecgs = flow.keep(ecgs, ecgs["patient_id"].isin(people.index), "not in the participant table")
    ecgs["visit"] = [
        _date(people, fields.visit_date(instance), eid)
        for eid, instance in zip(ecgs["patient_id"], ecgs["instance"], strict=True)
    ]
    ecgs = flow.keep(ecgs, ecgs["visit"].notna(), "no date of the imaging visit")
    ecgs = ecgs.sort_values(["patient_id", "instance"])
    ecgs = flow.keep(ecgs, ~ecgs["patient_id"].duplicated(), "not the participant's first imaging ECG")
    ecgs = _select(ecgs, people, fields, population, flow)
    failed = _dates(ecgs, people, fields.heart_failure_date)
    ecgs = flow.keep(ecgs, ~(failed <= ecgs["visit"]), "heart failure at or before the visit")
    time_years, event = _outcomes(ecgs, people, fields, pd.Timestamp(censor_date))
    followed = time_years > 0
    ecgs = flow.keep(ecgs, pd.Series(followed, index=ecgs.index), "no follow-up after the visit")
    columns = {
        "ecg_id": ecgs["path"].str.removesuffix(".xml").to_numpy(),
        "patient_id": ecgs["patient_id"].to_numpy(),
        "recorded_at": ecgs["visit"].to_numpy(),
        "age_years": [
            float(people.at[eid, fields.visit_age(instance)]) if fields.visit_age(instance) in people else float("nan")
            for eid, instance in zip(ecgs["patient_id"], ecgs["instance"], strict=True)
        ],
        "sex": [{0: "female", 1: "male"}.get(people.at[eid, fields.sex]) for eid in ecgs["patient_id"]],
        "time_years": time_years[followed],
        "event": event[followed],
        "device": np.full(len(ecgs), "GE CardioSoft"),
    }
    files = Files(ecg_dir, tuple(ecgs["path"]))
    return Cohort(f"UK Biobank ({population})", table_of(columns, len(ecgs)), files, flow, endpoint=HEART_FAILURE)


def _select(
    ecgs: pd.DataFrame, people: pd.DataFrame, fields: Fields, population: Population, flow: Flow
) -> pd.DataFrame:
    if population is Population.ALL:
        return ecgs
    columns = fields.hypertension_dates if population is Population.HYPERTENSION else (fields.infarction_date,)
    known = [column for column in columns if column in people]
    if not known:
        raise CohortError(f"the participant table has none of {columns}, which define the {population} cohort")
    before = np.zeros(len(ecgs), dtype=bool)
    for column in known:
        before |= (_dates(ecgs, people, column) <= ecgs["visit"]).to_numpy()
    return flow.keep(ecgs, pd.Series(before, index=ecgs.index), f"no {population.replace('-', ' ')} by the visit")


def _outcomes(
    ecgs: pd.DataFrame, people: pd.DataFrame, fields: Fields, censor_date: pd.Timestamp
) -> tuple[np.ndarray, np.ndarray]:
    """Years to the first of heart failure, death, loss to follow-up and the censoring date, and which it was."""
    ends = {
        Outcome.EVENT: _dates(ecgs, people, fields.heart_failure_date),
        Outcome.COMPETING_DEATH: _dates(ecgs, people, fields.death_date),
        Outcome.CENSORED: _dates(ecgs, people, fields.lost_date).fillna(censor_date).clip(upper=censor_date),
    }
    # In the order above, so that heart failure noted on the day of death is an event.
    table = pd.DataFrame({int(outcome): dates for outcome, dates in ends.items()})
    when, what = table.min(axis=1), table.idxmin(axis=1)
    return ((when - ecgs["visit"]).dt.days / _DAYS_PER_YEAR).to_numpy(), what.to_numpy(dtype=int)


def _dates(ecgs: pd.DataFrame, people: pd.DataFrame, column: str) -> pd.Series:
    values = [_date(people, column, eid) for eid in ecgs["patient_id"]]
    return pd.Series(pd.to_datetime(values), index=ecgs.index)


def _date(people: pd.DataFrame, column: str, eid: str) -> pd.Timestamp | None:
    if column not in people:
        return None
    when = pd.to_datetime(people.at[eid, column], errors="coerce")
    return None if pd.isna(when) or when in PLACEHOLDERS else when


def _ecg_files(ecg_dir: Path) -> pd.DataFrame:
    found = [(match, path) for path in sorted(ecg_dir.glob("*.xml")) if (match := _ECG_FILE.match(path.name))]
    if not found:
        raise CohortError("no <eid>_20205_<instance>_0.xml in the ECG folder")
    return pd.DataFrame(
        {
            "patient_id": [match[1] for match, _ in found],
            "instance": [int(match[2]) for match, _ in found],
            "path": [path.name for _, path in found],
        }
    )


def _participants(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path, dtype={"eid": "string", "participant.eid": "string"})
    table.columns = [name.removeprefix("participant.") for name in table.columns]
    if "eid" not in table:
        raise CohortError(f"{path.name} has no column eid")
    return table.set_index("eid")
