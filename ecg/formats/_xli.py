"""XLI compression of Philips: second differences, split into high and low bytes, in 10-bit LZW."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg.errors import Malformed

_BITS: Final = 10
_LAST_CODE: Final = (1 << _BITS) - 2
_HEADER_BYTES: Final = 8
_OFFSET: Final = 64
Codes = NDArray[np.int64]


def decompress(packed: bytes, leads: int, samples: int) -> NDArray[np.int64]:
    """(leads, samples) of counts. A lead: its chunk's length (4 bytes), 2 bytes unused, a first bend, LZW codes."""
    found = np.empty((leads, samples), dtype=np.int64)
    offset = 0
    for lead in range(leads):
        where = f"compressed lead {lead + 1}"
        header = packed[offset : offset + _HEADER_BYTES]
        if len(header) < _HEADER_BYTES:
            raise Malformed("the data end early", where=where)
        size, start = (
            int.from_bytes(header[:4], "little", signed=True),
            int.from_bytes(header[6:], "little", signed=True),
        )
        chunk = packed[offset + _HEADER_BYTES : offset + _HEADER_BYTES + size]
        if size <= 0 or len(chunk) < size:
            raise Malformed("the data end early", where=where)
        found[lead] = _lead(chunk, start, samples, where)
        offset += _HEADER_BYTES + size
    return found


def _lead(chunk: bytes, start: int, samples: int, where: str) -> NDArray[np.int64]:
    # One more byte than declared is a filled-up code; far more is not this format.
    text = _unpacked(_codes(chunk), limit=2 * samples + 4096, where=where)
    half = (len(text) + 1) // 2
    if half < samples or half < 2:
        raise Malformed(f"{half} samples where {samples} are declared", where=where)
    parts = np.frombuffer(text + bytes(len(text) % 2), dtype=np.uint8).reshape(2, half)
    # The first half holds the high bytes, the second the low ones.
    joined = (parts[0].astype(np.uint16) << 8 | parts[1]).view(np.int16).astype(np.int64)
    return _from_second_differences(joined, start)[:samples]


def _from_second_differences(stored: NDArray[np.int64], start: int) -> NDArray[np.int64]:
    """The first two samples stand as they are; of each later one the negated, shifted bend is stored one before."""
    bends = np.empty(stored.size, dtype=np.int64)
    bends[2] = -start if stored.size > 2 else 0
    bends[3:] = _OFFSET - stored[2:-1]
    steps = np.cumsum(np.concatenate(([stored[1] - stored[0]], bends[2:])))
    counts = np.concatenate(([stored[0]], stored[0] + np.cumsum(steps)))
    # Sixteen-bit arithmetic wraps around, as in the device.
    return (counts + 2**15) % 2**16 - 2**15


def _codes(chunk: bytes) -> Codes:
    """The chunk as 10-bit numbers, first bit first."""
    bits = np.unpackbits(np.frombuffer(chunk, dtype=np.uint8))
    whole = bits[: bits.size // _BITS * _BITS].reshape(-1, _BITS)
    return whole @ (1 << np.arange(_BITS - 1, -1, -1))


def _unpacked(codes: Codes, limit: int, where: str) -> bytes:
    """LZW whose table stops growing when it is full: from there on every code is looked up and no more."""
    ended = np.flatnonzero(codes > _LAST_CODE)
    queue = codes[: ended[0]].tolist() if ended.size else codes.tolist()
    if not queue:
        return b""
    table: list[bytes] = [bytes([value]) for value in range(256)]
    if queue[0] > 255:
        raise Malformed("a code before its text", where=where)
    previous = table[queue[0]]
    pieces = [previous]
    place = 1
    while place < len(queue) and len(table) <= _LAST_CODE:
        code = queue[place]
        if code > len(table):
            raise Malformed("a code before its text", where=where)
        # A code that is about to be made stands for the text before it and its own first byte.
        text = table[code] if code < len(table) else previous + previous[:1]
        table.append(previous + text[:1])
        pieces.append(text)
        previous = text
        place += 1
    if sum(map(len, pieces)) > limit or sum(len(table[code]) for code in set(queue[place:])) > 2**20:
        raise Malformed("far more samples than declared", where=where)
    rest = [table[code] for code in queue[place:]]
    if sum(map(len, pieces)) + sum(map(len, rest)) > limit:
        raise Malformed("far more samples than declared", where=where)
    return b"".join([*pieces, *rest])
