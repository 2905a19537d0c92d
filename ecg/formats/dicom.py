"""DICOM ECG waveforms (12-lead and general): the rhythm group and its median beat, scaled channel by channel."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ecg.errors import Malformed, RateUnsupported
from ecg.formats._dicom_elements import Item, is_dicom, read_elements
from ecg.guards import require_samples
from ecg.leads import canonical_name
from ecg.recording import MV_PER, Recording, Samples, Sex, Unit, Waveform

NAME: Final = "dicom"
TITLE: Final = "DICOM ECG waveform (12-lead or general)"

_AGE, _SEX, _MANUFACTURER, _MODEL = 0x00101010, 0x00100040, 0x00080070, 0x00081090
_ACQUIRED, _CONTENT_DATE, _CONTENT_TIME = 0x0008002A, 0x00080023, 0x00080033
_WAVEFORMS, _CHANNELS, _SOURCE, _UNITS = 0x54000100, 0x003A0200, 0x003A0208, 0x003A0211
_N_CHANNELS, _N_SAMPLES, _RATE, _LABEL, _ORIGINALITY = 0x003A0005, 0x003A0010, 0x003A001A, 0x003A0020, 0x003A0004
_CHANNEL_LABEL, _SENSITIVITY, _CORRECTION, _BASELINE = 0x003A0203, 0x003A0210, 0x003A0212, 0x003A0213
_BITS, _INTERPRETATION, _PADDING, _DATA = 0x54001004, 0x54001006, 0x5400100A, 0x54001010
_CODE, _MEANING = 0x00080100, 0x00080104
_SEQUENCES: Final = frozenset((_WAVEFORMS, _CHANNELS, _SOURCE, _UNITS))
_VALUES: Final = frozenset((
    _AGE, _SEX, _MANUFACTURER, _MODEL, _ACQUIRED, _CONTENT_DATE, _CONTENT_TIME, _N_CHANNELS, _N_SAMPLES, _RATE, _LABEL,
    _ORIGINALITY, _CHANNEL_LABEL, _SENSITIVITY, _CORRECTION, _BASELINE, _BITS, _INTERPRETATION, _PADDING, _DATA, _CODE,
    _MEANING,
))  # fmt: skip

_TYPES: Final = {"SB": "i1", "UB": "u1", "SS": "<i2", "US": "<u2", "SL": "<i4", "UL": "<u4"}
_UNIT_CODES: Final = {"uv": Unit.MICROVOLT, "mv": Unit.MILLIVOLT, "v": Unit.VOLT, "nv": Unit.NANOVOLT}
_YEARS_PER: Final = {"Y": 1.0, "M": 1 / 12, "W": 1 / 52.18, "D": 1 / 365.25}
# Lead codes end in one number, whether of the SCP-ECG scheme (5.6.3-9-61) or of the ISO 11073 one (2:61).
_LEAD_CODE: Final = re.compile(r"(?:5\.6\.3-9-|2:)(\d{1,3})")
_LEAD_NUMBERS: Final = {
    1: "I", 2: "II", 3: "V1", 4: "V2", 5: "V3", 6: "V4", 7: "V5", 8: "V6", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF",
}  # fmt: skip
_MEDIAN_LABEL: Final = re.compile(r"median|averag|represent|template", re.IGNORECASE)
_LONGEST_BEAT_S: Final = 2.0
_MOST_CHANNELS: Final = 256


def sniff(head: bytes, filename: str) -> bool:
    return is_dicom(head)


def parse(data: bytes) -> Recording:
    dataset = read_elements(data, _VALUES, _SEQUENCES)
    groups = [_group(item, number) for number, item in enumerate(dataset.sequences.get(_WAVEFORMS, []), 1)]
    if not groups:
        raise Malformed("no waveform", where="the waveform sequence")
    rhythm, median = _choose(groups)
    return Recording(
        format=NAME,
        rhythm=_waveform(rhythm) if rhythm else None,
        median_beat=_waveform(median) if median else None,
        age_years=_age(dataset.text(_AGE)),
        sex=_sex(dataset.text(_SEX)),
        recorded_at=_acquired(dataset),
        device=" ".join(filter(None, (dataset.text(_MANUFACTURER), dataset.text(_MODEL))))[:64] or None,
    )


@dataclass(frozen=True, slots=True)
class _Group:
    """One multiplex group: what it declares, before its samples are touched."""

    item: Item
    names: tuple[str, ...]
    n_samples: int
    rate_hz: float
    where: str

    @property
    def n_leads(self) -> int:
        return len({name for name in map(canonical_name, self.names) if name})

    @property
    def duration_s(self) -> float:
        return self.n_samples / self.rate_hz

    @property
    def is_named_median(self) -> bool:
        return bool(_MEDIAN_LABEL.search(self.item.text(_LABEL)))


def _group(item: Item, number: int) -> _Group:
    where = f"waveform group {number}"
    channels = item.sequences.get(_CHANNELS, [])
    declared, n_samples = item.integer(_N_CHANNELS), item.integer(_N_SAMPLES)
    if not declared or not n_samples or declared != len(channels) or declared > _MOST_CHANNELS:
        raise Malformed(f"{declared} channels declared, {len(channels)} defined", where=where)
    rate_hz = item.decimal(_RATE)
    if rate_hz is None or not 0 < rate_hz < 1e9:
        raise RateUnsupported("the waveform states no usable sampling rate")
    return _Group(item, tuple(_lead_name(each, n) for n, each in enumerate(channels, 1)), n_samples, rate_hz, where)


def _lead_name(channel: Item, number: int) -> str:
    source = channel.first(_SOURCE)
    coded = _LEAD_CODE.fullmatch(source.text(_CODE))
    if coded and int(coded.group(1)) in _LEAD_NUMBERS:
        return _LEAD_NUMBERS[int(coded.group(1))]
    meaning = source.text(_MEANING).split("(")[0].strip()  # "Lead I (Einthoven)"
    for name in (meaning, source.text(_CODE), channel.text(_CHANNEL_LABEL)):
        if canonical_name(name):
            return name
    return meaning[:32] or f"channel {number}"


def _choose(groups: Sequence[_Group]) -> tuple[_Group | None, _Group | None]:
    """The rhythm: most leads, then longest, unless it is called a median. The median: by its name, or by its length."""
    rhythms = [group for group in groups if not group.is_named_median]
    rhythm = max(rhythms, key=lambda group: (group.n_leads, group.duration_s), default=None)
    medians = [group for group in groups if group.is_named_median]
    if rhythm and not medians and rhythm.duration_s > _LONGEST_BEAT_S:
        medians = [group for group in rhythms if group.duration_s <= _LONGEST_BEAT_S and group.n_leads >= 8]
    return rhythm, max(medians, key=lambda group: group.n_leads, default=None)


def _waveform(group: _Group) -> Waveform:
    counts = _counts(group)
    channels = group.item.sequences[_CHANNELS]
    units = [_unit(channel) for channel in channels]
    unit = units[0]
    scale = np.ones(len(channels))
    if len(set(units)) > 1:  # one unit for all; counts that cannot be converted make all unknown
        unit = Unit.UNKNOWN if Unit.UNKNOWN in units else Unit.MILLIVOLT
        scale = np.array([MV_PER[each] if unit is Unit.MILLIVOLT else 1.0 for each in units])
    gain = scale * [_finite(channel, _SENSITIVITY, 1.0) * _finite(channel, _CORRECTION, 1.0) for channel in channels]
    offset = scale * [_finite(channel, _BASELINE, 0.0) for channel in channels]
    if not gain.all():
        raise Malformed("a channel sensitivity of zero", where=group.where)
    return Waveform(group.names, _scaled(counts, gain, offset, _padding(group, counts)), group.rate_hz, unit)


def _counts(group: _Group) -> NDArray[Any]:
    """Samples as stored, one row a channel."""
    kind = _TYPES.get(group.item.text(_INTERPRETATION))
    if kind is None or np.dtype(kind).itemsize * 8 != group.item.integer(_BITS):
        raise Malformed("sample interpretation and bits do not fit", where=group.where)
    n_channels = len(group.names)
    require_samples(n_channels, group.n_samples, group.where)
    data = group.item.values.get(_DATA, b"")
    expected = n_channels * group.n_samples * np.dtype(kind).itemsize
    if not expected <= len(data) <= expected + 1:  # values are padded to even length
        raise Malformed(f"{len(data)} bytes of samples, {expected} declared", where=group.where)
    return np.frombuffer(data, kind, n_channels * group.n_samples).reshape(group.n_samples, n_channels).T


def _scaled(counts: NDArray[Any], gain: NDArray[Any], offset: NDArray[Any], padding: int | None) -> Samples:
    """Counts x sensitivity x correction + baseline, in the channel's unit; NaN where the file padded."""
    precise: type[np.floating[Any]] = np.float64 if counts.dtype.itemsize > 2 else np.float32
    values = np.multiply(counts, gain[:, None].astype(precise), dtype=precise, order="C")
    if offset.any():
        values += offset[:, None].astype(precise)
    samples: Samples = values.astype(np.float32, copy=False)
    if padding is not None:
        samples[counts == padding] = np.nan
    if not np.isfinite(samples).any():
        raise Malformed("no finite sample", where="the waveform data")
    return samples


