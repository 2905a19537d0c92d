"""The words of FHIR: code systems, and the small shapes that every resource is put together from."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID, uuid5

from ecg.leads import LEADS

MEDIA_TYPE: Final = "application/fhir+json"
Json = dict[str, Any]

OURS: Final = "urn:ecg-heart-failure-risk"
LOINC: Final = "http://loinc.org"
SNOMED: Final = "http://snomed.info/sct"
UCUM: Final = "http://unitsofmeasure.org"
MDC: Final = "urn:iso:std:iso:11073:10101"
_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem"
_ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_NAMESPACE: Final = UUID("6d6c8a0e-7f0e-5a58-9d0b-3b1c0f0a4e11")
# ISO/IEEE 11073-10101 numbers each ECG lead from this base.
_MDC_LEAD_BASE: Final = 131_328
_MDC_LEADS: Final = dict(zip(LEADS, (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8), strict=True))


def coded(text: str, *codings: Json) -> Json:
    """A CodeableConcept: what a person reads, and what machines know it by."""
    return ({"coding": list(codings)} if codings else {}) | {"text": text}


def coding(system: str, code: str, display: str) -> Json:
    return {"system": system, "code": code, "display": display}


def ours(kind: str, code: str, display: str) -> Json:
    return coding(f"{OURS}:{kind}", code, display)


def hl7(system: str, code: str, display: str) -> Json:
    return coding(f"{_TERMINOLOGY}/{system}", code, display)


AI_ASSERTED: Final = hl7("v3-ObservationValue", "AIAST", "Artificial Intelligence asserted")
TEST_DATA: Final = hl7("v3-ActReason", "HTEST", "test health data")
AI_DEVICE: Final = coding(
    "http://hl7.org/fhir/uv/aitransparency/CodeSystem/AIdeviceTypeCS",
    "Artificial-Intelligence",
    "All kinds of Artificial Intelligence",
)
HEART_FAILURE: Final = coded("Heart failure", coding(SNOMED, "84114007", "Heart failure"))
ECG_STUDY: Final = coded("12-lead ECG", coding(LOINC, "11524-6", "EKG study"))
ECG_SECTION: Final = coded("Electrocardiography", hl7("v2-0074", "EC", "Electrocardiac (e.g., EKG, EEC, Holter)"))
PROCEDURE: Final = coded("Procedure", hl7("observation-category", "procedure", "Procedure"))


def lead(name: str) -> Json:
    return coded(f"Lead {name}", coding(MDC, str(_MDC_LEAD_BASE + _MDC_LEADS[name]), f"MDC_ECG_LEAD_{name.upper()}"))


def quantity(value: float, unit: str) -> Json:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


def percent(probability: float) -> float:
    """A probability of 0 to 1 on the scale of 0 to 100, without the noise of binary fractions."""
    return round(probability * 100, 4)


def absent(code: str) -> list[Json]:
    return [{"url": _ABSENT, "valueCode": code}]


def uuid_of(*names: str) -> str:
    """The same names give the same UUID, so that an answer told again is the same resources."""
    return str(uuid5(_NAMESPACE, "/".join(names)))
