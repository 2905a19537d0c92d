"""What was observed: the ECG with its measurements, the risk in per cent, the leads that counted, the waveform."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg.explain import Attention
from ecg.leads import LEADS
from ecg.risk import HorizonRisk
from service.answer import Answered
from service.fhir.codes import ECG_STUDY, LOINC, PROCEDURE, Json, coded, coding, lead, ours, percent, quantity
from service.words import span

_MEASURED: Final = (
    ("heart_rate_bpm", "8867-4", "Heart rate", "/min"),
    ("pr_ms", "8625-6", "P-R Interval", "ms"),
    ("qrs_ms", "8633-0", "QRS duration", "ms"),
    ("qt_ms", "8634-8", "Q-T interval", "ms"),
    ("qtc_ms", "8636-3", "Q-T interval corrected", "ms"),
    ("axis_deg", "8632-2", "QRS axis", "deg"),
)
# A tenth of a microvolt: the voltages of the JSON answer, to the digit.
_FACTOR_MV: Final = 0.0001
_MS_PER_S: Final = 1000.0
_CODE: Final = "observation"


def ecg(answered: Answered) -> Json:
    """The recording as it was judged: its measurements, its quality and, on request, its samples."""
    quality = answered.assessment.quality
    parts = [
        *_measurements(answered),
        {"code": _own("quality", "Signal quality"), "valueString": quality.verdict.value},
    ]
    if "signal" in answered.options.include:
        twelve = answered.assessment.twelve
        parts += sampled(twelve.samples_mv, twelve.sampling_rate_hz)
    notes = [{"text": f"{each.lead or 'recording'}: {each.detail}"} for each in quality.issues]
    return _observation(answered, ECG_STUDY, parts) | ({"note": notes} if notes else {})


def beat(answered: Answered) -> Json | None:
    """The median beat, where it was asked for and there is one."""
    beats = answered.assessment.beats
    if "beat" not in answered.options.include or beats.median_mv is None:
        return None
    parts = list(sampled(beats.median_mv, beats.sampling_rate_hz))
    return _observation(answered, _own("median-beat", "Median beat of the 12-lead ECG"), parts)


def risk(answered: Answered) -> Json:
    """Every number with its unit, since the percentages of a RiskAssessment are often read as fractions."""
    found = answered.assessment.risk
    parts = [
        {"code": _own("percentile", "Percentile in the model's reference population"),
         "valueQuantity": quantity(found.percentile, "{percentile}")},
        {"code": _own("log-hazard", "Calibrated log-hazard"), "valueQuantity": quantity(found.log_hazard, "1")},
    ]  # fmt: skip
    parts += [part for each in found.horizons for part in _horizon(each)]
    return _observation(answered, _own("score", "Heart-failure risk score, 0 to 100"), parts) | {
        "valueQuantity": quantity(found.score, "{score}"),
        "interpretation": [coded(f"{found.band.value} band", ours("band", found.band.value, found.band.value))],
    }


def attention(answered: Answered, maps: Attention) -> Json:
    """How much each lead counted; the weights sum to 1."""
    parts = [{"code": lead(name), "valueQuantity": quantity(weight, "1")} for name, weight in maps.by_lead.items()]
    return _observation(
        answered, _own(f"lead-{maps.kind.value}", f"Weight of each lead, model {maps.kind.value}"), parts
    )


def sampled(samples_mv: NDArray[np.float32], rate_hz: float) -> Iterator[Json]:
    """One component a lead; voltage = data * factor, E where there is none."""
    for name, row in zip(LEADS, samples_mv, strict=True):
        data = {"origin": quantity(0, "mV"), "period": _MS_PER_S / rate_hz, "factor": _FACTOR_MV, "dimensions": 1}
        yield {"code": lead(name), "valueSampledData": data | {"data": _told(row)}}


def _told(row: NDArray[np.float32]) -> str:
    steps = np.rint(np.nan_to_num(row.astype(np.float64)) / _FACTOR_MV).astype(int).tolist()
    return " ".join(str(step) if known else "E" for step, known in zip(steps, np.isfinite(row).tolist(), strict=True))


def _measurements(answered: Answered) -> Iterator[Json]:
    for name, code, display, unit in _MEASURED:
        value = getattr(answered.assessment.measurements, name)
        if value is not None:
            concept = coded(display, coding(LOINC, code, display))
            yield {"code": concept, "valueQuantity": quantity(round(value, 1), unit)}


def _horizon(each: HorizonRisk) -> Iterator[Json]:
    within, key = f"Probability of heart failure within {span(each.years)}", f"{each.years:g}-years"
    low, high = (quantity(percent(edge), "%") for edge in each.interval)
    yield {"code": _own(f"probability-{key}", within), "valueQuantity": quantity(percent(each.probability), "%")}
    yield {"code": _own(f"interval-{key}", f"{within}, 95 % interval"), "valueRange": {"low": low, "high": high}}


def _own(code: str, text: str) -> Json:
    return coded(text, ours(_CODE, code, text))


def _observation(answered: Answered, code: Json, parts: list[Json]) -> Json:
    return {
        "resourceType": "Observation",
        "status": "preliminary",  # until a clinician has looked
        "category": [PROCEDURE],
        "code": code,
        "issued": answered.created,
        "component": parts,
    }