def _padding(group: _Group, counts: NDArray[Any]) -> int | None:
    stated = group.item.values.get(_PADDING, b"")
    size = counts.dtype.itemsize
    return int(np.frombuffer(stated, counts.dtype, 1)[0]) if len(stated) >= size else None


def _unit(channel: Item) -> Unit:
    """Without a sensitivity the samples are counts, whatever else is said."""
    if channel.decimal(_SENSITIVITY) is None:
        return Unit.UNKNOWN
    code = channel.first(_UNITS).text(_CODE).replace("\xb5", "u")
    return _UNIT_CODES.get(code.lower(), Unit.UNKNOWN)


def _finite(channel: Item, tag: int, default: float) -> float:
    value = channel.decimal(tag)
    if value is None:
        return default
    if not math.isfinite(value) or abs(value) > 1e12:
        raise Malformed("a channel is scaled by no finite number", where="the channel definitions")
    return value


def _age(text: str) -> float | None:
    found = re.fullmatch(r"(\d{1,3})([YMWD])", text)
    age_years = int(found.group(1)) * _YEARS_PER[found.group(2)] if found else None
    return age_years if age_years is not None and age_years <= 130 else None


def _sex(text: str) -> Sex | None:
    return "female" if text == "F" else "male" if text == "M" else None


def _acquired(dataset: Item) -> datetime | None:
    for text in (dataset.text(_ACQUIRED), dataset.text(_CONTENT_DATE) + dataset.text(_CONTENT_TIME)):
        try:
            return datetime.strptime(text[:14], "%Y%m%d%H%M%S")
        except ValueError:
            continue
    return None
