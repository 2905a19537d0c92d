"""The EDF reader against edfio and strangers."""

from __future__ import annotations

import edfio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.errors import EcgError, Malformed, RateUnsupported
from ecg.formats import edf, read
from ecg.leads import LEADS
from ecg.recording import Unit
from tests.ecg.formats.hostile import mutations, stays_lawful, synthetic_mv
from tests.makers import edf as maker
from tests.makers.edf import Signal

RATE = 500.0
MV = synthetic_mv(2_000)
PLAIN = maker.make(MV, RATE)


def test_files_of_edfio_read_as_edfio_reads_them() -> None:
    """A file written by edfio gives edfio's own values, rate, sex and time."""
    signals = [
        edfio.EdfSignal(lead, RATE, label=name, physical_dimension="uV", physical_range=(-4000, 4000))
        for name, lead in zip(LEADS, MV * 1000, strict=True)
    ]
    file = edfio.Edf(signals, annotations=[edfio.EdfAnnotation(0.5, None, "a note")])
    data = file.to_bytes()
    rhythm = read(data).rhythm
    assert rhythm is not None
    assert (rhythm.leads, rhythm.unit, rhythm.sampling_rate_hz) == (LEADS, Unit.MICROVOLT, RATE)
    for lead, expected in zip(rhythm.samples, edfio.read_edf(data).signals, strict=True):
        np.testing.assert_allclose(lead, expected.data, atol=1e-2)  # a hundredth of a microvolt


def test_plain_edf_is_scaled_and_named() -> None:
    """Physical values by the header's ranges, within half a step of what was written."""
    rhythm = read(PLAIN).rhythm
    assert rhythm is not None
    assert (rhythm.unit, rhythm.sampling_rate_hz) == (Unit.MILLIVOLT, RATE)
    np.testing.assert_allclose(rhythm.samples, MV, atol=maker.STEP_MV / 2 + 1e-6)


def test_signals_that_are_no_leads_are_left_out() -> None:
    """A slower respiration channel beside the leads does not matter; leads of two rates do."""
    leads = maker.leads(MV, RATE)
    slow = Signal("Resp", np.zeros(40, np.int16), 10, "mmHg")
    rhythm = read(maker.build([*leads, slow], RATE)).rhythm
    assert rhythm is not None
    assert rhythm.samples.shape == (12, 2_000)
    half = Signal("ECG V6", leads[11].digital[::2].copy(), leads[11].per_record // 2)
    with pytest.raises(RateUnsupported):
        read(maker.build([*leads[:11], half], RATE))


def test_units_may_differ_between_leads() -> None:
    """Microvolt leads beside millivolt leads become millivolts; an unknown unit stays unknown."""
    leads = maker.leads(MV, RATE)
    leads[3].unit, leads[3].pmin, leads[3].pmax = "uV", "-3276.8", "3276.7"
    rhythm = read(maker.build(leads, RATE)).rhythm
    assert rhythm is not None
    assert rhythm.unit is Unit.MILLIVOLT
    np.testing.assert_allclose(rhythm.samples, MV, atol=maker.STEP_MV)
    leads[3].unit = "counts"
    unknown = read(maker.build(leads, RATE)).rhythm
    assert unknown is not None
    assert unknown.unit is Unit.UNKNOWN


def test_discontinuous_files_are_read_only_without_gaps() -> None:
    """EDF+D whose records follow each other is one recording; with a gap it is refused."""
    leads = maker.leads(MV, RATE)
    assert read(maker.build(leads, RATE, "EDF+D")).rhythm is not None
    with pytest.raises(Malformed, match="interrupted"):
        read(maker.build(leads, RATE, "EDF+D", onsets=[0, 1, 2, 30]))


def test_person_and_time_without_identity() -> None:
    """Sex, age and start come from an EDF+ header; code, name and birth date stay in the file."""
    recording = read(maker.build(maker.leads(MV, RATE), RATE, "EDF+C"))
    assert (recording.sex, recording.age_years) == ("female", 54.0)
    assert str(recording.recorded_at) == "2004-05-06 07:08:09"
    assert not any(secret in repr(recording) for secret in ("Doe", "Jane", "SECRET", "1950"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pmin", "nan"),
        ("pmin", "inf"),
        ("pmax", "-3.2768"),
        ("dmax", "-32768"),
        ("dmin", "x"),
        ("per_record", "99999999"),
        ("per_record", "0"),
    ],
)
def test_degenerate_scaling_and_sizes_are_malformed(field: str, value: str) -> None:
    """A signal scaled from or to nothing, and samples beyond reason, are refused."""
    leads = maker.leads(MV, RATE)
    body = PLAIN[256 * 13 :]
    setattr(leads[5], field, value)
    head = maker.header(leads, 4, 1.0, "")
    with pytest.raises(EcgError):
        read(head + body)


def test_declared_records_are_held_to_the_bytes() -> None:
    """More records than there are bytes are refused; an unfilled count (-1) reads what is there."""
    for lie in (b"99999999", b"5       ", b"-2      "):
        with pytest.raises(EcgError):
            read(PLAIN[:236] + lie + PLAIN[244:])
    rhythm = read(PLAIN[:236] + b"-1      " + PLAIN[244:]).rhythm
    assert rhythm is not None
    assert rhythm.samples.shape == (12, 2_000)
    with pytest.raises(RateUnsupported):
        read(PLAIN[:244] + b"0       " + PLAIN[252:])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_mutated_files_stay_lawful(data: st.DataObject) -> None:
    """Cuts, flips and extremes end in an answer or an EcgError."""
    broken = data.draw(mutations(PLAIN))
    stays_lawful(lambda: edf.parse(broken))
