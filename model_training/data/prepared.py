"""A cohort's tensors, made through the core one record at a time, cached under the digest of their recipe."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg import beats as beat_room
from ecg import harmonise, preprocess, quality
from ecg.errors import EcgError
from ecg.recording import Recording, Unit, Waveform
from model_training.data.cohort import Cohort, CohortError
from model_training.recipe import Recipe

SHARD_RECORDS: Final = 512
READY: Final = "ready"


@dataclass(frozen=True, slots=True)
class Prepared:
    """The recordings that the gate let through: their rows of the cohort, and their tensors, memory-mapped by shard."""

    folder: Path
    table: pd.DataFrame
    recipe_digest: str

    def __len__(self) -> int:
        return len(self.table)

    def tensors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, 12, samples) of the wanted rows, read shard by shard."""
        chosen = self.table.iloc[rows]
        found: list[NDArray[np.float32] | None] = [None] * len(chosen)
        for shard, members in chosen.reset_index(drop=True).groupby("shard"):
            array = np.load(self.folder / f"{_name(int(shard))}.npy", mmap_mode="r")
            for place, slot in zip(members.index, members["slot"], strict=True):
                found[place] = np.asarray(array[slot], dtype=np.float32)
        return np.stack([each for each in found if each is not None])

    def lead_masks(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, 12): 1 where the lead may be used."""
        return np.stack(self.table.iloc[rows]["lead_mask"].to_list()).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Job:
    cohort: Cohort
    recipe: Recipe
    folder: Path
    assume_millivolts: bool


def prepare(
    cohort: Cohort,
    recipe: Recipe,
    cache: Path,
    workers: int = 2,
    on_progress: Callable[[int], None] = lambda _: None,
    assume_millivolts: bool = False,
) -> Prepared:
    """Every tensor of the cohort. Finished shards are kept, so that a killed run goes on where it stopped."""
    if not cohort.units_known and not assume_millivolts:
        raise CohortError(f"{cohort.name} carries no millivolts; a model of it must not be mixed with mV data")
    folder = cache / f"{recipe.digest[:12]}-{fingerprint(cohort)[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "about.json").write_text(json.dumps(_about(cohort, recipe), indent=2))
    job = _Job(cohort, recipe, folder, assume_millivolts)
    todo = [
        shard for shard in range(-(-len(cohort) // SHARD_RECORDS)) if not (folder / f"{_name(shard)}.parquet").is_file()
    ]
    on_progress(len(cohort) - sum(len(_positions(cohort, shard)) for shard in todo))
    for done in _run(job, todo, workers):
        on_progress(done)
    return read(cohort, recipe, folder)


def read(cohort: Cohort, recipe: Recipe, folder: Path) -> Prepared:
    """The finished cache: the cohort's rows with what preparation found, and only those that are ready."""
    found = _found(folder)
    if len(found) != len(cohort):
        raise CohortError(f"the cache holds {len(found)} of {len(cohort)} recordings: prepare it to the end")
    table = cohort.table.join(found.set_index("position"))
    return Prepared(folder, table[table["outcome"] == READY].reset_index(drop=True), recipe.digest)


def outcomes(folder: Path) -> dict[str, int]:
    """How many recordings were prepared, and how many were refused for which reason."""
    return {str(code): int(n) for code, n in _found(folder)["outcome"].value_counts().items()}


def fingerprint(cohort: Cohort) -> str:
    """Changes with the recordings and their order, not with what is known of their outcome."""
    return hashlib.sha256("\n".join([cohort.name, *cohort.table["ecg_id"]]).encode()).hexdigest()


def _found(folder: Path) -> pd.DataFrame:
    parts = [pd.read_parquet(path) for path in sorted(folder.glob("part-*.parquet"))]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"position": [], "outcome": []})


def _about(cohort: Cohort, recipe: Recipe) -> dict[str, Any]:
    return {
        "cohort": cohort.label,
        "recordings": len(cohort),
        "recipe": recipe.name,
        "recipe_digest": recipe.digest,
        "steps": [step.model_dump() for step in recipe.steps],
    }


def _run(job: _Job, shards: list[int], workers: int) -> Iterator[int]:
    if workers <= 1:
        yield from (_prepare_shard(job, shard) for shard in shards)
        return
    # Spawned, not forked: a forked copy of a process with threads may hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(_prepare_shard, job, shard) for shard in shards]):
            yield future.result()


def _prepare_shard(job: _Job, shard: int) -> int:
    """Writes one shard, the table last and by renaming: a shard with a table is whole."""
    rows: list[dict[str, Any]] = []
    tensors: list[NDArray[np.float32]] = []
    for position in _positions(job.cohort, shard):
        row, tensor = _prepare_one(job, position)
        rows.append(row | {"position": position, "shard": shard, "slot": len(tensors) if tensor is not None else -1})
        if tensor is not None:
            tensors.append(tensor)
    stacked = np.stack(tensors) if tensors else np.zeros((0, 12, job.recipe.input.samples), np.float32)
    _replace(job.folder / f"{_name(shard)}.npy", lambda path: np.save(path, stacked))
    _replace(job.folder / f"{_name(shard)}.parquet", lambda path: pd.DataFrame(rows).to_parquet(path))
    return len(rows)


def _prepare_one(job: _Job, position: int) -> tuple[dict[str, Any], NDArray[np.float32] | None]:
    """The trip of one recording up to its tensor, as the service makes it; a refusal is noted by its code."""
    try:
        recording = job.cohort.recording(position)
        twelve = harmonise.to_twelve(_in_millivolts(recording) if job.assume_millivolts else recording)
        found = beat_room.find(twelve)
        report = quality.inspect(twelve, job.recipe.quality, found)
        report.require()
        tensor = preprocess.prepare(twelve, job.recipe.steps, found)
    except EcgError as refusal:
        return {"outcome": refusal.code}, None
    return {
        "outcome": READY,
        "verdict": str(report.verdict),
        "lead_mask": report.lead_mask.astype(np.uint8).tolist(),
        "signal_digest": hashlib.sha256(twelve.samples_mv.tobytes()).hexdigest(),
        **{f"measured_{name}": value for name, value in asdict(beat_room.measure(found)).items()},
    }, tensor


def _in_millivolts(recording: Recording) -> Recording:
    """z-scored data, taken as if one unit were a millivolt: good for comparing with itself alone."""

    def relabelled(waveform: Waveform | None) -> Waveform | None:
        if waveform is None:
            return None
        return Waveform(waveform.leads, waveform.samples, waveform.sampling_rate_hz, Unit.MILLIVOLT)

    return Recording(recording.format, relabelled(recording.rhythm), relabelled(recording.median_beat))


def _positions(cohort: Cohort, shard: int) -> range:
    return range(shard * SHARD_RECORDS, min(len(cohort), (shard + 1) * SHARD_RECORDS))


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    partial = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    write(partial)
    partial.replace(path)


def _name(shard: int) -> str:
    return f"part-{shard:05d}"
