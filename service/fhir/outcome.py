"""A refusal as an OperationOutcome, for callers who ask for FHIR."""

from __future__ import annotations

from typing import Any, Final

from service.fhir.codes import Json, coded, ours

# HTTP status -> FHIR's own word for the kind of trouble; whatever is not here is a matter of processing.
_KINDS: Final = {
    400: "structure", 401: "login", 403: "forbidden", 404: "not-found", 405: "not-supported", 406: "not-supported",
    408: "timeout", 409: "conflict", 412: "required", 413: "too-long", 415: "not-supported", 429: "throttled",
    500: "exception", 503: "transient",
}  # fmt: skip


def outcome(problem: dict[str, Any]) -> Json:
    """Of the same problem that problem+json would tell; each quality issue is an issue of its own."""
    kind = _KINDS.get(problem["status"], "processing")
    told = [_issue(kind, problem["code"], problem["title"], f"{problem['detail']} (request {problem['request_id']})")]
    told += [
        _issue("processing", each["code"], each["lead"] or "recording", each["detail"])
        for each in problem.get("quality", {}).get("issues", ())
    ]
    return {"resourceType": "OperationOutcome", "issue": told}


def _issue(kind: str, code: str, text: str, detail: str) -> Json:
    return {
        "severity": "error",
        "code": kind,
        "details": coded(text, ours("problem", code, text)),
        "diagnostics": detail,
    }
