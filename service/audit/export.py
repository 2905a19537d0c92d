"""The audit for others to read: CSV, or one FHIR R4 AuditEvent a line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any, Final

import orjson

from service.audit.entry import Action, Entry, Sealed, as_row

_EVENT_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_DICOM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_REST: Final = {Action.PREDICT: "C", Action.BATCH: "C", Action.READ: "R", Action.RELOAD: "E", Action.RETENTION: "D"}
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_SERIOUS_FROM: Final = 500
_MINOR_FROM: Final = 400


def csv_line(sealed: Sealed) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(_inert(value) for value in as_row(sealed).values())
    return line.getvalue()


def _inert(value: Any) -> Any:
    """A caller's name that a spreadsheet would run as a formula, as text."""
    runs = isinstance(value, str) and len(value) > 1 and value.startswith(_FORMULA)
    return f"'{value}" if runs else value


def fhir_line(sealed: Sealed) -> str:
    return orjson.dumps(audit_event(sealed)).decode() + "\n"


def audit_event(sealed: Sealed) -> dict[str, Any]:
    """Who asked, what was answered, on which input (by hash) and with which model."""
    entry = sealed.entry
    return {
        "resourceType": "AuditEvent",
        "id": entry.id,
        "type": {"system": _EVENT_TYPE, "code": "rest", "display": "RESTful Operation"},
        "subtype": [{"system": "urn:ecg-heart-failure-risk:action", "code": entry.action}],
        "action": _REST[Action(entry.action)],
        "recorded": entry.created,
        "outcome": _outcome(entry.status),
        "outcomeDesc": entry.code,
        "agent": [
            {
                "type": {"coding": [{"system": _DICOM, "code": "110153", "display": "Source Role ID"}]},
                "who": {"identifier": {"value": entry.caller}},
                "requestor": True,
            }
        ],
        "source": {"observer": {"display": "ecg-heart-failure-risk"}},
        "entity": [*_entities(entry), _detail("chain", {"seq": str(sealed.seq), "hash": sealed.hash})],
    }  # fmt: skip


def _outcome(status: int) -> str:
    """FHIR's own scale: 0 success, 4 minor failure, 8 serious failure."""
    return "8" if status >= _SERIOUS_FROM else "4" if status >= _MINOR_FROM else "0"


def _entities(entry: Entry) -> list[dict[str, Any]]:
    request = {"request_id": entry.request_id, "correlation_id": entry.correlation_id}
    entities = [_detail("request", request)]
    if entry.input_sha256:
        entities.append(_detail("input", {"sha256": entry.input_sha256}))
    if entry.model:
        facts = {"sha256": entry.model_sha256, "contract": entry.contract_digest, "log_hazard": entry.log_hazard}
        entities.append(_detail(entry.model, {name: str(value) for name, value in facts.items() if value is not None}))
    return entities


def _detail(name: str, facts: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "detail": [{"type": key, "valueString": value} for key, value in facts.items()]}


FORMATS: Final[dict[str, Callable[[Sealed], str]]] = {"csv": csv_line, "fhir": fhir_line}
