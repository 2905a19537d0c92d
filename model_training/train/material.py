"""What an encoder learns from: tensors, and beside each what is known of it (classes, statements, age, sex, text)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_training.data import ptbxl
from model_training.data.cohort import Cohort, CohortError
from model_training.data.prepared import Prepared
from model_training.text import embeddings
from model_training.text.encoders import open_encoder
from model_training.train.place import Place

Rows = NDArray[np.int64]
Labels = NDArray[np.float32]
IN_MEMORY_BYTES: Final = 4_000_000_000
MIN_RECORDS_A_STATEMENT: Final = 10
AT_ONCE: Final = 128  # recordings, where nothing is learned
AGE_MEAN_YEARS, AGE_SD_YEARS = 60.0, 15.0
STATEMENTS_FILE: Final = "scp_statements.csv"


class TextSource(StrEnum):
    """Where a recording's text comes from; `shuffled` is the structured text of another recording, as a control."""

    NONE = "none"
    RAW = "raw"
    STRUCTURED = "structured"
    SHUFFLED = "shuffled"


@dataclass(frozen=True, slots=True)
class Batch:
    """What a step sees; `text` (batch, d) is all zeros where nothing is known, `demographics` NaN."""

    ecg: Tensor
    lead_mask: Tensor
    superclass: Tensor
    statements: Tensor
    demographics: Tensor
    text: Tensor

    def to(self, device: torch.device) -> Batch:
        return Batch(*(getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Material:
    """Rows are recordings; `superclass` (n, 5) and `statements` (n, k) are multi-hot, empty without a code table."""

    table: pd.DataFrame
    tensors: Callable[[Rows], NDArray[np.float32]]
    lead_masks: Labels
    superclass: Labels
    statements: Labels
    statement_codes: tuple[str, ...]
    demographics: Labels
    text: Labels
    recipe_digest: str

    def __len__(self) -> int:
        return len(self.table)

    @property
    def patients(self) -> NDArray[np.object_]:
        return np.asarray(self.table["patient_id"], dtype=object)

    def rows_in(self, folds: Sequence[int]) -> Rows:
        return np.flatnonzero(np.isin(self.table["fold"].to_numpy(), list(folds)))

    def batch(self, rows: Rows) -> Batch:
        chosen = (self.lead_masks, self.superclass, self.statements, self.demographics, self.text)
        return Batch(torch.from_numpy(self.tensors(rows)), *(torch.from_numpy(values[rows]) for values in chosen))


@dataclass(frozen=True, slots=True)
class Shuffled:
    """Whole batches of the given rows in an order that the seed and the epoch settle; a ragged end is left out."""

    material: Material
    rows: Rows
    batch_size: int
    seed: int

    def __len__(self) -> int:
        return max(1, len(self.rows) // self.batch_size)

    def of_epoch(self, epoch: int, at: Place, first: int = 0) -> Iterator[Batch]:
        order = np.random.default_rng((self.seed, epoch)).permutation(self.rows)
        for batch in range(first, len(self)):
            members = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield self.material.batch(np.asarray(at.share(members.tolist()), dtype=np.int64))


def gather(
    cohort: Cohort, made: Prepared, folder: Path, train_folds: Sequence[int], text: TextSource = TextSource.NONE,
    encoder: str = "minilm", text_cache: Path | None = None, seed: int = 0,
) -> Material:  # fmt: skip
    """The prepared recordings with all that their cohort says of them. `folder` holds the code table, if any.

    Statements are those that the training folds know.
    """
    ready = cohort.table["ecg_id"].isin(made.table["ecg_id"])
    kept = cohort.subset(ready, "refused by the gate")
    meanings = ptbxl.statements(folder) if (folder / STATEMENTS_FILE).is_file() else {}
    codes = _common_codes(kept.table["codes"][kept.table["fold"].isin(list(train_folds))].tolist())
    vectors = _text(kept, meanings, text, encoder, text_cache or made.folder.parent / "text", seed)
    return Material(
        table=made.table,
        tensors=_in_memory(made),
        lead_masks=made.lead_masks(np.arange(len(made))),
        superclass=ptbxl.superclass_labels(kept, meanings),
        statements=_multi_hot(kept.table["codes"].tolist(), codes),
        statement_codes=codes,
        demographics=_demographics(made.table),
        text=vectors,
        recipe_digest=made.recipe_digest,
    )


def _in_memory(made: Prepared) -> Callable[[Rows], NDArray[np.float32]]:
    """All tensors at hand where they fit, from the memory-mapped shards where they do not."""
    if not len(made):
        raise CohortError("no recording is ready: the gate refused them all")
    one = made.tensors(np.array([0]))
    if one.nbytes * len(made) > IN_MEMORY_BYTES:
        return made.tensors
    everything = made.tensors(np.arange(len(made)))
    return lambda rows: everything[rows]


def _common_codes(codes: list[dict[str, float]]) -> tuple[str, ...]:
    """Codes that enough recordings carry; one that is there with unknown likelihood is there."""
    counts = pd.Series([code for each in codes for code in each], dtype=object).value_counts()
    return tuple(sorted(counts.index[counts >= MIN_RECORDS_A_STATEMENT]))


def _multi_hot(codes: list[dict[str, float]], known: tuple[str, ...]) -> Labels:
    return np.array([[code in each for code in known] for each in codes], dtype=np.float32).reshape(len(codes), -1)


def _demographics(table: pd.DataFrame) -> Labels:
    """(n, 2): standardised age, and 1 for male; NaN where unknown."""
    age = (table["age_years"].to_numpy(dtype=np.float32) - AGE_MEAN_YEARS) / AGE_SD_YEARS
    male = table["sex"].map({"male": 1.0, "female": 0.0}).to_numpy(dtype=np.float32)
    return np.stack((age, male), axis=1).astype(np.float32)


def _text(
    cohort: Cohort, meanings: dict[str, ptbxl.Statement], source: TextSource, encoder: str, cache: Path, seed: int
) -> Labels:
    if source is TextSource.NONE:
        return np.zeros((len(cohort), 1), dtype=np.float32)
    store = embeddings.EmbeddingCache(open_encoder(encoder), cache)
    if source is TextSource.RAW:
        if not (cohort.table["report"] != "").any():
            raise CohortError(f"{cohort.name} carries no reports")
        return embeddings.of_reports(cohort.table["report"], store)
    if not meanings:
        raise CohortError(f"structured text needs {STATEMENTS_FILE} beside the recordings; {cohort.name} has none")
    known = cohort.table["codes"].map(lambda codes: any(code in meanings for code in codes)).to_numpy()
    vectors = np.zeros((len(cohort), 1), dtype=np.float32)
    if known.any():
        spoken = embeddings.of_statements(cohort.subset(pd.Series(known), "no statement is known"), meanings, store)
        vectors = np.zeros((len(cohort), spoken.shape[1]), dtype=np.float32)
        vectors[known] = spoken
    return vectors if source is TextSource.STRUCTURED else _shuffled(vectors, cohort.table["fold"].to_numpy(), seed)


def _shuffled(vectors: Labels, folds: NDArray[np.int64], seed: int) -> Labels:
    """Texts change owner within their fold, so that no text of a test fold is learned from."""
    generator, moved = np.random.default_rng(seed), vectors.copy()
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        moved[rows] = vectors[generator.permutation(rows)]
    return moved
