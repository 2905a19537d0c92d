"""Raw output -> calibrated risk per horizon, percentile, score and band.

Three numbers for three questions. The horizons answer "how likely": absolute risk with a 95 % interval. The
percentile answers "how does this person stand": the share of the model's reference population with a lower hazard.
The score is that percentile to one decimal, 0 to 100. It is deliberately no probability: a probability without its
horizon is read with the wrong one, and absolute risks crowd near zero, while the score spreads evenly over the
reference population and always agrees with the band, which is cut on the same percentile. All of them rise with the
log-hazard and none ever falls.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from enum import StrEnum
from math import exp, expm1, hypot, isfinite, log, log1p
from typing import Final

from ecg.contract import Bands, Horizon, OutputFacts
from ecg.errors import InferenceFailed

# Raw log-hazards are rounded before anything is made of them: one recording alone and inside a batch then agree.
LOG_HAZARD_DECIMALS: Final = 4
PERCENTILE_DECIMALS: Final = 2
SCORE_DECIMALS: Final = 1
PROBABILITY_DECIMALS: Final = 6
_NORMAL_97_5: Final = 1.959963984540054
# exp of more than this overflows; a hazard ratio of e^700 is beyond any calibration anyway.
_LARGEST_EXPONENT: Final = 700.0


class Band(StrEnum):
    LOW = "low"
    MODERATE = "moderate"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class HorizonRisk:
    """Probability of heart failure within `years`, with its 95 % interval."""

    years: float
    probability: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Risk:
    score: float
    log_hazard: float
    percentile: float
    band: Band
    horizons: tuple[HorizonRisk, ...]


def estimate(output: OutputFacts, raw_log_hazard: float) -> Risk:
    """What the contract makes of the graph's raw log-hazard."""
    if not isfinite(raw_log_hazard):
        raise InferenceFailed("the log-hazard is not a number")
    calibrated = output.calibration.slope * (round(raw_log_hazard, LOG_HAZARD_DECIMALS) - output.calibration.center)
    percentile = percentile_of(output, calibrated)
    return Risk(
        score=round(percentile, SCORE_DECIMALS),
        log_hazard=round(calibrated, LOG_HAZARD_DECIMALS),
        percentile=percentile,
        band=_band(output.bands, percentile),
        horizons=tuple(_horizon_risk(each, calibrated, output.log_hazard_se) for each in output.horizons),
    )


def percentile_of(output: OutputFacts, log_hazard: float) -> float:
    """The share, in percent, of the reference population whose calibrated log-hazard is lower."""
    reference = output.reference_log_hazard_percentiles
    # Among equal reference values the middle one is taken, as a mid-rank does.
    low, high = bisect_left(reference, log_hazard), bisect_right(reference, log_hazard)
    if high > low:
        return round((low + high - 1) / 2, PERCENTILE_DECIMALS)
    if not 0 < low < len(reference):
        return float(min(low, len(reference) - 1))
    below, above = reference[low - 1], reference[low]
    return round((log_hazard - below) / (above - below) + (low - 1), PERCENTILE_DECIMALS)


def _band(bands: Bands, percentile: float) -> Band:
    if percentile >= bands.high_from_percentile:
        return Band.HIGH
    return Band.MODERATE if percentile >= bands.moderate_from_percentile else Band.LOW


def _horizon_risk(horizon: Horizon, log_hazard: float, log_hazard_se: float) -> HorizonRisk:
    # log(-log S(t)) = log(-log S0(t)) + log-hazard: on this scale the risk is a sum, and its error near normal.
    log_cumulative_hazard = log(-log(horizon.baseline_survival)) + log_hazard
    half_width = _NORMAL_97_5 * hypot(horizon.log_cumulative_hazard_se, log_hazard_se)
    low, middle, high = (
        round(_probability(log_cumulative_hazard + shift), PROBABILITY_DECIMALS)
        for shift in (-half_width, 0.0, half_width)
    )
    return HorizonRisk(horizon.years, middle, (low, high))


def _probability(log_cumulative_hazard: float) -> float:
    # 1 - S = 1 - exp(-exp(log H)), by expm1 so that small risks keep their digits.
    return -expm1(-exp(min(log_cumulative_hazard, _LARGEST_EXPONENT)))


def log_cumulative_hazard(probability: float) -> float:
    """log(-log(1 - p)): the scale on which a change of log-hazard is a shift."""
    return log(-log1p(-probability))
