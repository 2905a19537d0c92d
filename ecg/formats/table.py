"""Plain tables with declared rate and unit: CSV with a heading of lead names, or JSON of lists by lead."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from ecg.errors import Malformed, RateUnsupported, TooLarge
from ecg.formats._table_text import MAX_CELLS, numbers
from ecg.guards import require_samples, require_size
from ecg.leads import canonical_name
from ecg.recording import Recording, Samples, Unit, Waveform, stacked

NAME: Final = "table"
TITLE: Final = "CSV or JSON with declared sampling rate and unit"

MAX_CSV_BYTES: Final = 16 * 2**20
MAX_JSON_BYTES: Final = 6 * 2**20
_MAX_COLUMNS: Final = 256
_LARGEST: Final = 1e12
_HEADING_BYTES: Final = 16_384
_UNITS: Final = {"uv": Unit.MICROVOLT, "mv": Unit.MILLIVOLT, "v": Unit.VOLT, "nv": Unit.NANOVOLT}
_RATE_KEYS: Final = ("sampling_rate_hz", "sampling_rate", "sampling_frequency", "fs_hz", "fs", "rate_hz")
_UNIT_KEYS: Final = ("unit", "units")
_SECONDS_PER: Final = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6}
_DECLARATION: Final = re.compile(r"#\s*([A-Za-z_]{1,40})\s*[=:]\s*(\S{1,40})\s*")
_TIME: Final = re.compile(r"(?:time|t)(?:[\s_]*[(\[]?\s*(s|sec|seconds|ms|us)\s*[)\]]?)?", re.IGNORECASE)
_UNIT_IN_NAME: Final = re.compile(r"(.+?)\s*[(\[]\s*(\S{1,3})\s*[)\]]")
_DELIMITERS: Final = (";", "\t", ",")


def sniff(head: bytes, filename: str) -> bool:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if b"\0" in head or not text or b"resourceType" in head:
        return False
    if text.startswith(b"{"):
        return b'"leads"' in head or any(f'"{key}"'.encode() in head for key in _RATE_KEYS[:1])
    heading = next((line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(b"#")), b"")
    names, _ = _split(heading.decode("utf-8", errors="replace"))
    return sum(canonical_name(_bare(name)[0]) is not None for name in names) >= 2


def parse(data: bytes) -> Recording:
    text = data.removeprefix(b"\xef\xbb\xbf")
    waveform = _from_json(text) if text.lstrip()[:1] == b"{" else _from_csv(text)
    return Recording(format=NAME, rhythm=waveform)


def _from_csv(data: bytes) -> Waveform:
    require_size(data, MAX_CSV_BYTES)
    declared, heading, body = _heading(data)
    names, delimiter = _split(heading)
    if not 0 < len(names) <= _MAX_COLUMNS:
        raise Malformed(f"{len(names)} columns", where="the heading")
    comma = delimiter != "," and b"," in body
    if comma and b"." in body:
        raise Malformed("both commas and points within numbers", where="the table")
    cells = numbers(body, delimiter.encode(), len(names), decimal_comma=comma)
    columns = [number for number, name in enumerate(names) if canonical_name(_bare(name)[0])]
    if not columns:
        raise Malformed("no column bears a lead's name", where="the heading")
    rate_hz = _rate(_first(declared, _RATE_KEYS), _timed_rate(names, cells))
    units = {_bare(names[column])[1] for column in columns}
    stated = _first(declared, _UNIT_KEYS) or (units.pop() if len(units) == 1 else None)
    leads = tuple(_bare(names[column])[0] for column in columns)
    return Waveform(leads, _float32(cells[:, columns].T), rate_hz, _unit(stated))


def _heading(data: bytes) -> tuple[dict[str, str], str, bytes]:
    """What the comment lines declare, the heading, and the rows below it."""
    declared: dict[str, str] = {}
    place = 0
    while place < min(len(data), _HEADING_BYTES):
        end = next((at for at in (data.find(b"\n", place), data.find(b"\r", place)) if at >= 0), len(data))
        line = data[place:end].decode("utf-8", errors="replace").strip()
        place = end + 1
        found = _DECLARATION.fullmatch(line)
        if found:
            declared[found.group(1).lower()] = found.group(2)
        elif line and not line.startswith("#"):
            return declared, line, data[place:]
    raise Malformed("no heading of lead names", where="the first lines")


def _split(line: str) -> tuple[list[str], str]:
    delimiter = max(_DELIMITERS, key=line.count)
    return [cell.strip().strip("\"'") for cell in line.split(delimiter)[: _MAX_COLUMNS + 1]], delimiter


def _bare(name: str) -> tuple[str, str | None]:
    """`II (mV)` is lead II in mV."""
    found = _UNIT_IN_NAME.fullmatch(name[:60])
    return (found.group(1), found.group(2)) if found else (name, None)


def _timed_rate(names: list[str], cells: NDArray[np.float64]) -> float | None:
    """The rate that an evenly stepped time column in stated units of time implies."""
    for column, name in enumerate(names):
        found = _TIME.fullmatch(name[:40])
        if found and found.group(1) and len(cells) > 1:
            times = cells[:, column] * _SECONDS_PER[found.group(1).lower()]
            step = float(times[-1] - times[0]) / (len(times) - 1)
            even = times[0] + step * np.arange(len(times))
            if not step > 0 or not np.abs(times - even).max() < 0.6 * step:
                raise RateUnsupported("the time column does not rise in even steps")
            return round(1 / step, 4)
    return None


def _rate(declared: Any, timed: float | None) -> float:
    if declared is None and timed is None:
        raise RateUnsupported("the table declares no sampling rate")
    try:
        rate_hz = timed if declared is None else float(declared)
    except (ValueError, TypeError):
        raise RateUnsupported("the declared sampling rate is no number") from None
    if rate_hz is None or isinstance(declared, bool) or not 0 < rate_hz < 1e9:
        raise RateUnsupported("the declared sampling rate is out of range")
    if timed is not None and not math.isclose(rate_hz, timed, rel_tol=0.01):
        raise RateUnsupported("the declared sampling rate and the time column contradict each other")
    return rate_hz


def _unit(stated: Any) -> Unit:
    return _UNITS.get(str(stated).replace("µ", "u").replace("μ", "u").lower(), Unit.UNKNOWN)


def _first(declared: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((declared[key] for key in keys if declared.get(key) is not None), None)


def _from_json(data: bytes) -> Waveform:
    require_size(data, MAX_JSON_BYTES)
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Malformed("not well-formed JSON", where=f"character {error.pos}") from None
    leads = document.get("leads")
    if not isinstance(leads, dict) or not 0 < len(leads) <= _MAX_COLUMNS:
        raise Malformed("`leads` must be an object of lists by lead name", where="leads")
    rate_hz = _rate(_first(document, _RATE_KEYS), None)
    names = [name for name in leads if canonical_name(name)] or list(leads)
    if sum(len(leads[name]) for name in names if isinstance(leads[name], list)) > MAX_CELLS:
        raise TooLarge(f"more than {MAX_CELLS} values")
    samples = stacked([_list(leads[name]) for name in names])
    require_samples(samples.shape[0], samples.shape[1], "leads")
    return Waveform(tuple(names), samples, rate_hz, _unit(_first(document, _UNIT_KEYS)))


def _float32(values: NDArray[np.float64]) -> Samples:
    if (np.abs(values) > _LARGEST).any():
        raise Malformed("a value too large to be a voltage", where="the samples")
    return values.astype(np.float32)


def _list(values: Any) -> Samples:
    """A list of numbers; null stands for a missing sample."""
    if not isinstance(values, list) or not {type(value) for value in values} <= {int, float, type(None)}:
        raise Malformed("a lead that is no list of numbers", where="leads")
    return _float32(np.array(values, np.float64))
