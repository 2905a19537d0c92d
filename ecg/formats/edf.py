"""EDF and EDF+: leads of one rate from interleaved data records; annotations are skipped, gaps refused."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg.errors import Malformed, RateUnsupported, TooLarge
from ecg.guards import require_samples
from ecg.leads import canonical_name
from ecg.recording import MV_PER, Recording, Samples, Sex, Unit, Waveform

NAME: Final = "edf"
TITLE: Final = "EDF and EDF+ (European Data Format)"

_VERSION: Final = b"0       "
_FIELD_BYTES: Final = {  # the signal header holds each field for all signals before the next field
    "label": 16, "transducer": 80, "unit": 8, "physical_min": 8, "physical_max": 8, "digital_min": 8, "digital_max": 8,
    "prefilter": 80, "samples": 8, "reserved": 32,
}  # fmt: skip
_MAX_SIGNALS: Final = 512
_MAX_ONSETS: Final = 50_000
_UNITS: Final = {"uv": Unit.MICROVOLT, "mv": Unit.MILLIVOLT, "v": Unit.VOLT, "nv": Unit.NANOVOLT}
_HEADER: Final = "the EDF header"
_RECORDS: Final = "the EDF data records"


@dataclass(frozen=True, slots=True)
class _Signal:
    label: str
    unit: Unit
    physical_min: float
    physical_max: float
    digital_min: float
    digital_max: float
    per_record: int
    first: int  # place of its first sample within a data record

    @property
    def is_annotation(self) -> bool:
        return self.label in ("EDF Annotations", "BDF Annotations")


def sniff(head: bytes, filename: str) -> bool:
    digits = head[184:192].strip()
    return head[:8] == _VERSION and len(head) >= 256 and digits.isdigit() and int(digits) % 256 == 0


def parse(data: bytes) -> Recording:
    if len(data) < 256 or data[:8] != _VERSION:
        raise Malformed("no EDF header", where=_HEADER)
    n_signals = _whole(data[252:256], "number of signals")
    header_bytes = 256 * (n_signals + 1)
    if not 0 < n_signals <= _MAX_SIGNALS or len(data) < header_bytes:
        raise Malformed(f"{n_signals} signals declared", where=_HEADER)
    record_s = _number(data[244:252], "duration of a data record")
    if not 0 < record_s < 1e6:
        raise RateUnsupported("the EDF header states no usable record duration")
    signals = _signals(data, n_signals)
    leads = _leads(signals)
    records = _records(data[header_bytes:], signals, _whole(data[236:244], "number of data records"))
    if data[192:197] == b"EDF+D":
        _require_contiguous(records, signals, record_s)
    sex, age_years = _person(data)
    return Recording(
        format=NAME,
        rhythm=_waveform(records, leads, leads[0].per_record / record_s),
        age_years=age_years,
        sex=sex,
        recorded_at=_started(data),
    )


def _signals(data: bytes, count: int) -> list[_Signal]:
    columns: dict[str, list[str]] = {}
    place = 256
    for name, width in _FIELD_BYTES.items():
        cells = (data[place + width * number : place + width * (number + 1)] for number in range(count))
        columns[name] = [cell.decode("latin-1").strip(" \0") for cell in cells]
        place += width * count
    signals: list[_Signal] = []
    first = 0
    for number in range(count):
        row = {name: cells[number] for name, cells in columns.items()}
        signals.append(_signal(row, first))
        first += signals[-1].per_record
    return signals


def _signal(row: dict[str, str], first: int) -> _Signal:
    per_record = _whole(row["samples"].encode("latin-1"), "samples in a data record")
    if not 0 < per_record <= 10_000_000:
        raise Malformed(f"{per_record} samples in a data record declared", where=_HEADER)
    if row["label"].endswith("Annotations"):
        return _Signal(row["label"], Unit.UNKNOWN, 0, 1, 0, 1, per_record, first)
    ranges = ("physical_min", "physical_max", "digital_min", "digital_max")
    low, high, lowest, highest = (_number(row[name].encode("latin-1"), name.replace("_", " ")) for name in ranges)
    if low == high or lowest >= highest:
        raise Malformed("a signal is scaled from or to nothing", where=_HEADER)
    unit = _UNITS.get(row["unit"].replace("\xb5", "u").lower(), Unit.UNKNOWN)
    return _Signal(row["label"], unit, low, high, lowest, highest, per_record, first)


def _leads(signals: list[_Signal]) -> list[_Signal]:
    """The signals that bear a lead's name; all but annotations when none does."""
    plain = [signal for signal in signals if not signal.is_annotation]
    leads = [signal for signal in plain if _lead_name(signal.label)] or plain
    if not leads:
        raise Malformed("no signal beside annotations", where=_HEADER)
    if len({signal.per_record for signal in leads}) > 1:
        raise RateUnsupported("the leads of this EDF file have different sampling rates")
    return leads


