"""The wire's shapes, as the OpenAPI document tells them. Answers are made from arrays; tests hold them to these."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from ecg.quality import QualityReport

Share = Annotated[float, Field(ge=0, le=1)]
PerLead = dict[str, float]


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelOut(Shape):
    name: str
    version: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    intended_use: Literal["demonstration", "research", "clinical"]
    population: str


class RecordingOut(Shape):
    format: str
    sha256: Annotated[
        str, Field(pattern=r"^[0-9a-f]{64}$", description="Of the file; of header + signal in this order")
    ]
    sampling_rate_hz: float
    duration_s: float
    leads: Annotated[list[str], Field(min_length=12, max_length=12)]
    derived_leads: list[str]
    source: Literal["rhythm", "median_beat"]


class IssueOut(Shape):
    code: str
    lead: str | None
    detail: str


class LeadQuality(Shape):
    sqi: Share
    issues: list[str]


class QualityOut(Shape):
    verdict: Literal["good", "limited", "rejected"]
    issues: list[IssueOut]
    leads: dict[str, LeadQuality]


class MeasurementsOut(Shape):
    """null where not measurable."""

    heart_rate_bpm: float | None
    pr_ms: float | None
    qrs_ms: float | None
    qt_ms: float | None
    qtc_ms: float | None
    axis_deg: float | None


class HorizonOut(Shape):
    years: float
    probability: Share
    interval: Annotated[list[Share], Field(min_length=2, max_length=2)]


class RiskOut(Shape):
    score: Annotated[float, Field(ge=0, le=100)]
    log_hazard: float
    percentile: Annotated[float, Field(ge=0, le=100)]
    band: Literal["low", "moderate", "high"]
    horizons: list[HorizonOut]


class TemporalOut(Shape):
    time_base: Literal["beat", "recording"]
    start_ms: float
    step_ms: float
    anchors_ms: Annotated[list[float], Field(description="R peaks of a beat's map, or [0]; ms from the start")]
    activation: dict[str, list[Share]]


class AttentionOut(Shape):
    leads: Annotated[PerLead, Field(description="Weight of each lead; sums to 1")]
    cross_lead: Annotated[list[list[float]], Field(description="12 x 12; rows sum to 1; row = query lead")]
    temporal: TemporalOut
    faithfulness: Annotated[dict[str, Any], Field(description="What the contract says these maps passed")]


class WaveformOut(Shape):
    sampling_rate_hz: float
    start_ms: Annotated[float, Field(description="Of a beat: from its R peak")]
    unit: Literal["mV"]
    leads: dict[str, list[float | None]]


class Answer(Shape):
    id: Annotated[str, Field(description="Sortable by time")]
    created: datetime
    model: ModelOut
    recording: RecordingOut
    quality: QualityOut
    measurements: MeasurementsOut
    risk: RiskOut
    attention: Annotated[AttentionOut | None, Field(description="Absent when explain=false")] = None
    signal: Annotated[WaveformOut | None, Field(description="Only on request")] = None
    beat: Annotated[WaveformOut | None, Field(description="Only on request")] = None
    warnings: list[str]


class Problem(BaseModel):
    """RFC 9457. Further members depend on `code`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    quality: Annotated[QualityOut | None, Field(description="Where the recording was refused for quality")] = None


class ProblemKind(Shape):
    code: str
    status: int
    title: str
    meaning: str


class ModelSummary(Shape):
    name: str
    version: str
    sha256: str
    contract_digest: str
    intended_use: str
    population: str
    created: datetime
    default: bool


class Refused(Shape):
    file: str
    code: str
    detail: str


class ModelList(Shape):
    models: list[ModelSummary]
    default: str
    refused: list[Refused]


class ModelDetail(ModelSummary):
    contract: dict[str, Any]
    card: Annotated[str, Field(description="Markdown")]


class AuditRow(Shape):
    seq: int
    id: str
    created: datetime
    action: str
    caller: str
    request_id: str
    correlation_id: str
    status: int
    code: str
    latency_ms: float
    answer_id: str | None
    input_sha256: str | None
    recording_format: str | None
    model: str | None
    model_sha256: str | None
    contract_digest: str | None
    score: float | None
    log_hazard: float | None
    band: str | None
    detail: str | None
    hash: str


class AuditPage(Shape):
    items: list[AuditRow]
    next: Annotated[int | None, Field(description="`before` of the next page; null on the last one")]


class FormatOut(Shape):
    name: str
    title: str
    sample: str | None


class FormatList(Shape):
    formats: list[FormatOut]


class Alive(Shape):
    status: Literal["live"]


class Ready(Shape):
    status: Literal["ready"]
    model: str
    refused: Annotated[list[str], Field(description="Artefacts in the folder that failed their checks")]


class Version(Shape):
    service: str
    api: str
    python: str


def quality_document(report: QualityReport) -> dict[str, Any]:
    """A quality report as QualityOut."""
    return {
        "verdict": report.verdict.value,
        "issues": [{"code": each.code.value, "lead": each.lead, "detail": each.detail} for each in report.issues],
        "leads": {
            name: {"sqi": lead.sqi, "issues": [code.value for code in lead.issues]}
            for name, lead in report.leads.items()
        },
    }
