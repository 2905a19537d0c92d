"""What an artefact promises: one JSON document under one key of the ONNX metadata. Frozen, strict, without defaults."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ecg.errors import ContractInvalid
from ecg.leads import LEADS

METADATA_KEY: Final = "ecg_contract"
Probability = Annotated[float, Field(ge=0, le=1)]
Number = float | int | str | bool


class IntendedUse(StrEnum):
    DEMONSTRATION = "demonstration"
    RESEARCH = "research"
    CLINICAL = "clinical"


class View(StrEnum):
    """Which picture of the recording the graph looks at."""

    MEDIAN_BEAT = "median_beat"
    RHYTHM = "rhythm"


class MapKind(StrEnum):
    """How a map is made: the attention itself, or attention times the gradient of the log-hazard."""

    ATTENTION = "attention"
    RISK = "risk"


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class ModelFacts(Part):
    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    created: Annotated[datetime, Field(strict=False)]
    code_revision: str
    command: str
    training_data: tuple[str, ...]
    population: str
    intended_use: Annotated[IntendedUse, Field(strict=False)]
    simulated_outcomes: bool
    contraindications: tuple[str, ...]
    minimum_age_years: float
    licence: str


class InputFacts(Part):
    """The tensor `ecg` is (batch, 12, samples) in mV; `lead_mask` is (batch, 12), 1 where the lead may be used."""

    leads: tuple[str, ...]
    sampling_rate_hz: Annotated[float, Field(gt=0)]
    samples: Annotated[int, Field(ge=1)]
    unit: Literal["mV"]
    layout: Literal["batch_lead_time"]
    view: Annotated[View, Field(strict=False)]

    @model_validator(mode="after")
    def _leads_in_canonical_order(self) -> Self:
        if self.leads != LEADS:
            raise ValueError(f"leads must be {LEADS}")
        return self


class Step(Part):
    """One immutable, versioned preprocessing step, such as `bandpass.v1`, and its parameters."""

    step: Annotated[str, Field(pattern=r"^[a-z_]+\.v\d+$")]
    parameters: dict[str, Number]


class QualityLimits(Part):
    """What the gate refuses (`max_`, `min_`) and how many bad leads the model may do without."""

    min_duration_s: float
    max_amplitude_mv: float
    flat_below_mv: float
    max_clipped_fraction: Probability
    max_baseline_mv: float
    max_noise_mv: float
    max_mains_mv: float
    max_einthoven_residual: float
    min_heart_rate_bpm: float
    max_heart_rate_bpm: float
    min_beat_correlation: float
    max_masked_leads: int
    refuse_paced: bool


class Horizon(Part):
    """Absolute risk at `years`: 1 - baseline_survival ** exp(calibrated log-hazard), as the graph's `horizon_risk`.

    `log_cumulative_hazard_se` is the standard error of log(-log survival) at the mean of the population.
    """

    years: Annotated[float, Field(gt=0)]
    baseline_survival: Annotated[float, Field(gt=0, lt=1)]
    log_cumulative_hazard_se: Annotated[float, Field(ge=0)]


class Calibration(Part):
    """log-hazard as answered = slope * (raw - center)."""

    center: float
    slope: Annotated[float, Field(gt=0)]


class Bands(Part):
    """Percentile cut-offs of the reference population, and where they come from."""

    moderate_from_percentile: Annotated[float, Field(ge=0, le=100)]
    high_from_percentile: Annotated[float, Field(ge=0, le=100)]
    source: str

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.moderate_from_percentile > self.high_from_percentile:
            raise ValueError("the moderate band must begin below the high band")
        return self


class OutputFacts(Part):
    """`reference_log_hazard_percentiles`: calibrated log-hazard at percentile 0 .. 100 of the reference population.

    `log_hazard_se` is the standard error of one person's calibrated log-hazard, between models of resampled data.
    """

    kind: Literal["log_hazard"]
    horizons: Annotated[tuple[Horizon, ...], Field(min_length=1)]
    calibration: Calibration
    reference_log_hazard_percentiles: Annotated[tuple[float, ...], Field(min_length=101, max_length=101)]
    bands: Bands
    log_hazard_se: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        reference, horizons = self.reference_log_hazard_percentiles, self.horizons
        if any(later < earlier for earlier, later in pairwise(reference)):
            raise ValueError("reference percentiles must not fall")
        if any(later.years <= earlier.years for earlier, later in pairwise(horizons)):
            raise ValueError("horizons must be in order of years")
        if any(later.baseline_survival > earlier.baseline_survival for earlier, later in pairwise(horizons)):
            raise ValueError("baseline survival must not rise with time")
        return self


class OutOfDistribution(Part):
    """Distance of an embedding from the training population: root mean square of its scores on `axes`, in `scales`.

    A row of `axes` is a unit vector of the embedding, its scale the population's standard deviation along it. What lies
    beyond `limit` is answered with a warning.
    """

    mean: Annotated[tuple[float, ...], Field(min_length=1)]
    axes: Annotated[tuple[tuple[float, ...], ...], Field(min_length=1)]
    scales: tuple[Annotated[float, Field(gt=0)], ...]
    limit: Annotated[float, Field(gt=0)]

    @cached_property
    def arrays(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Mean, axes and scales for arithmetic."""
        return np.array(self.mean), np.array(self.axes), np.array(self.scales)

    @model_validator(mode="after")
    def _shapes_agree(self) -> Self:
        if len(self.scales) != len(self.axes) or any(len(axis) != len(self.mean) for axis in self.axes):
            raise ValueError("mean, axes and scales differ in size")
        return self


