"""What there is to score: the recordings of folders, globs, manifests and single files, on disk or in another store."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import fsspec

from ecg.errors import TooLarge
from ecg.formats.wfdb import named_by
from ecg.guards import MAX_FILE_BYTES

_HEADER: Final = ".hea"
# Files that belong to a header beside them, and files that are no recordings.
_SIGNALS: Final = (".dat", ".mat", ".flac")
_CLUTTER: Final = ("RECORDS", "SHA256SUMS.txt", "LICENSE.txt", "ANNOTATORS")
_NO_RECORDING: Final = (".txt", ".md", ".html", ".pdf", ".parquet", ".atr", ".qrs")
_MANIFEST_COLUMN: Final = "path"


@dataclass(frozen=True, slots=True)
class Record:
    """`name` is the row's key: the path as found below the input. `url` is where it is read."""

    name: str
    url: str


def records(inputs: Iterable[str]) -> Iterator[Record]:
    """All of them, always in the same order, found while they are asked for."""
    for each in inputs:
        yield from _of(each)


def _of(given: str) -> Iterator[Record]:
    store, path = fsspec.core.url_to_fs(given)
    if any(mark in given for mark in "*?["):
        yield from (Record(found, store.unstrip_protocol(found)) for found in _main_files(sorted(store.glob(path))))
    elif store.isdir(path):
        yield from _below(store, path.rstrip("/"), "")
    elif given.lower().endswith(".csv") and (listed := _manifest(store, path)) is not None:
        base = path.rsplit("/", 1)[0]
        yield from (Record(name, _beside(store, base, name)) for name in listed)
    else:
        yield Record(path.rsplit("/", 1)[-1], store.unstrip_protocol(path))


def _below(store: Any, folder: str, prefix: str) -> Iterator[Record]:
    """A folder's own files, then its folders: only one folder's list is in memory at a time."""
    entries = sorted(store.ls(folder, detail=True), key=lambda entry: str(entry["name"]))
    paths = [str(entry["name"]).rstrip("/") for entry in entries if entry["type"] != "directory"]
    for path in _main_files(paths):
        yield Record(prefix + path.rsplit("/", 1)[-1], store.unstrip_protocol(path))
    for entry in entries:
        if entry["type"] == "directory":
            path = str(entry["name"]).rstrip("/")
            yield from _below(store, path, f"{prefix}{path.rsplit('/', 1)[-1]}/")


def _main_files(paths: list[str]) -> Iterator[str]:
    """One path a recording: signal files stand behind their header."""
    has_header = any(path.lower().endswith(_HEADER) for path in paths)
    for path in paths:
        base, suffix = path.rsplit("/", 1)[-1], "." + path.rsplit(".", 1)[-1].lower()
        hidden = base.startswith(".") or base in _CLUTTER or suffix in _NO_RECORDING
        if not hidden and not (has_header and suffix in _SIGNALS):
            yield path


def _manifest(store: Any, path: str) -> Iterator[str] | None:
    """The `path` column of a CSV file, or None for a CSV file that is itself a recording."""
    with store.open(path, "rb") as stream:
        first = stream.readline().decode("utf-8-sig", "replace")
    columns = next(csv.reader([first]), [])
    return _listed(store, path) if _MANIFEST_COLUMN in columns else None


def _listed(store: Any, path: str) -> Iterator[str]:
    with io.TextIOWrapper(store.open(path, "rb"), encoding="utf-8-sig", newline="") as stream:
        for row in csv.DictReader(stream):
            if row[_MANIFEST_COLUMN]:
                yield row[_MANIFEST_COLUMN]


def _beside(store: Any, base: str, name: str) -> str:
    """A manifest's paths are absolute, addresses, or relative to the manifest."""
    if "://" in name:
        return name
    return str(store.unstrip_protocol(name if name.startswith("/") else f"{base}/{name}"))


def files_of(record: Record) -> dict[str, bytes]:
    """One recording's bytes by file name: a file, or a WFDB header with what it names. No suffix means WFDB."""
    store, path = fsspec.core.url_to_fs(record.url)
    if "." not in path.rsplit("/", 1)[-1] and store.exists(path + _HEADER):
        path += _HEADER
    folder, _, base = path.rpartition("/")
    files = {base: _read(store, path)}
    wanted = list(named_by(files[base])) if base.lower().endswith(_HEADER) else []
    while wanted:
        name = wanted.pop()
        if name not in files:
            files[name] = _read(store, f"{folder}/{name}")
            wanted += named_by(files[name]) if name.lower().endswith(_HEADER) else ()
    return files


def _read(store: Any, path: str) -> bytes:
    """At most one byte more than the readers accept: a giant file is refused, not loaded."""
    with store.open(path, "rb") as stream:
        # Room is made for what is asked for, and most files are small. Some stores, and some files, tell no size.
        told = getattr(stream, "size", None) or MAX_FILE_BYTES
        data: bytes = stream.read(min(told, MAX_FILE_BYTES) + 1)
    if len(data) > MAX_FILE_BYTES:
        raise TooLarge("the file is over the ceiling", limit_bytes=MAX_FILE_BYTES)
    return data
