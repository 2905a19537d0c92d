"""The WFDB reader against the wfdb package, PTB-XL and strangers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.errors import EcgError, Malformed, RateUnsupported, TooLarge, UnknownFormat, Unsafe
from ecg.formats import read, read_files, wfdb
from ecg.leads import LEADS
from ecg.recording import Unit
from tests.ecg.formats.hostile import mutations, stays_lawful, synthetic_mv
from tests.makers import wfdb as maker

oracle = pytest.importorskip("wfdb")
MV = synthetic_mv()
FILES = maker.files(MV, 500.0)


def folder(path: Path, *suffixes: str) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in path.iterdir() if not suffixes or each.suffix in suffixes}


def with_header(text: str, **signals: bytes) -> dict[str, bytes]:
    return {"r.hea": text.encode(), **{name.replace("_", "."): data for name, data in signals.items()}}


def test_ptbxl_agrees_with_the_wfdb_package(ptbxl_dir: Path) -> None:
    """Every record reads as wfdb reads it, to float32 precision."""
    headers = sorted(ptbxl_dir.glob("records*/*/*.hea"))
    for header in headers[:: max(len(headers) // 60, 1)]:
        files = {each.name: each.read_bytes() for each in (header, header.with_suffix(".dat"))}
        rhythm = read_files(files).rhythm
        expected = oracle.rdrecord(str(header.with_suffix("")))
        assert rhythm is not None
        assert rhythm.unit is Unit.MILLIVOLT
        assert rhythm.sampling_rate_hz == expected.fs
        assert rhythm.leads == tuple(expected.sig_name)
        np.testing.assert_allclose(rhythm.samples, expected.p_signal.T, atol=5e-6)


@pytest.mark.parametrize(
    "packing", ["8", "16", "24", "32", "61", "80", "160", "212", "310", "311", "508", "516", "524"]
)
@pytest.mark.parametrize("n_samples", [998, 999, 1000, 1001])
def test_every_packing_agrees_with_the_wfdb_package(packing: str, n_samples: int, tmp_path: Path) -> None:
    """Every packing, whole groups or a last one cut short, gives the oracle's values."""
    n_signals, half = (3, 100) if packing in ("8", "80", "508") else (7, 500)
    rng = np.random.default_rng(int(packing))
    counts = np.clip(np.cumsum(rng.integers(-5, 6, (n_samples, n_signals)), axis=0), -half, half)
    write(tmp_path, packing, counts)
    expected = oracle.rdrecord(str(tmp_path / "r"))
    rhythm = read_files(folder(tmp_path)).rhythm
    assert rhythm is not None
    np.testing.assert_allclose(rhythm.samples, expected.p_signal.T, atol=1e-6)
    np.testing.assert_allclose(rhythm.samples, counts.T / 200, atol=1e-6)


def write(path: Path, packing: str, counts: np.ndarray) -> None:
    if packing in ("8", "61", "160", "310", "311"):  # the oracle reads these, but does not write them
        (path / "r.dat").write_bytes(packed(packing, counts))
        lines = [f"r {counts.shape[1]} 500 {counts.shape[0]}"]
        lines += [
            f"r.dat {packing} 200/mV 12 0 {column[0]} {column.sum() & 0xFFFF} 0 x{n}"
            for n, column in enumerate(counts.T)
        ]
        (path / "r.hea").write_text("\n".join(lines) + "\n")
    else:
        n = counts.shape[1]
        oracle.wrsamp(
            "r", 500, ["mV"] * n, [f"x{i}" for i in range(n)], d_signal=counts, fmt=[packing] * n, adc_gain=[200.0] * n,
            baseline=[0] * n, write_dir=str(path),
        )  # fmt: skip


def packed(packing: str, counts: np.ndarray) -> bytes:
    if packing == "8":
        return np.diff(counts, axis=0, prepend=counts[:1]).astype(np.int8).tobytes()
    if packing in ("61", "160"):
        return (counts.astype(">i2") if packing == "61" else (counts + 32768).astype("<u2")).tobytes()
    flat = np.append(counts.ravel(), np.zeros(-counts.size % 3, int)) & 0x3FF
    a, b, c = flat.reshape(-1, 3).T
    if packing == "311":
        return (a | b << 10 | c << 20).astype("<u4").tobytes()
    return np.stack([a << 1 | (c & 31) << 11, b << 1 | (c >> 5) << 11], axis=1).astype("<u2").tobytes()


