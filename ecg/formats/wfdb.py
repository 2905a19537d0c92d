"""WFDB records: a text header and its signal files, single or in segments; own reader, names never used as paths."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg.errors import Malformed, RateUnsupported, UnknownFormat
from ecg.formats._wfdb_header import Header, Signal, is_multi_segment, parse_header
from ecg.formats._wfdb_signals import INVALID, Counts, frames, require_checksums
from ecg.guards import require_samples
from ecg.leads import canonical_name
from ecg.recording import MV_PER, Recording, Samples, Unit, Waveform

NAME: Final = "wfdb"
TITLE: Final = "WFDB record (.hea with .dat or .mat; zipped or as separate files)"

_RECORD_LINE: Final = re.compile(r"[^\s/\\#,;]+(/\d+)?\s+\d{1,3}(\s+[\d.]+(/\S+)?(\s+\d+(\s+\S+){0,2})?)?")
_SIGNAL_LINE: Final = re.compile(r"\S+\s+\d{1,3}(x\d+)?(:\d+)?(\+\d+)?(\s+.*)?")
_SEGMENT_LINE: Final = re.compile(r"\S+\s+\d+")
_WHERE: Final = "the WFDB record"


def sniff(head: bytes, filename: str) -> bool:
    if b"\0" in head:
        return False
    lines = (line.strip() for line in head.decode("utf-8", errors="replace").splitlines())
    spoken = [line for line in lines if line and not line.startswith("#")][:2]
    record = _RECORD_LINE.fullmatch(spoken[0]) if len(spoken) == 2 else None
    if record is None:
        return False
    return bool((_SEGMENT_LINE if record.group(1) else _SIGNAL_LINE).fullmatch(spoken[1]))


def parse(data: bytes) -> Recording:
    parse_header(data)
    raise Malformed("a WFDB header alone; its signal file is missing", where=_WHERE)


def parse_files(files: Mapping[str, bytes]) -> Recording:
    """One record: its header and signal files, found among the given files by their base names."""
    headers: dict[str, bytes] = {}
    signals: dict[str, bytes] = {}
    for path, data in files.items():
        name = path.replace("\\", "/").rsplit("/", 1)[-1]
        is_header = name.lower().endswith(".hea")
        target, key = (headers, name[:-4]) if is_header else (signals, name)
        if key in target:
            raise Malformed("two files of one name", where=_WHERE)
        target[key] = data
    header = _main_header(headers)
    if not signals:
        raise Malformed("a WFDB header alone; its signal file is missing", where=_WHERE)
    if header.rate_hz is None or header.rate_hz <= 0:
        raise RateUnsupported("the WFDB header states no sampling rate")
    block = _segmented(header, headers, signals) if header.segments else _block(header, _renamed(header, signals))
    return Recording(
        format=NAME,
        rhythm=_waveform(block, header.rate_hz),
        age_years=header.age_years,
        sex=header.sex,
        recorded_at=header.recorded_at,
    )


def named_by(header: bytes) -> tuple[str, ...]:
    """The files beside a header that belong to its record: signal files, or the headers of its segments."""
    found = parse_header(header)
    if found.segments:
        return tuple(dict.fromkeys(f"{each.name}.hea" for each in found.segments if each.name != "~"))
    return tuple(dict.fromkeys(each.file_name for each in found.signals))


@dataclass(frozen=True, slots=True)
class _Block:
    """Signals of one record or segment in their own units, all with the same number of samples per frame."""

    names: tuple[str, ...]
    samples: Samples
    units: tuple[Unit, ...]
    samples_per_frame: int


_Plane = tuple[tuple[Signal, ...], Samples]


def _main_header(headers: Mapping[str, bytes]) -> Header:
    if len(headers) == 1:
        return parse_header(next(iter(headers.values())))
    # Among several, only a multi-segment header makes one recording of them.
    masters = [data for data in headers.values() if is_multi_segment(data)]
    if len(masters) != 1:
        raise UnknownFormat(f"{len(headers)} WFDB headers: one recording per upload")
    return parse_header(masters[0])


def _renamed(header: Header, signals: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """One signal file for one name is that file, whatever the upload called it."""
    named = {signal.file_name for signal in header.signals if signal.packing}
    return {named.pop(): next(iter(signals.values()))} if len(named) == len(signals) == 1 else signals


def _waveform(block: _Block, rate_hz: float) -> Waveform:
    samples, unit = block.samples, block.units[0]
    if any(each is not unit for each in block.units):
        unit = Unit.MILLIVOLT if Unit.UNKNOWN not in block.units else Unit.UNKNOWN
        scale = [MV_PER[each] if unit is Unit.MILLIVOLT else 1.0 for each in block.units]
        samples = samples * np.array(scale, np.float32)[:, None]
    return Waveform(block.names, samples, rate_hz * block.samples_per_frame, unit)


def _block(header: Header, files: Mapping[str, bytes]) -> _Block:
    """The leads of a plain record, whatever else it holds; all signals when none bears a lead's name."""
    width = sum(signal.samples_per_frame for signal in header.signals)
    require_samples(width, header.n_frames or 1, _WHERE)
    planes: list[_Plane] = []
    for group in _by_file(header.signals):
        planes += _planes(group, header.n_frames, files, width)
    if not planes:
        raise Malformed("none of the signal files that the header names is there", where=_WHERE)
    named = any(canonical_name(signal.name) for signals, _ in planes for signal in signals)
    kept = [(_leads_of(signals) if named else range(len(signals)), signals, each) for signals, each in planes]
    rates = Counter(signals[0].samples_per_frame for rows, signals, _ in kept if rows)
    if len(rates) > 1 and named:
        raise RateUnsupported("the leads of this WFDB record have different sampling rates")
    per_frame = rates.most_common(1)[0][0]
    chosen = [
        (rows, signals, each) for rows, signals, each in kept if rows and signals[0].samples_per_frame == per_frame
    ]
    leads = [signals[row] for rows, signals, _ in chosen for row in rows]
    parts = [each if len(rows) == len(signals) else each[list(rows)] for rows, signals, each in chosen]
    samples = parts[0] if len(parts) == 1 else _joined(parts)
    names = tuple(signal.name or f"signal {number}" for number, signal in enumerate(leads, 1))
    return _Block(names, samples, tuple(signal.unit for signal in leads), per_frame)


