"""A simulated cohort on disk: signals in shards, the table of a study, and the oracle apart from it. SIMULATED."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg.leads import INDEX
from model_training.data.cohort import CohortError
from model_training.data.simulated import ORACLE, TABLE, shard_name
from model_training.simulate import outcomes, people, render, reports
from model_training.simulate.chance import Chance
from model_training.simulate.folder import replace_file, write_about
from model_training.simulate.noise import DEVICES
from model_training.simulate.presets import PRESETS, Preset, eligible
from model_training.simulate.reports import Arm
from model_training.simulate.truth import COLUMNS

Counts = NDArray[np.int16]

SHARD_RECORDS: Final = 512
RATE_HZ: Final = 500.0
DURATION_S: Final = 10.0
# A microvolt, the reference device's own step. The limb leads besides I and II follow from these exactly.
MV_PER_COUNT: Final = 0.001
STORED_LEADS: Final = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
_RULES: Final = (
    "chance.py", "people.py", "traits.py", "kernels.py", "rhythm.py", "noise.py", "render.py", "reports.py",
    "phrases.py", "hazard.py", "hazard.toml", "presets.py", "truth.py", "outcomes.py", "write_cohort.py",
)  # fmt: skip
_FOLDS: Final = 10
_BLOCK: Final = 20_000
_HOME_DEVICES: Final = ("reference", "cart")
_EXTERNAL_DEVICE: Final = "noisy ward"


@dataclass(frozen=True, slots=True)
class Plan:
    """Which people, and by which rules: enough to make any shard of them alone."""

    folder: Path
    preset: str
    seed: int
    numbers: tuple[int, ...]
    arm: Arm
    scale: float
    shard_records: int = SHARD_RECORDS

    def shards(self) -> range:
        return range(-(-len(self.numbers) // self.shard_records))

    def members(self, shard: int) -> tuple[int, ...]:
        return self.numbers[shard * self.shard_records : (shard + 1) * self.shard_records]

    def digest(self) -> str:
        said = [self.preset, self.seed, self.arm, self.scale, self.shard_records, self.numbers, rules_digest()]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def rules_digest() -> str:
    """Changes with whatever makes people, signals, reports or outcomes: shards of two versions do not mix."""
    here = Path(__file__).parent
    return hashlib.sha256(b"".join((here / name).read_bytes() for name in _RULES)).hexdigest()


def write(
    folder: Path,
    preset: str,
    n: int,
    seed: int,
    workers: int = 2,
    on_progress: Callable[[int], None] = lambda _: None,
    shard_records: int = SHARD_RECORDS,
    arm: Arm = "noisy",
) -> Path:
    """All people of the cohort. Finished shards are kept, so that a killed run goes on where it stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = _numbers(PRESETS[preset], n, seed)
    plan = Plan(folder, preset, seed, numbers, arm, outcomes.baseline(preset), shard_records)
    _begin(plan)
    todo = [shard for shard in plan.shards() if not _part(folder, shard).is_file()]
    on_progress(n - sum(len(plan.members(shard)) for shard in todo))
    for done in _run(plan, todo, workers):
        on_progress(done)
    _finish(plan)
    return folder


def _numbers(preset: Preset, n: int, seed: int) -> tuple[int, ...]:
    """The first n people of the seed's endless row who belong to the preset's population."""
    found: list[int] = []
    first = 0
    while len(found) < n:
        block = people.draw(_BLOCK, seed, first)
        found += block["person"][eligible(preset, block)].tolist()
        first += _BLOCK
    return tuple(found[:n])


def _begin(plan: Plan) -> None:
    mark = plan.folder / ".plan"
    if mark.is_file() and mark.read_text() != plan.digest():
        raise CohortError(f"{plan.folder} holds another simulation: choose another folder")
    mark.write_text(plan.digest())


def _run(plan: Plan, shards: list[int], workers: int) -> Iterator[int]:
    if workers <= 1:
        yield from (_write_shard(plan, shard) for shard in shards)
        return
    # Spawned, not forked: a forked copy of a process with threads may hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(_write_shard, plan, shard) for shard in shards]):
            yield future.result()