def test_matlab_files_of_the_challenge_read() -> None:
    """A MATLAB 4 file is a signal file behind 24 bytes of its own header."""
    counts = np.round(MV * 1000).astype("<i2")
    header = maker.header(counts, 500.0).decode().replace("record.dat 16 ", "record.mat 16+24 ")
    rhythm = read_files({"record.hea": header.encode(), "record.mat": b"\0" * 24 + counts.T.tobytes()}).rhythm
    assert rhythm is not None
    np.testing.assert_allclose(rhythm.samples, counts / 1000, atol=1e-6)


def test_leads_in_several_files_join_in_header_order() -> None:
    """A record may spread its leads over files; other signals are left out."""
    a, b = np.arange(20, dtype="<i2").reshape(10, 2), np.arange(10, dtype="<i2")
    text = (
        "r 4 500 10\na.dat 16 1000/mV 16 0 0 0 0 I\na.dat 16 1000/mV 16 0 0 0 0 II\n"
        "b.dat 16 1/uV 16 0 0 0 0 V1\nc.dat 16 1 16 0 0 0 0 resp"
    )
    rhythm = read_files(with_header(text, a_dat=a.tobytes(), b_dat=b.tobytes())).rhythm
    assert rhythm is not None
    assert (rhythm.leads, rhythm.unit) == (("I", "II", "V1"), Unit.MILLIVOLT)
    np.testing.assert_allclose(rhythm.samples, np.vstack([a.T, b]) / 1000, atol=1e-7)


def test_samples_per_frame_raise_the_rate() -> None:
    """Four samples a frame at 125 frames a second are 500 Hz; a slower signal beside them is left out."""
    frame = np.arange(90, dtype="<i2").reshape(10, 9)
    text = "r 3 125 10\nr.dat 16x4 1000/mV 16 0 0 0 0 I\nr.dat 16x4 1000/mV 16 0 0 0 0 II\nr.dat 16 1/bpm 16 0 0 0 0 HR"
    rhythm = read_files(with_header(text, r_dat=frame.tobytes())).rhythm
    assert rhythm is not None
    assert (rhythm.sampling_rate_hz, rhythm.leads) == (500.0, ("I", "II"))
    np.testing.assert_allclose(rhythm.samples[1], frame[:, 4:8].ravel() / 1000, atol=1e-7)


def test_leads_of_different_rates_are_refused() -> None:
    """Leads that were not sampled together are no twelve-lead recording."""
    text = "r 2 125 10\nr.dat 16x4 1000/mV 16 0 0 0 0 I\nr.dat 16x2 1000/mV 16 0 0 0 0 II"
    with pytest.raises(RateUnsupported):
        read_files(with_header(text, r_dat=bytes(120)))


def test_skew_is_undone() -> None:
    """A signal stored late is moved back; what then lacks at its end is missing, as in the oracle."""
    frame = np.arange(1, 21, dtype="<i2").reshape(10, 2)
    text = "r 2 500 10\nr.dat 16 1000/mV 16 0 1 0 0 I\nr.dat 16:3 1000/mV 16 0 2 0 0 II"
    rhythm = read_files(with_header(text, r_dat=frame.tobytes())).rhythm
    assert rhythm is not None
    np.testing.assert_allclose(rhythm.samples[1, :7], frame[3:, 1] / 1000, atol=1e-7)
    assert np.isnan(rhythm.samples[1, 7:]).all()


