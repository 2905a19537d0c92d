"""CDS Hooks 2.0: what the service offers to an EHR, what the EHR sends, and the answer as a card."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ecg.contract import IntendedUse
from ecg.errors import Malformed
from ecg.risk import Band, HorizonRisk
from service.answer import Answered
from service.fhir.codes import uuid_of
from service.refusals import PrefetchMissing, RequestInvalid
from service.representations.json import dumped
from service.schemas import Shape
from service.words import per_cent, span

ID: Final = "heart-failure-risk"
HOOK: Final = "patient-view"
ECG: Final = "ecg"
PURPOSE: Final = "cds-hooks"
MEDIA_TYPE: Final = "application/json"
_USUAL_YEARS: Final = 5.0
_LEADS_TOLD: Final = 3
_SHORT_HASH: Final = 12


class Service(Shape):
    hook: str
    id: str
    title: str
    description: str
    usageRequirements: str  # noqa: N815 - the standard's own spelling
    prefetch: dict[str, str]


class Services(Shape):
    services: list[Service]


class Source(Shape):
    label: str


class Card(Shape):
    uuid: str
    summary: Annotated[str, Field(max_length=140)]
    detail: Annotated[str, Field(description="Markdown")]
    indicator: Literal["info", "warning", "critical"]
    source: Source


class Cards(Shape):
    cards: list[Card]


class Call(BaseModel):
    """What of the EHR's call counts here. Its token and its server are neither used nor kept."""

    model_config = ConfigDict(extra="ignore", strict=True)
    hook: Literal["patient-view"]
    hookInstance: Annotated[str, Field(min_length=1, max_length=200, description="A UUID")]  # noqa: N815
    context: Annotated[dict[str, Any], Field(description="userId, patientId, encounterId: not read")]
    prefetch: Annotated[
        dict[str, Any] | None,
        Field(description="`ecg`: an Observation with SampledData, or a Bundle with one; null where there is none"),
    ] = None


OFFERED: Final = Services(
    services=[
        Service(
            hook=HOOK,
            id=ID,
            title="Heart-failure risk from the latest ECG",
            description="Absolute risk of heart failure by horizon, estimated from one 12-lead ECG",
            usageRequirements="The ECG comes as prefetch, with its samples; this service calls no FHIR server.",
            prefetch={
                ECG: "Observation?patient={{context.patientId}}&code=http://loinc.org|11524-6&_sort=-date&_count=1"
            },
        )
    ]
)


def read(body: bytes) -> bytes | None:
    """The ECG's FHIR resource as bytes of its own; None where the EHR says that there is none."""
    call = _call(body)
    if call.prefetch is None or ECG not in call.prefetch:
        raise PrefetchMissing(f"send the prefetch `{ECG}`, or null where there is no ECG")
    resource = call.prefetch[ECG]
    if resource is None:
        return None
    if not isinstance(resource, dict):
        raise RequestInvalid(f"prefetch.{ECG} must be a FHIR resource", parameter=f"prefetch.{ECG}")
    if resource.get("resourceType") == "Bundle" and not resource.get("entry"):
        return None
    # First, since readers look for it in the first bytes.
    return orjson.dumps({"resourceType": resource.get("resourceType")} | resource)


def _call(body: bytes) -> Call:
    try:
        return Call.model_validate(orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise Malformed("not well-formed JSON", where=f"character {error.pos}") from None
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in error.errors()]
        raise RequestInvalid("; ".join(faults)) from None


def nothing() -> bytes:
    return dumped({"cards": []})


def render(answered: Answered) -> bytes:
    facts = answered.model.contract.model
    label = f"ECG heart-failure risk, {facts.name} {facts.version} ({facts.intended_use.value})"
    card = {
        "uuid": uuid_of(answered.id, "card"),
        "summary": _summary(answered),
        "detail": _detail(answered),
        "indicator": _indicator(answered),
        "source": {"label": label},
    }
    return dumped({"cards": [card]})


def _indicator(answered: Answered) -> str:
    """Only a model that is meant for clinical use may call for attention, and none of them is ever critical."""
    clinical = answered.model.contract.model.intended_use is IntendedUse.CLINICAL
    return "warning" if clinical and answered.assessment.risk.band is Band.HIGH else "info"


def _summary(answered: Answered) -> str:
    risk, facts = answered.assessment.risk, answered.model.contract.model
    usual = min(risk.horizons, key=lambda each: abs(each.years - _USUAL_YEARS))
    told = f"Heart failure within {span(usual.years)}: {per_cent(usual.probability)}, {risk.band.value} band"
    if facts.intended_use is not IntendedUse.CLINICAL:
        told = f"{facts.intended_use.value.upper()}, not for clinical decisions. {told}"
    return told


def _detail(answered: Answered) -> str:
    assessment, facts = answered.assessment, answered.model.contract.model
    risk = assessment.risk
    lines = [f"- {warning}" for warning in assessment.warnings] + [""] * bool(assessment.warnings)
    lines += [f"**Score {risk.score:g} of 100**, percentile {risk.percentile:g}, {risk.band.value} band", ""]
    lines += [_horizon(each) for each in risk.horizons]
    if assessment.attention is not None:
        weights = sorted(assessment.attention.by_lead.items(), key=lambda pair: -pair[1])[:_LEADS_TOLD]
        lines += ["", f"Leads that counted most: {', '.join(f'{name} ({weight:.0%})' for name, weight in weights)}"]
    place = f"Signal quality {assessment.quality.verdict.value}. Answer `{answered.id}`,"
    return "\n".join([*lines, "", f"{place} {facts.name} {facts.version}, `{answered.model.sha256[:_SHORT_HASH]}`"])


def _horizon(each: HorizonRisk) -> str:
    interval = " to ".join(per_cent(edge) for edge in each.interval)
    return f"- within {span(each.years)}: **{per_cent(each.probability)}** (95 % interval {interval})"
