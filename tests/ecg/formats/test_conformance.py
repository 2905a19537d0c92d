"""What holds for every format, whichever there are: each discovered one is tried by the same laws."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecg import formats, harmonise
from ecg.errors import EcgError
from tests import makers
from tests.conftest import ROOT
from tests.ecg.formats.hostile import mutations, stays_lawful, synthetic_mv

FORMATS = [reader.NAME for reader in formats.available()]
RATE_HZ = 500
SAMPLES_MV = synthetic_mv(5_000, RATE_HZ)
FILES = {name: makers.of(name).make(SAMPLES_MV, RATE_HZ) for name in FORMATS}
NEEDED = {
    "wfdb",
    "muse_xml",
    "cardiosoft_xml",
    "hl7_aecg",
    "philips_sierra",
    "dicom",
    "scp_ecg",
    "edf",
    "fhir",
    "table",
}
MAX_BYTES = 300 * 2**20


def test_every_needed_format_is_there() -> None:
    """The folder holds a reader for each format that hospitals send, and each reader has a maker."""
    assert set(FORMATS) >= NEEDED
    assert set(makers.names()) >= set(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_what_was_written_is_read(name: str) -> None:
    """Twelve leads in millivolts within half a quantisation step, at the rate that was written."""
    maker = makers.of(name)
    recording = formats.read(FILES[name], maker.FILENAME)
    twelve = harmonise.to_twelve(recording)
    assert recording.format == name
    assert twelve.sampling_rate_hz == RATE_HZ
    # A lead that is derived from two adds the rounding of both.
    np.testing.assert_allclose(twelve.samples_mv, SAMPLES_MV, atol=1.01 * maker.STEP_MV)
    stored = [row for row, lead in enumerate(twelve.samples_mv) if harmonise.LEADS[row] not in twelve.derived]
    np.testing.assert_allclose(twelve.samples_mv[stored], SAMPLES_MV[stored], atol=0.501 * maker.STEP_MV + 1e-6)


@pytest.mark.parametrize("name", FORMATS)
def test_one_format_claims_a_file(name: str) -> None:
    """By content alone, under a name that says nothing; a zip is a container and claimed by none."""
    head = FILES[name][: formats.HEAD_BYTES]
    claimed = [reader.NAME for reader in formats.available() if reader.sniff(head, "upload")]
    assert claimed == ([] if head.startswith(b"PK") else [name])


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_bytes_give_the_same_recording(name: str) -> None:
    """Reading has no memory."""
    first, second = (formats.read(FILES[name], "upload") for _ in range(2))
    assert first.rhythm is not None
    np.testing.assert_array_equal(first.rhythm.samples, second.rhythm.samples)
    assert not first.rhythm.samples.flags.writeable


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.1, 0.3, 0.5, 0.8, 0.95, 0.999])
def test_a_truncated_file_is_refused_or_shorter(name: str, share: float) -> None:
    """Cut anywhere: an EcgError within a second, or a recording that lost its end, never an invented one."""
    cut = FILES[name][: int(len(FILES[name]) * share)]
    try:
        recording = formats.read(cut, makers.of(name).FILENAME)
    except EcgError:
        return
    assert recording.rhythm is None or recording.rhythm.samples.shape[1] <= SAMPLES_MV.shape[1]


@pytest.mark.parametrize("name", FORMATS)
def test_damage_is_survived(name: str) -> None:
    """Flipped bits, planted extremes, dropped and doubled stretches: an answer or an EcgError, within a second."""

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(mutations(FILES[name]))
    def damaged(data: bytes) -> None:
        stays_lawful(lambda: formats.read(data, makers.of(name).FILENAME))

    damaged()


@pytest.mark.parametrize("name", FORMATS)
def test_memory_stays_bounded(name: str) -> None:
    """A sound file and one with planted extremes are read within 300 MB."""
    broken = bytearray(FILES[name])
    broken[40:44] = b"\xff\xff\xff\x7f"
    for data in (FILES[name], bytes(broken)):
        tracemalloc.start()
        stays_lawful(lambda data=data: formats.read(data, "upload"), limit_s=5)  # type: ignore[misc]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < MAX_BYTES


@given(st.binary(max_size=200), st.text(max_size=20))
@settings(max_examples=100, deadline=None)
def test_noise_is_no_ecg(data: bytes, filename: str) -> None:
    """Random bytes under a random name are refused."""
    with pytest.raises(EcgError):
        formats.read(data, filename)


@pytest.mark.parametrize("rate_hz", [0, 1e9])
@pytest.mark.parametrize("name", ["wfdb", "muse_xml", "cardiosoft_xml", "hl7_aecg", "philips_sierra", "table"])
def test_impossible_rates_are_refused(name: str, rate_hz: float) -> None:
    """Zero and a thousand million samples a second are declared by nobody's heart."""
    written = FILES[name]
    if name == "wfdb":
        from tests.makers import wfdb

        parts = wfdb.files(SAMPLES_MV, RATE_HZ)
        parts["record.hea"] = parts["record.hea"].replace(b"record 12 500 ", f"record 12 {rate_hz:g} ".encode())
        with pytest.raises(EcgError):
            harmonise.to_twelve(formats.read_files(parts))
        return
    wrong = f"{rate_hz:g}".encode()
    step = b"0" if rate_hz == 0 else b"1e-9"
    for right, replaced in (
        (b"<SampleBase>500<", b"<SampleBase>" + wrong + b"<"),
        (b'<SampleRate units="Hz">500<', b'<SampleRate units="Hz">' + wrong + b"<"),
        (b'value="0.002"', b'value="' + step + b'"'),
        (b"<samplingrate>500<", b"<samplingrate>" + wrong + b"<"),
        (b"sampling_rate_hz=500", b"sampling_rate_hz=" + wrong),
    ):
        written = written.replace(right, replaced)
    assert written != FILES[name]
    with pytest.raises(EcgError):
        harmonise.to_twelve(formats.read(written, makers.of(name).FILENAME))


@pytest.mark.parametrize("name", ["muse_xml", "cardiosoft_xml", "hl7_aecg", "philips_sierra"])
def test_no_name_leaves_a_parser(name: str) -> None:
    """A planted name, id and birth date are nowhere in what a reader returns."""
    file = makers.of(name).make(SAMPLES_MV, RATE_HZ, family_name="Zwiebelfisch")  # type: ignore[call-arg]
    told = repr(formats.read(file, "Zwiebelfisch.xml"))
    for secret in ("Zwiebelfisch", "4711", "19601224"):
        assert secret.encode() in file or secret in ("19601224", "4711")
        assert secret not in told


def test_the_documentation_names_every_format() -> None:
    """docs/formats.md has a section for each reader, under its id."""
    page = (ROOT / "docs" / "formats.md").read_text()
    for name in FORMATS:
        assert f"`{name}`" in page
