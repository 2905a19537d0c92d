"""POST /predict against a real server: every sample, every way in, every refusal, and nothing told that must not be."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest

from ecg import formats
from ecg.leads import LEADS
from service import samples
from service.schemas import Answer, Problem
from service.uploads import RAW_TYPES
from tests.ecg.hearts import normal_mv
from tests.makers import table, wfdb
from tests.service.server import Server

HEART = normal_mv(66.0)
CSV = samples.find("table")
BOMB = b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "b">]><RestingECG>&a;</RestingECG>'
Respond = Callable[[Server], httpx.Response]


def post(server: Server, data: bytes, name: str = "ecg", headers: dict[str, str] | None = None, **fields: str) -> Any:
    return server.http.post("/predict", files={"file": (name, data)}, data=fields, headers=headers)


def problem(response: httpx.Response, status: int, code: str) -> Problem:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = Problem.model_validate_json(response.content)
    assert (told.status, told.code) == (status, code)
    assert told.request_id == response.headers["x-request-id"]
    return told


def numbers(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in ("id", "created")}


@pytest.mark.parametrize("format", samples.names())
def test_every_sample_is_answered(server: Server, format: str) -> None:
    """Each format's example, fetched from the service and posted back, gives an answer of the documented shape."""
    data = server.http.get(f"/samples/{format}").content
    response = post(server, data)
    assert response.status_code == 200, response.text
    answer = Answer.model_validate_json(response.content)
    assert answer.recording.format == format
    assert answer.recording.leads == list(LEADS)
    assert answer.attention
    assert sum(answer.attention.leads.values()) == pytest.approx(1, abs=1e-5)
    assert np.sum(answer.attention.cross_lead, axis=1) == pytest.approx(np.ones(12), abs=1e-5)
    assert answer.measurements.heart_rate_bpm == pytest.approx(66, abs=2)


def test_every_format_has_a_sample(server: Server) -> None:
    """/formats lists what the readers are, each with its example."""
    told = server.http.get("/formats").json()["formats"]
    assert [each["name"] for each in told] == [each.NAME for each in formats.available()]
    assert all(each["sample"] for each in told)


def test_samples_are_what_the_makers_make() -> None:
    """The files beside the code are the makers' work, not leftovers: reading both gives the same voltages."""
    from tests.service.make_samples import made, maker_names

    assert list(samples.names()) == sorted(maker_names())
    for name in samples.names():
        found = samples.find(name)
        assert found
        shipped, fresh = formats.read(found.data, found.filename), formats.read(made(name)[1], found.filename)
        assert shipped.rhythm
        assert fresh.rhythm
        assert np.array_equal(shipped.rhythm.samples, fresh.rhythm.samples)


def test_every_way_in_gives_the_same_numbers(server: Server) -> None:
    """A form, raw bytes of any media type, /v1, a batch: the same bytes give the same numbers, bit for bit."""
    assert CSV
    first = post(server, CSV.data).json()
    answers = [server.http.post("/v1/predict", files={"file": CSV.data}).json()]
    answers += [
        server.http.post("/predict", content=CSV.data, headers={"content-type": media_type}).json()
        for media_type in RAW_TYPES
    ]
    batch = server.http.post("/predict/batch", files=[("file", ("a", CSV.data)), ("file", ("b", CSV.data))])
    answers += [json.loads(line) for line in batch.text.splitlines()]
    for answer in answers:
        assert numbers(first) == {
            name: value for name, value in numbers(answer).items() if name not in ("index", "name")
        }


def test_concurrent_requests_do_not_mix(server: Server) -> None:
    """Different ECGs posted at once each get their own answer, equal to the one they get alone."""
    uploads = [table.make(normal_mv(rate, seed=int(rate)), 500.0) for rate in (52.0, 66.0, 81.0, 97.0)]
    alone = [numbers(post(server, each).json()) for each in uploads]
    assert len({json.dumps(each["measurements"]) for each in alone}) == len(uploads)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda index: numbers(post(server, uploads[index % 4]).json()), range(24)))
    assert together == [alone[index % 4] for index in range(24)]


def test_a_wfdb_record_in_two_fields(server: Server) -> None:
    """`header` and `signal` are the record that the zip of both is."""
    record = wfdb.files(HEART, 500.0)
    parts = {"header": ("record.hea", record["record.hea"]), "signal": ("record.dat", record["record.dat"])}
    pair = server.http.post("/predict", files=parts).json()
    zipped = post(server, wfdb.make(HEART, 500.0)).json()
    assert pair["risk"] == zipped["risk"]
    assert pair["recording"]["format"] == "wfdb"
    assert pair["attention"] == zipped["attention"]


