"""One table: error -> HTTP, as problem+json (RFC 9457). Status codes live here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.responses import Response

from ecg import errors as core
from ecg.errors import EcgError
from service import refusals as door
from service.fhir import codes as fhir
from service.fhir.outcome import outcome
from service.representations import negotiate

MEDIA_TYPE: Final = "application/problem+json"
_RESERVED: Final = {"type", "title", "status", "detail", "code", "request_id", "quality", "report", "problems"}


@dataclass(frozen=True, slots=True)
class Row:
    status: int
    title: str
    meaning: str


TABLE: Final[dict[type[EcgError], Row]] = {
    core.TooLarge: Row(413, "Too large", "The upload, or what it unpacks to, is over a ceiling."),
    core.UnknownFormat: Row(
        415, "Unknown format", "No reader recognises these bytes as an ECG; GET /formats lists them."
    ),
    core.Malformed: Row(
        400, "Malformed file", "The format is recognised, but the file is broken; the detail says where."
    ),
    core.Unsafe: Row(
        400, "Unsafe file", "The file holds a decompression bomb, an XML entity or a path outside itself."
    ),
    core.LeadsMissing: Row(422, "Leads missing", "A lead that the model needs is neither there nor derivable."),
    core.LeadsInconsistent: Row(422, "Leads inconsistent", "The limb leads contradict each other."),
    core.UnitsUnknown: Row(422, "Units unknown", "The amplitude cannot be told in millivolts with certainty."),
    core.RateUnsupported: Row(422, "Sampling rate unsupported", "The sampling rate is unknown or out of range."),
    core.TooShort: Row(422, "Recording too short", "The recording holds less signal than the model needs."),
    core.QualityRejected: Row(422, "Signal quality too low", "The quality gate refused; `quality` gives the reasons."),
    core.OutsidePopulation: Row(422, "Outside the model's population", "The model must not judge this recording."),
    core.ContractInvalid: Row(
        503, "Model contract invalid", "The artefact's contract is absent, incomplete or unknown."
    ),
    core.ContractMismatch: Row(503, "Model contract broken", "The model does not do what its contract says."),
    core.ProbeMismatch: Row(503, "Model probe failed", "A known ECG no longer gives its known answer."),
    door.ArtefactAltered: Row(503, "Model file altered", "The model file is not the one that SHA256SUMS names."),
    core.ModelUnknown: Row(404, "Unknown model", "No model of that name is loaded; GET /models lists them."),
    core.InferenceFailed: Row(
        500, "Inference failed", "The model runtime failed; the operator's log has the request id."
    ),
    door.RequestInvalid: Row(422, "Invalid request", "A parameter has a value that it may not have."),
    door.UploadMissing: Row(400, "No recording in the request", "Send `file`, or `header` and `signal`, or raw bytes."),
    door.PrefetchMissing: Row(412, "Prefetch missing", "The CDS Hooks call lacks the prefetch that discovery names."),
    door.CredentialsMissing: Row(401, "Credentials missing", "Send Authorization: Bearer or X-API-Key."),
    door.CredentialsInvalid: Row(
        401, "Credentials invalid", "The key or token is unknown, expired or not for this service."
    ),
    door.ScopeMissing: Row(403, "Scope missing", "These credentials do not carry the scope that this endpoint needs."),
    door.NotFound: Row(404, "Not found", "There is nothing at this address, or not for this caller."),
    door.MethodNotAllowed: Row(405, "Method not allowed", "The address exists, but not with this method."),
    door.NotAcceptable: Row(406, "Not acceptable", "None of the media types in Accept can be made."),
    door.UploadTimeout: Row(408, "Upload too slow", "The body did not arrive in time."),
    door.KeyReused: Row(409, "Idempotency-Key reused", "This key came before with other bytes or options."),
    door.MediaTypeUnsupported: Row(415, "Media type unsupported", "The Content-Type is none that carries an ECG."),
    door.ClientClosed: Row(499, "Client closed the connection", "The caller went away before the answer; never sent."),
    door.RateLimited: Row(429, "Too many requests", "This caller's rate is used up; wait Retry-After seconds."),
    door.QueueFull: Row(503, "Busy", "Every place in the queue is taken; wait Retry-After seconds."),
    door.AnswerTimeout: Row(503, "Answer took too long", "The answer was not ready in time; wait Retry-After seconds."),
    door.StoreUnavailable: Row(
        503, "Audit store unavailable", "No answer leaves without its audit row; try again later."
    ),
    door.InternalError: Row(500, "Internal error", "A defect of the service; the operator's log has the request id."),
}


def row_for(error: EcgError) -> Row:
    """The row of the error's class, or of its nearest ancestor that has one."""
    for ancestor in type(error).__mro__:
        if ancestor in TABLE:
            return TABLE[ancestor]
    return TABLE[door.InternalError]


def code_for(error: EcgError) -> str:
    """The error's own code, unless its class has no row: then it is a defect of ours."""
    known = any(ancestor in TABLE for ancestor in type(error).__mro__)
    return error.code if known else door.InternalError.code


def document(error: EcgError, request_id: str) -> dict[str, Any]:
    """The problem as JSON-able members. A 500 tells only what the table says, never the exception's text."""
    row = row_for(error)
    code = code_for(error)
    problem: dict[str, Any] = {
        "type": f"/problems/{code}",
        "title": row.title,
        "status": row.status,
        "detail": row.meaning if row.status == 500 else error.message,
        "code": code,
        "request_id": request_id,
    }
    if row.status != 500:
        problem |= {name: value for name, value in error.fields.items() if _tellable(name, value)}
    if isinstance(error, core.QualityRejected):
        from service.schemas import quality_document

        problem["quality"] = quality_document(error.report)
    return problem


def _tellable(name: str, value: object) -> bool:
    if isinstance(value, list | tuple):
        return name not in _RESERVED and all(isinstance(each, str | int | float) for each in value)
    return name not in _RESERVED and isinstance(value, str | int | float | bool)


def headers_for(error: EcgError) -> dict[str, str]:
    if isinstance(error, door.Overloaded):
        return {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, door.CredentialsMissing | door.CredentialsInvalid):
        return {"WWW-Authenticate": 'Bearer realm="ecg"'}
    if isinstance(error, door.MethodNotAllowed):
        return {"Allow": str(error.fields.get("allow", ""))}
    return {}


def response(error: EcgError, request_id: str, accept: str | None = None) -> Response:
    """As problem+json; as an OperationOutcome where the caller likes FHIR best."""
    told, media_type = document(error, request_id), MEDIA_TYPE
    if _likes_fhir(accept):
        told, media_type = outcome(told), fhir.MEDIA_TYPE
    body = orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, row_for(error).status, headers_for(error), media_type)


def _likes_fhir(accept: str | None) -> bool:
    try:
        return negotiate(accept).MEDIA_TYPE == fhir.MEDIA_TYPE
    except door.NotAcceptable:
        return False
