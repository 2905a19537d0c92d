"""The CSV and JSON reader: declared rate and unit, decimal commas, and strangers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.errors import EcgError, Malformed, RateUnsupported, TooLarge
from ecg.formats import read, table
from ecg.leads import LEADS
from ecg.recording import Unit
from tests.ecg.formats.hostile import mutations, stays_lawful, synthetic_mv
from tests.makers import table as maker

RATE = 500.0
MV = np.round(synthetic_mv(1_000), 4)
DECLARED = "# sampling_rate_hz=500\n# unit=mV\n"
SECONDS = np.arange(1_000) / RATE


def leads_of(data: bytes | str) -> np.ndarray:
    rhythm = read(data.encode() if isinstance(data, str) else data).rhythm
    assert rhythm is not None
    assert (rhythm.leads, rhythm.unit, rhythm.sampling_rate_hz) == (LEADS, Unit.MILLIVOLT, RATE)
    return rhythm.samples


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_every_delimiter_and_line_ending_reads(delimiter: str, ending: str) -> None:
    """Comma, semicolon and tab; Unix, Windows and old Macintosh; with or without a byte order mark."""
    text = maker.csv(MV, DECLARED, delimiter).replace("\n", ending)
    np.testing.assert_allclose(leads_of(text), MV, atol=1e-6)
    np.testing.assert_allclose(leads_of("\ufeff" + text), MV, atol=1e-6)


def test_decimal_commas_read_between_semicolons() -> None:
    """Half of Europe writes 0,5; with points beside commas nothing can be told."""
    text = maker.csv(MV, DECLARED, ";")
    head, rows = text[: text.index("V6\n") + 3], text[text.index("V6\n") + 3 :]
    np.testing.assert_allclose(leads_of(head + rows.replace(".", ",")), MV, atol=1e-6)
    with pytest.raises(Malformed):
        read((head + rows.replace(".", ",", 40)).encode())


@pytest.mark.parametrize(
    ("name", "per_second"), [("time_s", 1), ("time_ms", 1_000), ("t (ms)", 1_000), ("Time [s]", 1)]
)
def test_a_time_column_gives_the_rate(name: str, per_second: float) -> None:
    """Evenly rising times in stated units are a rate; the column itself is no lead."""
    text = maker.csv(MV, "# unit: mV\n", time=(name, SECONDS * per_second))
    np.testing.assert_allclose(leads_of(text), MV, atol=1e-6)


def test_times_that_contradict_are_refused() -> None:
    """Uneven times, no unit of time, or another rate than the declared one."""
    uneven = SECONDS.copy()
    uneven[500:] += 0.1
    for text in (
        maker.csv(MV, "# unit=mV\n", time=("time_s", uneven)),
        maker.csv(MV, "# unit=mV\n", time=("time", SECONDS)),
        maker.csv(MV, "# unit=mV\n# sampling_rate_hz=250\n", time=("time_s", SECONDS)),
        maker.csv(MV, "# unit=mV\n"),
        maker.csv(MV, "# unit=mV\n# sampling_rate_hz=fast\n"),
        maker.csv(MV, "# unit=mV\n# sampling_rate_hz=0\n"),
        maker.csv(MV, "# unit=mV\n# sampling_rate_hz=nan\n"),
    ):
        with pytest.raises(RateUnsupported):
            read(text.encode())


def test_the_unit_is_declared_or_in_the_names_or_unknown() -> None:
    """A comment or the heading states the unit; without either it is unknown."""
    for text, unit in (
        (maker.csv(MV, "# sampling_rate_hz=500\n"), Unit.UNKNOWN),
        (maker.csv(MV, "# sampling_rate_hz=500\n# unit=uV\n"), Unit.MICROVOLT),
        (maker.csv(MV, "# sampling_rate_hz=500\n# unit=µV\n"), Unit.MICROVOLT),
        (
            maker.csv(MV, "# sampling_rate_hz=500\n").replace(",", " (uV),", 11).replace("V6\n", "V6 [uV]\n"),
            Unit.MICROVOLT,
        ),
    ):
        rhythm = read(text.encode()).rhythm
        assert rhythm is not None
        assert rhythm.unit is unit
        assert rhythm.leads == LEADS


def test_empty_cells_are_missing() -> None:
    """An empty cell and `nan` are missing samples; quotes and leading signs do no harm."""
    text = DECLARED + 'I,II\n1,\nnan,+2\n"3", 4\n'
    rhythm = read(text.encode()).rhythm
    assert rhythm is not None
    np.testing.assert_array_equal(rhythm.samples, np.array([[1, np.nan, 3], [np.nan, 2, 4]], np.float32))


@pytest.mark.parametrize(
    "rows",
    [
        "1,2,3\n4,5\n",
        "1\n2,3,4\n",
        "1,2\n3,x\n",
        "1,2\n3,[4]\n",
        "1,2\n3,1e300\n",
        "1,2\n3,1_0\n",
        "",
        "1,2\n\n3,4\n",
        "1,true\n",
    ],
)
def test_ragged_and_wordy_rows_are_malformed(rows: str) -> None:
    """Rows of unequal length would shift leads; words are no samples."""
    with pytest.raises(Malformed):
        read((DECLARED + "I,II\n" + rows).encode())


def test_json_reads_with_missing_samples_as_null() -> None:
    """The same recording as JSON; null is a missing sample; rate and unit as in a CSV."""
    np.testing.assert_allclose(leads_of(maker.as_json(MV, RATE)), MV, atol=1e-6)
    rhythm = read(b'{"sampling_rate_hz": 500, "leads": {"I": [1, null], "II": [2, 3.5], "note": "x"}}').rhythm
    assert rhythm is not None
    assert rhythm.unit is Unit.UNKNOWN
    np.testing.assert_array_equal(rhythm.samples, np.array([[1, np.nan], [2, 3.5]], np.float32))
    with pytest.raises(RateUnsupported):
        read(maker.as_json(MV, RATE, sampling_rate_hz=None))


@pytest.mark.parametrize(
    "leads",
    [
        '{"I": [1, "2"]}',
        '{"I": [1, true]}',
        '{"I": [[1], [2]]}',
        '{"I": [1], "II": [1, 2]}',
        "[]",
        "{}",
        '{"I": []}',
        '{"I": [1e99]}',
        '{"I": 5}',
    ],
)
def test_broken_json_tables_are_refused(leads: str) -> None:
    """Lists of numbers of one length, or a refusal."""
    with pytest.raises(EcgError):
        read(f'{{"sampling_rate_hz": 500, "unit": "mV", "leads": {leads}}}'.encode())


def test_sniffing_asks_for_lead_names() -> None:
    """A table is known by at least two lead names in its heading."""
    assert table.sniff(b"I,II,III\n1,2,3\n", "")
    assert table.sniff(b"# a: b\n\ntime_s;ECG I;aVF\n", "")
    for other in (
        b"a,b,c\n1,2,3\n",
        b"I am text\n",
        b"",
        b"\0\1",
        b"<I,II>",
        b'{"resourceType": "Observation", "leads": 1}',
    ):
        assert not table.sniff(other, "x.csv")


def test_size_is_bounded() -> None:
    """Tables of millions of cells, odd or plain, are read or refused soon."""
    head = (DECLARED + "I,II\n").encode()
    hostile = [
        head + row * count
        for row, count in ((b"1,2\n", 4_000_000), (b"1,2\n", 1_400_000), (b",\n", 3_000_000), (b"\n", 9_000_000))
    ]
    hostile += [
        head + b",".join([b"1"] * 8_000_000),
        b'{"leads":' + b"[" * 5_000_000,
        b'{"leads":[' + b"[]," * 2_600_000 + b"[]]}",
    ]
    for data in hostile:
        stays_lawful(lambda data=data: read(data), limit_s=2.0)
    with pytest.raises(TooLarge):
        read(hostile[0])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_mutated_files_stay_lawful(data: st.DataObject) -> None:
    """Cuts, flips and extremes end in an answer or an EcgError."""
    made = data.draw(st.sampled_from([maker.make(MV[:, :50], RATE), maker.as_json(MV[:, :50], RATE)]))
    broken = data.draw(mutations(made))
    stays_lawful(lambda: table.parse(broken))
