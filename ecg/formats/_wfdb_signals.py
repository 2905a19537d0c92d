"""The packed samples of WFDB signal files as whole numbers, every packing vectorised."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ecg.errors import Malformed
from ecg.formats._wfdb_header import Signal
from ecg.guards import require_samples

Counts = NDArray[np.integer[Any]]
FLAC: Final = {508: 8, 516: 16, 524: 24}
# The value that stands for "no sample here", by packing.
INVALID: Final = {
    16: -(2**15), 61: -(2**15), 160: -(2**15), 24: -(2**23), 32: -(2**31), 80: -(2**7), 212: -(2**11),
    310: -(2**9), 311: -(2**9), 508: -(2**7), 516: -(2**15), 524: -(2**23),
}  # fmt: skip
_WHERE: Final = "the WFDB signal file"


def frames(raw: bytes, signals: Sequence[Signal], n_frames: int) -> Counts:
    """The samples of one signal file, one row a frame; `n_frames` 0 reads what is there."""
    first = signals[0]
    if raw[:10] == b"MATLAB 5.0":
        raise Malformed("MATLAB 5 file; WFDB records carry MATLAB 4 files", where=_WHERE)
    if any(signal.packing != first.packing for signal in signals):
        raise Malformed("one file in several formats", where=_WHERE)
    width = sum(signal.samples_per_frame for signal in signals)
    if first.packing in FLAC:
        return _flac(raw[first.byte_offset :], first, len(signals), n_frames)
    body = raw[first.byte_offset :] if first.byte_offset else raw
    available = _capacity(first.packing, len(body)) // width
    if available < max(n_frames, 1):
        raise Malformed(f"{available} of {n_frames or 'any'} frames are there", where=_WHERE)
    wanted = n_frames or available
    require_samples(width, wanted, _WHERE)
    counts = _UNPACK[first.packing](body, wanted * width).reshape(wanted, width)
    return _summed(counts, signals) if first.packing == 8 else counts


def _capacity(packing: int, n_bytes: int) -> int:
    """How many samples so many bytes hold."""
    if packing == 212:
        return n_bytes * 2 // 3
    if packing in (310, 311):
        return n_bytes // 4 * 3 + (0, 0, 1, 2 if packing == 311 else 1)[n_bytes % 4]
    try:
        return n_bytes // {8: 1, 80: 1, 16: 2, 61: 2, 160: 2, 24: 3, 32: 4}[packing]
    except KeyError:
        raise Malformed(f"WFDB signal format {packing} is not read", where="the WFDB header") from None


def _groups(body: bytes, n_groups: int, size: int) -> NDArray[np.uint8]:
    """Whole groups of bytes, the last one filled up with zeros where the file ends inside it."""
    chunk = body[: n_groups * size]
    return np.frombuffer(chunk.ljust(n_groups * size, b"\0"), np.uint8).reshape(n_groups, size)


def _format_24(body: bytes, n: int) -> Counts:
    words = np.zeros((n, 4), np.uint8)
    words[:, 1:] = _groups(body, n, 3)
    return words.view("<i4").ravel() >> 8  # the sign comes down with the shift


def _format_212(body: bytes, n: int) -> Counts:
    low, mixed, high = _groups(body, -(-n // 2), 3).T.astype(np.int16)
    pairs = np.empty((low.size, 2), np.int16)
    pairs[:, 0] = (low | (mixed & 0x0F) << 8) << 4 >> 4  # 12 bits, sign extended
    pairs[:, 1] = (high | (mixed & 0xF0) << 4) << 4 >> 4
    return pairs.ravel()[:n]


def _format_310(body: bytes, n: int) -> Counts:
    first, second = _groups(body, -(-n // 3), 4).view("<u2").T
    triples = np.empty((first.size, 3), np.uint16)
    triples[:, 0] = first >> 1 & 0x3FF
    triples[:, 1] = second >> 1 & 0x3FF
    triples[:, 2] = first >> 11 | second >> 11 << 5  # five bits from either word
    return _ten_bits(triples, n)


def _format_311(body: bytes, n: int) -> Counts:
    word = _groups(body, -(-n // 3), 4).view("<u4").ravel()
    triples = np.empty((word.size, 3), np.uint16)
    for place in range(3):
        triples[:, place] = word >> 10 * place & 0x3FF
    return _ten_bits(triples, n)


def _ten_bits(words: NDArray[np.uint16], n: int) -> Counts:
    return (words << 6).view(np.int16).ravel()[:n] >> 6  # 10 bits, sign extended


_UNPACK: Final[dict[int, Callable[[bytes, int], Counts]]] = {
    8: lambda body, n: np.frombuffer(body, np.int8, n).astype(np.int32),
    16: lambda body, n: np.frombuffer(body, "<i2", n),
    24: _format_24,
    32: lambda body, n: np.frombuffer(body, "<i4", n),
    61: lambda body, n: np.frombuffer(body, ">i2", n).astype(np.int16),
    80: lambda body, n: np.frombuffer(body, np.uint8, n).astype(np.int16) - np.int16(128),
    160: lambda body, n: (np.frombuffer(body, "<u2", n) ^ np.uint16(0x8000)).view(np.int16),
    212: _format_212,
    310: _format_310,
    311: _format_311,
}


def _summed(differences: Counts, signals: Sequence[Signal]) -> Counts:
    """Format 8 stores first differences that start from the header's initial value."""
    counts = np.empty_like(differences)
    column = 0
    for signal in signals:
        columns = slice(column, column + signal.samples_per_frame)
        run = np.cumsum(differences[:, columns], dtype=np.int32) + np.int32(np.clip(signal.initial, -(2**30), 2**30))
        counts[:, columns] = run.reshape(-1, signal.samples_per_frame)
        column = columns.stop
    return counts


