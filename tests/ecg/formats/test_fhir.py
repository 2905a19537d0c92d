"""The FHIR reader against fhir.resources' own models and strangers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from fhir.resources.R4B.observation import Observation
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.errors import EcgError, Malformed, RateUnsupported, TooLarge
from ecg.formats import fhir, read
from ecg.leads import LEADS
from ecg.recording import Unit
from tests.ecg.formats.hostile import mutations, stays_lawful, synthetic_mv
from tests.makers import fhir as maker

RATE = 500.0
MV = synthetic_mv(1_000)
COUNTS = np.round(MV / maker.STEP_MV).astype(int)
PLAIN = maker.make(MV, RATE)


def changed(**changes: Any) -> bytes:
    """The observation with the first lead's sampled data changed; None takes a field away."""
    document = maker.observation(COUNTS, RATE)
    for component in document["component"]:
        sampled = component["valueSampledData"]
        sampled.update(changes)
        for key in [key for key, value in changes.items() if value is None]:
            del sampled[key]
    return json.dumps(document).encode()


def test_an_observation_that_the_models_accept_reads() -> None:
    """What fhir.resources validates, the reader reads: every lead, rate, unit and value."""
    Observation.model_validate(json.loads(PLAIN))
    rhythm = read(PLAIN).rhythm
    assert rhythm is not None
    assert (rhythm.leads, rhythm.unit, rhythm.sampling_rate_hz) == (LEADS, Unit.MILLIVOLT, RATE)
    np.testing.assert_allclose(rhythm.samples, COUNTS * maker.STEP_MV, atol=1e-6)


@pytest.mark.parametrize("r5", [False, True])
def test_bundles_of_either_release_read(r5: bool) -> None:
    """The one observation with sampled data is found in a Bundle, R4 or R5."""
    other = {"resourceType": "Observation", "status": "final", "code": {"text": "weight"}}
    patient = {"resourceType": "Patient", "id": "SECRET-ID"}
    document = maker.bundle(patient, other, maker.observation(COUNTS, RATE, r5))
    rhythm = read(json.dumps(document, indent=1).encode()).rhythm
    assert rhythm is not None
    assert rhythm.sampling_rate_hz == RATE
    with pytest.raises(Malformed, match="2 observations"):
        read(json.dumps(maker.bundle(*[maker.observation(COUNTS, RATE, r5)] * 2)).encode())


def test_origin_and_factor_apply_as_the_standard_says() -> None:
    """Value = data x factor + origin, in the origin's unit."""
    rhythm = read(changed(factor=2.5, origin={"value": -100, "code": "uV"})).rhythm
    assert rhythm is not None
    assert rhythm.unit is Unit.MICROVOLT
    np.testing.assert_allclose(rhythm.samples, COUNTS * 2.5 - 100, atol=1e-2)


def test_marks_that_are_no_numbers_are_missing() -> None:
    """E, U and L stand for error and for beyond the limits; a decimal with an exponent stays a number."""
    rhythm = read(changed(data="1 E 2 U  3\nL 4.5 1E2 -0.25")).rhythm
    assert rhythm is not None
    np.testing.assert_allclose(rhythm.samples[0] * 1000, [1, np.nan, 2, np.nan, 3, np.nan, 4.5, 100, -0.25], rtol=1e-6)


def test_leads_are_named_by_code_display_or_text() -> None:
    """MDC codes, their reference names, and plain text name a lead."""
    document = maker.observation(COUNTS, RATE)
    document["component"][0]["code"] = {"text": "Lead I"}
    document["component"][1]["code"] = {"coding": [{"code": "MDC_ECG_LEAD_II"}]}
    document["component"][2]["code"] = {"coding": [{"code": "x", "display": "III"}]}
    rhythm = read(json.dumps(document).encode()).rhythm
    assert rhythm is not None
    assert rhythm.leads == ("Lead I", "MDC_ECG_LEAD_II", "III", *LEADS[3:])


def test_no_interval_is_no_rate_and_no_unit_is_unknown() -> None:
    """A rate is never guessed; without a unit the amplitude is unknown."""
    for data in (changed(period=None), changed(period=0), changed(period=None, interval=2, intervalUnit="cm")):
        with pytest.raises(RateUnsupported):
            read(data)
    rhythm = read(changed(origin={"value": 0})).rhythm
    assert rhythm is not None
    assert rhythm.unit is Unit.UNKNOWN


def test_leads_of_different_rates_are_refused() -> None:
    """Leads that were not sampled together are no twelve-lead recording."""
    document = maker.observation(COUNTS, RATE)
    document["component"][4]["valueSampledData"]["period"] = 4
    with pytest.raises(RateUnsupported):
        read(json.dumps(document).encode())


def test_time_without_identity() -> None:
    """The time of recording is read; the subject is not."""
    recording = read(PLAIN)
    assert recording.recorded_at is not None
    assert recording.recorded_at.isoformat() == "2004-05-06T07:08:09+00:00"
    assert not any(secret in repr(recording) for secret in ("Doe", "Jane", "SECRET"))


@pytest.mark.parametrize(
    "change",
    [
        {"data": None}, {"data": ""}, {"data": "1 2 x"}, {"data": "1 [2] 3"}, {"data": "1 --2"}, {"data": "1 nan"},
        {"data": 7}, {"data": "1e999 2"}, {"data": "1 1e30"}, {"factor": 0}, {"factor": "2"}, {"factor": True},
        {"dimensions": 2}, {"period": "2"}, {"origin": {"value": "1"}},
    ],
)  # fmt: skip
def test_broken_sampled_data_are_refused(change: dict[str, Any]) -> None:
    """Whatever is wrong with the sampled data, the answer is an EcgError."""
    with pytest.raises(EcgError):
        read(changed(**change))


def test_size_and_shape_are_bounded() -> None:
    """Too much text, too deep, or leads of different length: refused, and soon."""
    uneven = maker.observation(COUNTS, RATE)
    uneven["component"][0]["valueSampledData"]["data"] = "1 2 3"
    head = b'{"resourceType": "Observation", "component": '
    hostile = [json.dumps(uneven).encode(), head + b"[" * 5_000_000, head + b"[" + b"{}," * 1_900_000 + b"{}]}", head]
    hostile.append(head + b'[{"valueSampledData": {"period": 2, "data": "' + b"E " * 2_900_000 + b'"}}]}')
    for data in hostile[:-1]:
        with pytest.raises(EcgError):
            read(data)
    for data in hostile:
        stays_lawful(lambda data=data: read(data), limit_s=2.0)
    with pytest.raises(TooLarge):
        read(head + b" " * 9_000_000)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_mutated_files_stay_lawful(data: st.DataObject) -> None:
    """Cuts, flips and extremes end in an answer or an EcgError."""
    small = json.dumps(maker.observation(COUNTS[:, :40], RATE)).encode()
    broken = data.draw(mutations(small))
    stays_lawful(lambda: fhir.parse(broken))
