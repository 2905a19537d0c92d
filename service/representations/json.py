"""application/json: the answer as docs/api.md describes it, written straight from arrays."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from ecg.beats import BEFORE_MS
from ecg.explain import Attention
from ecg.leads import LEADS
from service.answer import Answered
from service.schemas import quality_document
from service.uploads import Include

MEDIA_TYPE: Final = "application/json"
_MEASURED: Final = ("heart_rate_bpm", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms", "axis_deg")
_VOLTAGE_DECIMALS: Final = 4


def render(answered: Answered) -> bytes:
    return dumped(document(answered))


def kept(answered: Answered) -> bytes:
    """What is stored for later: the same without waveforms."""
    return dumped({name: value for name, value in document(answered).items() if name not in list(Include)})


def dumped(members: dict[str, Any]) -> bytes:
    return orjson.dumps(members, option=orjson.OPT_SERIALIZE_NUMPY)


def document(answered: Answered) -> dict[str, Any]:
    assessment = answered.assessment
    measurements = {name: getattr(assessment.measurements, name) for name in _MEASURED}
    members: dict[str, Any] = {
        "id": answered.id,
        "created": answered.created,
        "model": _model(answered),
        "recording": _recording(answered),
        "quality": quality_document(assessment.quality),
        "measurements": {name: None if value is None else round(value, 1) for name, value in measurements.items()},
        "risk": _risk(answered),
    }
    if assessment.attention is not None:
        members["attention"] = _attention(assessment.attention)
    return members | _waveforms(answered) | {"warnings": list(assessment.warnings)}


def _model(answered: Answered) -> dict[str, Any]:
    facts = answered.model.contract.model
    return {
        "name": facts.name,
        "version": facts.version,
        "sha256": answered.model.sha256,
        "intended_use": facts.intended_use.value,
        "population": facts.population,
    }


def _recording(answered: Answered) -> dict[str, Any]:
    twelve = answered.assessment.twelve
    return {
        "format": answered.assessment.recording_format,
        "sha256": answered.sha256,
        "sampling_rate_hz": twelve.sampling_rate_hz,
        "duration_s": twelve.duration_s,
        "leads": list(LEADS),
        "derived_leads": list(twelve.derived),
        "source": twelve.source.value,
    }


def _risk(answered: Answered) -> dict[str, Any]:
    risk = answered.assessment.risk
    return {
        "score": risk.score,
        "log_hazard": risk.log_hazard,
        "percentile": risk.percentile,
        "band": risk.band.value,
        "horizons": [
            {"years": each.years, "probability": each.probability, "interval": list(each.interval)}
            for each in risk.horizons
        ],
    }


def _attention(attention: Attention) -> dict[str, Any]:
    return {
        "leads": attention.by_lead,
        "cross_lead": attention.cross_lead,
        "temporal": {
            "time_base": attention.time_base.value,
            "start_ms": attention.start_ms,
            "step_ms": attention.step_ms,
            "anchors_ms": list(attention.anchors_ms),
            "activation": _by_lead(attention.activation),
        },
        "faithfulness": attention.faithfulness,
    }


def _waveforms(answered: Answered) -> dict[str, Any]:
    """What the caller asked to see: the recording as harmonised, and the median beat from it."""
    members: dict[str, Any] = {}
    twelve, beats = answered.assessment.twelve, answered.assessment.beats
    if Include.SIGNAL in answered.options.include:
        members["signal"] = _waveform(twelve.samples_mv, twelve.sampling_rate_hz, 0.0)
    if Include.BEAT in answered.options.include and beats.median_mv is not None:
        members["beat"] = _waveform(beats.median_mv, beats.sampling_rate_hz, -BEFORE_MS)
    return members


def _waveform(samples_mv: NDArray[np.float32], rate_hz: float, start_ms: float) -> dict[str, Any]:
    rounded = np.round(samples_mv, _VOLTAGE_DECIMALS)
    return {"sampling_rate_hz": rate_hz, "start_ms": start_ms, "unit": "mV", "leads": _by_lead(rounded)}


def _by_lead(rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return dict(zip(LEADS, np.ascontiguousarray(rows), strict=True))