def _flac(raw: bytes, first: Signal, n_signals: int, n_frames: int) -> Counts:
    """FLAC-compressed formats: one channel a signal, as many samples as the frames hold."""
    import soundfile

    if raw[:4] != b"fLaC":
        raise Malformed("no FLAC stream", where=_WHERE)
    try:
        with soundfile.SoundFile(io.BytesIO(raw)) as stream:
            per_frame = first.samples_per_frame
            wanted = (n_frames or stream.frames // per_frame) * per_frame
            require_samples(stream.channels, wanted, _WHERE)
            if stream.channels != n_signals or wanted > stream.frames:
                raise Malformed("the FLAC stream does not fit the header", where=_WHERE)
            samples = stream.read(wanted, dtype="int32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise Malformed("broken FLAC stream", where=_WHERE) from error
    if samples.shape[0] != wanted:
        raise Malformed("the FLAC stream ends early", where=_WHERE)
    samples >>= 32 - FLAC[first.packing]  # the library scales every depth up to 32 bits
    by_frame = samples.reshape(-1, per_frame, n_signals).transpose(0, 2, 1)
    counts: Counts = np.ascontiguousarray(by_frame).reshape(-1, n_signals * per_frame)
    return counts


def require_checksums(counts: Counts, signals: Sequence[Signal]) -> None:
    """The 16-bit sum of each signal as the header states it; all zeros were never computed."""
    stated = [signal.checksum for signal in signals]
    if any(each is None for each in stated) or not any(stated):
        return
    starts = [0, *accumulate(signal.samples_per_frame for signal in signals[:-1])]
    sums = np.add.reduceat(_column_sums(counts), starts) & 0xFFFF
    if sums.tolist() != stated:
        raise Malformed("the samples do not add up to the header's checksum", where=_WHERE)


def _column_sums(counts: Counts) -> NDArray[np.int64]:
    words = counts.view(np.uint16) if counts.dtype == np.int16 else counts.astype(np.uint16)
    n_frames, width = words.shape
    # Fifty frames side by side make the sum run along memory; 16-bit overflow is the arithmetic of the checksum.
    even = n_frames // 50 * 50
    total = np.add.reduce(words[:even].reshape(-1, 50 * width), axis=0, dtype=np.uint16).reshape(50, width)
    rest = np.add.reduce(words[even:], axis=0, dtype=np.uint16)
    sums: NDArray[np.int64] = total.sum(axis=0, dtype=np.int64) + rest
    return sums
