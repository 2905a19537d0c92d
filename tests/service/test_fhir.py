"""The FHIR answer is valid R4, says the same numbers as the JSON answer, and names what was asserted by a model."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from fhir.resources.R4B import get_fhir_model_class

from ecg import formats
from ecg.leads import LEADS
from service import samples
from service.fhir.bundle import _later
from tests.ecg.hearts import normal_mv
from tests.makers import wfdb
from tests.service.server import Server

FHIR = {"accept": "application/fhir+json"}
ECG = samples.find("wfdb")
Resources = dict[str, list[dict[str, Any]]]


def asked(server: Server, data: bytes, **fields: str) -> dict[str, Any]:
    response = server.http.post("/predict", files={"file": data}, data=fields, headers=FHIR)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/fhir+json"
    document: dict[str, Any] = response.json()
    return document


@pytest.fixture(scope="module")
def bundle(server: Server) -> dict[str, Any]:
    assert ECG
    return asked(server, ECG.data, include="signal,beat", reference="ACC-2026/17")


@pytest.fixture(scope="module")
def plain(server: Server) -> dict[str, Any]:
    """The same ECG as JSON."""
    assert ECG
    answer: dict[str, Any] = server.http.post("/predict?include=signal", files={"file": ECG.data}).json()
    return answer


def resources(bundle: dict[str, Any]) -> Resources:
    found = defaultdict(list)
    for entry in bundle["entry"]:
        found[entry["resource"]["resourceType"]].append(entry["resource"])
    return found


def observation(bundle: dict[str, Any], code: str) -> dict[str, Any]:
    [found] = [each for each in resources(bundle)["Observation"] if each["code"]["coding"][0]["code"] == code]
    return found


def part(resource: dict[str, Any], code: str) -> dict[str, Any]:
    [found] = [each for each in resource["component"] if each["code"]["coding"][0]["code"] == code]
    return found


@pytest.mark.parametrize("format", samples.names())
def test_every_sample_is_valid_fhir(server: Server, format: str) -> None:
    """The resource models of a FHIR library accept the whole bundle and each resource of it, for each format."""
    sample = samples.find(format)
    assert sample
    document = asked(server, sample.data)
    get_fhir_model_class("Bundle").model_validate(document)
    for kind, found in resources(document).items():
        for resource in found:
            get_fhir_model_class(kind).model_validate(resource)


def test_the_bundle_is_whole(bundle: dict[str, Any]) -> None:
    """One of each resource, every reference leads to one of them, and no null is told."""
    get_fhir_model_class("Bundle").model_validate(bundle)
    counts = {kind: len(found) for kind, found in resources(bundle).items()}
    assert counts == {"RiskAssessment": 1, "Observation": 4, "DiagnosticReport": 1, "Device": 1, "Provenance": 1}
    known = {entry["fullUrl"] for entry in bundle["entry"]}
    told = json.dumps(bundle)
    assert "null" not in told
    referred = [each.split('"')[0] for each in told.split('"reference": "')[1:]]
    assert len(referred) > 10
    assert set(referred) <= known
    assert {entry["fullUrl"] for entry in bundle["entry"]} == {
        f"urn:uuid:{e['resource']['id']}" for e in bundle["entry"]
    }


def test_probabilities_are_percentages(bundle: dict[str, Any], plain: dict[str, Any]) -> None:
    """A RiskAssessment's decimal is a percentage; an Observation says the same with its unit beside it."""
    [assessment] = resources(bundle)["RiskAssessment"]
    score = observation(bundle, "score")
    horizons = plain["risk"]["horizons"]
    assert len(assessment["prediction"]) == len(horizons) > 1
    for prediction, horizon in zip(assessment["prediction"], horizons, strict=True):
        assert prediction["probabilityDecimal"] == pytest.approx(100 * horizon["probability"], abs=1e-9)
        quantity = part(score, f"probability-{horizon['years']:g}-years")["valueQuantity"]
        assert (quantity["value"], quantity["code"]) == (prediction["probabilityDecimal"], "%")
        interval = part(score, f"interval-{horizon['years']:g}-years")["valueRange"]
        edges = [interval["low"]["value"], interval["high"]["value"]]
        assert edges == pytest.approx([100 * edge for edge in horizon["interval"]], abs=1e-9)
        begun, ended = (int(prediction["whenPeriod"][edge][:4]) for edge in ("start", "end"))
        assert ended - begun == horizon["years"]
    # The horizons of the shipped model rise above 1 %, so a fraction in place of a percentage would show.
    assert assessment["prediction"][-1]["probabilityDecimal"] > 1
    assert score["valueQuantity"]["value"] == plain["risk"]["score"]


def test_the_days_of_a_horizon() -> None:
    """Calendar years; a leap day ends on the 28th; half a year is six months."""
    assert _later("2028-02-29T12:00:00.5Z", 1) == "2029-02-28T12:00:00.500000Z"
    assert _later("2028-02-29T12:00:00Z", 4) == "2032-02-29T12:00:00Z"
    assert _later("2026-08-31T00:00:00Z", 0.5) == "2027-02-28T00:00:00Z"