def test_options(server: Server) -> None:
    """explain=false leaves the maps out; include brings the waveforms; as field or query; model by name or label."""
    assert CSV
    plain = server.http.post("/predict?explain=false", content=CSV.data, headers={"content-type": "text/csv"}).json()
    assert not {"attention", "signal", "beat"} & set(plain)
    full = post(server, CSV.data, include="signal,beat").json()
    assert full["signal"]["unit"] == full["beat"]["unit"] == "mV"
    assert full["signal"]["sampling_rate_hz"] == 500
    assert np.array([full["signal"]["leads"][lead] for lead in LEADS]) == pytest.approx(HEART, abs=1e-3)
    assert set(full["beat"]["leads"]) == set(LEADS)
    assert plain["risk"] == full["risk"]
    model = full["model"]
    for name in (model["name"], f"{model['name']}-{model['version']}"):
        assert post(server, CSV.data, model=name).json()["risk"] == full["risk"]
    Answer.model_validate(full)


def test_either_kind_of_map(server: Server) -> None:
    """`map` chooses the kind and changes nothing else; without it the contract's own comes; no other word is taken."""
    assert CSV
    told = {kind: post(server, CSV.data, map=kind).json() for kind in ("attention", "risk", "")}
    assert [told[kind]["attention"]["faithfulness"]["kind"] for kind in ("attention", "risk")] == ["attention", "risk"]
    assert told["attention"]["attention"] != told["risk"]["attention"]
    assert told[""]["attention"] == told[told[""]["attention"]["faithfulness"]["kind"]]["attention"]
    assert told["risk"]["risk"] == told["attention"]["risk"]
    problem(post(server, CSV.data, map="magic"), 422, "request_invalid")


def test_ids_are_echoed_always(server: Server) -> None:
    """Request and correlation ids come back on answers and refusals, and are made when absent or no plain text."""
    sent = {"X-Request-ID": "r-1", "X-Correlation-ID": "c-1"}
    for path, method in (("/version", "GET"), ("/nowhere", "GET"), ("/predict", "POST"), ("/predict", "DELETE")):
        response = server.http.request(method, path, headers=sent)
        assert (response.headers["x-request-id"], response.headers["x-correlation-id"]) == ("r-1", "c-1")
        made = server.http.request(method, path)
        assert re.fullmatch(r"[0-9A-Z]{26}", made.headers["x-request-id"])
        assert (
            server.http.request(method, path, headers={"X-Request-ID": "x" * 201}).headers["x-request-id"] != "x" * 201
        )


REFUSALS: dict[str, tuple[Respond, int, str]] = {
    "no format": (lambda s: post(s, b"hello"), 415, "unknown_format"),
    "empty file": (lambda s: post(s, b""), 415, "unknown_format"),
    "empty body": (lambda s: s.http.post("/predict"), 400, "upload_missing"),
    "no file": (lambda s: s.http.post("/predict", files={"other": b"x"}), 400, "upload_missing"),
    "text as file": (lambda s: s.http.post("/predict", files={"x": b"x"}, data={"file": "x"}), 400, "upload_missing"),
    "fields left empty": (lambda s: s.http.post("/predict", files={"file": ("", b"")}), 400, "upload_missing"),
    "header alone": (lambda s: s.http.post("/predict", files={"header": b"x"}), 400, "upload_missing"),
    "too many files": (lambda s: s.http.post("/predict", files=[("file", b"x")] * 3), 400, "malformed"),
    "no boundary": (lambda s: _raw(s, b"x", "multipart/form-data"), 400, "malformed"),
    "broken form": (lambda s: _raw(s, b"--b\r\nx", "multipart/form-data; boundary=b"), 400, "upload_missing|malformed"),
    "form-urlencoded": (lambda s: _raw(s, b"x", "application/x-www-form-urlencoded"), 415, "media_type_unsupported"),
    "unknown model": (lambda s: post(s, CSV.data, model="no-such"), 404, "model_unknown"),  # type: ignore[union-attr]
    "odd explain": (lambda s: post(s, b"x", explain="perhaps"), 422, "request_invalid"),
    "odd include": (lambda s: post(s, b"x", include="everything"), 422, "request_invalid"),
    "odd accept": (lambda s: post(s, b"x", headers={"accept": "text/html"}), 406, "not_acceptable"),
    "entity bomb": (lambda s: post(s, BOMB), 400, "unsafe"),
    "path in a zip": (lambda s: post(s, _zip("../x.hea", b"x")), 400, "unsafe"),
    "broken zip": (lambda s: post(s, b"PK\x03\x04rubbish"), 400, "malformed"),
    "too short": (lambda s: post(s, table.make(HEART[:, :500], 500.0)), 422, "too_short|quality_rejected"),
    "flat": (lambda s: post(s, table.make(np.zeros((12, 5000)), 500.0)), 422, "quality_rejected"),
    "wrong method": (lambda s: s.http.get("/predict"), 405, "method_not_allowed"),
    "no such page": (lambda s: s.http.get("/predict/nothing"), 404, "not_found"),
    "odd query": (lambda s: s.http.get("/predictions?limit=all"), 422, "request_invalid"),
    "long key": (lambda s: post(s, b"x", headers={"Idempotency-Key": "k" * 256}), 422, "request_invalid"),
}  # fmt: skip


def _raw(server: Server, body: bytes, media_type: str) -> httpx.Response:
    return server.http.post("/predict", content=body, headers={"content-type": media_type})


