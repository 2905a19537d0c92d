"""The DICOM reader against pydicom and strangers."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from ecg.errors import EcgError, Malformed, RateUnsupported, UnknownFormat, Unsafe
from ecg.formats import dicom, read
from ecg.leads import LEADS
from ecg.recording import Unit
from tests.ecg.formats.hostile import mutations, stays_lawful, synthetic_mv
from tests.makers import dicom as maker

RATE = 500.0
MV = synthetic_mv(2_000)
COUNTS = np.round(MV / maker.STEP_MV).astype("<i2")
PLAIN = maker.make(MV, RATE)


def test_genuine_files_agree_with_pydicom(vendor_dir: Path) -> None:
    """Rhythm and median beat of every genuine file are pydicom's values."""
    for path in sorted((vendor_dir / "dicom").iterdir()):
        recording = read(path.read_bytes())
        groups = pydicom.dcmread(path)
        labels = [str(group.get("MultiplexGroupLabel", "")) for group in groups.WaveformSequence]
        assert recording.rhythm is not None
        expected = groups.waveform_array(labels.index("RHYTHM") if "RHYTHM" in labels else 0)
        np.testing.assert_allclose(recording.rhythm.samples, expected.T, atol=1e-3)
        if "MEDIAN BEAT" in labels:
            assert recording.median_beat is not None
            beat = groups.waveform_array(labels.index("MEDIAN BEAT"))
            np.testing.assert_allclose(recording.median_beat.samples, beat.T, atol=1e-3)


@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian])
def test_the_rhythm_group_is_chosen_and_the_median_kept_apart(syntax: str | None) -> None:
    """Wherever the median beat stands in the file, the rhythm is the rhythm; explicit or implicit."""
    groups = [maker.group(COUNTS[:, :600], RATE, label="MEDIAN BEAT"), maker.group(COUNTS, RATE, label="RHYTHM")]
    recording = read(maker.build(groups, *([syntax] if syntax else [])))
    assert recording.rhythm is not None
    assert recording.median_beat is not None
    assert recording.rhythm.leads == LEADS
    np.testing.assert_allclose(recording.rhythm.samples, COUNTS * maker.STEP_MV * 1000, rtol=1e-5)
    assert recording.median_beat.samples.shape == (12, 600)


def test_without_labels_length_tells_beat_from_rhythm() -> None:
    """A short group of the same leads beside a long one is the median beat."""
    recording = read(maker.build([maker.group(COUNTS[:, :500], RATE), maker.group(COUNTS, RATE)]))
    assert recording.rhythm is not None
    assert recording.median_beat is not None
    assert (recording.rhythm.samples.shape[1], recording.median_beat.samples.shape[1]) == (2_000, 500)


@pytest.mark.parametrize("scheme", ["SCPECG", "MDC", "text"])
def test_leads_are_named_by_code_or_meaning(scheme: str) -> None:
    """SCP-ECG codes, ISO 11073 codes and plain words name the same leads, in any order."""
    order = LEADS[::-1]
    rhythm = read(maker.build([maker.group(COUNTS, RATE, names=order, scheme=scheme)])).rhythm
    assert rhythm is not None
    assert tuple(name.removeprefix("Lead ") for name in rhythm.leads) == order


@pytest.mark.parametrize(
    ("dtype", "interpretation"),
    [("i1", "SB"), ("u1", "UB"), ("<i2", "SS"), ("<u2", "US"), ("<i4", "SL"), ("<u4", "UL")],
)
def test_every_sample_kind_agrees_with_pydicom(dtype: str, interpretation: str) -> None:
    """Sensitivity, correction factor and baseline are applied as pydicom applies them."""
    counts = np.clip(COUNTS // 16 + 60, 0, 127).astype(dtype)
    made = maker.group(counts, RATE, interpretation=interpretation, sensitivity=4.88, correction=1.01, baseline=-300.5)
    data = maker.build([made])
    rhythm = read(data).rhythm
    assert rhythm is not None
    expected = pydicom.dcmread(io.BytesIO(data)).waveform_array(0).T
    np.testing.assert_allclose(rhythm.samples, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("mV", Unit.MILLIVOLT), ("uV", Unit.MICROVOLT), ("V", Unit.VOLT), ("1", Unit.UNKNOWN), (None, Unit.UNKNOWN)],
)
def test_units_are_what_the_file_says(unit: str | None, expected: Unit) -> None:
    """The unit comes from its code; none, or another, is unknown."""
    rhythm = read(maker.build([maker.group(COUNTS, RATE, unit=unit)])).rhythm
    assert rhythm is not None
    assert rhythm.unit is expected


def test_channels_of_several_units_become_one() -> None:
    """Microvolt and millivolt channels side by side are brought to millivolts."""
    made = maker.group(COUNTS, RATE)
    made.ChannelDefinitionSequence[3].ChannelSensitivityUnitsSequence[0].CodeValue = "mV"
    made.ChannelDefinitionSequence[3].ChannelSensitivity = "0.00122"
    rhythm = read(maker.build([made])).rhythm
    assert rhythm is not None
    assert rhythm.unit is Unit.MILLIVOLT
    np.testing.assert_allclose(rhythm.samples, COUNTS * 0.00122, rtol=1e-5)


