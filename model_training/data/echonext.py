"""EchoNext: 100,000 ECGs with echo findings. Its signals are z-scored: no millivolts, never mixed with data in mV."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from ecg.recording import Unit
from model_training.data.cohort import Cohort, CohortError, table_of
from model_training.data.flow import Flow
from model_training.data.signals import ArrayRows

RATE_HZ: Final = 250.0
SPLITS: Final = ("train", "val", "test", "no_split")
# A flag of 0 can mean that nobody measured: it counts only where its value column is filled.
MEASURED_BY: Final = {
    "lvef_lte_45_flag": "lvef_value",
    "lvwt_gte_13_flag": "ivs_measurement",
    "pasp_gte_45_flag": "pasp_value",
    "tr_max_gte_32_flag": "tr_max_velocity_value",
}


def load(root: Path) -> Cohort:
    """Every split on disk. A row of a split's array is a row of the metadata with that split, in file order."""
    metadata = _metadata(root)
    metadata["patient_id"] = metadata["patient_key"].astype(str)
    metadata["row"] = metadata.groupby("split").cumcount()
    flow = Flow.of("EchoNext", metadata)
    arrays = {split: path for split in SPLITS if (path := _array(root, split)) is not None}
    if not arrays:
        raise CohortError("no *_waveforms.npy in the folder")
    _require_matching_rows(metadata, arrays)
    metadata = flow.keep(metadata, metadata["split"].isin(arrays.keys()), "the split's waveforms are not on disk")
    order = list(arrays)
    rows = tuple((order.index(split), int(row)) for split, row in zip(metadata["split"], metadata["row"], strict=True))
    table = table_of(
        {
            "ecg_id": metadata["ecg_key"].astype(str).to_numpy(),
            "patient_id": metadata["patient_id"].to_numpy(),
            "age_years": metadata["age_at_ecg"].astype(float).to_numpy(),
            "sex": metadata["sex"].astype("string").str.lower().map(_sex).to_numpy(),
            "fold": metadata["split"].map({split: number for number, split in enumerate(SPLITS, 1)}).to_numpy(),
            "site": metadata["location_setting"].fillna("").to_numpy(),
            **{name: findings.to_numpy() for name, findings in _findings(metadata).items()},
        },
        len(metadata),
    )
    signals = ArrayRows(tuple(arrays.values()), rows, RATE_HZ, Unit.UNKNOWN, "echonext")
    return Cohort("EchoNext", table, signals, flow, units_known=False)


def _findings(metadata: pd.DataFrame) -> dict[str, pd.Series]:
    """Each echo flag as 1, 0 or NaN where it was never measured."""
    flags = [column for column in metadata.columns if column.endswith("_flag")]
    findings = {}
    for flag in flags:
        value = metadata[flag].astype(float)
        measured = MEASURED_BY.get(flag)
        findings[flag] = value.where(metadata[measured].notna()) if measured in metadata.columns else value
    return findings


def _sex(text: str) -> str | None:
    return {"f": "female", "female": "female", "m": "male", "male": "male"}.get(text)


def _require_matching_rows(metadata: pd.DataFrame, arrays: dict[str, Path]) -> None:
    counts = metadata["split"].value_counts()
    for split, path in arrays.items():
        rows = np.load(path, mmap_mode="r").shape[0]
        if rows != counts.get(split, 0):
            raise CohortError(f"{path.name} has {rows} rows, the metadata {counts.get(split, 0)} for split {split}")


def _array(root: Path, split: str) -> Path | None:
    return next(iter(sorted(root.glob(f"[Ee]cho[Nn]ext_{split}_waveforms.npy"))), None)


def _metadata(root: Path) -> pd.DataFrame:
    found = sorted(root.glob("[Ee]cho[Nn]ext_metadata_*.csv"))
    if not found:
        raise CohortError("echonext_metadata_*.csv not found: give the folder that holds it")
    return pd.read_csv(found[0])
