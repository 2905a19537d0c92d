"""CDS Hooks: an EHR discovers the service, sends an ECG along with its call, and gets a card; each call is audited."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from service import cds, samples
from service.auth import Scope, new_key
from tests.makers import fhir
from tests.service.server import Server

PATIENT = "PID-918273"
ECG = samples.find("fhir")
FLAT = json.loads(fhir.make(np.zeros((12, 5000)), 500.0))


def call(prefetch: Any, **changes: Any) -> dict[str, Any]:
    context = {"userId": "Practitioner/7", "patientId": PATIENT}
    told = {"hook": "patient-view", "hookInstance": str(uuid4()), "context": context, "prefetch": prefetch}
    return {**told, "fhirServer": "https://fhir.example", "fhirAuthorization": {"access_token": "sesame"}} | changes


def resource() -> dict[str, Any]:
    assert ECG
    found: dict[str, Any] = json.loads(ECG.data)
    return found


def searched(*found: dict[str, Any]) -> dict[str, Any]:
    return {"type": "searchset", "entry": [{"resource": each} for each in found], "resourceType": "Bundle"}


def rows(server: Server, **filters: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = server.http.get("/predictions", params=filters).json()["items"]
    return items


def test_discovery(server: Server) -> None:
    """One service for patient-view, whose prefetch asks for the latest ECG of the patient in context."""
    [offered] = server.http.get("/cds-services").json()["services"]
    assert (offered["id"], offered["hook"]) == ("heart-failure-risk", "patient-view")
    assert "{{context.patientId}}" in offered["prefetch"]["ecg"]
    assert "_count=1" in offered["prefetch"]["ecg"]


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_card(server: Server, wrapped: bool) -> None:
    """The numbers of the plain answer, the demonstration first, and nobody's attention asked for by such a model."""
    ecg = searched(resource()) if wrapped else resource()
    response = server.http.post("/cds-services/heart-failure-risk", json=call({"ecg": ecg}))
    assert response.status_code == 200, response.text
    [card] = cds.Cards.model_validate_json(response.content).cards
    assert ECG
    plain = server.http.post("/predict", files={"file": ECG.data}).json()
    risk = {each["years"]: each["probability"] for each in plain["risk"]["horizons"]}
    assert card.summary.startswith("DEMONSTRATION")
    assert f"{risk[5]:.1%}" in card.summary
    assert len(card.summary) < 140
    assert f"Score {plain['risk']['score']:g} of 100" in card.detail
    assert all(f"{probability:.1%}" in card.detail for probability in risk.values())
    assert all(warning in card.detail for warning in plain["warnings"])
    assert max(plain["attention"]["leads"], key=plain["attention"]["leads"].get) in card.detail
    assert card.indicator == "info"
    assert plain["model"]["version"] in card.source.label


def test_the_card_is_audited_and_kept(server: Server) -> None:
    """One row a call with the answer's id, which leads to the stored answer; nothing of the call's context."""
    request_id = uuid4().hex
    response = server.http.post(
        "/cds-services/heart-failure-risk", json=call({"ecg": resource()}), headers={"x-request-id": request_id}
    )
    [row] = rows(server, request_id=request_id)
    assert (row["action"], row["status"], row["code"]) == ("predict", 200, "ok")
    assert row["detail"] == "cds-hooks patient-view"
    assert row["answer_id"] in response.json()["cards"][0]["detail"]
    kept = server.http.get(f"/predictions/{row['answer_id']}")
    assert kept.json()["risk"]["score"] == row["score"]
    for secret in (PATIENT, "sesame", "fhir.example"):
        assert secret not in response.text + kept.text + json.dumps(row) + server.log.read_text()
        assert secret.encode() not in server.database.read_bytes()


@pytest.mark.parametrize("ecg", [None, searched(), {"resourceType": "Bundle", "total": 0}])
def test_no_ecg_no_card(server: Server, ecg: Any) -> None:
    """A person without an ECG is no error: no card, and a row."""
    request_id = uuid4().hex
    response = server.http.post(
        "/cds-services/heart-failure-risk", json=call({"ecg": ecg}), headers={"x-request-id": request_id}
    )
    assert (response.status_code, response.json()) == (200, {"cards": []})
    [row] = rows(server, request_id=request_id)
    assert (row["code"], row["answer_id"]) == ("ok", None)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (call({}), 412, "prefetch_missing"),
        (call(None), 412, "prefetch_missing"),
        (call({"ecg": "text"}), 422, "request_invalid"),
        (call({"ecg": FLAT}), 422, "quality_rejected"),
        (call({"ecg": {"resourceType": "Patient", "name": PATIENT}}), 415, "unknown_format"),
        (call({"ecg": resource()}, hook="order-sign"), 422, "request_invalid"),
        ({"hook": "patient-view"}, 422, "request_invalid"),
        ([1], 422, "request_invalid"),
    ],
)
def test_calls_that_cannot_be_answered(server: Server, body: Any, status: int, code: str) -> None:
    """The right problem for each, told without the call's content, and one row."""
    request_id = uuid4().hex
    response = server.http.post("/cds-services/heart-failure-risk", json=body, headers={"x-request-id": request_id})
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert PATIENT not in response.text
    [row] = rows(server, request_id=request_id)
    assert (row["status"], row["code"]) == (status, code)


def test_other_calls(server: Server) -> None:
    """No such service; no JSON; nothing at all."""
    assert server.http.post("/cds-services/other", json=call({"ecg": None})).json()["code"] == "not_found"
    assert server.http.post("/cds-services/heart-failure-risk", content=b"{").json()["code"] == "malformed"
    assert server.http.post("/cds-services/heart-failure-risk").json()["code"] == "upload_missing"


def test_a_key_of_predict_does_not_mix_with_it(server: Server) -> None:
    """The same Idempotency-Key and bytes on /predict are another request: never a card for an answer."""
    key = {"idempotency-key": uuid4().hex}
    ecg = resource()
    sent = {"resourceType": ecg["resourceType"]} | ecg
    body = json.dumps(sent, separators=(",", ":")).encode()
    first = server.http.post("/cds-services/heart-failure-risk", json=call({"ecg": ecg}), headers=key)
    assert first.status_code == 200
    second = server.http.post("/predict", content=body, headers=key)
    assert second.json().get("code") == "idempotency_key_reused"


def test_scopes(tmp_path: Any) -> None:
    """Discovery is open; a call needs the scope `predict`."""
    keys = {scope: new_key(tmp_path / "keys.json", scope, frozenset({scope})) for scope in Scope}
    with Server(tmp_path, API_KEYS_FILE=str(tmp_path / "keys.json")) as guarded:
        assert guarded.http.get("/cds-services").status_code == 200
        address = "/cds-services/heart-failure-risk"
        assert guarded.http.post(address, json=call({"ecg": None})).status_code == 401
        for scope, status in {Scope.AUDIT: 403, Scope.PREDICT: 200}.items():
            headers = {"x-api-key": keys[scope]}
            assert guarded.http.post(address, json=call({"ecg": None}), headers=headers).status_code == status
