"""The SCP-ECG reader against its own independent encoder, ecgdatakit, BioSig and strangers."""

from __future__ import annotations

import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ecgdatakit.parsing.parsers.scp_ecg import SCPECGParser
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.errors import EcgError, Malformed, RateUnsupported
from ecg.formats import read, scp_ecg
from ecg.leads import INDEPENDENT, LEADS
from ecg.recording import Unit
from tests.ecg.formats.hostile import mutations, stays_lawful, synthetic_mv
from tests.makers import scp_ecg as maker
from tests.makers.scp_ecg import Options, Zone

RATE = 500.0
COUNTS = np.round(synthetic_mv(2_000) / maker.STEP_MV).astype(np.int64)
PLAIN = maker.build(COUNTS, RATE, Options())


class Oracle(SCPECGParser):  # type: ignore[misc]
    """ecgdatakit without its statement sections, whose layout it insists on where genuine files differ."""

    def _parse_statements(self, *_: Any) -> None:
        return None


def oracle_uv(data: bytes, folder: Path) -> dict[str, np.ndarray]:
    path = folder / "oracle.scp"
    path.write_bytes(data)
    return {lead.label.strip(): lead.samples * lead.resolution for lead in Oracle().parse(path).leads}


def rhythm_uv(data: bytes) -> np.ndarray:
    rhythm = read(data, "").rhythm
    assert rhythm is not None
    assert rhythm.unit is Unit.MICROVOLT
    return rhythm.samples


def beats(n_samples: int = 2_000) -> tuple[np.ndarray, list[Zone]]:
    """The reference beat of the synthetic signal, and its R waves 800 ms apart; one of them passes for ectopic."""
    fiducials = [450, 850, 1250, 1650]
    windows = np.stack([COUNTS[:, f - 120 : f + 150] for f in fiducials])
    zones = [Zone(f - 100, f, f + 130, f - 30, f + 40, beat_type=int(f == 850)) for f in fiducials]
    return np.round(np.median(windows, axis=0)).astype(np.int64), zones


@pytest.mark.parametrize("table", ["default", "custom", "switching", "plain"])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_every_coding_gives_back_the_samples(table: str, order: int) -> None:
    """Whatever table and differences, decoding is exact."""
    data = maker.build(COUNTS, RATE, Options(table=table, differences=order))
    recording = read(data)
    assert recording.rhythm is not None
    assert recording.rhythm.leads == LEADS
    assert recording.rhythm.sampling_rate_hz == RATE
    np.testing.assert_allclose(recording.rhythm.samples, COUNTS * 2.5, atol=1e-3)


def test_the_reference_beat_is_put_back(tmp_path: Path) -> None:
    """Subtracted beats return exactly where they were, ectopic beats stay; the beat itself is the median beat."""
    beat, zones = beats()
    options = Options(beat=beat, beat_fiducial=120, zones=zones, subtract=True)
    data = maker.build(COUNTS, RATE, options)
    np.testing.assert_allclose(rhythm_uv(data), COUNTS * 2.5, atol=1e-3)
    median = read(data).median_beat
    assert median is not None
    np.testing.assert_allclose(median.samples, beat * 2.5, atol=1e-3)
    for name, samples in oracle_uv(data, tmp_path).items():
        np.testing.assert_allclose(samples, COUNTS[LEADS.index(name)] * 2.5, atol=1e-3)


