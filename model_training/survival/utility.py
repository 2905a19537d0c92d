"""Whether acting on the prediction helps: net benefit over thresholds of absolute risk, for censored outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model_training.survival.curves import Array, Outcomes, aalen_johansen


@dataclass(frozen=True, slots=True)
class DecisionCurve:
    """Net benefit per person at each threshold: of the model, of treating everyone; treating nobody is 0."""

    thresholds: Array
    model: Array
    everyone: Array


def decision_curve(outcomes: Outcomes, risk: Array, horizon_years: float, thresholds: Sequence[float]) -> DecisionCurve:
    incidence = float(aalen_johansen(outcomes)(horizon_years))
    by_model, by_all = [], []
    for threshold in thresholds:
        odds = threshold / (1 - threshold)
        treated = risk >= threshold
        by_model.append(_net_benefit(outcomes, treated, horizon_years, odds))
        by_all.append(incidence - (1 - incidence) * odds)
    return DecisionCurve(np.asarray(thresholds, dtype=np.float64), np.array(by_model), np.array(by_all))


def _net_benefit(outcomes: Outcomes, treated: np.ndarray, horizon_years: float, odds: float) -> float:
    """True positives less weighted false positives, both estimated among the treated with censoring honoured."""
    share = treated.mean()
    if share == 0:
        return 0.0
    incidence = float(aalen_johansen(outcomes[treated])(horizon_years))
    return float(share * (incidence - (1 - incidence) * odds))
