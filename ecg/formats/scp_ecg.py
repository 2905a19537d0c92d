"""SCP-ECG (EN 1064, ISO 11073-91064): Huffman coding, reference-beat subtraction and bimodal compression undone."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg.errors import Malformed, RateUnsupported
from ecg.formats._scp_huffman import Table, decode, integrate, parse_tables, require_work
from ecg.formats._scp_sections import (
    Block,
    Lead,
    Leads,
    Locations,
    Zone,
    looks_like_scp,
    parse_block,
    parse_leads,
    parse_locations,
    parse_person,
    split,
)
from ecg.guards import require_samples
from ecg.recording import Recording, Unit, Waveform

NAME: Final = "scp_ecg"
TITLE: Final = "SCP-ECG (EN 1064)"

MAX_HUFFMAN_SAMPLES: Final = 2_000_000
MAX_BEAT_SAMPLES: Final = 20_000
_RHYTHM: Final = "section 6, rhythm data"
_BEAT: Final = "section 5, reference beat"

Signal = NDArray[np.float64]


def sniff(head: bytes, filename: str) -> bool:
    return looks_like_scp(head)


def parse(data: bytes) -> Recording:
    sections = split(data)
    if 3 not in sections:
        raise Malformed("no lead definition", where="section 3")
    person = parse_person(sections.get(1, b""))
    leads = parse_leads(sections[3])
    tables = parse_tables(sections.get(2, b""))
    locations = parse_locations(sections[4]) if len(sections.get(4, b"")) >= 6 else Locations(0, 0, ())
    beat_block = _block(sections.get(5, b""), leads, _BEAT)
    rhythm_block = _block(sections.get(6, b""), leads, _RHYTHM)
    require_work(sum(len(each) for block in (beat_block, rhythm_block) if block for each in block.streams), tables)
    beat = _beat(beat_block, locations, tables) if beat_block else None
    return Recording(
        format=NAME,
        rhythm=_rhythm(rhythm_block, beat_block, beat, leads, locations, tables) if rhythm_block else None,
        median_beat=_waveform(beat, beat_block, leads) if beat is not None and beat_block else None,
        age_years=person.age_years,
        sex=person.sex,
        recorded_at=person.recorded_at,
        device=person.device,
    )


def _block(section: bytes, leads: Leads, where: str) -> Block | None:
    block = parse_block(section, len(leads.leads), where) if section else None
    return block if block and any(block.streams) else None


def _beat(block: Block, locations: Locations, tables: tuple[Table, ...]) -> Signal:
    """The reference beat of every lead, in microvolts."""
    if not block.interval_us:
        raise RateUnsupported("the reference beat states no sampling rate")
    declared = locations.beat_length_ms * 1_000 // block.interval_us
    wanted = min(declared or MAX_BEAT_SAMPLES, MAX_BEAT_SAMPLES)
    decoded = [integrate(decode(stream, wanted, tables), block.differences) for stream in block.streams]
    shortest = min(each.size for each in decoded)
    if shortest == 0 or (declared and shortest < min(wanted, declared - 1)):
        raise Malformed(f"{shortest} of {declared} samples are there", where=_BEAT)
    beat: Signal = np.stack([each[:shortest] for each in decoded]) * np.float64((block.nanovolt_per_count or 1) / 1_000)
    return beat


def _waveform(samples_uv: Signal, block: Block, leads: Leads, interval_us: int = 0) -> Waveform:
    names = tuple(lead.name for lead in leads.leads)
    unit = Unit.MICROVOLT if block.nanovolt_per_count else Unit.UNKNOWN
    return Waveform(names, samples_uv.astype(np.float32), 1e6 / (interval_us or block.interval_us), unit)


def _rhythm(
    block: Block,
    beat_block: Block | None,
    beat: Signal | None,
    leads: Leads,
    locations: Locations,
    tables: tuple[Table, ...],
) -> Waveform:
    if not block.interval_us:
        raise RateUnsupported("the rhythm data state no sampling rate")
    subtracted = leads.reference_beat_subtracted
    if subtracted and (beat is None or beat_block is None or not locations.zones):
        raise Malformed("the reference beat that was subtracted is not there", where=_BEAT)
    if subtracted and beat_block and not (block.nanovolt_per_count and beat_block.nanovolt_per_count):
        raise Malformed("beat and rhythm cannot be added without their amplitude units", where=_BEAT)
    factor = _decimation(block, beat_block) if block.bimodal or subtracted else 1
    span = _Span(leads)
    require_samples(len(leads.leads), span.n_samples, _RHYTHM)
    if tables and len(leads.leads) * span.n_samples > MAX_HUFFMAN_SAMPLES:
        raise Malformed(f"{span.n_samples} Huffman-coded samples a lead declared", where="section 3")
    rows = [
        _lead(stream, lead, block, factor, locations, span, tables)
        for stream, lead in zip(block.streams, leads.leads, strict=True)
    ]
    samples = span.stack(rows, leads) * ((block.nanovolt_per_count or 1) / 1_000)
    if subtracted and beat is not None:
        _add_beats(samples, beat, locations, span)
    return _waveform(samples, block, leads, block.interval_us // factor)


class _Span:
    """Where the leads lie in time. Files number samples from 1, as the standard has it, or from 0."""

    def __init__(self, leads: Leads) -> None:
        self.first = min(lead.first for lead in leads.leads)
        self.base = 0 if self.first == 0 else 1
        self.n_samples = max(lead.last for lead in leads.leads) - self.first + 1
        self.n_read = self.n_samples

    def stack(self, rows: list[Signal], leads: Leads) -> Signal:
        """Leads side by side in time; NaN before and after a lead that is shorter than the record."""
        ends = [lead.first - self.first + row.size for lead, row in zip(leads.leads, rows, strict=True)]
        samples = np.full((len(rows), max(ends)), np.nan)
        for target, row, end in zip(samples, rows, ends, strict=True):
            target[end - row.size : end] = row
        return samples

    def index(self, sample_number: int) -> int:
        return sample_number - max(self.first, self.base)


def _decimation(block: Block, beat_block: Block | None) -> int:
    """How many samples became one outside the protected zones: the ratio of the two sampling intervals."""
    if beat_block is None or not beat_block.interval_us:
        if block.bimodal:
            raise Malformed("bimodal compression without the full sampling rate", where=_BEAT)
        return 1
    factor, rest = divmod(block.interval_us, beat_block.interval_us)
    if rest or not 1 <= factor <= 16:
        raise Malformed("sampling intervals of beat and rhythm do not fit", where=_RHYTHM)
    return factor


def _lead(
    stream: bytes,
    lead: Lead,
    block: Block,
    factor: int,
    locations: Locations,
    span: _Span,
    tables: tuple[Table, ...],
) -> Signal:
    """One lead at its full rate, in counts."""
    declared = lead.last - lead.first + 1
    runs = _runs(lead, declared, locations.zones) if factor > 1 else [(declared, True)]
    stored = sum(length if whole else length // factor + length % factor for length, whole in runs)
    counts = integrate(decode(stream, stored, tables), block.differences).astype(np.float64)
    # A stated end may be one past the last sample; plain words may be cut at 65,535 bytes, the most a lead can hold.
    short_but_whole = counts.size == stored - 1 or (not tables and counts.size and len(stream) >= 0xFFFE)
    if counts.size < stored and not (factor == 1 and short_but_whole):
        raise Malformed(f"{counts.size} of {stored} samples are there", where=f"{_RHYTHM}, lead {lead.name}")
    return counts if factor == 1 else _expanded(counts, runs, factor, _edges(lead, locations))


def _runs(lead: Lead, n_samples: int, zones: tuple[Zone, ...]) -> list[tuple[int, bool]]:
    """The lead as runs of (length, stored whole): protected zones whole, what lies between them decimated."""
    runs: list[tuple[int, bool]] = []
    place = 0
    for zone in sorted(zones, key=lambda each: each.protect_first):
        start, stop = max(zone.protect_first - lead.first, place), min(zone.protect_last - lead.first + 1, n_samples)
        if zone.protect_last <= zone.protect_first or stop <= start:
            continue
        runs += [(start - place, False), (stop - start, True)]
        place = stop
    return [run for run in [*runs, (n_samples - place, False)] if run[0]]


def _edges(lead: Lead, locations: Locations) -> set[int]:
    """Samples beside which the subtraction of a beat begins or ends: smoothing must not reach across."""
    edges: set[int] = set()
    for zone in locations.zones:
        if zone.beat_type == 0 and zone.subtract_last > zone.subtract_first:
            for place in (zone.subtract_first - lead.first, zone.subtract_last + 1 - lead.first):
                edges |= {place - 1, place}
    return edges


def _expanded(counts: Signal, runs: list[tuple[int, bool]], factor: int, edges: set[int]) -> Signal:
    """Decimated runs brought back to the full rate: straight lines between means, then a mean of three."""
    parts: list[Signal] = []
    place = 0
    for length, whole in runs:
        means, rest = (0, length) if whole else divmod(length, factor)
        if means:
            middles = factor // 2 + factor * np.arange(means)
            parts.append(np.interp(np.arange(means * factor), middles, counts[place : place + means]))
        parts.append(counts[place + means : place + means + rest])  # samples that fill no mean are stored as they are
        place += means + rest
    full = np.concatenate(parts)
    smooth = np.zeros(full.size, bool)
    start = 0
    for length, whole in runs:
        smooth[start : start + length] = not whole
        start += length
    smooth[[0, -1]] = False
    smooth[[edge for edge in edges if 0 <= edge < full.size]] = False
    inner = np.flatnonzero(smooth)
    full[inner] = (full[inner - 1] + full[inner] + full[inner + 1]) / 3
    return full


def _add_beats(samples: Signal, beat: Signal, locations: Locations, span: _Span) -> None:
    """Put the reference beat back under every QRS of its type, fiducial upon fiducial."""
    for zone in locations.zones:
        if zone.beat_type != 0 or zone.subtract_last < zone.subtract_first or zone.subtract_last == 0:
            continue
        first, last = span.index(zone.subtract_first), span.index(zone.subtract_last)
        shift = span.index(zone.fiducial) - (locations.beat_fiducial - 1)  # where the beat begins
        start, stop = max(first, shift, 0), min(last + 1, shift + beat.shape[1], samples.shape[1])
        if start < stop:
            samples[:, start:stop] += beat[:, start - shift : stop - shift]
