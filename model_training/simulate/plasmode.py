"""Real PTB-XL recordings with outcomes drawn from the simulated hazard on what they show. SIMULATED outcomes.

A model that is to serve must have seen real signals; PTB-XL has them and no outcome. The hazard is the simulator's own,
with its baseline unchanged, so its truth is known here too. Folds and patients stay those of PTB-XL.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from model_training.data import ptbxl
from model_training.data.cohort import COLUMNS, SIMULATED, Cohort, CohortError
from model_training.data.signals import Files
from model_training.data.simulated import ORACLE, TABLE
from model_training.simulate import measured, outcomes
from model_training.simulate.folder import joined, replace_file, write_about
from model_training.simulate.presets import PRESETS
from model_training.simulate.truth import Truth

_SHARD_RECORDS: Final = 256
_READ: Final = "read"


def write(
    folder: Path,
    ptbxl_folder: Path,
    preset: str,
    seed: int,
    repeats: int = 1,
    workers: int = 2,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Path:
    """Measures every recording once, resuming where a killed run stopped, and draws `repeats` outcomes for each.

    Repeats are rows of their own, with the same patient and fold: no split by patient parts them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cohort = ptbxl.load(ptbxl_folder)
    traits = traits_of(cohort, folder, workers, on_progress)
    readable = traits[_READ].to_numpy(bool)
    rows = np.flatnonzero(readable)
    tables, truths = [], []
    for repeat in range(repeats):
        drawn = outcomes.draw(traits.iloc[rows], PRESETS[preset], seed, repeat)
        tables.append(_table(cohort, rows, drawn, repeat if repeats > 1 else None))
        truths.append(drawn.truth)
    _save(folder, pd.concat(tables, ignore_index=True), truths, pd.concat([traits.iloc[rows]] * repeats))
    about = {
        "name": f"plasmode {preset} on PTB-XL",
        "title": f"real recordings, {SIMULATED} outcomes: {PRESETS[preset].title}",
        "recordings_of": str(ptbxl_folder.resolve()),
        "recordings": len(rows),
        "left_out_unreadable": int((~readable).sum()),
        "repeats": repeats,
        "seed": seed,
    }
    write_about(folder, about, joined(truths))
    return folder


def traits_of(cohort: Cohort, folder: Path, workers: int, on_progress: Callable[[int], None]) -> pd.DataFrame:
    """What the hazard needs of each recording, in the order of the cohort."""
    parts = [folder / f".measured-{shard:05d}.parquet" for shard in range(-(-len(cohort) // _SHARD_RECORDS))]
    todo = [shard for shard, part in enumerate(parts) if not part.is_file()]
    on_progress(sum(len(_positions(cohort, shard)) for shard in range(len(parts)) if shard not in todo))
    if workers <= 1:
        for shard in todo:
            on_progress(_measure_shard(cohort, parts[shard], shard))
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            futures = [pool.submit(_measure_shard, cohort, parts[shard], shard) for shard in todo]
            for future in as_completed(futures):
                on_progress(future.result())
    signal = pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True)
    if list(signal.pop("ecg_id")) != list(cohort.table["ecg_id"]):
        raise CohortError(f"{folder} holds measurements of other recordings: choose another folder")
    coded = pd.DataFrame([measured.of_codes(codes) for codes in cohort.table["codes"]])
    known = pd.DataFrame(
        {
            "person": cohort.table["patient_id"].astype("int64"),
            "age_years": cohort.table["age_years"],
            "male": cohort.table["sex"] == "male",
        }
    )
    return pd.concat([known, coded, signal], axis=1)


def _measure_shard(cohort: Cohort, part: Path, shard: int) -> int:
    rows = []
    for position in _positions(cohort, shard):
        found = measured.of_recording(cohort.recording(position))
        rows.append({"ecg_id": cohort.table["ecg_id"].iat[position], _READ: found is not None, **(found or {})})
    replace_file(part, lambda path: pd.DataFrame(rows).to_parquet(path))
    return len(rows)


def _positions(cohort: Cohort, shard: int) -> range:
    return range(shard * _SHARD_RECORDS, min(len(cohort), (shard + 1) * _SHARD_RECORDS))


def _table(cohort: Cohort, rows: np.ndarray, drawn: outcomes.Drawn, repeat: int | None) -> pd.DataFrame:
    """PTB-XL's own columns, with the drawn outcome."""
    assert isinstance(cohort.signals, Files)
    table = cohort.table.iloc[rows][list(COLUMNS)].reset_index(drop=True)
    suffix = "" if repeat is None else f"-r{repeat}"
    return table.assign(
        ecg_id=table["ecg_id"] + suffix,
        codes=[json.dumps(codes) for codes in table["codes"]],
        path=[cohort.signals.paths[row] for row in rows],
        time_years=drawn.time_years,
        event=drawn.event,
    )


def _save(folder: Path, table: pd.DataFrame, truths: list[Truth], traits: pd.DataFrame) -> None:
    oracle = pd.concat(
        [table[["ecg_id"]], joined(truths).to_frame(), traits.drop(columns=_READ).reset_index(drop=True)], axis=1
    )
    replace_file(folder / ORACLE, oracle.to_parquet)
    replace_file(folder / TABLE, table.to_parquet)
