"""The people of one or several cohorts: prepared tensors, what became of them, and which fold they belong to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_training.data import catalogue, prepared, splits
from model_training.data.cohort import SIMULATED, Cohort, CohortError, Outcome
from model_training.nets.interface import Network
from model_training.recipe import Recipe
from model_training.survival.curves import Outcomes
from model_training.train.place import Place

Rows = NDArray[np.int64]
FOLDS: Final = 10
AT_ONCE: Final = 128  # recordings, where nothing is learned
_MEASURED: Final = "measured_"


@dataclass(frozen=True, slots=True)
class SurvivalBatch:
    ecg: Tensor
    lead_mask: Tensor
    time: Tensor
    event: Tensor
    stratum: Tensor  # the cohort: only people of one cohort are compared with each other

    def to(self, device: torch.device) -> SurvivalBatch:
        return SurvivalBatch(*(getattr(self, name).to(device) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class People:
    """Rows are recordings with a known outcome. `table` is the cohort's, with `stratum` and the cohort's row beside."""

    table: pd.DataFrame
    tensors: NDArray[np.float16]
    lead_masks: NDArray[np.float32]
    outcomes: Outcomes
    names: tuple[str, ...]
    simulated: bool
    recipe: Recipe

    def __len__(self) -> int:
        return len(self.table)

    @property
    def label(self) -> str:
        return " + ".join(self.names) + (f" ({SIMULATED})" if self.simulated else "")

    @property
    def patients(self) -> NDArray[np.object_]:
        """Unique over the cohorts."""
        return np.asarray(self.table["stratum"].astype(str) + "/" + self.table["patient_id"].astype(str), dtype=object)

    @property
    def measured(self) -> NDArray[np.float64]:
        """What the core measures on each ECG, NaN where it is not measurable."""
        columns = [name for name in self.table.select_dtypes("number").columns if name.startswith(_MEASURED)]
        return np.asarray(self.table[columns].to_numpy(dtype=np.float64))

    def rows_in(self, folds: Sequence[int]) -> Rows:
        return np.flatnonzero(np.isin(self.table["fold"].to_numpy(), list(folds)))

    def batch(self, rows: Rows) -> SurvivalBatch:
        return SurvivalBatch(
            torch.from_numpy(self.tensors[rows].astype(np.float32)),
            torch.from_numpy(self.lead_masks[rows]),
            torch.from_numpy(self.outcomes.time[rows]),
            torch.from_numpy(self.outcomes.happened[rows]),
            torch.from_numpy(self.table["stratum"].to_numpy()[rows]),
        )


def gather(
    folders: Sequence[Path], recipe: Recipe, cache: Path, workers: int = 2,
    on_progress: Callable[[int], None] = lambda _: None,
) -> People:  # fmt: skip
    """Opens, prepares and joins the cohorts. One without folds of its own is dealt into ten, by patient."""
    cohorts = [catalogue.open_cohort(folder) for folder in folders]
    made = [prepared.prepare(each, recipe, cache, workers, on_progress) for each in cohorts]
    tables = [_table(*pair, stratum) for stratum, pair in enumerate(zip(cohorts, made, strict=True))]
    table = pd.concat(tables, ignore_index=True)
    return People(
        table=table,
        tensors=np.concatenate([_in_half(each) for each in made]),
        lead_masks=np.concatenate([each.lead_masks(np.arange(len(each))) for each in made]),
        outcomes=Outcomes.of(table["time_years"], table["event"]),
        names=tuple(each.name for each in cohorts),
        simulated=any(each.simulated for each in cohorts),
        recipe=recipe,
    )


def _table(cohort: Cohort, made: prepared.Prepared, stratum: int) -> pd.DataFrame:
    if not len(made):
        raise CohortError(f"{cohort.name}: no recording is ready, the gate refused them all")
    if (made.table["event"] == Outcome.UNKNOWN).any() or made.table["time_years"].isna().any():
        raise CohortError(f"{cohort.name} has recordings without an outcome: a risk cannot be learnt from it")
    row_of = pd.Series(np.arange(len(cohort)), index=cohort.table["ecg_id"])
    table = made.table.assign(stratum=stratum, cohort_row=row_of.loc[made.table["ecg_id"]].to_numpy())
    if (table["fold"] == 0).all():
        whole = splits.by_patient(cohort, FOLDS, seed=0)
        table["fold"] = whole[table["cohort_row"].to_numpy()]
    return table


def _in_half(made: prepared.Prepared) -> NDArray[np.float16]:
    """All tensors in memory at half precision: a step of 0.001 mV at 1 mV, far below any amplifier's noise."""
    tensors = np.empty((len(made), *made.tensors(np.array([0])).shape[1:]), dtype=np.float16)
    for start in range(0, len(made), 512):
        rows = np.arange(start, min(start + 512, len(made)))
        tensors[rows] = made.tensors(rows)
    return tensors


@dataclass(frozen=True, slots=True)
class RiskSets:
    """Batches of the given rows in which every stratum keeps its share of events.

    With `controls_per_event` each epoch draws that many of the others for each event, anew each time: a nested
    case-control sample, which leaves hazard ratios as they are and saves most of the work where events are rare.
    """

    people: People
    rows: Rows
    batch_size: int
    seed: int
    controls_per_event: int = 0

    def __len__(self) -> int:
        return max(1, len(self._of(0)) // self.batch_size)

    def of_epoch(self, epoch: int, at: Place, first: int = 0) -> Iterator[SurvivalBatch]:
        order = self._of(epoch)
        for batch in range(first, len(self)):
            # every so-many-th of the line: events stand at even distances in it, so each batch has its share
            members = order[batch :: len(self)]
            yield self.people.batch(np.asarray(at.share(members.tolist()), dtype=np.int64))

    def _of(self, epoch: int) -> Rows:
        """Events first, then controls, each group shuffled; strata mixed."""
        chance = np.random.default_rng((self.seed, epoch))
        happened = self.people.outcomes.happened[self.rows]
        events, others = chance.permutation(self.rows[happened]), chance.permutation(self.rows[~happened])
        if self.controls_per_event:
            others = others[: self.controls_per_event * max(len(events), 1)]
        return np.concatenate([events, others])


class Embedded:
    """A network's embeddings of people, each computed once."""

    def __init__(self, network: Network, people: People) -> None:
        self.network, self._people = network, people
        self._values = np.zeros((len(people), network.embedding_size), dtype=np.float32)
        self._known = np.zeros(len(people), dtype=bool)

    def of(self, rows: Rows) -> NDArray[np.float32]:
        missing = rows[~self._known[rows]]
        if len(missing):
            self._values[missing] = embeddings(self.network, self._people, missing)
            self._known[missing] = True
        return self._values[rows]


@torch.no_grad()
def embeddings(network: Network, people: People, rows: Rows) -> NDArray[np.float32]:
    network.eval()
    device = next(network.parameters()).device
    found = []
    for start in range(0, len(rows), AT_ONCE):
        batch = people.batch(rows[start : start + AT_ONCE])
        found.append(network(batch.ecg.to(device), batch.lead_mask.to(device)).embedding.float().cpu().numpy())
    return np.concatenate(found)
