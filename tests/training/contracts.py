"""A contract that a freshly made network keeps, for tests of the export."""

from __future__ import annotations

from datetime import UTC, datetime

from ecg.contract import (
    Bands,
    Calibration,
    Contract,
    ExplanationFacts,
    Horizon,
    InputFacts,
    IntendedUse,
    MapKind,
    ModelFacts,
    OutputFacts,
    ProbeFacts,
    QualityLimits,
    Step,
    View,
)  # fmt: skip
from ecg.leads import LEADS
from model_training.nets.config import DualAttentionConfig

OUTPUT = OutputFacts(
    kind="log_hazard",
    horizons=tuple(
        Horizon(years=years, baseline_survival=survival, log_cumulative_hazard_se=0.1)
        for years, survival in ((1.0, 0.99), (5.0, 0.95), (10.0, 0.88))
    ),
    calibration=Calibration(center=0.2, slope=0.9),
    reference_log_hazard_percentiles=tuple(float(step) / 10 for step in range(101)),
    bands=Bands(moderate_from_percentile=50.0, high_from_percentile=90.0, source="a test"),
    log_hazard_se=0.2,
)


def steps(config: DualAttentionConfig) -> tuple[Step, ...]:
    """Preprocessing that makes the tensor this network looks at."""
    if config.view is View.MEDIAN_BEAT:
        view = Step(step="median_beat.v1", parameters={"before_ms": 480.0, "after_ms": 720.0})
    else:
        view = Step(step="rhythm.v1", parameters={"seconds": config.samples / config.sampling_rate_hz})
    return (
        Step(step="resample.v1", parameters={"rate_hz": config.sampling_rate_hz}),
        Step(step="bandpass.v1", parameters={"low_hz": 0.5, "high_hz": 40.0, "order": 2}),
        view,
    )


def contract(config: DualAttentionConfig) -> Contract:
    return Contract(
        schema_version=1,
        model=ModelFacts(
            name="test-model", version="0.0.1", created=datetime(2026, 1, 1, tzinfo=UTC), code_revision="none",
            command="pytest", training_data=("random numbers",), population="nobody",
            intended_use=IntendedUse.DEMONSTRATION, simulated_outcomes=True, contraindications=(),
            minimum_age_years=18.0, licence="Apache-2.0",
        ),
        input=InputFacts(
            leads=LEADS, sampling_rate_hz=config.sampling_rate_hz, samples=config.samples, unit="mV",
            layout="batch_lead_time", view=config.view,
        ),
        preprocessing=steps(config),
        quality=QualityLimits(
            min_duration_s=5.0, max_amplitude_mv=10.0, flat_below_mv=0.02, max_clipped_fraction=0.1,
            max_baseline_mv=1.0, max_noise_mv=0.3, max_mains_mv=0.3, max_einthoven_residual=0.2,
            min_heart_rate_bpm=25.0, max_heart_rate_bpm=250.0, min_beat_correlation=0.5, max_masked_leads=4,
            refuse_paced=False,
        ),
        output=OUTPUT,
        out_of_distribution=None,
        explanation=ExplanationFacts(
            default=MapKind.ATTENTION, tokens=config.cells, token_start_ms=config.cell_start_ms,
            token_step_ms=config.cell_step_ms, faithfulness={},
        ),
        evidence=(),
        probe=ProbeFacts(tensor="", log_hazard=0.0, tensor_tolerance_mv=1e-4, log_hazard_tolerance=1e-4),
    )  # fmt: skip
