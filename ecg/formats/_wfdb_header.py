"""The text header of a WFDB record: what the signals are, how they are packed, and what the comments say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple, NoReturn

from ecg.errors import Malformed, Unsafe
from ecg.recording import Sex, Unit

MAX_HEADER_BYTES: Final = 2**20
MAX_SIGNALS: Final = 512
MAX_SEGMENTS: Final = 4_096
DEFAULT_GAIN: Final = 200.0  # counts per mV where the header states none, by the WFDB standard
SMALLEST_GAIN: Final = 1e-9

_UNITS: Final = {"mv": Unit.MILLIVOLT, "uv": Unit.MICROVOLT, "nv": Unit.NANOVOLT, "v": Unit.VOLT}
_WHOLE: Final = re.compile(r"[-+]?\d{1,12}")
_PACKING: Final = re.compile(r"(\d{1,3})(?:x(\d{1,5}))?(?::(\d{1,9}))?(?:\+(\d{1,9}))?")
_GAIN: Final = re.compile(r"([-+]?[0-9.]+(?:[eE][-+]?\d+)?)(?:\((-?\d{1,10})\))?(?:/(\S+))?")
_RATE: Final = re.compile(r"([0-9.]+(?:[eE][-+]?\d+)?)(?:/[^\s(]+(?:\([^)\s]*\))?)?")
_AGE: Final = re.compile(r"^<?age>?\s*[:=]\s*(\d{1,3}(?:\.\d+)?)\b", re.IGNORECASE)
_SEX: Final = re.compile(r"^<?(?:sex|gender)>?\s*[:=]\s*(female|male|f|m)\b", re.IGNORECASE)
_AGE_SEX: Final = re.compile(r"^(\d{1,3})\s+([MF])\b")
_PLAIN: Final = re.compile(r"(?!-|\.{1,2}$)[^/\\:]*", re.DOTALL)


class Signal(NamedTuple):
    """One signal line. `gain` 0 stands for an uncalibrated signal; `checksum` None for one that is not stated."""

    file_name: str
    packing: int
    samples_per_frame: int
    skew: int
    byte_offset: int
    gain: float
    baseline: int
    unit: Unit
    initial: int
    checksum: int | None
    name: str


@dataclass(frozen=True, slots=True)
class Segment:
    """One line of a multi-segment header; the name `~` stands for a gap."""

    name: str
    n_frames: int


@dataclass(frozen=True, slots=True)
class Header:
    """`n_frames` 0 and `rate_hz` None stand for what the header does not state."""

    rate_hz: float | None
    n_frames: int
    signals: tuple[Signal, ...]
    segments: tuple[Segment, ...]
    age_years: float | None = None
    sex: Sex | None = None
    recorded_at: datetime | None = None


def parse_header(data: bytes) -> Header:
    if len(data) > MAX_HEADER_BYTES:
        raise Malformed("a header of more than 1 MB", where="the header")
    lines, comments = _split(data)
    if not lines:
        _broken("no record line")
    fields = lines[0].split()
    name, _, n_segments = fields[0].partition("/")
    _require_plain(name)
    n_signals = _integer(fields[1] if len(fields) > 1 else "", "number of signals")
    segments = _segments(lines[1:], _integer(n_segments, "number of segments")) if n_segments else ()
    age_years, sex = _person(comments)
    return Header(
        rate_hz=_rate(fields),
        n_frames=_integer(fields[3], "number of samples") if len(fields) > 3 else 0,
        signals=() if segments else _signals(lines[1:], n_signals),
        segments=segments,
        age_years=age_years,
        sex=sex,
        recorded_at=_time(fields),
    )


def is_multi_segment(data: bytes) -> bool:
    """Whether the record line announces segments: `name/count`."""
    lines, _ = _split(data[:4096])
    return bool(lines) and re.fullmatch(r"[^/]+/\d+", lines[0].split()[0]) is not None


def _split(data: bytes) -> tuple[list[str], list[str]]:
    """Lines that speak to the machine, and comments."""
    lines: list[str] = []
    comments: list[str] = []
    for line in data.decode("utf-8", errors="replace").splitlines():
        text = line.strip()
        if text.startswith("#"):
            comments.append(text.lstrip("#").strip())
        elif text:
            lines.append(text)
    return lines, comments


def _rate(fields: list[str]) -> float | None:
    if len(fields) < 3:
        return None
    found = _RATE.fullmatch(fields[2])
    return _number(found.group(1), "sampling rate") if found else _broken("sampling rate not understood")


def _segments(lines: list[str], count: int) -> tuple[Segment, ...]:
    if not 0 < count <= MAX_SEGMENTS or count > len(lines):
        _broken(f"{count} segments declared, {len(lines)} listed")
    return tuple(_segment(line.split()) for line in lines[:count])


def _segment(fields: list[str]) -> Segment:
    _require_plain(fields[0])
    return Segment(fields[0], _integer(fields[1] if len(fields) > 1 else "", "length of a segment"))


def _signals(lines: list[str], count: int) -> tuple[Signal, ...]:
    if not 0 < count <= MAX_SIGNALS or count > len(lines):
        _broken(f"{count} signals declared, {len(lines)} described")
    return tuple(_signal(line.split(None, 8)) for line in lines[:count])


def _signal(fields: list[str]) -> Signal:
    """file format[xN][:skew][+offset] [gain[(baseline)][/unit] [bits [zero [first [checksum [block [name]]]]]]]"""
    _require_plain(fields[0])
    packing, per_frame, skew, offset = _packed(fields[1] if len(fields) > 1 else "")
    adc_zero = _integer(fields[4], "ADC zero") if len(fields) > 4 else 0
    gain, baseline, unit = _calibration(fields[2] if len(fields) > 2 else str(DEFAULT_GAIN), adc_zero)
    return Signal(
        file_name=fields[0],
        packing=packing,
        samples_per_frame=max(per_frame, 1),
        skew=skew,
        byte_offset=offset,
        gain=gain,
        baseline=baseline,
        unit=unit,
        initial=_integer(fields[5], "initial value") if len(fields) > 5 else adc_zero,
        checksum=_integer(fields[6], "checksum") & 0xFFFF if len(fields) > 6 else None,
        name=fields[8] if len(fields) > 8 else "",
    )


@lru_cache(maxsize=64)  # the leads of a record mostly share one
def _calibration(text: str, adc_zero: int) -> tuple[float, int, Unit]:
    found = _GAIN.fullmatch(text)
    if found is None:
        _broken("gain not understood")
    gain = _number(found.group(1), "gain")
    if 0 < abs(gain) < SMALLEST_GAIN:
        _broken("gain out of range")
    baseline = int(found.group(2)) if found.group(2) else adc_zero
    stated = (found.group(3) or "mV").replace("µ", "u").replace("μ", "u")
    return gain, baseline, _UNITS.get(stated.lower(), Unit.UNKNOWN) if gain else Unit.UNKNOWN


@lru_cache(maxsize=64)
def _packed(text: str) -> tuple[int, int, int, int]:
    found = _PACKING.fullmatch(text)
    if found is None:
        _broken("signal format not understood")
    packing, per_frame, skew, offset = (int(group or 0) for group in found.groups())
    return packing, per_frame, skew, offset


def _person(comments: list[str]) -> tuple[float | None, Sex | None]:
    """Age and sex from the comment lines in which archives write them; nothing else of the comments is kept."""
    age_years: float | None = None
    sex: Sex | None = None
    for comment in comments:
        both = _AGE_SEX.match(comment)
        aged, sexed = both or _AGE.match(comment), _SEX.match(comment)
        if aged and age_years is None:
            age_years = float(aged.group(1))
        if (both or sexed) and sex is None:
            letter = both.group(2) if both else sexed.group(1) if sexed else ""
            sex = "female" if letter.lower().startswith("f") else "male"
    return age_years if age_years is not None and age_years <= 130 else None, sex


def _time(fields: list[str]) -> datetime | None:
    if len(fields) < 6:
        return None
    for pattern in ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S.%f"):
        try:
            return datetime.strptime(f"{fields[5]} {fields[4]}", pattern)
        except ValueError:
            continue
    return None


def _require_plain(name: str) -> None:
    """A name is a label among the given files, never a path or an address."""
    if not _PLAIN.fullmatch(name):
        raise Unsafe("the WFDB header names a file outside the record")


def _integer(text: str, what: str) -> int:
    if not _WHOLE.fullmatch(text):
        _broken(f"{what} is not a whole number")
    return int(text)


def _number(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        _broken(f"{what} is not a number")
    if not abs(value) < 1e12:
        _broken(f"{what} out of range")
    return value


def _broken(what: str) -> NoReturn:
    raise Malformed(what, where="the WFDB header")
