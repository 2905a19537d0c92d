"""SCP-ECG records written from scratch: Huffman tables, reference-beat subtraction, bimodal compression."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ecg.leads import LEADS

FILENAME = "record.scp"
STEP_MV = 0.0025

LEAD_CODES = {
    "I": 1,
    "II": 2,
    "V1": 3,
    "V2": 4,
    "V3": 5,
    "V4": 6,
    "V5": 7,
    "V6": 8,
    "III": 61,
    "aVR": 62,
    "aVL": 63,
    "aVF": 64,
}
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Zone:
    """One QRS in samples from 0: subtraction from `start` up to `stop`, protection likewise, fiducial."""

    start: int
    fiducial: int
    stop: int
    protect_start: int = 0
    protect_stop: int = 0
    beat_type: int = 0


@dataclass(frozen=True)
class Options:
    leads: Sequence[str] = LEADS
    nanovolt: int = 2500
    beat_nanovolt: int = 2500
    table: str = "default"  # default, custom, switching or plain
    differences: int = 2
    beat: Counts | None = None  # (leads, samples) in beat counts
    beat_fiducial: int = 0
    zones: Sequence[Zone] = ()
    subtract: bool = False
    decimation: int = 1
    first_sample: int = 1
    end_is_past_last: bool = False
    person: dict[int, bytes] = field(default_factory=dict)
    right_checksums: bool = True
    signature: bytes = b"SCPECG"


def make(samples_mv: NDArray[np.float64], rate_hz: float) -> bytes:
    return build(np.round(samples_mv / STEP_MV).astype(np.int64), rate_hz, Options())


def build(counts: Counts, rate_hz: float, options: Options) -> bytes:
    """A record of these counts; the reference beat is subtracted and samples are left out as the options say."""
    interval_us = round(1e6 / rate_hz)
    residual = counts.copy()
    if options.subtract and options.beat is not None:
        ratio = options.beat_nanovolt // options.nanovolt
        for zone in options.zones:
            shift = zone.fiducial - options.beat_fiducial
            if zone.beat_type == 0:
                residual[:, zone.start : zone.stop] -= ratio * options.beat[:, zone.start - shift : zone.stop - shift]
    stored = [decimate(lead, options) for lead in residual]
    coded = {} if options.table == "plain" else {2: tables(options.table)}
    sections = coded | {1: person(options.person), 3: lead_section(counts.shape[1], options)}
    if options.beat is not None or options.zones:
        sections[4] = locations(options, interval_us)
    if options.beat is not None:
        sections[5] = block(list(options.beat), options.beat_nanovolt, interval_us, 0, options)
    bimodal = int(options.decimation > 1)
    sections[6] = block(stored, options.nanovolt, interval_us * options.decimation, bimodal, options)
    return record(sections, options)


def decimate(lead: Counts, options: Options) -> Counts:
    """Means of `decimation` samples between the protected zones; what fills no mean is kept."""
    if options.decimation == 1:
        return lead
    parts: list[Counts] = []
    place = 0
    for start, stop in [*((z.protect_start, z.protect_stop) for z in options.zones), (lead.size, lead.size)]:
        run = lead[place:start]
        whole = run.size // options.decimation * options.decimation
        parts.append(np.round(run[:whole].reshape(-1, options.decimation).mean(axis=1)).astype(np.int64))
        parts += [run[whole:], lead[start:stop]]
        place = stop
    return np.concatenate(parts)


def record(sections: dict[int, bytes], options: Options) -> bytes:
    pointers, bodies, index = b"", b"", 7 + 16 + 120
    for number in range(1, 12):
        body = section(number, sections[number], options) if number in sections else b""
        pointers += struct.pack("<HII", number, len(body), index if body else 0)
        bodies += body
        index += len(body)
    first = section(0, struct.pack("<HII", 0, 136, 7) + pointers, options, options.signature)
    content = struct.pack("<I", 6 + len(first) + len(bodies)) + first + bodies
    return struct.pack("<H", crc(content, options)) + content


def section(number: int, body: bytes, options: Options, reserved: bytes = bytes(6)) -> bytes:
    body += bytes(len(body) % 2)
    content = struct.pack("<HIBB", number, 16 + len(body), 20, 20) + reserved + body
    return struct.pack("<H", crc(content, options)) + content


def crc(content: bytes, options: Options) -> int:
    return binascii.crc_hqx(content, 0xFFFF) ^ (0 if options.right_checksums else 0x5555)


def person(extra: dict[int, bytes]) -> bytes:
    tags = {
        0: b"Doe\0",
        1: b"Jane\0",
        2: b"SECRET-ID\0",
        4: struct.pack("<HB", 54, 1),
        5: struct.pack("<HBB", 1950, 1, 2),
        8: b"\2",
    }
    tags |= {14: bytes(8) + b"ECG-9\0" + bytes(20), 25: struct.pack("<HBB", 2004, 5, 6), 26: bytes([7, 8, 9])} | extra
    return b"".join(struct.pack("<BH", tag, len(value)) + value for tag, value in tags.items()) + b"\xff\0\0"


def lead_section(n_samples: int, options: Options) -> bytes:
    first = options.first_sample
    last = first + n_samples - (0 if options.end_is_past_last else 1)
    flags = int(options.subtract) | 4 | min(len(options.leads), 31) << 3
    rows = b"".join(struct.pack("<IIB", first, last, LEAD_CODES[name]) for name in options.leads)
    return struct.pack("<BB", len(options.leads), flags) + rows


def locations(options: Options, interval_us: int) -> bytes:
    n_beat = options.beat.shape[1] if options.beat is not None else 0
    base = options.first_sample
    head = struct.pack("<HHH", n_beat * interval_us // 1000, options.beat_fiducial + 1, len(options.zones))
    for zone in options.zones:
        head += struct.pack("<HIII", zone.beat_type, zone.start + base, zone.fiducial + base, zone.stop + base - 1)
    for zone in options.zones:
        head += struct.pack("<II", zone.protect_start + base, zone.protect_stop + base - 1)
    return head


def block(leads: Sequence[Counts], nanovolt: int, interval_us: int, bimodal: int, options: Options) -> bytes:
    streams = [encode(differences(lead, options.differences), options.table) for lead in leads]
    lengths = struct.pack(f"<{len(streams)}H", *(len(stream) for stream in streams))
    return struct.pack("<HHBB", nanovolt, interval_us, options.differences, bimodal) + lengths + b"".join(streams)


def differences(lead: Counts, order: int) -> Counts:
    """The first `order` values as they are, then differences of that order."""
    return np.concatenate([lead[:order], np.diff(lead, order)]) if order else lead


# Our own code words: a value in bits, an escape to sixteen plain bits, and a way over to the other table.
CUSTOM = ({0: "0", 1: "10", -1: "110"}, "11110", "1110")
OTHER = ({0: "10", 2: "01", -2: "00"}, "110", "111")


def default_word(value: int) -> str:
    if value == 0:
        return "0"
    if abs(value) <= 8:
        return "1" * abs(value) + "0" + ("1" if value < 0 else "0")
    if -128 <= value <= 127:
        return "1" * 9 + "0" + f"{value & 0xFF:08b}"
    return "1" * 10 + f"{value & 0xFFFF:016b}"


def custom_word(value: int, words: dict[int, str], escape: str) -> str:
    return words.get(value) or escape + f"{value & 0xFFFF:016b}"


def encode(values: Counts, table: str) -> bytes:
    if table == "plain":
        return values.astype("<i2").tobytes()
    if table == "default":
        bits = "".join(default_word(int(value)) for value in values)
    elif table == "custom":
        bits = "".join(custom_word(int(value), *CUSTOM[:2]) for value in values)
    else:
        bits, current = "", CUSTOM
        for number, value in enumerate(values):
            if number % 50 == 49:  # over to the other table, and back again
                bits += current[2]
                current = OTHER if current is CUSTOM else CUSTOM
            bits += custom_word(int(value), *current[:2])
    bits += "0" * (-len(bits) % 16)
    return int(bits, 2).to_bytes(len(bits) // 8, "big") if bits else b""


def tables(table: str) -> bytes:
    if table == "default":
        return struct.pack("<H", 19_999)
    chosen = [CUSTOM] if table == "custom" else [CUSTOM, OTHER]
    return struct.pack("<H", len(chosen)) + b"".join(
        table_codes(each, target=2 - position) for position, each in enumerate(chosen)
    )


def table_codes(chosen: tuple[dict[int, str], str, str], target: int) -> bytes:
    words, escape, switch = chosen
    codes = [code(word, len(word), 1, value) for value, word in words.items()]
    codes += [code(escape, len(escape) + 16, 1, 0), code(switch, len(switch), 0, target)]
    return struct.pack("<H", len(codes)) + b"".join(codes)


def code(word: str, code_bits: int, mode: int, value: int) -> bytes:
    return struct.pack("<BBBhI", len(word), code_bits, mode, value, int(word[::-1], 2))
