"""MUSE, CardioSoft, HL7 aECG and Philips: their own traps, and genuine files against independent readers."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from ecg import formats, harmonise
from ecg.errors import EcgError, Malformed, RateUnsupported, Unsafe
from ecg.leads import LEADS
from ecg.recording import Source, Unit
from tests.ecg.formats.hostile import synthetic_mv
from tests.makers import cardiosoft_xml, hl7_aecg, muse_xml, philips_sierra

SAMPLES_MV = synthetic_mv(5_000)


def twelve(data: bytes) -> np.ndarray:
    return harmonise.to_twelve(formats.read(data)).samples_mv


class TestMuse:
    def test_the_sampling_exponent_counts(self) -> None:
        """50 samples at exponent 1 are 500 Hz."""
        recording = formats.read(muse_xml.make(SAMPLES_MV, 500, exponent=1))
        assert recording.rhythm.sampling_rate_hz == 500

    def test_rhythm_and_median_are_told_apart(self) -> None:
        """By their type, whichever comes first; a file with the median alone says so."""
        recording = formats.read(muse_xml.make(SAMPLES_MV, 500, kinds=("Rhythm", "Median")))
        assert recording.rhythm.samples.shape == (8, 5_000)
        assert recording.median_beat.samples.shape == (8, 600)
        alone = formats.read(muse_xml.make(SAMPLES_MV, 500, kinds=("Median",)))
        assert harmonise.to_twelve(alone).source is Source.MEDIAN_BEAT

    def test_twelve_stored_leads_are_taken_as_they_are(self) -> None:
        """Nothing is derived where nothing is missing."""
        found = harmonise.to_twelve(formats.read(muse_xml.make(SAMPLES_MV, 500, leads=LEADS)))
        assert found.derived == ()
        np.testing.assert_allclose(found.samples_mv, SAMPLES_MV, atol=0.51 * muse_xml.STEP_MV)

    def test_utf_16_is_read(self) -> None:
        """Some exports come in two bytes a character."""
        np.testing.assert_array_equal(
            twelve(muse_xml.make(SAMPLES_MV, 500, encoding="utf-16")), twelve(muse_xml.make(SAMPLES_MV, 500))
        )

    def test_a_wrong_checksum_is_refused(self) -> None:
        """Samples that are not what the cart summed up are not judged."""
        data = re.sub(rb"<LeadDataCRC32>\d+", b"<LeadDataCRC32>12345", muse_xml.make(SAMPLES_MV, 500), count=1)
        with pytest.raises(Malformed, match="checksum"):
            formats.read(data)

    def test_a_lying_sample_count_is_refused(self) -> None:
        """The declared count must be what is there."""
        data = muse_xml.make(SAMPLES_MV, 500).replace(b"<LeadSampleCountTotal>5000", b"<LeadSampleCountTotal>4999", 1)
        with pytest.raises(Malformed, match="10000 bytes for 4999 samples"):
            formats.read(data)

    def test_an_unknown_unit_is_not_guessed(self) -> None:
        """Counts stay counts."""
        data = muse_xml.make(SAMPLES_MV, 500).replace(b"MICROVOLTS", b"FURLONGS")
        assert formats.read(data).rhythm.unit is Unit.UNKNOWN

    @pytest.mark.parametrize(
        "doctype",
        [
            b'<!DOCTYPE RestingECG [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>',
            b'<!DOCTYPE RestingECG [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
            b'<!DOCTYPE RestingECG [<!ENTITY % x SYSTEM "http://127.0.0.1/x.dtd"> %x;]>',
        ],
    )
    def test_entities_are_refused_though_a_doctype_is_not(self, doctype: bytes) -> None:
        """A genuine DOCTYPE passes; one that defines or fetches anything does not."""
        data = re.sub(rb"<!DOCTYPE[^>]*>", doctype, muse_xml.make(SAMPLES_MV, 500))
        with pytest.raises(Unsafe):
            formats.read(data)

    def test_age_and_sex_are_read(self) -> None:
        """What the population of a model is checked against; nothing else about the person."""
        recording = formats.read(muse_xml.make(SAMPLES_MV, 500))
        assert (recording.age_years, recording.sex) == (61, "female")


class TestCardioSoft:
    def test_strip_and_beat(self) -> None:
        """Both are there, at their own length."""
        recording = formats.read(cardiosoft_xml.make(SAMPLES_MV, 500))
        assert recording.rhythm.samples.shape == (12, 5_000)
        assert recording.median_beat.samples.shape == (12, 600)
        assert recording.paced is False

    def test_resolution_is_read_not_assumed(self) -> None:
        """Twice the microvolts a count are twice the millivolts."""
        data = cardiosoft_xml.make(SAMPLES_MV, 500).replace(b'"uVperLsb">5<', b'"uVperLsb">10<')
        np.testing.assert_allclose(twelve(data), 2 * SAMPLES_MV, atol=1.01 * cardiosoft_xml.STEP_MV)

    def test_without_a_resolution_the_unit_is_unknown(self) -> None:
        """Counts without a size are not millivolts."""
        data = cardiosoft_xml.make(SAMPLES_MV, 500).replace(b' units="uVperLsb"', b"")
        assert formats.read(data).rhythm.unit is Unit.UNKNOWN

    def test_an_exercise_test_is_refused_in_words(self) -> None:
        """No resting strip, no median beats: it says which kind of file it is."""
        data = re.sub(
            rb"<(StripData|RestingECGMeasurements)>.*</\1>", b"", cardiosoft_xml.make(SAMPLES_MV, 500), flags=re.S
        )
        with pytest.raises(EcgError, match="RestECG"):
            formats.read(data)

    def test_words_among_the_samples_are_refused(self) -> None:
        """Broken numbers are a broken file."""
        with pytest.raises(Malformed, match="other than numbers"):
            formats.read(cardiosoft_xml.make(SAMPLES_MV, 500).replace(b",\n\t", b",x\n\t", 1))


class TestAecg:
    @pytest.mark.parametrize("unit", ["nV", "uV", "mV"])
    @pytest.mark.parametrize("time_unit", ["s", "ms", "us"])
    def test_units_of_voltage_and_time(self, unit: str, time_unit: str) -> None:
        """Whatever the units, the same signal at the same rate."""
        found = harmonise.to_twelve(formats.read(hl7_aecg.make(SAMPLES_MV, 500, unit=unit, time_unit=time_unit)))
        assert found.sampling_rate_hz == 500
        np.testing.assert_allclose(found.samples_mv, SAMPLES_MV, atol=0.51 * hl7_aecg.STEP_MV)

    def test_the_beat_is_not_taken_for_the_rhythm(self) -> None:
        """The derived series goes where it belongs."""
        recording = formats.read(hl7_aecg.make(SAMPLES_MV, 500))
        assert recording.rhythm.samples.shape[1] == 5_000
        assert recording.median_beat.samples.shape[1] == 600

    def test_without_an_increment_there_is_no_rate(self) -> None:
        """Time in an unknown unit is no time."""
        with pytest.raises(RateUnsupported):
            formats.read(hl7_aecg.make(SAMPLES_MV, 500).replace(b'unit="s"', b'unit="fortnight"'))

    def test_filled_samples_are_missing(self) -> None:
        """The largest 16-bit number says that nothing was recorded."""
        data = re.sub(rb"<digits>-?\d+ ", b"<digits>32767 ", hl7_aecg.make(SAMPLES_MV, 500), count=1)
        assert np.isnan(formats.read(data).rhythm.samples[0, 0])


class TestPhilips:
    @pytest.mark.parametrize("version", ["1.03", "1.04", "1.04.01"])
    @pytest.mark.parametrize("compressed", [True, False])
    def test_versions_and_compression(self, version: str, compressed: bool) -> None:
        """Limb leads are rebuilt where compression took them apart, and left alone where it did not."""
        data = philips_sierra.make(SAMPLES_MV, 500, version=version, compressed=compressed)
        np.testing.assert_allclose(twelve(data), SAMPLES_MV, atol=0.51 * philips_sierra.STEP_MV)

    def test_utf_16_is_read(self) -> None:
        """As PageWriter carts write."""
        np.testing.assert_array_equal(
            twelve(philips_sierra.make(SAMPLES_MV, 500, encoding="utf-16")),
            twelve(philips_sierra.make(SAMPLES_MV, 500)),
        )

    def test_the_calibration_second_is_cut(self) -> None:
        """Eleven seconds with a pulse at the end give ten seconds of heart, and the answer notes it."""
        found = harmonise.to_twelve(formats.read(philips_sierra.make(SAMPLES_MV, 500, calibration=True)))
        np.testing.assert_allclose(found.samples_mv, SAMPLES_MV, atol=0.51 * philips_sierra.STEP_MV)
        assert any("calibration" in note for note in found.notes)

    def test_a_bomb_is_refused(self) -> None:
        """Codes that unfold into far more samples than declared stop early."""
        data = philips_sierra.make(SAMPLES_MV, 500).replace(b'durationperchannel="10000"', b'durationperchannel="20"')
        with pytest.raises(Malformed, match="far more"):
            formats.read(data)

    def test_another_version_is_named(self) -> None:
        """An unknown layout is not guessed at."""
        data = philips_sierra.make(SAMPLES_MV, 500).replace(b"<documentversion>1.04", b"<documentversion>2.0")
        with pytest.raises(EcgError, match=r"version 2\.0"):
            formats.read(data)


class TestGenuineFiles:
    def test_every_file_reads(self, vendor_dir: Path) -> None:
        """Twelve finite leads of ten seconds, limb leads that agree, a plausible span."""
        for path in sorted(vendor_dir.rglob("*.xml")):
            found = harmonise.to_twelve(formats.read(path.read_bytes(), path.name))
            assert np.isfinite(found.samples_mv).all(), path.name
            assert found.duration_s == pytest.approx(10), path.name
            # One genuine export was filtered again after its limb leads were derived.
            limit = 0.05 if path.name == "philips_export.xml" else 0.03
            assert harmonise.limb_residual(found.samples_mv) < limit, path.name
            assert 0.1 < np.median(np.ptp(found.samples_mv, axis=1)) < 10, path.name

    @pytest.mark.filterwarnings("ignore")
    def test_philips_equals_sierraecg(self, vendor_dir: Path) -> None:
        """Every count of every lead, of compressed files."""
        sierraecg = pytest.importorskip("sierraecg")
        for path in sorted((vendor_dir / "philips").glob("*.xml")):
            expected = np.stack([lead.samples for lead in sierraecg.read_file(str(path)).leads]) * 5.0
            np.testing.assert_array_equal(formats.read(path.read_bytes()).rhythm.samples, expected)

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize(
        ("folder", "module", "parser"),
        [("muse", "ge_muse_xml", "GEMuseXMLParser"), ("hl7_aecg", "hl7_aecg", "HL7aECGParser")],
    )
    def test_values_equal_ecgdatakit(self, vendor_dir: Path, folder: str, module: str, parser: str) -> None:
        """Within one microvolt of an independent reader, lead by lead."""
        found = independent_reader(module, parser)
        for path in sorted((vendor_dir / folder).glob("*.xml")):
            ours = formats.read(path.read_bytes()).rhythm
            mv = ours.samples * (1e-3 if ours.unit is Unit.MICROVOLT else 1.0)
            theirs = found(path)
            for name, lead in zip(ours.leads, mv, strict=True):
                expected = theirs[name.removeprefix("MDC_ECG_LEAD_").upper()]
                np.testing.assert_allclose(lead, expected[: len(lead)], atol=1e-3)


def independent_reader(module: str, parser: str):
    """One parser of ecgdatakit, named here and never by the file: path -> {LEAD: millivolts}."""
    parsers = pytest.importorskip(f"ecgdatakit.parsing.parsers.{module}")
    return lambda path: millivolts_of(getattr(parsers, parser)().parse(path))


def millivolts_of(record) -> dict[str, np.ndarray]:
    per_mv = {"uV": 1e-3, "µV": 1e-3, "mV": 1.0}
    physical = [lead.to_physical() if lead.is_raw else lead for lead in record.leads]
    return {lead.label.upper(): np.asarray(lead.samples, dtype=float) * per_mv[lead.units] for lead in physical}
