"""What the OpenAPI document says beyond the types: request bodies, headers, examples, problems."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI

from service import samples
from service.cds import Call, Cards
from service.problems import MEDIA_TYPE
from service.schemas import Answer, Problem
from service.uploads import MULTIPART, RAW_TYPES, REFERENCE

_FHIR_REFUSAL: Final = {
    "application/fhir+json": {"schema": {"type": "object", "description": "The same as an OperationOutcome"}}
}
FIRST_PROBLEM: Final = 400
TITLE: Final = "ECG heart-failure risk"
DESCRIPTION: Final = """Heart-failure risk from one 12-lead ECG. Post a file in any accepted format; its content counts.
An example of each format: `GET /samples/{format}`. Mind `intended_use` and `warnings` in each answer."""

_BINARY: Final = {"type": "string", "format": "binary"}
_MODEL: Final = {"type": "string", "description": "Model name, or name-version; empty: the service's default model"}
_EXPLAIN: Final = {"type": "boolean", "default": True, "description": "Attention maps in the answer"}
_REFERENCE: Final = {
    "type": "string",
    "pattern": f"^({REFERENCE})?$",
    "description": "Your own reference (order or accession number), shown in PDF, SVG and FHIR; no patient data",
}
_INCLUDE: Final = {"type": "string", "description": "signal, beat, or both, comma-separated"}
_MAP: Final = {
    "type": "string",
    "description": "attention (where the network looked) or risk (what moved the risk); empty: the contract's own",
}
_FORM: Final = {
    "type": "object",
    "properties": {
        "file": {
            **_BINARY,
            "description": "One self-contained file: XML, DICOM, SCP-ECG, EDF, or a zip of a WFDB record",
        },
        "header": {**_BINARY, "description": "The .hea of a WFDB record; with `signal`"},
        "signal": {**_BINARY, "description": "The .dat or .mat of a WFDB record; with `header`"},
        # An empty example, or Swagger UI would send the word "string".
        "model": {**_MODEL, "example": ""},
        "explain": _EXPLAIN,
        "include": {**_INCLUDE, "example": ""},
        "reference": {**_REFERENCE, "example": ""},
        "map": {**_MAP, "example": ""},
    },
}
_MANY: Final = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {**_BINARY, "description": "A zip of many records; or send this field once a file"},
        "model": {**_MODEL, "example": ""},
        "explain": _EXPLAIN,
        "map": {**_MAP, "example": ""},
    },
}


def _header(name: str, text: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "schema": {"type": "string", "maxLength": 200},
        "description": text,
    }


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": schema["description"]}


_IDS: Final = [
    _header("X-Request-ID", "Echoed; made when absent"),
    _header("X-Correlation-ID", "Echoed; made when absent"),
]
_OPTIONS: Final = [_query("model", _MODEL), _query("explain", _EXPLAIN), _query("map", _MAP)]


def _problem(text: str) -> dict[str, Any]:
    return {"description": text, "model": Problem}


_CALLER: Final[dict[int | str, dict[str, Any]]] = {
    401: _problem("Credentials missing or invalid"),
    403: _problem("Scope missing"),
    422: _problem("A parameter has a value that it may not have"),
    429: _problem("Too many requests; see Retry-After"),
    500: _problem("A defect of the service"),
    503: _problem("Busy or not ready; see Retry-After"),
}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {404: _problem("Not found"), **_CALLER}
_UPLOAD_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    400: _problem("Malformed or unsafe"),
    **PROBLEMS,
    404: _problem("Unknown model"),
    406: _problem("None of the accepted media types can be made"),
    408: _problem("The body did not arrive in time"),
    409: _problem("Idempotency-Key came before with other bytes or options"),
    413: _problem("Too large"),
    415: _problem("Unknown format, or a media type that carries no ECG"),
    422: _problem("An ECG that this model may not judge; or an invalid parameter"),
}
_REPRESENTATIONS: Final[dict[str, Any]] = {
    "application/json": {},  # first, so that Swagger UI asks for it
    "application/fhir+json": {"schema": {"type": "object"}},
    "application/pdf": {"schema": _BINARY},
    "image/svg+xml": {"schema": {"type": "string"}},
}


def _raw(media_type: str) -> dict[str, Any]:
    """Raw bytes; the examples are the sample files that are sent under this media type."""
    examples = {
        each.format: {"summary": each.filename, "externalValue": f"/samples/{each.format}"}
        for each in (samples.find(name) for name in samples.names())
        if each is not None and each.media_type == media_type
    }
    return {"schema": _BINARY} | ({"examples": examples} if examples else {})


PREDICT: Final[dict[str, Any]] = {
    "responses": {200: {"description": "The answer", "model": Answer, "content": _REPRESENTATIONS}, **_UPLOAD_PROBLEMS},
    "openapi_extra": {
        "parameters": [
            *_IDS,
            _header("Idempotency-Key", "A repeated key with the same bytes returns the stored answer"),
            *_OPTIONS,
            _query("include", _INCLUDE),
            _query("reference", _REFERENCE),
        ],
        "requestBody": {
            "required": True,
            "content": {MULTIPART: {"schema": _FORM}, **{each: _raw(each) for each in RAW_TYPES}},
        },
    },
}
_LINES: Final = {
    "schema": {"type": "string", "description": "One JSON object a line: `index`, `name`, and an answer or a problem"}
}
BATCH: Final[dict[str, Any]] = {
    "responses": {
        200: {"description": "NDJSON, in order", "content": {"application/x-ndjson": _LINES}},
        **_UPLOAD_PROBLEMS,
        503: _problem("Not ready, or no place for one more batch after waiting for it; see Retry-After"),
    },
    "openapi_extra": {
        "parameters": [*_IDS, *_OPTIONS],
        "requestBody": {
            "required": True,
            "content": {MULTIPART: {"schema": _MANY}, "application/zip": {"schema": _BINARY}},
        },
    },
}


CDS: Final[dict[str, Any]] = {
    "responses": {
        200: {"description": "Cards; none where there is no ECG", "model": Cards},
        **_UPLOAD_PROBLEMS,
        412: _problem("The prefetch is missing"),
    },
    "openapi_extra": {
        "parameters": _IDS,
        "requestBody": {"required": True, "content": {"application/json": {"schema": Call.model_json_schema()}}},
    },
}


def describe(app: FastAPI) -> None:
    """The framework tells every model as application/json; problems have a media type of their own."""
    plain = app.openapi

    def told() -> dict[str, Any]:
        document = app.openapi_schema or plain()
        for operation in (each for path in document["paths"].values() for each in path.values()):
            for status, response in operation["responses"].items():
                if int(status) >= FIRST_PROBLEM and "application/json" in response.get("content", {}):
                    response["content"] = {MEDIA_TYPE: response["content"]["application/json"], **_FHIR_REFUSAL}
        return document

    app.openapi = told  # type: ignore[method-assign]
