"""Who may do what: every endpoint against every kind of credentials, and an endpoint that nobody listed fails here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from service.app import create_app
from service.auth import Scope, new_key
from service.client import Client, Refused
from service.schemas import Answer, Problem
from service.settings import Settings
from tests.service.server import Server
from tests.service.test_predict import CSV

PUBLIC: frozenset[str] = frozenset()
PREDICT, AUDIT, ADMIN = (frozenset({scope.value}) for scope in Scope)
MATRIX: dict[tuple[str, str], frozenset[str]] = {
    ("POST", "/predict"): PREDICT,
    ("POST", "/v1/predict"): PREDICT,
    ("POST", "/predict/batch"): PREDICT,
    ("GET", "/models"): PREDICT | ADMIN,
    ("GET", "/models/{name}"): PREDICT | ADMIN,
    ("POST", "/models/reload"): ADMIN,
    ("GET", "/predictions"): AUDIT,
    ("GET", "/predictions/{id}"): PREDICT | AUDIT,
    ("GET", "/formats"): PUBLIC,
    ("GET", "/samples/{format}"): PUBLIC,
    ("GET", "/problems/{code}"): PUBLIC,
    ("GET", "/health/live"): PUBLIC,
    ("GET", "/health/ready"): PUBLIC,
    ("GET", "/version"): PUBLIC,
    ("GET", "/metrics"): PUBLIC,
    ("GET", "/"): PUBLIC,
    ("GET", "/docs"): PUBLIC,
}


@dataclass(frozen=True)
class Guarded:
    server: Server
    keys: dict[str, str]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    keys = {scope.value: new_key(folder / "keys.json", f"only-{scope.value}", frozenset({scope})) for scope in Scope}
    with Server(folder, API_KEYS_FILE=str(folder / "keys.json")) as server:
        yield Guarded(server, keys)


def endpoints() -> set[tuple[str, str]]:
    app = create_app(Settings())
    routers = (route.original_router for route in app.routes if hasattr(route, "original_router"))
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    return {(method, route.path) for route in routes for method in route.methods if method != "HEAD"}


def test_the_matrix_is_complete() -> None:
    """A new endpoint must be given its place in the matrix before it can pass."""
    assert endpoints() - {each for each in endpoints() if each[1].startswith("/cds-services")} == set(MATRIX)


@pytest.mark.parametrize(("method", "path"), MATRIX, ids=str)
def test_each_endpoint_lets_in_whom_it_should(guarded: Guarded, method: str, path: str) -> None:
    """No credentials: 401. A wrong key: 401. A key without the scope: 403. A key with it: neither."""
    allowed = MATRIX[method, path]
    place = path.format(name="none", id="none", format="edf", code="too_large")

    def status(key: str | None) -> int:
        headers = {"X-API-Key": key} if key else {}
        return guarded.server.http.request(method, place, headers=headers).status_code

    assert (status(None) == 401) is bool(allowed)
    assert (status("ecg_wrong") == 401) is bool(allowed)
    for scope, key in guarded.keys.items():
        expected_refusal = bool(allowed) and scope not in allowed
        assert (status(key) == 403) is expected_refusal
        assert status(key) != 401


def test_a_caller_sees_its_own_answers_only(guarded: Guarded) -> None:
    """Another caller's id is as unknown as none; the auditor sees it."""
    assert CSV
    secret = new_key(Path(guarded.server.log.parent / "keys.json"), "neighbour", frozenset({Scope.PREDICT}))
    keys = guarded.keys
    with Client(guarded.server.url, api_key=keys["predict"]) as owner:
        id = owner.predict(CSV.data, explain=False).id
        assert owner.prediction(id).id == id
    with Client(guarded.server.url, api_key=secret) as neighbour, pytest.raises(Refused) as refused:
        neighbour.prediction(id)
    assert refused.value.problem.status == 404
    with Client(guarded.server.url, api_key=keys["audit"]) as auditor:
        assert auditor.prediction(id).id == id
        [row] = [each for each in auditor.audit(limit=20).items if each.answer_id == id]
        assert row.caller == "only-predict"


def test_a_callers_key_is_not_anothers(guarded: Guarded) -> None:
    """The same Idempotency-Key of two callers stands for two answers."""
    assert CSV
    secret = new_key(Path(guarded.server.log.parent / "keys.json"), "second", frozenset({Scope.PREDICT}))
    ids = set()
    for key in (guarded.keys["predict"], secret):
        with Client(guarded.server.url, api_key=key) as client:
            ids |= {client.predict(CSV.data, explain=False, idempotency_key="mine").id for _ in range(2)}
    assert len(ids) == 2


def test_a_refusal_for_credentials_is_audited(guarded: Guarded) -> None:
    """Who was kept out is in the audit too, with the code of the refusal."""
    guarded.server.http.post("/predict", headers={"X-Request-ID": "kept-out"})
    with Client(guarded.server.url, api_key=guarded.keys["audit"]) as auditor:
        [row] = auditor.audit(request_id="kept-out").items
    assert (row.status, row.code, row.caller) == (401, "credentials_missing", "-")


def test_the_client_does_what_it_says(server: Server) -> None:
    """Every verb of the client against a real server, typed answers and typed refusals."""
    assert CSV
    with Client(server.url) as client:
        answer = client.predict(CSV.data, include=["beat"])
        assert answer.beat
        assert not client.predict(CSV.data, explain=False).attention
        assert client.ready().model.startswith(answer.model.name)
        assert client.model(client.models().default).sha256 == answer.model.sha256
        assert client.reload_models().refused == []
        assert client.sample(client.formats().formats[0].name)
        assert client.version().api == "1"
        lines = list(client.predict_batch([CSV.data, b"nothing"]))
        assert isinstance(lines[0], Answer)
        assert lines[0].risk == answer.risk
        assert isinstance(lines[1], Problem)
        assert lines[1].code == "unknown_format"
        with pytest.raises(Refused, match="unknown_format"):
            client.predict(b"nothing")
        with pytest.raises(Refused, match="malformed"):
            list(client.predict_batch([b"PK\x03\x04"]))
