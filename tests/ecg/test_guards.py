"""Bytes from strangers: bombs, tricks and sizes; lead names and the algebra of the limb leads; frozen recordings."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg import formats, guards, leads
from ecg.errors import EcgError, Malformed, TooLarge, UnknownFormat, Unsafe
from ecg.recording import Recording, TwelveLead, Unit, Waveform
from tests import makers
from tests.ecg.formats.hostile import synthetic_mv


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


class TestArchives:
    def test_a_record_and_its_clutter(self) -> None:
        """Folders, hidden files and what archivers add do not matter."""
        from tests.makers import wfdb

        parts = wfdb.files(synthetic_mv(5_000), 500)
        files = {f"study/{name}": data for name, data in parts.items()}
        read = formats.read(zipped(files | {"__MACOSX/._x": b"1", ".DS_Store": b"2", "study/RECORDS": b"x"}))
        assert read.format == "wfdb"

    def test_one_file_alone(self) -> None:
        """Any self-contained format may come zipped."""
        file = makers.of("muse_xml").make(synthetic_mv(5_000), 500)
        assert formats.read(zipped({"a.xml": file})).format == "muse_xml"

    def test_two_recordings_are_one_too_many(self) -> None:
        """Which of them would be judged?"""
        file = makers.of("muse_xml").make(synthetic_mv(5_000), 500)
        with pytest.raises(UnknownFormat):
            formats.read(zipped({"a.xml": file, "b.xml": file}))

    @pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../b", "..\\b", "C:\\b"])
    def test_a_name_that_points_outside_is_refused(self, name: str) -> None:
        """Nothing is written to disk, and such a name says what the sender had in mind."""
        with pytest.raises(Unsafe):
            guards.unzip(zipped({name: b"x"}))

    def test_a_bomb_is_refused(self) -> None:
        """A hundred megabytes of zeros in a hundred kilobytes."""
        with pytest.raises(Unsafe, match="unpacks"):
            guards.unzip(zipped({"zeros": bytes(100 * 2**20)}))

    def test_archives_inside_archives_are_refused(self) -> None:
        """One level is enough for a recording."""
        with pytest.raises(Unsafe, match="inside"):
            guards.unzip(zipped({"inner.zip": zipped({"a": b"b"})}))

    def test_too_many_files_are_refused(self) -> None:
        """A recording has a handful."""
        with pytest.raises(Unsafe, match="more than"):
            guards.unzip(zipped({f"{n}": b"" for n in range(guards.MAX_ZIP_MEMBERS + 1)}, zipfile.ZIP_STORED))

    @given(st.binary(max_size=300))
    def test_broken_archives_are_refused(self, tail: bytes) -> None:
        """Whatever follows the magic number."""
        with pytest.raises(EcgError):
            formats.read(b"PK\x03\x04" + tail)


class TestXml:
    @pytest.mark.parametrize(
        "data",
        [
            b'<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]><a>&c;</a>',
            b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>',
            b'<!DOCTYPE a [<!ENTITY % b SYSTEM "http://127.0.0.1/">%b;]><a/>',
        ],
    )
    def test_entities_are_refused(self, data: bytes) -> None:
        """None is expanded and none is fetched."""
        with pytest.raises(Unsafe):
            guards.parse_xml(data)

    def test_a_bare_doctype_passes(self) -> None:
        """Genuine files carry one, and it is not fetched."""
        assert guards.parse_xml(b'<!DOCTYPE a SYSTEM "a.dtd"><a/>').tag == "a"

    def test_a_forest_of_tags_is_refused_before_it_is_a_tree(self) -> None:
        """A tree of empty tags costs a hundred times its text."""
        with pytest.raises(TooLarge):
            guards.parse_xml(b"<a>" + b"<b/>" * (2 * guards.MAX_XML_ELEMENTS + 1) + b"</a>")

    @pytest.mark.parametrize(
        "data", [b"", b"<a>", b"<a></b>", b"\xff\xfe<", b'<?xml version="1.0" encoding="martian"?><a/>']
    )
    def test_broken_xml_says_where(self, data: bytes) -> None:
        """The place is in the message."""
        with pytest.raises(Malformed, match="at "):
            guards.parse_xml(data)

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
    def test_the_head_is_read_in_any_encoding(self, encoding: str) -> None:
        """A sniffer sees the same text."""
        assert "<root" in guards.xml_head('<?xml version="1.0"?><root/>'.encode(encoding))

    @pytest.mark.parametrize("head", [b"", b"PK\x03\x04", b"plain text", b"{}", bytes(64), b"12345 < 3"])
    def test_what_is_no_xml_has_no_head(self, head: bytes) -> None:
        """Nothing is taken for a document that is none."""
        assert guards.xml_head(head) == ""


class TestLeads:
    @pytest.mark.parametrize(
        ("written", "meant"),
        [
            ("I", "I"), ("ii", "II"), ("III", "III"), ("AVR", "aVR"), ("avl", "aVL"), ("aVF", "aVF"),
            ("MDC_ECG_LEAD_AVF", "aVF"), ("MDC_ECG_LEAD_V6", "V6"), ("Lead II", "II"), ("ECG V3", "V3"),
            ("aV-R", "aVR"), (" V5 ", "V5"), ("ECG: aVL", "aVL"), ("DII", "II"), ("DI", "I"),
        ],
    )  # fmt: skip
    def test_names_as_files_write_them(self, written: str, meant: str) -> None:
        """One name for each lead, however it is spelt."""
        assert leads.canonical_name(written) == meant

    @pytest.mark.parametrize("written", ["", "V7", "V3R", "X", "RESP", "ABP", "IV", "aV", "V", "V10", "VV1"])
    def test_other_names_are_no_lead(self, written: str) -> None:
        """Nothing is bent into one of the twelve."""
        assert leads.canonical_name(written) is None

    def test_the_limb_leads_follow_from_two(self) -> None:
        """Einthoven and Goldberger, by hand."""
        i, ii = np.array([1.0, 0.5], np.float32), np.array([0.4, 2.0], np.float32)
        found = leads.derive_limb_leads(i, ii)
        np.testing.assert_allclose(found["III"], ii - i)
        np.testing.assert_allclose(found["aVR"] + found["aVL"] + found["aVF"], 0, atol=1e-7)
        np.testing.assert_allclose(found["aVL"], (i - found["III"]) / 2)


class TestRecordings:
    def test_samples_cannot_be_changed(self) -> None:
        """A recording is what was recorded; the caller's own array stays the caller's."""
        mine = np.ones((12, 10), dtype=np.float32)
        twelve = TwelveLead(mine, 500.0)
        with pytest.raises(ValueError, match="read-only"):
            twelve.samples_mv[0, 0] = 2
        mine[0, 0] = 2

    @pytest.mark.parametrize("shape", [(12, 0), (11, 10), (12,), (12, 10, 1)])
    def test_shapes_are_checked(self, shape: tuple[int, ...]) -> None:
        """Twelve leads over time, or nothing."""
        with pytest.raises(ValueError, match="twelve leads"):
            TwelveLead(np.zeros(shape, np.float32), 500.0)

    def test_a_waveform_names_each_lead(self) -> None:
        """As many names as rows."""
        with pytest.raises(Malformed):
            Waveform(("I",), np.zeros((2, 10), np.float32), 500.0, Unit.MILLIVOLT)

    def test_a_file_without_a_waveform_is_no_recording(self) -> None:
        """Neither strip nor beat."""
        with pytest.raises(Malformed, match="no ECG waveform"):
            Recording("test", None)