def _zip(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(("respond", "status", "code"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusals(server: Server, respond: Respond, status: int, code: str) -> None:
    """Whatever is wrong, the caller gets a problem with the right status and code."""
    response = respond(server)
    told = Problem.model_validate_json(response.content)
    assert told.code in code.split("|"), response.text
    problem(response, status, told.code)


def test_a_refusal_for_quality_gives_its_reasons(server: Server) -> None:
    """`quality` of the problem has the shape of an answer's and says which lead and why."""
    told = problem(post(server, table.make(np.zeros((12, 5000)), 500.0)), 422, "quality_rejected")
    assert told.quality
    assert told.quality.verdict == "rejected"
    assert {issue.code for issue in told.quality.issues} >= {"flat"}


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "streamed"])
def test_a_body_over_the_ceiling_is_stopped(server: Server, declared: bool) -> None:
    """Too large is told when the length says so, and else as soon as it shows."""
    big = bytes(33 * 2**20)
    body = big if declared else (big[start : start + 2**20] for start in range(0, len(big), 2**20))
    response = server.http.post("/predict", content=body, headers={"content-type": "application/octet-stream"})
    assert problem(response, 413, "too_large")


def test_security_headers_everywhere(server: Server) -> None:
    """No answer may be cached, framed, sniffed or may load anything from elsewhere."""
    for path in ("/version", "/nowhere", "/docs", "/", "/samples/edf", "/static/docs.js"):
        headers = server.http.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "http" not in headers["content-security-policy"]
        assert "server" not in headers


def test_pages_refer_to_nothing_elsewhere(server: Server) -> None:
    """The pages name only files of this server, and those are there."""
    for page in ("/docs", "/"):
        text = server.http.get(page).text
        references = [each for each in re.findall(r'(?:src|href)="([^"]+)"', text) if not each.startswith("data:")]
        assert references
        for reference in references:
            assert "//" not in reference
            assert server.http.get(f"/{reference}").status_code == 200


def test_a_repeated_key_returns_the_same_answer(server: Server) -> None:
    """The stored answer comes back to the byte; other bytes or options under the key are refused."""
    assert CSV
    key = {"Idempotency-Key": "order-66"}
    first, again = post(server, CSV.data, headers=key), post(server, CSV.data, headers=key)
    assert first.content == again.content
    assert again.headers["idempotent-replayed"] == "true"
    assert problem(post(server, CSV.data + b"\n", headers=key), 409, "idempotency_key_reused")
    assert problem(post(server, CSV.data, headers=key, explain="false"), 409, "idempotency_key_reused")
    assert post(server, CSV.data, headers={"Idempotency-Key": "order-67"}).json()["id"] != first.json()["id"]


def test_a_stored_answer_can_be_fetched(server: Server) -> None:
    """By its id, the same as it was given, without waveforms; the audit list names its input and its model."""
    assert CSV
    given = post(server, CSV.data, headers={"X-Request-ID": "fetch-me"}, include="signal,beat").json()
    stored = server.http.get(f"/predictions/{given['id']}").json()
    assert stored == {name: value for name, value in given.items() if name not in ("signal", "beat")}
    [row] = server.http.get("/predictions", params={"request_id": "fetch-me"}).json()["items"]
    assert (row["answer_id"], row["input_sha256"]) == (given["id"], given["recording"]["sha256"])
    assert (row["model_sha256"], row["score"]) == (given["model"]["sha256"], given["risk"]["score"])
    problem(server.http.get("/predictions/nothing"), 404, "not_found")


def test_the_audit_list_pages(server: Server) -> None:
    """Pages follow each other without gap or overlap, newest first, and filters narrow them."""
    for _ in range(5):
        post(server, b"x")
    seen: list[int] = []
    query: dict[str, Any] = {"limit": 3, "code": "unknown_format"}
    for _ in range(3):
        page = server.http.get("/predictions", params=query).json()
        seen += [row["seq"] for row in page["items"]]
        assert {row["code"] for row in page["items"]} == {"unknown_format"}
        query["before"] = page["next"]
        if page["next"] is None:
            break
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) >= 5
    assert server.http.get("/predictions", params={"since": "2999-01-01T00:00:00Z"}).json()["items"] == []
    assert server.http.get("/predictions", params={"until": "2000-01-01T00:00:00+02:00"}).json()["items"] == []


def test_models_tell_their_contract(server: Server) -> None:
    """/models lists what answers; /models/{name} gives the contract and the card; an unknown name is a 404."""
    listed = server.http.get("/models").json()
    [default] = [each for each in listed["models"] if each["default"]]
    told = server.http.get(f"/models/{default['name']}").json()
    assert told["contract"]["model"]["name"] == default["name"]
    assert told["sha256"] == default["sha256"]
    problem(server.http.get("/models/nothing"), 404, "model_unknown")


def test_problems_explain_themselves(server: Server) -> None:
    """A problem's `type` is an address that says what it means."""
    told = problem(post(server, b"hello"), 415, "unknown_format")
    assert server.http.get(told.type).json()["code"] == "unknown_format"