def test_segments_agree_with_the_wfdb_package(tmp_path: Path) -> None:
    """Fixed and variable layouts, with a gap: the oracle's values and its missing samples."""
    for part, names in (("a", ["I", "II"]), ("b", ["II"])):
        counts = np.arange(50 * len(names)).reshape(-1, len(names)) - 20
        oracle.wrsamp(
            part, 500, ["mV"] * len(names), names, d_signal=counts, fmt=["16"] * len(names),
            adc_gain=[100.0] * len(names), baseline=[0] * len(names), write_dir=str(tmp_path),
        )  # fmt: skip
    (tmp_path / "r_layout.hea").write_text("r_layout 2 500 0\n~ 0 100/mV 16 0 0 0 0 I\n~ 0 100/mV 16 0 0 0 0 II\n")
    (tmp_path / "r.hea").write_text("r/4 2 500 110\nr_layout 0\na 50\n~ 10\nb 50\n")
    expected = oracle.rdrecord(str(tmp_path / "r"))
    rhythm = read_files(folder(tmp_path)).rhythm
    assert rhythm is not None
    assert rhythm.leads == tuple(expected.sig_name)
    np.testing.assert_allclose(rhythm.samples, expected.p_signal.T, atol=1e-6)


def test_a_renamed_signal_file_is_accepted() -> None:
    """One signal file for one name is that file; two for one name are ambiguous."""
    data = FILES["record.dat"]
    assert read_files({"x.hea": FILES["record.hea"], "upload-1": data}).rhythm is not None
    with pytest.raises(Malformed):
        read_files({"x.hea": FILES["record.hea"], "upload-1": data, "upload-2": data})


@pytest.mark.parametrize(
    "name", ["../secret.dat", "/etc/passwd", "s3://bucket/x.dat", "C:\\x.dat", "http://h/x", "..", "-", "a/b.dat"]
)
def test_names_that_point_outside_are_unsafe(name: str) -> None:
    """A header may name only files beside it."""
    files = {"r.hea": f"r 1 500 3\n{name} 16 1000/mV 16 0 0 0 0 I\n".encode(), "secret.dat": bytes(6)}
    with pytest.raises(Unsafe):
        read_files(files)


def test_a_header_alone_says_what_is_missing() -> None:
    """A lone header is recognised, and its signal asked for."""
    for call in (lambda: read(FILES["record.hea"]), lambda: read_files({"r.hea": FILES["record.hea"]})):
        with pytest.raises(Malformed, match="signal file is missing"):
            call()


def test_two_records_are_not_one_upload() -> None:
    """Several headers without a multi-segment one are several recordings."""
    with pytest.raises(UnknownFormat):
        read_files({"a.hea": FILES["record.hea"], "b.hea": FILES["record.hea"], "record.dat": FILES["record.dat"]})


def test_a_wrong_checksum_is_a_broken_file() -> None:
    """A sample changed on the way is noticed; checksums that were never computed (all zero) are not held against it."""
    broken = bytearray(FILES["record.dat"])
    broken[777] ^= 1
    with pytest.raises(Malformed, match="checksum"):
        read_files({**FILES, "record.dat": bytes(broken)})
    lines = FILES["record.hea"].decode().splitlines()
    zeroed = [lines[0]] + [" ".join([*line.split()[:6], "0", *line.split()[7:]]) for line in lines[1:13]]
    assert read_files({"record.hea": "\n".join(zeroed).encode(), "record.dat": bytes(broken)}).rhythm is not None


@pytest.mark.parametrize(
    ("gain", "unit", "per_count", "at_zero"),
    [
        ("200", Unit.MILLIVOLT, 1 / 200, 0.0),
        ("", Unit.MILLIVOLT, 1 / 200, 0.0),
        ("0.5/uV", Unit.MICROVOLT, 2.0, 0.0),
        ("2(-10)/mV", Unit.MILLIVOLT, 0.5, 5.0),
        ("1e3/V", Unit.VOLT, 1e-3, 0.0),
        ("0", Unit.UNKNOWN, 1.0, 0.0),
        ("7/furlong", Unit.UNKNOWN, 1 / 7, 0.0),
    ],
)
def test_gain_baseline_and_unit(gain: str, unit: Unit, per_count: float, at_zero: float) -> None:
    """(count - baseline) / gain in the stated unit; 200 per mV where none is stated; gain 0 is uncalibrated."""
    counts = np.arange(10, dtype="<i2")
    tail = f" {gain} 16 0 0 45 0 I" if gain else ""
    rhythm = read_files(with_header(f"r 1 500 10\nr.dat 16{tail}\n", r_dat=counts.tobytes())).rhythm
    assert rhythm is not None
    assert rhythm.unit is unit
    np.testing.assert_allclose(rhythm.samples[0], counts * per_count + at_zero, rtol=1e-6)