def _leads_of(signals: Sequence[Signal]) -> Sequence[int]:
    return [row for row, signal in enumerate(signals) if canonical_name(signal.name)]


def _joined(parts: Sequence[Samples]) -> Samples:
    if len({part.shape[1] for part in parts}) > 1:
        raise Malformed("the signal files differ in length", where=_WHERE)
    return np.concatenate(parts)


def _by_file(signals: Iterable[Signal]) -> list[tuple[Signal, ...]]:
    stored = (signal for signal in signals if signal.packing != 0)  # format 0 holds no samples
    return [tuple(group) for _, group in groupby(stored, key=lambda signal: signal.file_name)]


def _planes(signals: tuple[Signal, ...], n_frames: int, files: Mapping[str, bytes], width: int) -> list[_Plane]:
    """The signals of one file as rows of physical values, split where their rates differ."""
    raw = _find(signals[0].file_name, files)
    if raw is None:
        return []
    counts = frames(raw, signals, n_frames)
    require_samples(width, counts.shape[0], _WHERE)
    if n_frames:
        require_checksums(counts, signals)
    if all(signal.samples_per_frame == 1 for signal in signals):
        return [(signals, _physical(counts.T, signals))]
    planes: list[_Plane] = []
    column = 0
    for signal in signals:
        stop = column + signal.samples_per_frame
        planes.append(((signal,), _physical(counts[:, column:stop].reshape(1, -1), (signal,))))
        column = stop
    return planes


def _find(name: str, files: Mapping[str, bytes]) -> bytes | None:
    if name in files:
        return files[name]
    folded = {each.lower(): data for each, data in files.items()}
    return folded.get(name.lower())


