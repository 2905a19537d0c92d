"""application/json: the answer as docs/api.md describes it, written straight from arrays."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from ecg.leads import LEADS
from ecg.recording import Samples
from service.answer import Answered
from service.schemas import quality_document
from service.uploads import Include

MEDIA_TYPE: Final = "application/json"
_MEASURED: Final = ("heart_rate_bpm", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms", "axis_deg")
_MICROVOLT_DECIMALS: Final = 4


def render(answered: Answered) -> bytes:
    return dumped(document(answered))


def kept(answered: Answered) -> bytes:
    """What is stored for later: the same without waveforms."""
    return dumped({name: value for name, value in document(answered).items() if name not in list(Include)})


def dumped(members: dict[str, Any]) -> bytes:
    return orjson.dumps(members, option=orjson.OPT_SERIALIZE_NUMPY)


def document(answered: Answered) -> dict[str, Any]:
    assessment = answered.assessment
    members: dict[str, Any] = {
        "id": answered.id,
        "created": answered.created,
        "model": _model(answered),
        "recording": _recording(answered),
        "quality": quality_document(assessment.quality),
        "measurements": {name: _plain(getattr(assessment.measurements, name)) for name in _MEASURED},
        "risk": _risk(answered),
        "warnings": list(assessment.warnings),
    }
    if assessment.attention is not None:
        members["attention"] = _attention(answered)
    return members | _waveforms(answered)
