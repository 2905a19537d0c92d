"""PTB-XL records beside the project, read plainly, so that tests of one room do not lean on the readers of another."""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecg.recording import Recording, Unit, Waveform

LEADS = ("I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6")
FAULTS = ("baseline_drift", "static_noise", "burst_noise", "electrodes_problems")


@dataclass(frozen=True)
class Record:
    ecg_id: int
    fold: int
    codes: dict[str, float]
    clean: bool
    path: Path
    rate_hz: float

    def read(self) -> Recording:
        """Format 16 in microvolts, as the unpacked subset is written."""
        counts = np.fromfile(self.path.with_suffix(".dat"), dtype="<i2").reshape(-1, 12).T
        samples = counts.astype(np.float32) * np.float32(1e-3)
        return Recording("wfdb", Waveform(LEADS, samples, self.rate_hz, Unit.MILLIVOLT))


def records(folder: Path) -> Iterator[Record]:
    with (folder / "ptbxl_database.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            high = bool(row["filename_hr"])
            yield Record(
                int(float(row["ecg_id"])),
                int(float(row["strat_fold"])),
                ast.literal_eval(row["scp_codes"]),
                all(not row[fault].strip() for fault in FAULTS),
                folder / (row["filename_hr"] if high else row["filename_lr"]),
                500.0 if high else 100.0,
            )
