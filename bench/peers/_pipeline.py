"""What every serving framework is given: one call from bytes to the answer's JSON-ready dict, by the core."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from ecg.assess import assess_bytes
from ecg.predictor import Predictor

ROOT: Final = Path(__file__).resolve().parents[2]


def model_path() -> Path:
    """The default model: what the service answers with."""
    found = sorted((ROOT / "models").glob("hf-general-*.onnx")) or sorted((ROOT / "models").glob("*.onnx"))
    return found[-1]


class Pipeline:
    def __init__(self) -> None:
        self._predictor = Predictor.load(model_path())

    def __call__(self, data: bytes) -> dict[str, Any]:
        found = assess_bytes(data, self._predictor)
        answer: dict[str, Any] = {
            "log_hazard": found.risk.log_hazard,
            "percentile": found.risk.percentile,
            "band": found.risk.band.value,
            "horizons": [{"years": each.years, "probability": each.probability} for each in found.risk.horizons],
            "quality": found.quality.verdict.value,
            "heart_rate_bpm": found.measurements.heart_rate_bpm,
        }
        if found.attention is not None:
            answer["leads"] = found.attention.lead_weights.tolist()
            answer["cross_lead"] = found.attention.cross_lead.tolist()
            answer["activation"] = found.attention.activation.tolist()
        return answer
