"""Who came in, who was left out and why: the participant flow of a cohort, as text and as a diagram."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True, slots=True)
class Exclusion:
    reason: str
    recordings: int
    patients: int


@dataclass(slots=True)
class Flow:
    """Records every exclusion in order. `keep` is the only way an adapter drops rows, so none goes uncounted."""

    source: str
    recordings: int
    patients: int
    exclusions: list[Exclusion] = field(default_factory=list)

    @classmethod
    def of(cls, source: str, table: pd.DataFrame) -> Flow:
        return cls(source, len(table), table["patient_id"].nunique())

    def keep(self, table: pd.DataFrame, wanted: pd.Series[bool], reason: str) -> pd.DataFrame:
        """The wanted rows; the others are counted under `reason`. A patient is lost with their last row."""
        kept = table[wanted.astype(bool)]
        lost = len(table) - len(kept)
        if lost:
            self.exclusions.append(
                Exclusion(reason, lost, table["patient_id"].nunique() - kept["patient_id"].nunique())
            )
        return kept

    @property
    def remaining_recordings(self) -> int:
        return self.recordings - sum(each.recordings for each in self.exclusions)

    @property
    def remaining_patients(self) -> int:
        return self.patients - sum(each.patients for each in self.exclusions)

    def to_text(self) -> str:
        lines = [f"{self.source}: {self.recordings} recordings of {self.patients} patients"]
        lines += [
            f"  - {each.recordings} recordings ({each.patients} patients): {each.reason}" for each in self.exclusions
        ]
        return "\n".join([*lines, f"  = {self.remaining_recordings} recordings of {self.remaining_patients} patients"])

    def to_mermaid(self) -> str:
        """A flow diagram in the Mermaid language, which Markdown viewers draw."""
        lines = ["flowchart TD", f'  s0["{self.source}<br/>{self.recordings} recordings, {self.patients} patients"]']
        left, people = self.recordings, self.patients
        for step, each in enumerate(self.exclusions, start=1):
            left, people = left - each.recordings, people - each.patients
            lines.append(f'  s{step - 1} --> s{step}["{left} recordings, {people} patients"]')
            lines.append(f'  s{step - 1} -. "{each.recordings} recordings" .-> x{step}["{each.reason}"]')
        return "\n".join(lines)
