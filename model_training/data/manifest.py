"""A hospital's own data: one CSV with a row a recording, its files beside it in any format that the service reads."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pandas as pd

from model_training.data.cohort import COLUMNS, HEART_FAILURE, Cohort, CohortError, Endpoint, Outcome, table_of
from model_training.data.flow import Flow
from model_training.data.signals import Files

REQUIRED: Final = ("path", "patient_id")
OPTIONAL: Final = ("ecg_id", *(name for name in COLUMNS if name not in ("ecg_id", "patient_id", "codes")))
_EVENTS: Final = {"0": Outcome.CENSORED, "1": Outcome.EVENT, "2": Outcome.COMPETING_DEATH, "": Outcome.UNKNOWN}


def load(manifest: Path, endpoint: Endpoint = HEART_FAILURE) -> Cohort:
    """path and patient_id are required; time_years with event (0 censored, 1 event, 2 died first) is the outcome."""
    if not manifest.is_file():
        raise CohortError(f"{manifest.name} not found")
    rows = pd.read_csv(manifest, dtype="string", keep_default_na=False)
    _require_columns(rows)
    flow = Flow.of(manifest.name, rows)
    root = manifest.parent
    rows = flow.keep(rows, rows["path"].map(lambda path: _exists(root, path)), "no such file")
    columns: dict[str, object] = {name: rows[name].to_numpy(dtype=object) for name in OPTIONAL if name in rows}
    columns["patient_id"] = rows["patient_id"].to_numpy(dtype=object)
    columns.setdefault("ecg_id", rows["path"].to_numpy(dtype=object))
    for name in ("age_years", "time_years"):
        if name in rows:
            columns[name] = _numbers(rows[name]).to_numpy()
    if "fold" in rows:
        columns["fold"] = _numbers(rows["fold"]).fillna(0).astype(int).to_numpy()
    if "sex" in rows:
        columns["sex"] = [text if text in ("female", "male") else None for text in rows["sex"]]
    if "recorded_at" in rows:
        columns["recorded_at"] = pd.to_datetime(rows["recorded_at"], errors="raise", utc=False).to_numpy()
    if "event" in rows:
        columns["event"] = _events(rows)
    table = table_of(columns, len(rows))
    has_outcome = bool((table["event"] != Outcome.UNKNOWN).any())
    return Cohort(manifest.stem, table, Files(root, tuple(rows["path"])), flow, endpoint if has_outcome else None)


def _require_columns(rows: pd.DataFrame) -> None:
    missing = [name for name in REQUIRED if name not in rows]
    unknown = [name for name in rows.columns if name not in (*REQUIRED, *OPTIONAL)]
    if missing or unknown:
        raise CohortError(
            f"manifest columns missing: {missing}, not understood: {unknown}; known: {[*REQUIRED, *OPTIONAL]}"
        )
    if ("event" in rows) != ("time_years" in rows):
        raise CohortError("an outcome needs both columns, time_years and event")


def _events(rows: pd.DataFrame) -> list[int]:
    wrong = sorted(set(rows["event"]) - set(_EVENTS))
    if wrong:
        raise CohortError(f"event must be 0, 1, 2 or blank, found {wrong[:5]}")
    times = _numbers(rows["time_years"])
    known = rows["event"] != ""
    if (times[known].isna() | (times[known] < 0)).any():
        raise CohortError("time_years must be a number of at least 0 wherever event is given")
    return [int(_EVENTS[text]) for text in rows["event"]]


def _numbers(column: pd.Series) -> pd.Series:
    """Numbers, NaN where blank; anything else is refused, since a unit or a comma would pass unseen."""
    try:
        return pd.to_numeric(column.where(column != ""), errors="raise").astype(float)
    except (ValueError, TypeError) as error:
        raise CohortError(f"column {column.name} holds something that is no number: {error}") from error


def _exists(root: Path, path: str) -> bool:
    return (root / path).is_file() or (root / f"{path}.hea").is_file()