def _physical(counts: Counts, signals: Sequence[Signal]) -> Samples:
    """Counts as values in the signal's unit: (count - baseline) / gain; NaN where the file marks no sample."""
    scale = np.array([1 / signal.gain if signal.gain else 1.0 for signal in signals])[:, None]
    baseline = np.array([signal.baseline for signal in signals])[:, None]
    wide = counts.dtype.itemsize > 2 and signals[0].packing == 32
    precise: type[np.floating] = np.float64 if wide else np.float32  # 24 bits fit a float32, 32 bits do not
    values = np.multiply(counts, scale.astype(precise), dtype=precise, order="C")
    if baseline.any():
        values -= (baseline * scale).astype(precise)
    samples: Samples = values.astype(np.float32, copy=False)
    missing = INVALID.get(signals[0].packing)
    if missing is not None and counts.min() == missing:
        samples[counts == missing] = np.nan
    return _aligned(samples, signals)


def _aligned(samples: Samples, signals: Sequence[Signal]) -> Samples:
    """Undo the skew of signals that lie later in the file than their frames."""
    for row, signal in enumerate(signals):
        shift = min(signal.skew * signal.samples_per_frame, samples.shape[1])
        if shift:
            samples[row] = np.concatenate([samples[row, shift:], np.full(shift, np.nan, np.float32)])
    return samples


def _segmented(master: Header, headers: Mapping[str, bytes], files: Mapping[str, bytes]) -> _Block:
    """Segments one after another; a gap, or a lead that a segment lacks, is NaN."""
    parsed: dict[str, Header] = {}
    for segment in master.segments:
        if segment.name != "~" and segment.name not in parsed:
            parsed[segment.name] = _segment_header(segment.name, headers)
    with_samples = [segment for segment in master.segments if segment.n_frames > 0]
    widest = max((len(header.signals) for header in parsed.values()), default=0)
    require_samples(widest, sum(segment.n_frames for segment in with_samples), _WHERE)
    names: dict[str, int] = {}
    blocks: dict[str, _Block] = {}
    for segment in with_samples:
        if segment.name != "~" and segment.name not in blocks:
            header = replace(parsed[segment.name], n_frames=segment.n_frames)
            blocks[segment.name] = _scaled(_block(header, files))
            for name in blocks[segment.name].names:
                names.setdefault(name, len(names))
    if not blocks:
        raise Malformed("no segment with samples", where=_WHERE)
    per_frame = {block.samples_per_frame for block in blocks.values()}
    if len(per_frame) > 1:
        raise RateUnsupported("the segments of this WFDB record have different sampling rates")
    rate = per_frame.pop()
    total = sum(segment.n_frames for segment in with_samples) * rate
    require_samples(len(names), total, _WHERE)
    samples = np.full((len(names), total), np.nan, np.float32)
    start = 0
    for segment in with_samples:
        stop = start + segment.n_frames * rate
        if segment.name != "~":
            _place(samples[:, start:stop], blocks[segment.name], names)
        start = stop
    units = {unit for block in blocks.values() for unit in block.units}
    unit = Unit.UNKNOWN if Unit.UNKNOWN in units else Unit.MILLIVOLT
    return _Block(tuple(names), samples, (unit,) * len(names), rate)


def _segment_header(name: str, headers: Mapping[str, bytes]) -> Header:
    if name not in headers:
        raise Malformed("a segment of the record is missing", where=_WHERE)
    header = parse_header(headers[name])
    if header.segments:
        raise Malformed("segments inside segments", where=_WHERE)
    return header


def _scaled(block: _Block) -> _Block:
    """Millivolts where the units allow, since segments may differ in unit."""
    scale = np.array([MV_PER.get(unit, 1.0) for unit in block.units], np.float32)
    units = tuple(Unit.UNKNOWN if unit is Unit.UNKNOWN else Unit.MILLIVOLT for unit in block.units)
    return _Block(block.names, block.samples * scale[:, None], units, block.samples_per_frame)


def _place(target: NDArray[np.float32], block: _Block, rows: Mapping[str, int]) -> None:
    if block.samples.shape[1] != target.shape[1]:
        raise Malformed("a segment is not as long as the record says", where=_WHERE)
    for name, lead in zip(block.names, block.samples, strict=True):
        target[rows[name]] = lead
