"""The unit of work and of resuming: a run of records, scored into one Parquet file that appears whole."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final
from uuid import uuid4

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from service.scoring.inputs import Record
from service.scoring.rows import Job, predictor_of, rows_of, schema

# Small enough that a kill loses seconds, large enough that files and messages cost nothing.
RECORDS_A_PART: Final = 128
_KEY: Final = b"part"


class OtherWork(Exception):
    """The output was begun with other inputs or another model."""


@dataclass(frozen=True, slots=True)
class Part:
    number: int
    records: tuple[Record, ...]

    @property
    def file_name(self) -> str:
        return f"part-{self.number:08d}.parquet"

    def key(self, job: Job) -> str:
        """What makes two parts the same work."""
        told = [job.sha256, str(job.explain), *(each.name for each in self.records)]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Done:
    """How a part ended: rows by code. `repeated` when it had been scored before."""

    number: int
    codes: Counter[str]
    repeated: bool = False


def parts_of(records: Iterable[Record], shard: tuple[int, int] = (1, 1)) -> Iterator[Part]:
    """The records in runs; of n shards, the i-th takes every n-th run."""
    stream, number = iter(records), 0
    index, count = shard
    while chosen := tuple(islice(stream, RECORDS_A_PART)):
        if number % count == index - 1:
            yield Part(number, chosen)
        number += 1


def score(part: Part, job: Job, folder: str) -> Done:
    """Score a part unless it is there already. Two at once do no harm: the last to finish wins with the same rows."""
    store, path = fsspec.core.url_to_fs(f"{folder}/{part.file_name}")
    if store.exists(path):
        return _known(store, path, part.key(job))
    rows = list(rows_of(part.records, job))
    wanted = schema(predictor_of(job.model, job.sha256).contract, explain=job.explain)
    table = pa.Table.from_pylist(rows, schema=wanted.with_metadata({**(wanted.metadata or {}), _KEY: part.key(job)}))
    _write(store, path, table)
    return Done(part.number, Counter(row["code"] for row in rows))


def _write(store: Any, path: str, table: pa.Table) -> None:
    """Under another name first: a part that is there is whole."""
    unfinished = f"{path}.{uuid4().hex}.unfinished"
    with store.open(unfinished, "wb") as stream:
        pq.write_table(table, stream, compression="zstd")
    store.mv(unfinished, path)


def _known(store: Any, path: str, key: str) -> Done:
    with store.open(path, "rb") as stream:
        file = pq.ParquetFile(stream)
        if (file.schema_arrow.metadata or {}).get(_KEY) != key.encode():
            raise OtherWork(f"{path.rsplit('/', 1)[-1]} was made from other records or by another model")
        codes = Counter(file.read(columns=["code"]).column("code").to_pylist())
    number = int(path.rsplit("-", 1)[-1].removesuffix(".parquet"))
    return Done(number, codes, repeated=True)


def join(folder: str, numbers: Iterable[int], out: str, wanted: pa.Schema) -> None:
    """All parts into one file, in order, a part at a time; then the parts go."""
    store, target = fsspec.core.url_to_fs(out)
    _, source = fsspec.core.url_to_fs(folder)
    with store.open(f"{target}.unfinished", "wb") as stream, pq.ParquetWriter(stream, wanted, compression="zstd") as to:
        for number in numbers:
            with store.open(f"{source}/{Part(number, ()).file_name}", "rb") as part:
                to.write_table(pq.read_table(part, schema=wanted).replace_schema_metadata(wanted.metadata))
    store.mv(f"{target}.unfinished", target)
    store.rm(source, recursive=True)
