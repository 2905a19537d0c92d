"""One answer as a collection: assessment, observations, report, the model as a device, and how it all came about."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Final

from ecg.contract import IntendedUse
from service.answer import Answered
from service.fhir import observations
from service.fhir.codes import (
    AI_ASSERTED,
    AI_DEVICE,
    ECG_SECTION,
    ECG_STUDY,
    HEART_FAILURE,
    OURS,
    TEST_DATA,
    Json,
    absent,
    coded,
    hl7,
    ours,
    percent,
    uuid_of,
)
from service.words import span

_UNNAMED: Final = "The person recorded; this service is not told who it is"
_MONTHS: Final = 12


def bundle(answered: Answered) -> Json:
    resources = _resources(answered)
    facts = answered.model.contract.model
    for resource in resources.values():
        # The model is what asserts; that it exists is no assertion of its own.
        labels: Json = {} if resource["resourceType"] == "Device" else {"security": [AI_ASSERTED]}
        if facts.intended_use is not IntendedUse.CLINICAL:
            labels["tag"] = [TEST_DATA]
        resource |= {"meta": labels} if labels else {}
    return {
        "resourceType": "Bundle",
        "id": answered.id,
        "meta": {"security": [AI_ASSERTED]},
        "identifier": {"system": f"{OURS}:answer", "value": answered.id},
        "type": "collection",
        "timestamp": answered.created,
        "entry": [
            {"fullUrl": f"urn:uuid:{uuid}", "resource": {"id": uuid} | resource} for uuid, resource in resources.items()
        ],
    }


def _resources(answered: Answered) -> dict[str, Json]:
    """By UUID. The model's depends on the model alone: the same device in every answer."""
    ids = {name: uuid_of(answered.id, name) for name in ("risk", "ecg", "score", "leads", "beat", "report", "origin")}
    model = uuid_of("model", answered.model.sha256)
    seen = {"ecg": observations.ecg(answered), "score": observations.risk(answered)}
    if answered.assessment.attention is not None:
        seen["leads"] = observations.attention(answered, answered.assessment.attention)
    if (beat := observations.beat(answered)) is not None:
        seen["beat"] = beat
    for name in ("score", "leads", "beat"):
        if name in seen:
            seen[name]["derivedFrom"] = [_to(ids["ecg"])]
    for name in ("score", "leads"):
        if name in seen:
            seen[name]["device"] = _to(model)
    told = {
        ids["risk"]: _assessment(answered, basis=ids["ecg"], performer=model),
        **{ids[name]: resource for name, resource in seen.items()},
        ids["report"]: _report(answered, [ids[name] for name in seen]),
        model: _device(answered),
    }
    return told | {ids["origin"]: _provenance(answered, list(told), model)}


def _to(uuid: str) -> Json:
    return {"reference": f"urn:uuid:{uuid}"}


def _based_on(answered: Answered) -> Json | None:
    """The caller's own reference, if one came: an order or accession number, never a person."""
    reference = answered.options.reference
    return {"identifier": {"system": f"{OURS}:reference", "value": reference}} if reference else None


def _assessment(answered: Answered, basis: str, performer: str) -> Json:
    risk, facts = answered.assessment.risk, answered.model.contract.model
    based_on = _based_on(answered)
    return {
        "resourceType": "RiskAssessment",
        "text": _narrative(_conclusion(answered)),
        "identifier": [{"system": f"{OURS}:answer", "value": answered.id}],
        **({"basedOn": based_on} if based_on else {}),
        "status": "preliminary",
        "method": coded(f"{facts.name} {facts.version}", ours("model", facts.name, facts.name)),
        "code": coded("Heart-failure risk from a 12-lead ECG"),
        "subject": {"extension": absent("unknown"), "display": _UNNAMED},
        "occurrenceDateTime": answered.created,
        "performer": _to(performer),
        "basis": [_to(basis)],
        "prediction": [
            {
                "outcome": HEART_FAILURE,
                # FHIR: "decimal values are percentages", at most 100.
                "probabilityDecimal": percent(each.probability),
                "qualitativeRisk": coded(f"{risk.band.value} band", ours("band", risk.band.value, risk.band.value)),
                "whenPeriod": {"start": answered.created, "end": _later(answered.created, each.years)},
                "rationale": _interval(each.interval),
            }
            for each in risk.horizons
        ],
        "note": [{"text": warning} for warning in answered.assessment.warnings],
    }


