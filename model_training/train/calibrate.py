"""From raw log-hazards to risks: what the contract needs to answer in per cent, never fitted on a test fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from ecg.contract import Bands, Calibration, Horizon, OutOfDistribution, OutputFacts
from model_training.nets.risk_model import RiskModel
from model_training.survival.curves import Array, Outcomes, breslow
from model_training.survival.discrimination import estimable
from model_training.train import cox_head
from model_training.train.cox_head import Target
from model_training.train.finetune import FinetuneError, target_of
from model_training.train.people import Embedded, People, Rows

HORIZONS_YEARS: Final = (1.0, 2.0, 5.0, 10.0)
AXES: Final = 16
_OUTLYING: Final = 0.99
_SLOPES: Final = (0.05, 3.0)
_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Population:
    """The people to whom a risk refers: one cohort's training and validation rows."""

    people: People
    embedded: Embedded
    train: Rows
    validate: Rows
    stratum: int

    @property
    def reference(self) -> Rows:
        rows = np.union1d(self.train, self.validate)
        return np.asarray(rows[self.people.table["stratum"].to_numpy()[rows] == self.stratum])

    def raw(self, model: RiskModel, rows: Rows) -> Array:
        """Log-hazards before calibration."""
        with torch.no_grad():
            return np.asarray(model.head(torch.from_numpy(self.embedded.of(rows))).double().numpy())


def output_facts(model: RiskModel, ridge: float, population: Population, seed: int = 0) -> OutputFacts:
    """Slope on the validation folds, baseline and percentiles on the reference population."""
    people, reference = population.people, population.reference
    raw = population.raw(model, reference)
    validated = population.raw(model, population.validate)
    slope, center = confident_slope(target_of(people, population.validate), validated), float(raw.mean())
    log_hazard, outcomes = slope * (raw - center), people.outcomes[reference]
    horizons = tuple(_horizon(outcomes, log_hazard, years) for years in supported(outcomes))
    if not horizons:
        raise FinetuneError("no horizon has 20 events before it and 20 people beyond it")
    percentiles = np.quantile(log_hazard, np.linspace(0, 1, 101))
    train, validate = population.train, population.validate
    se = slope * cox_head.spread_of_resamples(
        population.embedded.of(train), target_of(people, train), population.embedded.of(validate), ridge, seed,
    )  # fmt: skip
    return OutputFacts(
        kind="log_hazard",
        horizons=horizons,
        calibration=Calibration(center=round(center, _DIGITS), slope=round(slope, _DIGITS)),
        reference_log_hazard_percentiles=tuple(round(float(each), _DIGITS) for each in percentiles),
        bands=Bands(
            moderate_from_percentile=50.0, high_from_percentile=90.0,
            source="the reference population's upper half and upper tenth; no clinical threshold",
        ),
        log_hazard_se=round(se, 4),
    )  # fmt: skip


def supported(outcomes: Outcomes) -> Sequence[float]:
    return [years for years in HORIZONS_YEARS if estimable(outcomes, years)]


def confident_slope(target: Target, raw: Array) -> float:
    """The factor that makes log-hazards neither over- nor underconfident on people who were not learned from."""
    time, event = torch.from_numpy(target.outcomes.time), torch.from_numpy(target.outcomes.happened)
    log_hazard, stratum = torch.from_numpy(raw - raw.mean()), torch.from_numpy(target.stratum)

    def loss(slope: float) -> float:
        return float(cox_head.stratified_loss(slope * log_hazard, time, event, stratum))

    return float(minimize_scalar(loss, bounds=_SLOPES, method="bounded").x)


def _horizon(outcomes: Outcomes, log_hazard: Array, years: float) -> Horizon:
    cumulative = float(breslow(outcomes, log_hazard)(years))
    return Horizon(
        years=years,
        baseline_survival=round(float(np.exp(-cumulative)), 8),
        log_cumulative_hazard_se=round(_log_se(outcomes, log_hazard, years, cumulative), 4),
    )


def _log_se(outcomes: Outcomes, log_hazard: Array, years: float, cumulative: float) -> float:
    """Of log H: the variance of Breslow's H is the sum over events of 1 / (hazard still at risk)^2."""
    order = np.argsort(outcomes.time, kind="stable")
    at_risk = np.cumsum(np.exp(log_hazard[order])[::-1])[::-1]
    counted = outcomes.happened[order] & (outcomes.time[order] <= years)
    return float(np.sqrt((counted / at_risk**2).sum()) / cumulative)


def out_of_distribution(population: Population) -> OutOfDistribution:
    """Main axes of the training people's embeddings; the limit leaves 1 % of the validation people outside."""
    learned = population.embedded.of(population.train).astype(np.float64)
    mean = learned.mean(axis=0)
    _, values, axes = np.linalg.svd(learned - mean, full_matrices=False)
    axes = axes[:AXES]
    scales = values[: len(axes)] / np.sqrt(len(learned))
    others = population.embedded.of(population.validate)
    limit = float(np.quantile(distances(others, mean, axes, scales), _OUTLYING))
    return OutOfDistribution(
        mean=_rounded(mean), axes=tuple(_rounded(axis) for axis in axes), scales=_rounded(scales), limit=round(limit, 4)
    )


def distances(embedded: NDArray[np.floating], mean: Array, axes: Array, scales: Array) -> Array:
    """As the service measures it: root mean square of the scores on the axes."""
    return np.asarray(np.sqrt(np.mean(((embedded - mean) @ axes.T / scales) ** 2, axis=1)))


def _rounded(values: Array) -> tuple[float, ...]:
    return tuple(round(float(each), _DIGITS) for each in values)
