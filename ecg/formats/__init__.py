"""Bytes -> Recording. One module a format: a new file here with NAME, TITLE, sniff and parse is a new format."""

from __future__ import annotations

import importlib
import pkgutil
import struct
from collections.abc import Callable, Mapping
from functools import cache
from types import ModuleType
from typing import Final, Protocol, cast

from ecg.errors import Malformed, UnknownFormat
from ecg.guards import require_size, unzip
from ecg.recording import Recording

HEAD_BYTES: Final = 4_096
_ZIP_MAGIC: Final = b"PK\x03\x04"
# What broken bytes make a parser raise. A bug of ours raises something else and stays visible.
_BROKEN_BYTES: Final = (
    ValueError, KeyError, IndexError, TypeError, OverflowError, ArithmeticError, struct.error, EOFError, RecursionError,
)  # fmt: skip


class Format(Protocol):
    NAME: str
    TITLE: str

    def sniff(self, head: bytes, filename: str) -> bool:
        """Whether bytes that begin so are of this format. `filename` may be empty and is never trusted."""

    def parse(self, data: bytes) -> Recording:
        """The recording, or an EcgError."""


@cache
def available() -> tuple[Format, ...]:
    """Every format of this folder, by name."""
    found = [_load(module.name) for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    return tuple(sorted(found, key=lambda each: each.NAME))


def _load(name: str) -> Format:
    module: ModuleType = importlib.import_module(f"{__name__}.{name}")
    return cast(Format, module)


def read(data: bytes, filename: str = "") -> Recording:
    """One self-contained upload: a single file, or a zip of one recording's files."""
    require_size(data)
    if data[:4] == _ZIP_MAGIC:
        return read_files(unzip(data))
    reader = identify(data, filename)
    return _guarded(reader.NAME, lambda: reader.parse(data))


def read_files(files: Mapping[str, bytes]) -> Recording:
    """The files of one recording: one of them alone, or a WFDB header with its signals."""
    from ecg.formats import wfdb

    wanted = {name: data for name, data in files.items() if not _is_clutter(name)}
    if any(name.lower().endswith(".hea") for name in wanted):
        return _guarded(wfdb.NAME, lambda: wfdb.parse_files(wanted))
    if len(wanted) == 1:
        [(name, data)] = wanted.items()
        return read(data, name)
    raise UnknownFormat(f"{len(wanted)} files without a WFDB header: one recording per upload")


def identify(data: bytes, filename: str = "") -> Format:
    """The format whose sniffer knows these bytes."""
    head = bytes(data[:HEAD_BYTES])
    for reader in available():
        if reader.sniff(head, filename):
            return reader
    raise UnknownFormat("no known ECG format" if data else "the file is empty")


def _is_clutter(name: str) -> bool:
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    return base.startswith(".") or name.startswith("__MACOSX/") or base in ("RECORDS", "SHA256SUMS.txt", "LICENSE.txt")


def _guarded(name: str, parse: Callable[[], Recording]) -> Recording:
    try:
        return parse()
    except _BROKEN_BYTES as error:
        raise Malformed(f"broken {name} file", where=f"{name} content") from error