def test_beat_and_rhythm_may_have_different_steps() -> None:
    """Beat and residual each carry their own amplitude unit."""
    beat, zones = beats()
    options = Options(nanovolt=1250, beat_nanovolt=5000, beat=beat // 4, beat_fiducial=120, zones=zones, subtract=True)
    np.testing.assert_allclose(rhythm_uv(maker.build(COUNTS, RATE, options)), COUNTS * 1.25, atol=1e-3)


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("subtract", [False, True])
def test_bimodal_compression_is_undone(factor: int, subtract: bool) -> None:
    """Protected zones come back exactly; between them the slow signal is within a few microvolts."""
    beat, zones = beats()
    t = np.arange(2_000) / RATE
    slow = np.round(200 * np.sin(2 * np.pi * 1.1 * t) + 0 * COUNTS).astype(np.int64)
    counts = COUNTS if subtract else slow
    options = Options(beat=beat, beat_fiducial=120, zones=zones, subtract=subtract, decimation=factor)
    samples = rhythm_uv(maker.build(counts, RATE, options))
    assert samples.shape == counts.shape
    protected = np.zeros(2_000, bool)
    for zone in zones:
        protected[zone.protect_start : zone.protect_stop] = True
    np.testing.assert_allclose(samples[:, protected], counts[:, protected] * 2.5, atol=1e-3)
    if not subtract:
        assert np.abs(samples[:, 5:-5] - counts[:, 5:-5] * 2.5).max() < 10


@pytest.mark.parametrize("past_last", [False, True])
def test_samples_may_be_numbered_from_0(past_last: bool) -> None:
    """Files of both kinds exist; beats lie right in either."""
    beat, zones = beats()
    options = Options(
        beat=beat, beat_fiducial=120, zones=zones, subtract=True, first_sample=0, end_is_past_last=past_last
    )
    np.testing.assert_allclose(rhythm_uv(maker.build(COUNTS, RATE, options)), COUNTS * 2.5, atol=1e-3)


def test_sections_over_64_kilobytes_read() -> None:
    """Twelve leads of plain words make a section larger than 16 bits can count."""
    counts = np.tile(COUNTS, 5)[:, :8_000]
    data = maker.build(counts, 800.0, Options(table="plain", differences=0, nanovolt=5000))
    assert len(data) > 3 * 65_536 // 2
    np.testing.assert_allclose(rhythm_uv(data), counts * 5.0, atol=1e-3)


def test_eight_leads_and_a_missing_signature_read() -> None:
    """Eight-lead files are common; some devices leave the signature out."""
    options = Options(leads=INDEPENDENT, signature=bytes(6))
    data = maker.build(COUNTS[:8], RATE, options)
    rhythm = read(data).rhythm
    assert rhythm is not None
    assert rhythm.leads == INDEPENDENT


def test_genuine_files_agree_with_ecgdatakit(vendor_dir: Path, tmp_path: Path) -> None:
    """Every genuine file reads, sample for sample as the independent reader has it."""
    for path in sorted((vendor_dir / "scp").iterdir()):
        data = path.read_bytes()
        rhythm = read(data).rhythm
        assert rhythm is not None
        for name, samples in oracle_uv(data, tmp_path).items():
            np.testing.assert_allclose(rhythm.samples[rhythm.leads.index(name)], samples, atol=0.01)


@pytest.mark.skipif(shutil.which("save2gdf") is None, reason="BioSig is not installed")
@pytest.mark.parametrize("table", ["default", "plain"])
def test_biosig_reads_the_same(table: str, tmp_path: Path) -> None:
    """BioSig's values of a file of ours are ours."""
    order = 0 if table == "plain" else 2
    data = maker.build(COUNTS, RATE, Options(table=table, differences=order, nanovolt=5000))
    (tmp_path / "in.scp").write_bytes(data)
    subprocess.run(["save2gdf", "-f=ASCII", tmp_path / "in.scp", tmp_path / "out.txt"], check=True, capture_output=True)
    for row, samples in enumerate(rhythm_uv(data), 1):
        np.testing.assert_allclose(np.loadtxt(tmp_path / f"out.a{row:02d}"), samples, atol=0.01)


def test_person_time_and_device_without_identity() -> None:
    """Age, sex, time and model are read; name, number and birth date stay in the file."""
    recording = read(PLAIN)
    assert (recording.age_years, recording.sex, recording.device) == (54.0, "female", "ECG-9")
    assert str(recording.recorded_at) == "2004-05-06 07:08:09"
    text = repr(recording)
    assert not any(secret in text for secret in ("Doe", "Jane", "SECRET", "1950"))


def test_age_from_the_dates_when_it_is_not_stated() -> None:
    """An age that is only implied by the dates is worked out; an impossible one is dropped."""
    born = maker.build(COUNTS, RATE, Options(person={4: bytes(3)}))
    assert read(born).age_years == 54.0
    absurd = maker.build(COUNTS, RATE, Options(person={4: struct.pack("<HB", 999, 1)}))
    assert read(absurd).age_years is None


def test_one_bad_checksum_among_good_ones_is_corruption() -> None:
    """A section that alone fails its checksum was damaged; a device that gets every one wrong is believed."""
    broken = bytearray(PLAIN)
    broken[-500] ^= 4
    with pytest.raises(Malformed, match="checksum"):
        read(bytes(broken))
    never_right = maker.build(COUNTS, RATE, Options(right_checksums=False))
    np.testing.assert_allclose(rhythm_uv(never_right), COUNTS * 2.5, atol=1e-3)


def test_amplitude_and_rate_that_are_not_stated() -> None:
    """No amplitude unit: counts of unknown unit. No interval: refused."""
    rhythm = read(maker.build(COUNTS, RATE, Options(nanovolt=0))).rhythm
    assert rhythm is not None
    assert rhythm.unit is Unit.UNKNOWN
    with pytest.raises(RateUnsupported):
        read(maker.build(COUNTS, 1e9, Options()))


def test_lies_about_size_are_refused() -> None:
    """Declared lengths beyond the file, leads beyond reason, and streams that end early."""
    record = replace(Options(), first_sample=1)
    short = maker.build(COUNTS[:, :1_000], RATE, record)
    long_range = maker.lead_section(2_000_000_000, record)
    for sections in ({3: long_range}, {3: maker.lead_section(1_050, record)}, {3: b"\xff\x04" + bytes(20)}, {3: b""}):
        base = {1: maker.person({}), 2: maker.tables("default"), 6: body_of(short, 6)}
        data = maker.record(base | sections, record)
        with pytest.raises(EcgError):
            read(data)
        stays_lawful(lambda data=data: read(data))
    for cut in (0, 5, 21, 40, 200, len(PLAIN) // 2, len(PLAIN) - 1):
        with pytest.raises(EcgError):
            scp_ecg.parse(PLAIN[:cut])


def body_of(data: bytes, number: int) -> bytes:
    _, size, index = struct.unpack_from("<HII", data, 22 + 10 * number)
    return data[index + 15 : index - 1 + size]


def test_a_full_house_of_huffman_codes_stays_bounded() -> None:
    """As many one-bit codes as the lengths can declare: refused or read, within the second."""
    options = Options(right_checksums=False)
    for n_leads, n_tables in ((32, 1), (24, 1), (8, 3)):
        rows = b"".join(struct.pack("<IIB", 1, 500_000, 1) for _ in range(n_leads))
        stream = struct.pack("<HHBB", 1000, 2000, 2, 0) + b"\xff\xff" * n_leads + bytes(65_535 * n_leads)
        one = maker.table_codes(maker.CUSTOM, 2)
        section = struct.pack("<H", n_tables) + one * n_tables
        data = maker.record({2: section, 3: bytes([n_leads, 4]) + rows, 6: stream}, options)
        stays_lawful(lambda data=data: read(data))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_mutated_files_stay_lawful(data: st.DataObject) -> None:
    """Cuts, flips and extremes, with checksums out of the way, end in an answer or an EcgError."""
    beat, zones = beats()
    options = Options(
        beat=beat, beat_fiducial=120, zones=zones, subtract=True, decimation=data.draw(st.sampled_from([1, 4])),
        table=data.draw(st.sampled_from(["default", "switching"])), right_checksums=False,
    )  # fmt: skip
    broken = data.draw(mutations(_built(options)))
    stays_lawful(lambda: scp_ecg.parse(broken))


_CACHE: dict[tuple[int, str], bytes] = {}


def _built(options: Options) -> bytes:
    key = (options.decimation, options.table)
    if key not in _CACHE:
        _CACHE[key] = maker.build(COUNTS, RATE, options)
    return _CACHE[key]
