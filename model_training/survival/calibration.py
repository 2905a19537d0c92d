"""Whether predicted risk is the risk that happens: observed over expected, slope, the smooth curve's ICI, E50, E90."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter

from model_training.survival.curves import Array, Outcomes, aalen_johansen, kaplan_meier

_KNOT_QUANTILES = (0.05, 0.35, 0.65, 0.95)
_EDGE = 1e-6


@dataclass(frozen=True, slots=True)
class Calibration:
    """At one horizon. `observed` is the smooth risk at each person's `predicted` one; ICI is their mean distance."""

    horizon_years: float
    observed_over_expected: float
    slope: float
    ici: float
    e50: float
    e90: float
    predicted: Array
    observed: Array


def calibrate(outcomes: Outcomes, risk: Array, horizon_years: float) -> Calibration:
    """Observed risk by a hazard regression on a restricted cubic spline of the predicted risk's log(-log(1 - risk))."""
    predicted = np.clip(risk, _EDGE, 1 - _EDGE)
    cloglog = np.log(-np.log1p(-predicted))
    observed = _smooth(outcomes, cloglog, horizon_years)
    distance = np.abs(observed - predicted)
    return Calibration(
        horizon_years=horizon_years,
        observed_over_expected=observed_over_expected(outcomes, predicted, horizon_years),
        slope=slope(outcomes, cloglog),
        ici=float(distance.mean()),
        e50=float(np.quantile(distance, 0.5)),
        e90=float(np.quantile(distance, 0.9)),
        predicted=predicted,
        observed=observed,
    )


def observed_over_expected(outcomes: Outcomes, risk: Array, horizon_years: float) -> float:
    """Incidence by the horizon over mean predicted risk; Aalen-Johansen where deaths compete, else Kaplan-Meier."""
    if (outcomes.event == 2).any():
        return float(aalen_johansen(outcomes)(horizon_years) / risk.mean())
    return float((1 - kaplan_meier(outcomes)(horizon_years)) / risk.mean())


def slope(outcomes: Outcomes, log_hazard: Array) -> float:
    """Cox coefficient of the log-hazard: below 1 the model is overconfident."""
    frame = pd.DataFrame({"time": _positive(outcomes.time), "event": outcomes.happened, "x": log_hazard})
    return float(_cox(frame).params_["x"])


def _smooth(outcomes: Outcomes, x: Array, horizon_years: float) -> Array:
    basis = _restricted_cubic(x, np.quantile(x, _KNOT_QUANTILES))
    frame = pd.DataFrame(basis, columns=[f"x{column}" for column in range(basis.shape[1])])
    fitted = _cox(frame.assign(time=_positive(outcomes.time), event=outcomes.happened))
    hazard = np.exp(np.asarray(fitted.predict_log_partial_hazard(frame), dtype=np.float64))
    baseline = fitted.baseline_cumulative_hazard_.iloc[:, 0]
    reached = baseline[baseline.index <= horizon_years]
    return np.asarray(1 - np.exp(-(float(reached.iloc[-1]) if len(reached) else 0.0) * hazard))


def _restricted_cubic(x: Array, knots: Array) -> Array:
    """Columns x and its truncated cubes, linear beyond the outer knots."""
    first, *_, before_last, last = knots
    scale = (last - first) ** 2

    def cube(knot: float) -> Array:
        return np.maximum(x - knot, 0.0) ** 3

    columns = [x]
    for knot in knots[:-2]:
        tail = cube(before_last) * (last - knot) / (last - before_last)
        columns.append((cube(knot) - tail + cube(last) * (before_last - knot) / (last - before_last)) / scale)
    return np.column_stack(columns)


def _cox(frame: pd.DataFrame) -> CoxPHFitter:
    with warnings.catch_warnings():
        # A flat spline term makes the Newton step complain before it converges.
        warnings.simplefilter("ignore")
        return CoxPHFitter(penalizer=1e-6).fit(frame, "time", "event")


def _positive(time: Array) -> Array:
    return np.maximum(time, 1e-6)
