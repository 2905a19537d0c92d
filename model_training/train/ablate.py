"""The experiment table: arms x numbers of labelled events x seeds on simulated cohorts, paired on the same people.

A cell is one arm, one number of events, one seed. It leaves its scores on the test folds in a file of its own, so a
killed table goes on where it stopped and any engine may run the cells in any order. SIMULATED throughout.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from model_training import recipe as recipes
from model_training.nets.tabular import BoostedCox, Cox
from model_training.simulate import oracle
from model_training.simulate.folder import read_truth
from model_training.survival.bootstrap import Estimate
from model_training.survival.discrimination import harrell_c
from model_training.train import attention_figure, cox_head, finetune, pretrain
from model_training.train import people as people_room
from model_training.train.cox_head import CoxHead
from model_training.train.finetune import FinetuneConfig, FinetuneError, Stage
from model_training.train.people import Embedded, People, Rows
from model_training.train.run import Run

Array = NDArray[np.float64]
TEST_FOLDS: Final = (9, 10)
ENCODERS: Final = "encoders"
MEASURED, MEASURED_TREES, DEMOGRAPHICS = "Cox on ECG measurements", "trees on ECG measurements", "Cox on age and sex"
TABLES: Final = (MEASURED, MEASURED_TREES, DEMOGRAPHICS)
RIVALS: Final = (
    MEASURED, "none, head", "classification, head", "align_structured, head", "align_raw_text, head",
    "evidence from scratch", "xresnet1d101 from scratch",
)  # fmt: skip
# The switches of the attention ablation, on the network trained from scratch.
ATTENTION: Final[dict[str, dict[str, Any]]] = {
    "both attentions": {},
    "temporal attention alone": {"lead_attention": False, "lead_context": "content"},
    "lead attention alone": {"temporal_attention": False},
    "no attention": {"lead_attention": False, "temporal_attention": False, "lead_context": "content"},
}
_DRAWS: Final = 200


class AblateConfig(BaseModel):
    """`whole` are the arms whose every weight is trained; 0 in `events` stands for all there are."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    recipe: str = "rhythm-100hz"
    events: tuple[int, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(min_length=1)
    tables: bool = True
    whole: tuple[str, ...] = ()
    attention: bool = False
    finetune: FinetuneConfig


def read_config(text: str) -> AblateConfig:
    values = tomllib.loads(text)
    values["finetune"] = {"recipe": values.get("recipe", "rhythm-100hz"), **values["finetune"]}
    return AblateConfig.model_validate(values)


@dataclass(frozen=True, slots=True)
class Cell:
    arm: str
    events: int
    seed: int

    @property
    def stem(self) -> str:
        plain = "".join(each if each.isalnum() else "-" for each in self.arm.lower())
        return f"{plain}-{self.events}-{self.seed}"


@dataclass(frozen=True, slots=True)
class Bench:
    """One cohort, what its arms start from, and where the cells leave their scores."""

    folder: Path
    encoders: Mapping[str, Path]
    config: AblateConfig
    out: Path
    cache: Path

    def people(self, workers: int = 2) -> People:
        return people_room.gather([self.folder], recipes.load(self.config.recipe), self.cache, workers)

    def cells(self, available: int) -> list[Cell]:
        """Those that ask for fewer labelled events than there are, and those that take all."""
        return [Cell(*each) for each in self._named() if each[1] < available]

    def _named(self) -> Iterator[tuple[str, int, int]]:
        arms = [f"{name}, head" for name in self.encoders] + (list(TABLES) if self.config.tables else [])
        for each in self.config.whole:
            arms += [f"{name}, whole" for name in self.encoders] if each == ENCODERS else [f"{each} from scratch"]
        arms += list(ATTENTION) if self.config.attention else []
        for events in self.config.events:
            for arm in arms:
                yield from ((arm, events, seed) for seed in self.config.seeds)

    def known(self, available: int) -> list[Cell]:
        """Every cell that was ever finished in this folder, by this configuration or by others."""
        found = [Cell(**json.loads(path.read_text())) for path in sorted(self.out.glob("*.json"))]
        return [cell for cell in dict.fromkeys([*self.cells(available), *found]) if self.done(cell)]

    def done(self, cell: Cell) -> bool:
        return (self.out / f"{cell.stem}.npy").is_file()


def available(people: People) -> int:
    """Labelled events in the training folds."""
    return int(people.outcomes.happened[people.rows_in(range(1, 8))].sum())


def run_cell(bench: Bench, people: People, cell: Cell) -> None:
    """Scores of the test folds, written whole or not at all."""
    scores = _scores(bench, people, cell)
    (bench.out / f"{cell.stem}.json").write_text(json.dumps(asdict(cell)) + "\n")
    partial = bench.out / f".{cell.stem}.npy"
    np.save(partial, scores)
    partial.replace(bench.out / f"{cell.stem}.npy")


def _scores(bench: Bench, people: People, cell: Cell) -> Array:
    config = bench.config.finetune
    fit = config.fit.model_copy(update={"seed": cell.seed, "show_progress": False})
    config = config.model_copy(update={"labelled_events": cell.events, "fit": fit})
    train, test = finetune.chosen_rows(config, people), people.rows_in(TEST_FOLDS)
    if cell.arm in TABLES:
        return _of_table(people, cell.arm, train, test)
    if cell.arm.endswith(", head"):
        return _of_head(bench, people, cell.arm.removesuffix(", head"), train, test)
    name = cell.arm.removesuffix(", whole")
    start: dict[str, Any] = {"network": _network(cell.arm), "switches": ATTENTION.get(cell.arm, {})}
    if name in bench.encoders:
        start = {"encoder": str(bench.encoders[name])}
    config = config.model_copy(update={"stage": Stage.ALL, **start})
    done = finetune.finetune(config, people, Run(_folder(bench.out / f"run-{cell.stem}"), board=False))
    return finetune.log_hazards(done.model, people, test)


def _network(arm: str) -> str:
    return "evidence" if arm in ATTENTION else arm.removesuffix(" from scratch")


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _of_table(people: People, arm: str, train: Rows, test: Rows) -> Array:
    demographics = np.column_stack(
        [people.table["age_years"].to_numpy(float), (people.table["sex"] == "male").to_numpy(float)]
    )
    x = demographics if arm == DEMOGRAPHICS else people.measured
    outcomes = people.outcomes[train]
    model: Cox | BoostedCox
    if arm == MEASURED_TREES:
        model = BoostedCox.fit(x[train], outcomes.time, outcomes.happened)
    else:
        model = Cox.fit(x[train], outcomes.time, outcomes.happened, ridge=1e-2)
    return model.log_hazard(x[test])


def _of_head(bench: Bench, people: People, name: str, train: Rows, test: Rows) -> Array:
    head, embedded = _head(bench, people, name, train)
    return head.log_hazard(embedded[test])


def _head(bench: Bench, people: People, name: str, train: Rows) -> tuple[CoxHead, NDArray[np.float32]]:
    """Fitted on the training rows, and everybody's embeddings."""
    embedded = _embedded(bench, people, name)
    return cox_head.fit(embedded[train], finetune.target_of(people, train)), embedded


def _embedded(bench: Bench, people: People, name: str) -> NDArray[np.float32]:
    """Computed once an encoder, kept beside the cells."""
    path = bench.out / f"embedded-{name}.npy"
    if not path.is_file():
        network, about = pretrain.load_encoder(bench.encoders[name] / pretrain.ENCODER)
        if about["recipe_digest"] != people.recipe.digest:
            raise FinetuneError(f"{name} was taught on another recipe")
        values = Embedded(network, people).of(np.arange(len(people)))
        np.save(bench.out / f".embedded-{name}.npy", values)
        (bench.out / f".embedded-{name}.npy").replace(path)
    found: NDArray[np.float32] = np.load(path, mmap_mode="r")
    return found


def attention(bench: Bench, people: People, found: dict[str, Any], out: Path) -> Path:
    """The heat maps of the encoder whose head, given every event, ranks best."""
    heads = [line for line in found["lines"] if line["arm"].endswith(", head")]
    name = max(heads, key=lambda line: (line["events"], line["c"]))["arm"].removesuffix(", head")
    config = bench.config.finetune.model_copy(update={"labelled_events": 0})
    train, test = finetune.chosen_rows(config, people), people.rows_in(TEST_FOLDS)
    head, embedded = _head(bench, people, name, train)
    model = attention_figure.model_of(bench.encoders[name], head)
    groups = attention_figure.extremes(model, people, test, head.log_hazard(embedded[test]))
    facts = people.recipe.input
    path = out / f"attention-{bench.folder.name}.svg"
    return attention_figure.draw(groups, f"{people.label}: {name}", facts.samples / facts.sampling_rate_hz, path)


def run(bench: Bench, people: People, cells: Iterable[Cell], on_done: Callable[[Cell], None]) -> None:
    """In this process, one after the other."""
    for cell in cells:
        run_cell(bench, people, cell)
        on_done(cell)


def run_on_ray(bench: Bench, people: People, cells: Sequence[Cell], on_done: Callable[[Cell], None]) -> None:
    """As tasks of a Ray cluster that sees the same file system."""
    import ray

    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    shared, remote = ray.put((bench, people)), ray.remote(_on_ray)
    waiting = {remote.remote(shared, cell): cell for cell in cells}
    while waiting:
        ready, _ = ray.wait(list(waiting))
        for each in ready:
            ray.get(each)
            on_done(waiting.pop(each))


def _on_ray(shared: tuple[Bench, People], cell: Cell) -> None:
    run_cell(*shared, cell)


def table(bench: Bench, people: People) -> dict[str, Any]:
    """Mean over seeds of C against the truth, recovery, and each arm's paired lead over measurements and scratch."""
    test = people.rows_in(TEST_FOLDS)
    truth, traits = read_truth(bench.folder)
    at = people.table["cohort_row"].to_numpy()[test]
    judge, patients = oracle.Judge.of(truth[at]), people.patients[test]
    own, best = judge.c(truth.eta_ecg[at]), oracle.best_ecg_score(traits.iloc[at], truth.preset)
    scores = {cell: np.load(bench.out / f"{cell.stem}.npy") for cell in bench.known(available(people))}
    lines = []
    for arm, events in dict.fromkeys((cell.arm, cell.events) for cell in scores):
        mine = [scores[cell] for cell in scores if (cell.arm, cell.events) == (arm, events)]
        cs = [judge.c(each) for each in mine]
        line: dict[str, Any] = {
            "arm": arm, "events": events or available(people),
            "seeds": len(cs), "c": float(np.mean(cs)), "c_sd": float(np.std(cs)),
            "harrell_c": float(np.mean([harrell_c(people.outcomes[test], each) for each in mine])),
            "recovery": float((np.mean(cs) - 0.5) / (own - 0.5)),
        }  # fmt: skip
        for rival in RIVALS:
            other = [scores[cell] for cell in scores if (cell.arm, cell.events) == (rival, events)]
            if other and arm != rival:
                line[f"ahead of {rival}"] = asdict(_paired(judge, mine, other, patients))
        lines.append(line)
    return {
        "label": people.label, "horizon_years": truth.horizon_years, "incidence": judge.incidence,
        "n_test": len(test), "bounds": {each.name: each.c for each in judge.bounds(best)},
        "lines": lines,
    }  # fmt: skip


def _paired(
    judge: oracle.Judge, mine: Sequence[Array], other: Sequence[Array], patients: NDArray[np.object_]
) -> Estimate:
    """Difference of the seeds' mean ranks on the same draws of people."""
    return judge.paired(_mean_rank(mine), _mean_rank(other), patients, 0, _DRAWS)


def _mean_rank(scores: Sequence[Array]) -> Array:
    """One ranking of several seeds: the mean of their ranks."""
    return np.asarray(np.mean([np.argsort(np.argsort(each)) for each in scores], axis=0))
