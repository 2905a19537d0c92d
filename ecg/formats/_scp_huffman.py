"""The entropy coding of SCP-ECG: every bit position is looked up at once, then the chain of codes is walked."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg.errors import Malformed, TooLarge

DEFAULT_TABLE: Final = 19_999
MAX_PREFIX_BITS: Final = 16
MAX_CODE_BITS: Final = 32
MAX_CODES: Final = 4_096
MAX_TABLES: Final = 16
MAX_WORK_BITS: Final = 12_000_000
_WHERE: Final = "section 2, Huffman tables"

Values = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Code:
    """A prefix, written first bit first. Bits behind it are the value itself; without any, `value` is."""

    prefix: int
    prefix_bits: int
    code_bits: int
    value: int
    switches_table: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Codes by the next `width` bits of the stream; row 0 stands for no code."""

    width: int
    lookup: NDArray[np.int16]
    prefix_bits: NDArray[np.int64]
    code_bits: NDArray[np.int64]
    value: NDArray[np.int64]
    switches: NDArray[np.bool_]


@cache
def default_table() -> Table:
    """The standard's own table: 0, then sign and magnitude in unary to 8, then 8 and 16 plain bits."""
    codes = [Code(0b0, 1, 1, 0)]
    for magnitude in range(1, 9):
        ones = (1 << (magnitude + 2)) - 4  # as many ones as the magnitude, then a zero and the sign
        codes += [Code(ones | sign, magnitude + 2, magnitude + 2, -magnitude if sign else magnitude) for sign in (0, 1)]
    codes += [Code(0b1111111110, 10, 18, 0), Code(0b1111111111, 10, 26, 0)]
    return build_table(codes)


def build_table(codes: list[Code]) -> Table:
    width = max(code.prefix_bits for code in codes)
    lookup = np.zeros(1 << width, np.int16)
    # Short prefixes are entered last, since a reader of single bits stops at the first code it meets.
    for row, code in sorted(enumerate(codes, 1), key=lambda each: -each[1].prefix_bits):
        free = width - code.prefix_bits
        lookup[code.prefix << free : (code.prefix + 1) << free] = row
    nothing = Code(0, 1, 1, 0)
    rows = [nothing, *codes]
    return Table(
        width,
        lookup,
        np.array([code.prefix_bits for code in rows]),
        np.array([code.code_bits for code in rows]),
        np.array([code.value for code in rows]),
        np.array([code.switches_table for code in rows]),
    )


def parse_tables(section: bytes) -> tuple[Table, ...]:
    """The tables of section 2; none when it is empty, since the samples are then plain 16-bit words."""
    if len(section) < 2:
        return ()
    (count,) = struct.unpack_from("<H", section)
    if count == DEFAULT_TABLE:
        return (default_table(),)
    if count > MAX_TABLES:
        raise Malformed(f"{count} Huffman tables", where=_WHERE)
    tables: list[Table] = []
    place = 2
    for _ in range(count):
        codes, place = _codes(section, place)
        tables.append(build_table(codes))
    return tuple(tables)


def _codes(section: bytes, place: int) -> tuple[list[Code], int]:
    if place + 2 > len(section):
        raise Malformed("the tables end early", where=_WHERE)
    (count,) = struct.unpack_from("<H", section, place)
    if not 0 < count <= MAX_CODES or place + 2 + 9 * count > len(section):
        raise Malformed(f"{count} codes declared", where=_WHERE)
    return [_code(section, place + 2 + 9 * number) for number in range(count)], place + 2 + 9 * count


def _code(section: bytes, place: int) -> Code:
    prefix_bits, code_bits, mode, value, reversed_prefix = struct.unpack_from("<BBBhI", section, place)
    if not 0 < prefix_bits <= MAX_PREFIX_BITS or not prefix_bits <= code_bits <= MAX_CODE_BITS:
        raise Malformed("a code of impossible length", where=_WHERE)
    prefix = 0
    for bit in range(prefix_bits):  # stored with the first bit of the stream as its lowest
        prefix = prefix << 1 | (reversed_prefix >> bit & 1)
    return Code(prefix, prefix_bits, code_bits, value, switches_table=mode == 0)