def test_without_sensitivity_the_samples_are_counts() -> None:
    """A missing sensitivity leaves counts of unknown unit, never a guess."""
    rhythm = read(maker.build([maker.group(COUNTS, RATE, sensitivity=None)])).rhythm
    assert rhythm is not None
    assert rhythm.unit is Unit.UNKNOWN
    np.testing.assert_array_equal(rhythm.samples, COUNTS)


def test_padding_is_missing() -> None:
    """The padding value stands for no sample."""
    counts = COUNTS.copy()
    counts[2, 100:200] = -32768
    made = maker.group(counts, RATE)
    made.add_new("WaveformPaddingValue", "OW", struct.pack("<h", -32768))
    rhythm = read(maker.build([made])).rhythm
    assert rhythm is not None
    assert np.isnan(rhythm.samples[2, 100:200]).all()
    assert np.isnan(rhythm.samples).sum() == 100


def test_person_time_and_device_without_identity() -> None:
    """Age, sex, time and device are read; name, number and birth date stay in the file."""
    recording = read(PLAIN)
    assert (recording.age_years, recording.sex, recording.device) == (54.0, "female", "Maker ECG-9")
    assert str(recording.recorded_at) == "2004-05-06 07:08:09"
    assert not any(secret in repr(recording) for secret in ("Doe", "Jane", "SECRET", "1950"))


def test_compressed_and_big_endian_files_are_refused() -> None:
    """Deflate is refused before anything is unpacked; other transfer syntaxes are not read."""
    group = maker.group(COUNTS, RATE)
    with pytest.raises(Unsafe):
        read(maker.build([group], DeflatedExplicitVRLittleEndian))
    with pytest.raises(UnknownFormat):
        read(PLAIN.replace(b"1.2.840.10008.1.2.1\0", ExplicitVRBigEndian.encode() + b"\0"))


@pytest.mark.parametrize(
    "lie",
    [
        {"NumberOfWaveformSamples": 2_001},
        {"NumberOfWaveformSamples": 0xFFFFFFFF},
        {"NumberOfWaveformSamples": 100},
        {"NumberOfWaveformChannels": 11},
        {"NumberOfWaveformChannels": 0},
        {"WaveformBitsAllocated": 8},
        {"WaveformSampleInterpretation": "MB"},
    ],
)
def test_lies_about_the_samples_are_refused(lie: dict[str, object]) -> None:
    """Channels, samples and bits must add up to the bytes that are there."""
    made = maker.group(COUNTS, RATE)
    for name, value in lie.items():
        setattr(made, name, value)
    with pytest.raises(EcgError):
        read(maker.build([made]))


@pytest.mark.parametrize("sensitivity", [b"1e400", b"0    ", b"nan  ", b"x    "])
def test_a_sensitivity_that_scales_to_nothing_is_malformed(sensitivity: bytes) -> None:
    """Infinite, zero and wordy sensitivities are refused."""
    data = maker.build([maker.group(COUNTS, RATE, sensitivity=12.34)])
    with pytest.raises(Malformed):
        read(data.replace(b"12.34 ", sensitivity.ljust(6), 1))


def test_no_rate_and_no_waveform_are_refused() -> None:
    """A group without a rate is refused as such, a file without a group as broken."""
    made = maker.group(COUNTS, RATE)
    del made.SamplingFrequency
    with pytest.raises(RateUnsupported):
        read(maker.build([made]))
    with pytest.raises(Malformed):
        read(maker.build([]))


def header() -> bytes:
    return PLAIN[: PLAIN.index(b"\x08\x00\x16\x00UI")]


def test_depth_and_number_of_elements_are_bounded() -> None:
    """Nested sequences by the thousand and a million empty elements are refused at once."""
    nest = struct.pack("<HH2sHI", 0x0040, 0xB020, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    deep = header() + nest * 50_000
    many = header() + struct.pack("<HH2sH", 0x0009, 0x1001, b"LO", 0) * 2_000_000
    for data in (deep, many):
        with pytest.raises(EcgError):
            read(data)
        stays_lawful(lambda data=data: read(data))


def test_truncation_everywhere_is_refused() -> None:
    """However much is cut off, the answer is an EcgError."""
    for cut in [*range(0, 3_000, 37), len(PLAIN) // 2, len(PLAIN) - 1]:
        with pytest.raises(EcgError):
            dicom.parse(PLAIN[:cut])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_mutated_files_stay_lawful(data: st.DataObject) -> None:
    """Cuts, flips and extremes end in an answer or an EcgError."""
    broken = data.draw(mutations(PLAIN))
    stays_lawful(lambda: dicom.parse(broken))