def _write_shard(plan: Plan, shard: int) -> int:
    """The signals first and the table last, each by renaming: a shard with a table is whole."""
    numbers = plan.members(shard)
    traits = people.draw(numbers[-1] - numbers[0] + 1, plan.seed, numbers[0])
    traits = traits[traits["person"].isin(numbers)].reset_index(drop=True)
    drawn = outcomes.draw(traits, PRESETS[plan.preset], plan.seed, scale=plan.scale)
    device = _devices(traits, plan.seed, drawn.external)
    counts = np.empty((len(traits), len(STORED_LEADS), round(RATE_HZ * DURATION_S)), dtype=np.int16)
    for name in np.unique(device):
        rows = np.flatnonzero(device == name)
        counts[rows] = _recorded(traits.iloc[rows].reset_index(drop=True), plan.seed, str(name))
    replace_file(plan.folder / shard_name(shard), lambda path: np.save(path, counts))
    table = _table(traits, drawn, device, plan).assign(shard=shard, slot=np.arange(len(traits)))
    truth = drawn.truth.to_frame().add_prefix("oracle ")
    both = pd.concat([table, truth, traits.add_prefix("trait ")], axis=1)
    replace_file(_part(plan.folder, shard), both.to_parquet)
    return len(traits)


def _recorded(traits: pd.DataFrame, seed: int, device: str) -> Counts:
    made = render.render(traits, seed, duration_s=DURATION_S, rate_hz=RATE_HZ, device=DEVICES[device])
    stored = made.signal_mv[:, [INDEX[name] for name in STORED_LEADS]]
    limits = np.iinfo(np.int16)
    return np.asarray(np.clip(np.rint(stored / np.float32(MV_PER_COUNT)), limits.min, limits.max), dtype=np.int16)


def _devices(traits: pd.DataFrame, seed: int, external: NDArray[np.bool_]) -> NDArray[np.object_]:
    """At home one of two carts, by chance alone; elsewhere another."""
    own = Chance.of(seed, traits["person"].to_numpy(), "device").uniform("device") < 0.5
    return np.where(external, _EXTERNAL_DEVICE, np.where(own, *_HOME_DEVICES)).astype(object)


def _table(traits: pd.DataFrame, drawn: outcomes.Drawn, device: NDArray[np.object_], plan: Plan) -> pd.DataFrame:
    """What a study would hold of these people, and nothing more."""
    # Reports are exchanged among all people, so not before all are there.
    told = reports.describe(traits, plan.seed, arm="noisy" if plan.arm == "shuffled" else plan.arm)
    person = traits["person"].map(lambda number: f"{plan.seed}-{number:08d}")
    fold = Chance.of(plan.seed, traits["person"].to_numpy(), "fold").uniform("fold")
    return pd.DataFrame(
        {
            "ecg_id": "E" + person,
            "patient_id": "P" + person,
            "age_years": traits["age_years"].round(1),
            "sex": np.where(traits["male"], "male", "female"),
            "report": [each.text for each in told],
            "codes": [json.dumps(dict(each.codes)) for each in told],
            "time_years": drawn.time_years,
            "event": drawn.event,
            "fold": 1 + np.floor(_FOLDS * fold).astype(int),
            "site": np.where(drawn.external, "external", "home"),
            "device": device,
        }
    )


def _finish(plan: Plan) -> None:
    """One table and one oracle from the shards' own, and the description last."""
    both = pd.concat([pd.read_parquet(_part(plan.folder, shard)) for shard in plan.shards()], ignore_index=True)
    hidden = [name for name in both.columns if name.startswith(("oracle ", "trait "))]
    oracle = both[["ecg_id", *hidden]].rename(columns=lambda name: name.removeprefix("oracle ").removeprefix("trait "))
    replace_file(plan.folder / ORACLE, oracle.to_parquet)
    table = both.drop(columns=hidden)
    if plan.arm == "shuffled":
        table[["report", "codes"]] = table[["report", "codes"]].sample(frac=1, random_state=plan.seed).to_numpy()
    replace_file(plan.folder / TABLE, table.to_parquet)
    preset = PRESETS[plan.preset]
    rules = outcomes.draw(people.draw(1, plan.seed), preset, plan.seed, scale=plan.scale).truth
    truth = replace(rules, **{name: oracle[name].to_numpy() for name in COLUMNS})
    about = {
        "name": f"simulated {plan.preset}",
        "title": preset.title,
        "people": len(both),
        "seed": plan.seed,
        "reports": plan.arm,
        "rules": rules_digest()[:12],
        "sampling_rate_hz": RATE_HZ,
        "mv_per_count": MV_PER_COUNT,
        "leads": STORED_LEADS,
    }
    write_about(plan.folder, about, truth)
    for unfinished in plan.folder.glob(".*part-?????-*"):
        unfinished.unlink()


def _part(folder: Path, shard: int) -> Path:
    return folder / f".part-{shard:05d}.parquet"