class ExplanationFacts(Part):
    """The temporal tokens in time, the kind of map shown, and what each kind reached in the faithfulness tests.

    `token_start_ms` counts from the tensor's first sample (negative where the network pads); token k covers
    [start + k * step, start + (k + 1) * step). `faithfulness` is keyed by the kind of map.
    """

    default: Annotated[MapKind, Field(strict=False)]
    tokens: Annotated[int, Field(ge=1)]
    token_start_ms: float
    token_step_ms: Annotated[float, Field(gt=0)]
    faithfulness: dict[str, dict[str, float | str | bool]]


class Metric(Part):
    name: str
    value: float
    low: float | None
    high: float | None


class Evidence(Part):
    cohort: str
    simulated: bool
    n: int
    events: int | None
    metrics: tuple[Metric, ...]


class ProbeFacts(Part):
    """A known ECG's prepared tensor (little-endian float32, zlib, base64) and the raw log-hazard it must give."""

    tensor: str
    log_hazard: float
    tensor_tolerance_mv: float
    log_hazard_tolerance: float


class Contract(Part):
    schema_version: Literal[1]
    model: ModelFacts
    input: InputFacts
    preprocessing: tuple[Step, ...]
    quality: QualityLimits
    output: OutputFacts
    out_of_distribution: OutOfDistribution | None
    explanation: ExplanationFacts
    evidence: tuple[Evidence, ...]
    probe: ProbeFacts

    @property
    def digest(self) -> str:
        """SHA-256 of the whole contract, whatever the order of its keys."""
        return _digest(self)

    @property
    def recipe_digest(self) -> str:
        """SHA-256 of what makes the tensor: it names the tensor cache and must match at export."""
        return recipe_digest(self.input, self.preprocessing)

    def to_json(self) -> str:
        """The canonical text, as it lies in the artefact."""
        return canonical(self)


class _Recipe(Part):
    input: InputFacts
    preprocessing: tuple[Step, ...]


def recipe_digest(input_facts: InputFacts, steps: tuple[Step, ...]) -> str:
    return _digest(_Recipe(input=input_facts, preprocessing=steps))


def canonical(part: Part) -> str:
    """One text for one content: keys sorted, no blanks, and 500.0 written as 500, since TOML and Python mix the two."""
    return json.dumps(_plain(part.model_dump(mode="json")), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _digest(part: Part) -> str:
    return hashlib.sha256(canonical(part).encode()).hexdigest()


_SAID_PLAINLY: Final = {"missing": "missing", "extra_forbidden": "unknown field"}


def parse(text: str | bytes | None) -> Contract:
    """The contract, or ContractInvalid that names every field that is missing, unknown or wrong."""
    if not text:
        raise ContractInvalid("the artefact carries no contract")
    try:
        return Contract.model_validate_json(text)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, each['loc'])) or 'document'}: {_SAID_PLAINLY.get(each['type'], each['msg'])}"
            for each in error.errors(include_url=False, include_input=False)
        ]
        raise ContractInvalid("contract refused: " + "; ".join(problems), problems=problems) from error


def schema() -> dict[str, Any]:
    """The JSON Schema that an artefact's contract obeys."""
    return Contract.model_json_schema()
