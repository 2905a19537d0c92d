"""What every data set yields: one table of recordings, their signals on demand, and what is known of the outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, Protocol

import pandas as pd

from ecg.recording import Recording
from model_training.data.flow import Flow

SIMULATED: Final = "SIMULATED"

COLUMNS: Final[dict[str, str]] = {
    "ecg_id": "unique name of the recording",
    "patient_id": "who; the unit of every split",
    "recorded_at": "time of the recording, NaT where unknown",
    "age_years": "at the recording, NaN where unknown",
    "sex": "'female', 'male' or None",
    "report": "free text, '' where there is none",
    "codes": "dict of statement code -> likelihood 0..100; 0 means present with unknown likelihood",
    "time_years": "from the recording to event or censoring, NaN where the data set has no outcome",
    "event": "Outcome, -1 where the data set has no outcome",
    "fold": "the data set's own fold, 0 where it has none",
    "site": "where recorded, '' where unknown",
    "device": "what recorded it, '' where unknown",
}


class Outcome(IntEnum):
    UNKNOWN = -1
    CENSORED = 0
    EVENT = 1
    COMPETING_DEATH = 2


class CohortError(Exception):
    """The data on disk are not what the adapter expects; the message says what is missing or wrong, and where."""


class Signals(Protocol):
    """Signals by position in the cohort's table; nothing is read before it is asked for. Must pickle."""

    def recording(self, position: int) -> Recording: ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What `event` stands for. A proxy is not the disease that the model is for, and is labelled so everywhere."""

    name: str
    proxy: bool


HEART_FAILURE: Final = Endpoint("incident heart failure", proxy=False)
DEATH: Final = Endpoint("all-cause death", proxy=True)


@dataclass(frozen=True, slots=True)
class Cohort:
    name: str
    table: pd.DataFrame
    signals: Signals
    flow: Flow
    endpoint: Endpoint | None = None
    units_known: bool = True
    patients_known: bool = True
    simulated: bool = False

    def __post_init__(self) -> None:
        missing = [column for column in COLUMNS if column not in self.table.columns]
        if missing:
            raise CohortError(f"{self.name}: columns missing from the table: {missing}")
        if self.table["ecg_id"].duplicated().any():
            raise CohortError(f"{self.name}: ecg_id is not unique")
        if not self.table.index.equals(pd.RangeIndex(len(self.table))):
            raise CohortError(f"{self.name}: the table must be indexed 0..n-1, as its signals are")

    def __len__(self) -> int:
        return len(self.table)

    @property
    def label(self) -> str:
        """How figures and tables name the cohort; simulated outcomes always say so."""
        return f"{self.name} ({SIMULATED})" if self.simulated else self.name

    def recording(self, position: int) -> Recording:
        return self.signals.recording(position)

    def subset(self, wanted: pd.Series[bool], reason: str) -> Cohort:
        """The wanted recordings; the flow says why the others are gone."""
        flow = replace(self.flow, exclusions=list(self.flow.exclusions))
        kept = flow.keep(self.table, wanted, reason)
        positions = tuple(int(position) for position in kept.index)
        return replace(self, table=kept.reset_index(drop=True), signals=Subset(self.signals, positions), flow=flow)


@dataclass(frozen=True, slots=True)
class Subset:
    """Some of another source's signals, in a new order."""

    source: Signals
    positions: tuple[int, ...]

    def recording(self, position: int) -> Recording:
        return self.source.recording(self.positions[position])


def table_of(columns: Mapping[str, object], n: int) -> pd.DataFrame:
    """A cohort table from the columns that a data set has; the others take their 'unknown'."""
    unknown: dict[str, object] = {
        "recorded_at": pd.NaT,
        "age_years": float("nan"),
        "sex": None,
        "report": "",
        "time_years": float("nan"),
        "event": int(Outcome.UNKNOWN),
        "fold": 0,
        "site": "",
        "device": "",
    }
    table = pd.DataFrame({**unknown, "codes": [{} for _ in range(n)], **columns}, index=pd.RangeIndex(n))
    extra = [column for column in table.columns if column not in COLUMNS]
    return table[[*COLUMNS, *extra]]