def test_invalid_samples_are_missing() -> None:
    """The lowest count of a packing stands for no sample."""
    counts = np.array([1, -32768, 3], dtype="<i2")
    rhythm = read_files(with_header("r 1 500 3\nr.dat 16 1/mV 16 0 1 0 0 I\n", r_dat=counts.tobytes())).rhythm
    assert rhythm is not None
    np.testing.assert_array_equal(rhythm.samples[0], [1, np.nan, 3])


def test_age_and_sex_come_from_comments_and_nothing_else_does() -> None:
    """Archives write age and sex into comments; other comments may name people and stay behind."""
    text = "r 1 500 3 10:11:12 03/02/2001\nr.dat 16 1/mV 16 0 0 0 0 I\n# Name: Jane Roe\n#Age: 47\n# Sex: Male\n"
    recording = read_files(with_header(text, r_dat=bytes(6)))
    assert (recording.age_years, recording.sex) == (47.0, "male")
    assert str(recording.recorded_at) == "2001-02-03 10:11:12"
    assert "Jane" not in repr(recording)
    assert read_files(with_header(text.replace("47", "NaN"), r_dat=bytes(6))).age_years is None


def test_no_rate_is_refused() -> None:
    """A rate that the header does not state is not guessed."""
    for rate in ("", " 0 3"):
        with pytest.raises(RateUnsupported):
            read_files(with_header(f"r 1{rate}\nr.dat 16 1/mV\n", r_dat=bytes(6)))


@pytest.mark.parametrize(
    "text",
    [
        "r 1 500 999999999999\nr.dat 16 1/mV",
        "r 512 500 900000\n" + "r.dat 16 1/mV\n" * 512,
        "r 1 500 3\nr.dat 16x99999 1/mV",
        "r 1 500 3\nr.dat 999 1/mV",
        "r 1 500 3\nr.dat 16+999999999 1/mV",
        "r 1 1e400 3\nr.dat 16 1/mV",
        "r 1 500 3\nr.dat 16 nan/mV",
        "r 1 500 3\nr.dat 516 1/mV",
        "r 0 500 3",
        "r/2 1 500 6\nr 3\nr 3",
        "r/999999 1 500 6\nr 3",
        "r/1 1 500 999999999\n~ 999999999",
        "#" + " " * 5000,
        "",
    ],
)
def test_lying_headers_are_refused(text: str) -> None:
    """Whatever a header promises, the answer is an EcgError, and soon."""
    files = with_header(text, r_dat=bytes(64))
    with pytest.raises(EcgError):
        read_files(files)
    stays_lawful(lambda: read_files(files))


def test_a_compressed_file_of_silence_stays_bounded() -> None:
    """FLAC packs silence to almost nothing: what it unpacks to is bounded before it is unpacked."""
    import io

    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((4_000_000, 8), np.int16), 8000, format="FLAC", subtype="PCM_16")
    text = "r 8 500 0\n" + "r.dat 516 1/mV\n" * 8
    with pytest.raises(TooLarge):
        read_files(with_header(text, r_dat=buffer.getvalue()))


def test_sniffing_knows_headers_and_leaves_tables_alone() -> None:
    """A header is known by its first two lines, with or without comments before them."""
    assert wfdb.sniff(b"# a comment\n" + FILES["record.hea"], "")
    assert wfdb.sniff(b"r/2 12 500 10000\na 5000\nb 5000\n", "")
    for other in (
        b"I,II,III\n1,2,3\n",
        b"0.1 0.2\n0.3 0.4\n",
        b"",
        b"<?xml version='1.0'?>\n",
        b"\0\1\2",
        b"text of no kind\nat all",
    ):
        assert not wfdb.sniff(other, "x.hea")
    assert LEADS  # the maker writes them all
    assert read(maker.make(MV, 500.0)).rhythm is not None


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_mutated_records_stay_lawful(data: st.DataObject) -> None:
    """Cuts, flips and extremes in header or signal end in an answer or an EcgError."""
    header = data.draw(mutations(FILES["record.hea"]))
    signal = data.draw(mutations(FILES["record.dat"])) if data.draw(st.booleans()) else FILES["record.dat"]
    stays_lawful(lambda: read_files({"record.hea": header, "record.dat": signal}))
