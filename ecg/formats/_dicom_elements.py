"""The elements of a DICOM file that an ECG needs: little endian, uncompressed, bounded in number and depth."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from ecg.errors import Malformed, UnknownFormat, Unsafe

PREAMBLE_BYTES: Final = 128
MAX_ELEMENTS: Final = 100_000
MAX_DEPTH: Final = 8
_UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG_LENGTHS: Final = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
_EXPLICIT, _IMPLICIT, _DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"
_TRANSFER_SYNTAX: Final = 0x00020010
_WHERE: Final = "the DICOM elements"


@dataclass(frozen=True, slots=True)
class Item:
    """The wanted elements of a data set or of one sequence item."""

    values: dict[int, bytes] = field(default_factory=dict)
    sequences: dict[int, list[Item]] = field(default_factory=dict)

    def text(self, tag: int) -> str:
        return self.values.get(tag, b"").decode("latin-1").strip(" \0")

    def integer(self, tag: int) -> int | None:
        value = self.values.get(tag, b"")
        return int.from_bytes(value, "little") if len(value) in (2, 4) else None

    def decimal(self, tag: int) -> float | None:
        text = self.text(tag)
        if not text:
            return None
        try:
            return float(text)
        except ValueError:
            raise Malformed("a number is not one", where=f"element {tag >> 16:04X},{tag & 0xFFFF:04X}") from None

    def first(self, tag: int) -> Item:
        items = self.sequences.get(tag)
        return items[0] if items else Item()


def is_dicom(head: bytes) -> bool:
    return head[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] == b"DICM"


def read_elements(data: bytes, values: frozenset[int], sequences: frozenset[int]) -> Item:
    """The wanted values and sequences of a file. Deflated files are refused before anything is unpacked."""
    if not is_dicom(data):
        raise Malformed("no DICOM preamble", where="the beginning")
    syntax, start = _file_meta(data)
    if syntax == _DEFLATED:
        raise Unsafe("deflated DICOM is refused")
    if syntax not in (_EXPLICIT, _IMPLICIT):
        raise UnknownFormat("only uncompressed little-endian DICOM is read")
    reader = _Reader(data, values, sequences)
    item, _ = reader.item(start, len(data), explicit=syntax == _EXPLICIT, depth=0)
    return item


def _file_meta(data: bytes) -> tuple[str, int]:
    """The transfer syntax, and where the data set begins: behind the last element of group 2."""
    reader = _Reader(data, frozenset((_TRANSFER_SYNTAX,)), frozenset())
    place = PREAMBLE_BYTES + 4
    syntax = ""
    while place + 8 <= len(data) and data[place : place + 2] == b"\x02\x00":
        tag, _, length, at = reader.header(place, explicit=True)
        if length > len(data) - at:
            raise Malformed("an element runs over the end of the file", where="the file meta information")
        if tag == _TRANSFER_SYNTAX:
            syntax = data[at : at + length].decode("latin-1").strip(" \0")
        place = at + length
    return syntax, place


class _Reader:
    def __init__(self, data: bytes, values: frozenset[int], sequences: frozenset[int]) -> None:
        self.data = data
        self.values = values
        self.sequences = sequences
        self.left = MAX_ELEMENTS

    def header(self, place: int, *, explicit: bool) -> tuple[int, bytes, int, int]:
        """Tag, representation, length, and where the value begins."""
        self.left -= 1
        if self.left < 0:
            raise Malformed(f"more than {MAX_ELEMENTS} elements", where=_WHERE)
        if place + 8 > len(self.data):
            raise Malformed("the file ends inside an element", where=_WHERE)
        group, element = struct.unpack_from("<HH", self.data, place)
        tag = group << 16 | element
        if not explicit or group == 0xFFFE:
            return tag, b"", struct.unpack_from("<I", self.data, place + 4)[0], place + 8
        representation = self.data[place + 4 : place + 6]
        if representation not in _LONG_LENGTHS:
            return tag, representation, struct.unpack_from("<H", self.data, place + 6)[0], place + 8
        if place + 12 > len(self.data):
            raise Malformed("the file ends inside an element", where=_WHERE)
        return tag, representation, struct.unpack_from("<I", self.data, place + 8)[0], place + 12

    def item(self, place: int, end: int, *, explicit: bool, depth: int) -> tuple[Item, int]:
        """The wanted elements up to `end` or the item's delimiter, and where reading stopped."""
        if depth > MAX_DEPTH:
            raise Unsafe("DICOM sequences nested too deep")
        item = Item()
        while place < end:
            tag, representation, length, at = self.header(place, explicit=explicit)
            if tag == _ITEM_END:
                return item, at
            if tag in self.sequences or length == _UNDEFINED:
                # An unknown representation with undefined length holds an implicit sequence.
                inner = explicit and representation != b"UN"
                items, place = self.sequence(at, end, length, explicit=inner, depth=depth)
                if tag in self.sequences:
                    item.sequences.setdefault(tag, items)
                continue
            place = at + length
            if place > end:
                raise Malformed("an element runs over the end of its data set", where=_WHERE)
            if tag in self.values:
                item.values.setdefault(tag, self.data[at:place])
        return item, place

    def sequence(self, place: int, end: int, length: int, *, explicit: bool, depth: int) -> tuple[list[Item], int]:
        stop = end if length == _UNDEFINED else place + length
        if stop > end:
            raise Malformed("a sequence runs over the end of its data set", where=_WHERE)
        items: list[Item] = []
        while place < stop:
            tag, _, size, at = self.header(place, explicit=False)
            if tag == _SEQUENCE_END:
                return items, at
            if tag != _ITEM or (size != _UNDEFINED and at + size > stop):
                raise Malformed("a sequence holds something other than items", where=_WHERE)
            item, place = self.item(at, stop if size == _UNDEFINED else at + size, explicit=explicit, depth=depth + 1)
            items.append(item)
        return items, place
