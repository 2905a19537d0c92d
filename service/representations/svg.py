"""image/svg+xml: the recording on calibrated paper with the attention over it, and the risk in words."""

from __future__ import annotations

from typing import Final

from ecg.plot import sheet
from service.answer import Answered

MEDIA_TYPE: Final = "image/svg+xml"


def render(answered: Answered) -> bytes:
    beats, attention = answered.assessment.beats, answered.assessment.attention
    return sheet(beats.signal_mv, beats.sampling_rate_hz, attention=attention, heading=heading(answered)).encode()


def heading(answered: Answered) -> str:
    """What the drawing says about its origin: the answer and the model, never a person."""
    facts, risk = answered.model.contract.model, answered.assessment.risk
    return (
        f"{answered.id} · {facts.name} {facts.version}, {facts.intended_use.value} · score {risk.score:g}, {risk.band}"
    )