def _lead_name(label: str) -> str | None:
    """`ECG II`, `EKG aVL`, `II-ref`: the type and the reference around a lead's name are dropped."""
    return canonical_name(label) or canonical_name(re.sub(r"[-\s]+ref$", "", label, flags=re.IGNORECASE))


def _records(body: bytes, signals: list[_Signal], declared: int) -> NDArray[np.int16]:
    """Whole data records, one a row; as many as are there when the count was never filled in (-1)."""
    width = sum(signal.per_record for signal in signals)
    available = len(body) // (2 * width)
    if declared > available or declared < -1 or available == 0:
        raise Malformed(f"{declared} data records declared, {available} are there", where=_RECORDS)
    count = available if declared == -1 else declared
    require_samples(width, count, _RECORDS)
    return np.frombuffer(body, "<i2", count * width).reshape(count, width)


def _require_contiguous(records: NDArray[np.int16], signals: list[_Signal], record_s: float) -> None:
    """EDF+D may interrupt: each record's onset must follow the one before it."""
    keeper = next((signal for signal in signals if signal.is_annotation), None)
    if keeper is None:
        raise Malformed("a discontinuous file without time-keeping", where=_RECORDS)
    if len(records) > _MAX_ONSETS:
        raise TooLarge(f"{len(records)} separate data records; at most {_MAX_ONSETS} are read")
    stamps = records[:, keeper.first : keeper.first + keeper.per_record]
    onsets = [_onset(row.tobytes()) for row in stamps]
    steps = np.diff(onsets)
    if steps.size and np.abs(steps - record_s).max() > 1e-3:
        raise Malformed("the recording is interrupted", where=_RECORDS)


def _onset(annotations: bytes) -> float:
    found = re.match(rb"([+-]\d{1,9}(?:\.\d{0,9})?)\x14\x14", annotations)
    if found is None:
        raise Malformed("a data record without its onset", where=_RECORDS)
    return float(found.group(1))


def _waveform(records: NDArray[np.int16], leads: list[_Signal], rate_hz: float) -> Waveform:
    units = {lead.unit for lead in leads}
    unit = units.pop() if len(units) == 1 else Unit.UNKNOWN if Unit.UNKNOWN in units else Unit.MILLIVOLT
    mixed = unit is Unit.MILLIVOLT and any(lead.unit is not unit for lead in leads)
    rows = np.stack([_physical(records, lead, MV_PER[lead.unit] if mixed else 1.0) for lead in leads])
    return Waveform(tuple(lead.label for lead in leads), rows, rate_hz, unit)


def _physical(records: NDArray[np.int16], lead: _Signal, scale: float) -> Samples:
    """Physical = (digital - digital_min) x step + physical_min."""
    digital = records[:, lead.first : lead.first + lead.per_record].ravel()
    step = (lead.physical_max - lead.physical_min) / (lead.digital_max - lead.digital_min)
    offset = lead.physical_min - lead.digital_min * step
    physical: Samples = (digital * np.float32(step * scale) + np.float32(offset * scale)).astype(np.float32)
    return physical


def _person(data: bytes) -> tuple[Sex | None, float | None]:
    """Sex, and age from the two dates, of an EDF+ patient field; code, birth date and name stay behind."""
    fields = data[8:88].decode("latin-1").split()
    if data[192:196] != b"EDF+" or len(fields) < 3:
        return None, None
    sex: Sex | None = "female" if fields[1] == "F" else "male" if fields[1] == "M" else None
    born, started = _day(fields[2]), _started(data)
    years = (started - born).days / 365.25 if born and started else None
    return sex, float(int(years)) if years is not None and 0 <= years <= 130 else None


def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%d-%b-%Y")
    except ValueError:
        return None


def _started(data: bytes) -> datetime | None:
    try:
        return datetime.strptime(data[168:184].decode("latin-1"), "%d.%m.%y%H.%M.%S")
    except ValueError:
        return None


def _whole(cell: bytes, what: str) -> int:
    text = cell.decode("latin-1").strip(" \0")
    if not re.fullmatch(r"-?[0-9]{1,8}", text):
        raise Malformed(f"{what} is not a whole number", where=_HEADER)
    return int(text)


def _number(cell: bytes, what: str) -> float:
    text = cell.decode("latin-1").strip(" \0").replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or abs(value) > 1e12:
        raise Malformed(f"{what} is not a finite number", where=_HEADER)
    return value
