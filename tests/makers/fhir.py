"""FHIR Observations with one SampledData component a lead, R4 or R5, alone or in a Bundle."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg.leads import LEADS

FILENAME = "observation.json"
STEP_MV = 0.001

MDC = dict(zip(LEADS, (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8), strict=True))


def make(samples_mv: NDArray[np.float64], rate_hz: float) -> bytes:
    return json.dumps(observation(np.round(samples_mv / STEP_MV).astype(int), rate_hz)).encode()


def observation(
    counts: NDArray[np.integer], rate_hz: float, r5: bool = False, names: Sequence[str] = LEADS
) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {
            "coding": [{"system": "urn:oid:2.16.840.1.113883.6.24", "code": "131328", "display": "MDC_ECG_ELEC_POTL"}]
        },
        "subject": {"reference": "Patient/SECRET-ID", "display": "Jane Doe"},
        "effectiveDateTime": "2004-05-06T07:08:09Z",
        "component": [component(name, lead, rate_hz, r5) for name, lead in zip(names, counts, strict=True)],
    }


def component(name: str, counts: NDArray[np.integer], rate_hz: float, r5: bool = False) -> dict[str, Any]:
    rate = {"interval": 1000 / rate_hz, "intervalUnit": "ms"} if r5 else {"period": 1000 / rate_hz}
    return {
        "code": {"coding": [{"system": "urn:oid:2.16.840.1.113883.6.24", "code": str(131328 + MDC[name])}]},
        "valueSampledData": {
            "origin": {"value": 0, "unit": "mV", "system": "http://unitsofmeasure.org", "code": "mV"},
            **rate,
            "factor": STEP_MV,
            "lowerLimit": -32768,
            "upperLimit": 32767,
            "dimensions": 1,
            "data": " ".join(map(str, counts.tolist())),
        },
    }


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in resources]}