def require_work(n_bytes: int, tables: tuple[Table, ...]) -> None:
    if n_bytes * 8 * len(tables) > MAX_WORK_BITS:
        raise TooLarge(f"{n_bytes} bytes of Huffman-coded samples are more than is read")


def decode(stream: bytes, n_samples: int, tables: tuple[Table, ...]) -> Values:
    """At most `n_samples` values of one lead; fewer when the stream ends before."""
    if not tables:
        return np.frombuffer(stream, "<i2", min(n_samples, len(stream) // 2)).astype(np.int64)
    windows = _windows(stream)
    if len(tables) == 1 and not tables[0].switches.any():
        return _decode_plain(windows, n_samples, tables[0])
    return _decode_switching(windows, n_samples, tables)


def _windows(stream: bytes) -> NDArray[np.uint64]:
    """The 32 bits that follow each bit of the stream."""
    padded = np.frombuffer(stream + bytes(8), np.uint8)
    words = np.zeros(len(stream), np.uint64)
    for byte in range(5):
        words |= padded[byte : byte + len(stream)].astype(np.uint64) << np.uint64(32 - 8 * byte)
    shifts = np.arange(8, dtype=np.uint64)
    return ((words[:, None] >> (np.uint64(8) - shifts)) & np.uint64(0xFFFFFFFF)).ravel()


def _rows(windows: NDArray[np.uint64], table: Table) -> NDArray[np.int16]:
    return table.lookup[(windows >> np.uint64(32 - table.width)).astype(np.intp)]


def _decode_plain(windows: NDArray[np.uint64], n_samples: int, table: Table) -> Values:
    rows = _rows(windows, table)
    steps = table.code_bits.astype(np.int16)[rows].tolist()
    starts: list[int] = []
    place, end = 0, len(steps)
    while place < end and len(starts) < n_samples:
        starts.append(place)
        place += steps[place]
    if place > end:  # the last code runs over the end of the stream
        starts.pop()
    found = np.array(starts, np.intp)
    return _values(windows[found], rows[found], table)


def _decode_switching(windows: NDArray[np.uint64], n_samples: int, tables: tuple[Table, ...]) -> Values:
    rows = [_rows(windows, table).tolist() for table in tables]
    values: list[int] = []
    place, end, current = 0, windows.size, 0
    while place < end and len(values) < n_samples:
        table, row = tables[current], rows[current][place]
        after = place + int(table.code_bits[row])
        if after > end:
            break
        if table.switches[row]:
            current = int(table.value[row]) - 1
            if not 0 <= current < len(tables):
                raise Malformed("a code switches to a table that is not there", where=_WHERE)
        else:
            values.append(int(_values(windows[place : place + 1], np.array([row]), table)[0]))
        place = after
    return np.array(values, np.int64)


def _values(windows: NDArray[np.uint64], rows: NDArray[np.integer], table: Table) -> Values:
    if (rows == 0).any():
        raise Malformed("bits that are no code", where="the Huffman-coded samples")
    prefix_bits = table.prefix_bits[rows]
    plain_bits = table.code_bits[rows] - prefix_bits
    # the plain bits, moved to the top of 32, come down with their sign
    payload = (windows.astype(np.int64) << prefix_bits & 0xFFFFFFFF).astype(np.uint32).view(np.int32).astype(np.int64)
    values: Values = np.where(plain_bits > 0, payload >> (32 - plain_bits), table.value[rows])
    return values


def integrate(values: Values, differences: int) -> Values:
    """Samples from their first or second differences; the first one or two values are samples themselves."""
    if differences == 1:
        return np.cumsum(values)
    if differences == 2 and values.size > 1:
        steps = values.copy()
        steps[1] -= 2 * steps[0]  # the second sample as a second difference from 0, x0
        return np.cumsum(np.cumsum(steps))
    return values
