"""The sections of an SCP-ECG record: pointers, checksums, patient data, leads, QRS locations, sample blocks."""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final

from ecg.errors import Malformed
from ecg.recording import Sex

HEADER_BYTES: Final = 6
SECTION_HEADER_BYTES: Final = 16
MAX_SECTIONS: Final = 1_024
MAX_LEADS: Final = 32
MAX_QRS: Final = 10_000
_AGE_UNITS_PER_YEAR: Final = {1: 1.0, 2: 12.0, 3: 52.18, 4: 365.25, 5: 8_766.0}
_LEAD_NAMES: Final = {
    1: "I", 2: "II", 3: "V1", 4: "V2", 5: "V3", 6: "V4", 7: "V5", 8: "V6", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Person:
    age_years: float | None = None
    sex: Sex | None = None
    recorded_at: datetime | None = None
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Lead:
    """First and last sample as the file numbers them, both included."""

    name: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Leads:
    leads: tuple[Lead, ...]
    reference_beat_subtracted: bool


@dataclass(frozen=True, slots=True)
class Zone:
    """One QRS: where the reference beat was subtracted, its fiducial, and where no sample was left out."""

    beat_type: int
    subtract_first: int
    fiducial: int
    subtract_last: int
    protect_first: int = 0
    protect_last: int = 0


@dataclass(frozen=True, slots=True)
class Locations:
    beat_length_ms: int
    beat_fiducial: int
    zones: tuple[Zone, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """The coded samples of section 5 or 6, one stream a lead."""

    nanovolt_per_count: int
    interval_us: int
    differences: int
    bimodal: bool
    streams: tuple[bytes, ...]


def looks_like_scp(head: bytes) -> bool:
    """Section 0 comes first, and its first pointer points at itself."""
    if len(head) < 32:
        return False
    if head[16:22] == b"SCPECG":
        return True
    _, section, length = struct.unpack_from("<HHI", head, 6)
    return section == 0 and length >= 136 and struct.unpack_from("<HII", head, 22) == (0, length, 7)


def split(data: bytes) -> dict[int, bytes]:
    """The contents of the sections by number. A section whose checksum fails alone among good ones is corrupted."""
    if not looks_like_scp(data[:64]):
        raise Malformed("no section 0", where="the record header")
    crc, size = struct.unpack_from("<HI", data)
    if size > len(data):
        raise Malformed(f"the record ends after {len(data)} of {size} bytes", where="the record header")
    (length,) = struct.unpack_from("<I", data, 10)
    count = (min(length, len(data) - HEADER_BYTES) - SECTION_HEADER_BYTES) // 10
    if not 0 < count <= MAX_SECTIONS:
        raise Malformed("section 0 has no pointers", where="section 0")
    pointers = [struct.unpack_from("<HII", data, 22 + 10 * number) for number in range(count)]
    whole = [(number, _slice(data, number, size, index)) for number, size, index in pointers if size and number]
    record_is_sound = size > 6 and _crc(data[2:size]) == crc
    sound = {number: _crc(section[2:]) == int.from_bytes(section[:2], "little") for number, section in whole}
    sections: dict[int, bytes] = {}
    for number, section in whole:
        # A device that computes no checksum right computes them all wrong.
        if number <= 6 and not (record_is_sound or sound[number] or not any(sound.values())):
            raise Malformed("checksum does not fit", where=f"section {number}")
        sections.setdefault(number, section[SECTION_HEADER_BYTES:])
    return sections


def _slice(data: bytes, number: int, size: int, index: int) -> bytes:
    if size < SECTION_HEADER_BYTES or index < 1 or index - 1 + size > len(data):
        if number <= 6:
            raise Malformed("the section lies outside the file", where=f"section {number}")
        return bytes(SECTION_HEADER_BYTES)
    return data[index - 1 : index - 1 + size]


def _crc(content: bytes) -> int:
    return binascii.crc_hqx(content, 0xFFFF)


def parse_person(section: bytes) -> Person:
    """Age, sex, time and device model; names, numbers and the birth date itself stay in the file."""
    tags = _tags(section)
    day, moment = _date(tags.get(25, b"")), _time(tags.get(26, b""))
    return Person(
        age_years=_age(tags, day),
        sex=_sex(tags.get(8, b"")),
        recorded_at=datetime.combine(day, moment or time()) if day else None,
        device=_model(tags.get(14, b"")),
    )


def _tags(section: bytes) -> dict[int, bytes]:
    tags: dict[int, bytes] = {}
    place = 0
    while place + 3 <= len(section) and section[place] != 255:
        length = int.from_bytes(section[place + 1 : place + 3], "little")
        tags.setdefault(section[place], section[place + 3 : place + 3 + length])
        place += 3 + length
    return tags


def _age(tags: dict[int, bytes], recorded: date | None) -> float | None:
    stated = tags.get(4, b"")
    if len(stated) >= 3 and stated[2] in _AGE_UNITS_PER_YEAR and stated[:2] != b"\0\0":
        return _plausible(int.from_bytes(stated[:2], "little") / _AGE_UNITS_PER_YEAR[stated[2]])
    born = _date(tags.get(5, b""))
    return _plausible(float((recorded - born).days // 365.25)) if born and recorded else None


def _plausible(age_years: float) -> float | None:
    return age_years if 0 <= age_years <= 130 else None


def _sex(value: bytes) -> Sex | None:
    return {b"\x01": "male", b"\x02": "female"}.get(value[:1])  # type: ignore[return-value]


def _date(value: bytes) -> date | None:
    if len(value) < 4:
        return None
    try:
        return date(int.from_bytes(value[:2], "little"), value[2], value[3])
    except ValueError:
        return None


def _time(value: bytes) -> time | None:
    return time(*value[:3]) if len(value) >= 3 and value[0] < 24 and value[1] < 60 and value[2] < 60 else None


def _model(value: bytes) -> str | None:
    text = value[8:14].split(b"\0")[0].decode("ascii", errors="ignore").strip()
    return text if text.isprintable() and text else None


def parse_leads(section: bytes) -> Leads:
    if len(section) < 2:
        raise Malformed("no leads defined", where="section 3")
    count, flags = section[0], section[1]
    if not 0 < count <= MAX_LEADS or len(section) < 2 + 9 * count:
        raise Malformed(f"{count} leads defined", where="section 3")
    rows = [struct.unpack_from("<IIB", section, 2 + 9 * number) for number in range(count)]
    leads = tuple(Lead(_LEAD_NAMES.get(code, f"lead {code}"), first, _last(first, last)) for first, last, code in rows)
    if any(lead.last <= lead.first for lead in leads):
        raise Malformed("a lead ends before it begins", where="section 3")
    return Leads(leads, reference_beat_subtracted=bool(flags & 1))


def _last(first: int, last: int) -> int:
    """A file that numbers from 0 and ends on a round number gives the end as one past the last sample."""
    return last - 1 if first == 0 and last % 50 == 0 and last else last


def parse_locations(section: bytes) -> Locations:
    if len(section) < 6:
        raise Malformed("no QRS locations", where="section 4")
    length_ms, fiducial, count = struct.unpack_from("<HHH", section)
    if count > MAX_QRS or len(section) < 6 + 14 * count:
        raise Malformed(f"{count} QRS complexes listed", where="section 4")
    subtract = [struct.unpack_from("<HIII", section, 6 + 14 * number) for number in range(count)]
    after = 6 + 14 * count
    protect: list[tuple[int, ...]] = [(0, 0)] * count
    if len(section) >= after + 8 * count:
        protect = [struct.unpack_from("<II", section, after + 8 * number) for number in range(count)]
    return Locations(length_ms, fiducial, tuple(Zone(*a, *b) for a, b in zip(subtract, protect, strict=True)))


def parse_block(section: bytes, n_leads: int, where: str) -> Block:
    if len(section) < 6 + 2 * n_leads:
        raise Malformed("the sample block ends early", where=where)
    nanovolt, interval_us, differences, bimodal = struct.unpack_from("<HHBB", section)
    if differences > 2:
        raise Malformed(f"difference encoding {differences}", where=where)
    streams: list[bytes] = []
    place = 6 + 2 * n_leads
    for length in struct.unpack_from(f"<{n_leads}H", section, 6):
        if place + length > len(section):
            raise Malformed("the samples of a lead lie outside the section", where=where)
        streams.append(section[place : place + length])
        place += length
    return Block(nanovolt, interval_us, differences, bool(bimodal), tuple(streams))