def test_numbers_are_those_of_the_json_answer(bundle: dict[str, Any], plain: dict[str, Any]) -> None:
    """Measurements, quality and lead weights, under the codes that EHRs know."""
    study = observation(bundle, "11524-6")
    for code, name in {
        "8867-4": "heart_rate_bpm",
        "8633-0": "qrs_ms",
        "8636-3": "qtc_ms",
        "8632-2": "axis_deg",
    }.items():
        assert part(study, code)["valueQuantity"]["value"] == plain["measurements"][name]
    assert part(study, "quality")["valueString"] == plain["quality"]["verdict"]
    weights = observation(bundle, f"lead-{plain['attention']['faithfulness']['kind']}")["component"]
    assert [each["valueQuantity"]["value"] for each in weights] == list(plain["attention"]["leads"].values())
    [report] = resources(bundle)["DiagnosticReport"]
    assert all(warning in report["conclusion"] for warning in plain["warnings"])


def test_the_signal_comes_on_request_and_can_be_read_again(server: Server, plain: dict[str, Any]) -> None:
    """SampledData of twelve leads only where asked for; our own reader gets the JSON answer's voltages from it."""
    assert ECG
    assert "valueSampledData" not in json.dumps(asked(server, ECG.data))
    document = asked(server, ECG.data, include="signal")
    recording = formats.read(json.dumps(document).encode(), "bundle.json")
    assert recording.rhythm
    assert recording.rhythm.leads == LEADS
    assert recording.rhythm.sampling_rate_hz == plain["signal"]["sampling_rate_hz"]
    wanted = np.array([plain["signal"]["leads"][name] for name in LEADS])
    np.testing.assert_allclose(recording.rhythm.samples, wanted, atol=1e-6)
    again = server.http.post("/predict", json=document)
    assert again.status_code == 200
    assert again.json()["risk"]["score"] == pytest.approx(plain["risk"]["score"], abs=0.5)


def test_who_asserted_it(bundle: dict[str, Any], plain: dict[str, Any]) -> None:
    """The AI label on all that the model made, the model by name, version and hash, the file by its hash."""
    found = resources(bundle)
    for kind in set(found) - {"Device"}:
        for resource in found[kind]:
            assert [each["code"] for each in resource["meta"]["security"]] == ["AIAST"]
            assert [each["code"] for each in resource["meta"]["tag"]] == ["HTEST"]
            assert resource.get("status", "preliminary") == "preliminary"
    [device], [provenance], [assessment] = found["Device"], found["Provenance"], found["RiskAssessment"]
    assert device["identifier"][0]["value"] == plain["model"]["sha256"]
    assert device["version"] == [{"value": plain["model"]["version"]}]
    assert device["deviceName"][0]["name"] == plain["model"]["name"]
    assert provenance["agent"][0]["who"]["reference"] == f"urn:uuid:{device['id']}"
    assert provenance["entity"][0]["what"]["identifier"]["value"] == plain["recording"]["sha256"]
    assert [each["text"] for each in assessment["note"]] == plain["warnings"]
    assert assessment["basedOn"]["identifier"]["value"] == "ACC-2026/17"
    assert "identifier" not in assessment["subject"]


def test_one_model_is_one_device(server: Server, bundle: dict[str, Any]) -> None:
    """Two answers of a model name the same device, and share nothing else."""
    assert ECG
    other = asked(server, ECG.data)
    shared = {e["fullUrl"] for e in bundle["entry"]} & {e["fullUrl"] for e in other["entry"]}
    assert shared == {f"urn:uuid:{resources(bundle)['Device'][0]['id']}"}


@pytest.mark.parametrize(
    ("data", "status", "kind", "code"),
    [
        (b"no ecg at all", 415, "not-supported", "unknown_format"),
        (wfdb.make(np.zeros((12, 5000)), 500.0), 422, "processing", "quality_rejected"),
        (wfdb.make(normal_mv(66.0)[:, :1000], 500.0), 422, "processing", None),
        (b"", 400, "structure", "upload_missing"),
    ],
)
def test_refusals_are_operation_outcomes(server: Server, data: bytes, status: int, kind: str, code: str | None) -> None:
    """Who asks for FHIR is refused in FHIR, with the problem's own code and every quality issue."""
    response = server.http.post("/predict", content=data, headers=FHIR)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/fhir+json"
    outcome = response.json()
    get_fhir_model_class("OperationOutcome").model_validate(outcome)
    first = outcome["issue"][0]
    assert (first["severity"], first["code"]) == ("error", kind)
    assert response.headers["x-request-id"] in first["diagnostics"]
    if code:
        assert first["details"]["coding"][0]["code"] == code
    if code == "quality_rejected":
        assert len(outcome["issue"]) > 1


def test_problems_stay_problems_for_others(server: Server) -> None:
    """Without a wish for FHIR a refusal is problem+json; an unknown address is an OperationOutcome on request."""
    assert server.http.post("/predict", content=b"x").headers["content-type"] == "application/problem+json"
    assert server.http.get("/nowhere", headers=FHIR).json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize("reference", ["Doe, Jane", "ä", "x" * 65, "a\nb"])
def test_a_reference_is_a_number_not_a_name(server: Server, reference: str) -> None:
    """What could be a person's name is refused, and not repeated."""
    assert ECG
    response = server.http.post("/predict", files={"file": ECG.data}, data={"reference": reference}, headers=FHIR)
    assert response.status_code == 422
    assert reference not in response.text
