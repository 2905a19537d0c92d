"""The OpenAPI document: checked in, complete, true of answers, and fuzzed against the running service."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import positive_data_acceptance, unsupported_method

from service import samples
from service.auth import Scope, new_key
from tests.service.server import Server
from tests.service.write_openapi import TARGET, document

EXAMPLES = 15


def test_the_checked_in_document_is_the_services_own() -> None:
    """A changed wire shows as a changed file; `python -m tests.service.write_openapi` writes it."""
    assert TARGET.read_text() == document()


def test_uploads_are_single_named_files() -> None:
    """Lists of uploads lose their file picker in Swagger UI, so every file is a field of its own."""
    body = json.loads(document())["paths"]["/predict"]["post"]["requestBody"]["content"]["multipart/form-data"]
    fields = body["schema"]["properties"]
    assert [name for name, each in fields.items() if each.get("format") == "binary"] == ["file", "header", "signal"]


def test_every_sample_is_an_example() -> None:
    """Each format's sample stands under the media type that it may be sent as."""
    content = json.loads(document())["paths"]["/predict"]["post"]["requestBody"]["content"]
    shown = {name for each in content.values() for name in each.get("examples", {})}
    assert shown == set(samples.names())


def test_every_operation_is_named_and_told() -> None:
    """Unique operation ids, and problems as problem+json wherever they are possible."""
    operations = [each for path in json.loads(document())["paths"].values() for each in path.values()]
    ids = [each["operationId"] for each in operations]
    assert len(ids) == len(set(ids))
    for each in operations:
        told = {int(status) for status in each["responses"]}
        assert {200, 422, 429, 500, 503} <= told
        for status, response in each["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json", "application/fhir+json"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, str]]]:
    """With credentials, so that an endpoint that forgets to ask for them is found."""
    folder = tmp_path_factory.mktemp("guarded")
    key = new_key(folder / "keys.json", "fuzzer", frozenset(Scope))
    with Server(folder, API_KEYS_FILE=str(folder / "keys.json")) as server:
        yield server, {"X-API-Key": key}


def _schema(server: Server) -> Any:
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


def test_no_request_of_the_schema_breaks_the_service(guarded: tuple[Server, dict[str, str]]) -> None:
    """schemathesis over every operation: no 5xx, no undocumented status, no answer outside its schema."""
    server, key = guarded
    schema = _schema(server)
    for operation in schema.get_all_operations():
        if operation.ok().method == "post":
            continue  # uploads have a test of their own below

        @given(case=operation.ok().as_strategy())
        @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        def holds(case: Any) -> None:
            case.call_and_validate(headers=key, excluded_checks=[positive_data_acceptance, unsupported_method])

        holds()


@pytest.mark.parametrize("path", ["/predict", "/v1/predict", "/predict/batch", "/models/reload", "/cds-services/{id}"])
def test_no_upload_breaks_the_service(guarded: tuple[Server, dict[str, str]], path: str) -> None:
    """schemathesis' own bodies, multipart and raw, and headers: refused or answered as documented."""
    server, key = guarded

    @given(case=_schema(server)[path]["POST"].as_strategy())
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def holds(case: Any) -> None:
        case.call_and_validate(headers=key, excluded_checks=[positive_data_acceptance, unsupported_method])

    holds()


TEXTS = st.one_of(st.text(max_size=40), st.sampled_from(["true", "signal,beat", "0", "\x00", "%00", "../x", "none"]))


@given(
    sample=st.sampled_from(samples.names()),
    cut=st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), max_size=8),
    field=st.sampled_from(["file", "file", "file", "header", "signal", "other"]),
    texts=st.dictionaries(st.sampled_from(["model", "explain", "include", "file", "x"]), TEXTS, max_size=3),
    name=st.text(alphabet=st.characters(blacklist_categories=["Cs", "Cc"]), max_size=30),
)
@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_damaged_files_in_odd_forms_are_answered_or_refused(
    server: Server,
    sample: str,
    cut: float,
    flips: list[tuple[float, int]],
    field: str,
    texts: dict[str, str],
    name: str,
) -> None:
    """Samples cut short, with flipped bytes, in wrong fields, beside odd options: never a 5xx, always our shapes."""
    found = samples.find(sample)
    assert found
    data = bytearray(found.data[: max(1, round(len(found.data) * (1 if cut > 0.5 else cut * 2)))])
    for place, mask in flips:
        data[int(place * (len(data) - 1))] ^= mask
    response = server.http.post("/predict", files={field: (name or "x", bytes(data))}, data=texts)
    assert response.status_code < 500, response.text
    if response.status_code != 200:
        assert re.fullmatch(r"[a-z_]+", response.json()["code"])