def _interval(interval: tuple[float, float]) -> str:
    low, high = (percent(edge) for edge in interval)
    return f"95 % interval: {low:.3g} % to {high:.3g} %"


def _later(created: str, years: float) -> str:
    """The day that ends the horizon; 29 February becomes the 28th."""
    start = datetime.fromisoformat(created)
    months = start.year * _MONTHS + start.month - 1 + round(years * _MONTHS)
    year, month = divmod(months, _MONTHS)
    for day in range(start.day, 0, -1):
        try:
            return start.replace(year=year, month=month + 1, day=day).isoformat().replace("+00:00", "Z")
        except ValueError:
            continue
    raise AssertionError("every month has a first day")


def _conclusion(answered: Answered) -> str:
    risk = answered.assessment.risk
    told = [
        f"Heart failure within {span(each.years)}: {percent(each.probability):.3g} % ({_interval(each.interval)})."
        for each in risk.horizons
    ]
    place = f"Score {risk.score:g} of 100, {risk.band.value} band, percentile {risk.percentile:g}."
    return " ".join([place, *told, *answered.assessment.warnings])


def _report(answered: Answered, results: list[str]) -> Json:
    based_on = _based_on(answered)
    return {
        "resourceType": "DiagnosticReport",
        "text": _narrative(_conclusion(answered)),
        "identifier": [{"system": f"{OURS}:answer", "value": answered.id}],
        **({"basedOn": [based_on]} if based_on else {}),
        "status": "preliminary",
        "category": [ECG_SECTION],
        "code": ECG_STUDY,
        "issued": answered.created,
        "result": [_to(each) for each in results],
        "conclusion": _conclusion(answered),
    }


def _device(answered: Answered) -> Json:
    """The model: its name, version, hash and what it is for."""
    model, facts = answered.model, answered.model.contract.model
    properties = {"Intended use": facts.intended_use.value, "Population": facts.population}
    properties["Outcomes in training"] = "SIMULATED" if facts.simulated_outcomes else "observed"
    return {
        "resourceType": "Device",
        "identifier": [
            {"system": f"{OURS}:model-sha256", "value": model.sha256},
            {"system": f"{OURS}:contract-sha256", "value": model.contract_digest},
        ],
        "status": "active",
        "deviceName": [{"name": facts.name, "type": "model-name"}],
        "type": coded("Artificial intelligence", AI_DEVICE),
        "version": [{"value": facts.version}],
        "property": [{"type": coded(name), "valueCode": [coded(value)]} for name, value in properties.items()],
        "note": [{"text": f"Not for use with: {each}"} for each in facts.contraindications],
    }


def _provenance(answered: Answered, targets: list[str], model: str) -> Json:
    author = hl7("provenance-participant-type", "author", "Author")
    return {
        "resourceType": "Provenance",
        "target": [_to(each) for each in targets if each != model],
        "recorded": answered.created,
        "reason": [coded("Made by a model", AI_ASSERTED)],
        "activity": coded("Risk estimated", hl7("v3-DataOperation", "CREATE", "create")),
        "agent": [{"type": coded("Author", author), "role": [coded("AI", AI_DEVICE)], "who": _to(model)}],
        "entity": [
            {
                "role": "source",
                "what": {
                    "identifier": {"system": f"{OURS}:input-sha256", "value": answered.sha256},
                    "display": f"The ECG file as sent, {answered.assessment.recording_format}",
                },
            }
        ],
    }


def _narrative(text: str) -> Json:
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{escape(text)}</p></div>'}
