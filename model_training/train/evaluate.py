"""What a risk model is worth on people that nothing was chosen by, with intervals over patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from ecg.contract import OutputFacts
from model_training.data.simulated import ABOUT
from model_training.nets.risk_model import RiskModel
from model_training.nets.tabular import Cox
from model_training.simulate import oracle
from model_training.simulate.folder import read_truth
from model_training.survival import accuracy, bootstrap, calibration, curves, discrimination, utility
from model_training.survival.bootstrap import Estimate
from model_training.survival.curves import Array, Outcomes
from model_training.train.finetune import log_hazards
from model_training.train.people import People, Rows

DRAWS: Final = 500
THRESHOLDS: Final = (0.02, 0.05, 0.1, 0.2)
_AGE_BANDS: Final = ((0, 50), (50, 65), (65, 75), (75, 200))
_FINDINGS: Final = {
    "complete left bundle branch block": {"CLBBB"},
    "atrial fibrillation": {"AFIB"},
    "hypertrophy with strain": {"LVH"},
    "anterior infarction": {"AMI", "ASMI", "ALMI"},
    "inferior infarction": {"IMI", "ILMI", "IPLMI"},
    "anterior or inferior infarction": {"AMI", "ASMI", "ALMI", "IMI", "ILMI", "IPLMI"},
}
_STRAIN: Final = {"ISC_", "STD_", "NDT", "INVT", "ISCAL", "NST_", "STE_"}
LEAST_PEOPLE: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The people of one cohort that are judged, and how the model and its comparators rank them."""

    people: People
    rows: Rows
    outcomes: Outcomes
    patients: np.ndarray
    log_hazard: Array
    rivals: dict[str, Array]


def judged(model: RiskModel, people: People, train: Rows, rows: Rows, facts: OutputFacts) -> Judged:
    raw = log_hazards(model, people, rows)
    return Judged(
        people, rows, people.outcomes[rows], people.patients[rows],
        facts.calibration.slope * (raw - facts.calibration.center), _rivals(people, train, rows),
    )  # fmt: skip


def _rivals(people: People, train: Rows, rows: Rows) -> dict[str, Array]:
    """Cox models of what needs no network: the core's measurements, age and sex, both."""
    demographics = np.column_stack([
        people.table["age_years"].to_numpy(float), (people.table["sex"] == "male").to_numpy(float),
    ])  # fmt: skip
    columns = {
        "Cox on ECG measurements": people.measured,
        "Cox on age and sex": demographics,
        "Cox on both": np.column_stack([people.measured, demographics]),
    }
    found = {}
    for name, x in columns.items():
        outcomes = people.outcomes[train]
        found[name] = Cox.fit(x[train], outcomes.time, outcomes.happened, ridge=1e-3).log_hazard(x[rows])
    return found


def evaluate(found: Judged, facts: OutputFacts, seed: int = 0) -> dict[str, Any]:
    """Discrimination, calibration, accuracy, usefulness and subgroups; every figure named by what it is."""
    outcomes, score = found.outcomes, found.log_hazard
    horizons = [each.years for each in facts.horizons if discrimination.estimable(outcomes, each.years)]
    tau = max(horizons, default=float(np.quantile(outcomes.time, 0.9)))

    def with_interval(figure: Callable[[Rows], float]) -> dict[str, float]:
        return asdict(bootstrap.interval(figure, found.patients, seed, DRAWS))

    result: dict[str, Any] = {
        "label": found.people.label,
        "simulated": found.people.simulated,
        "n": len(outcomes),
        "patients": len(np.unique(found.patients)),
        "events": outcomes.n_events,
        "deaths": int((outcomes.event == curves.DEATH).sum()),
        "harrell_c": with_interval(lambda rows: discrimination.harrell_c(outcomes[rows], score[rows])),
        "uno_c": with_interval(lambda rows: discrimination.uno_c(outcomes[rows], outcomes[rows], score[rows], tau)),
        "tau_years": tau,
        "rivals": {name: _against(found, rival, seed) for name, rival in found.rivals.items()},
        "horizons": [_at_horizon(found, facts, years, seed) for years in horizons],
        "subgroups": _subgroups(found, seed),
        "tertiles": _tertiles(found, horizons),
    }
    return result


def _against(found: Judged, rival: Array, seed: int) -> dict[str, Any]:
    outcomes, score = found.outcomes, found.log_hazard
    ahead = bootstrap.paired(
        lambda rows: discrimination.harrell_c(outcomes[rows], score[rows]),
        lambda rows: discrimination.harrell_c(outcomes[rows], rival[rows]),
        found.patients, seed, DRAWS,
    )  # fmt: skip
    return {"harrell_c": discrimination.harrell_c(outcomes, rival), "model_ahead_by": asdict(ahead)}


def risks(facts: OutputFacts, log_hazard: Array, years: float) -> Array:
    survival = next(each.baseline_survival for each in facts.horizons if each.years == years)
    return np.asarray(-np.expm1(np.log(survival) * np.exp(log_hazard)))


def _at_horizon(found: Judged, facts: OutputFacts, years: float, seed: int) -> dict[str, Any]:
    outcomes, risk = found.outcomes, risks(facts, found.log_hazard, years)
    auc = bootstrap.interval(
        lambda rows: float(discrimination.dynamic_auc(outcomes[rows], outcomes[rows], risk[rows], [years])[0]),
        found.patients, seed, DRAWS // 5,
    )  # fmt: skip
    calibrated = calibration.calibrate(outcomes, risk, years)
    curve = utility.decision_curve(outcomes, risk, years, THRESHOLDS)
    return {
        "years": years,
        "observed": float(curves.aalen_johansen(outcomes)(years)),
        "mean_risk": float(risk.mean()),
        "auc": asdict(auc),
        "brier": float(accuracy.brier(outcomes, outcomes, (1 - risk)[:, None], [years])[0]),
        "observed_over_expected": calibrated.observed_over_expected,
        "calibration_slope": calibrated.slope,
        "ici": calibrated.ici,
        "e50": calibrated.e50,
        "e90": calibrated.e90,
        "calibration_curve": _thinned(calibrated.predicted, calibrated.observed),
        "net_benefit": {
            "thresholds": list(THRESHOLDS), "model": curve.model.tolist(), "everyone": curve.everyone.tolist(),
        },
    }  # fmt: skip


def _thinned(predicted: Array, observed: Array, points: int = 40) -> list[list[float]]:
    order = np.argsort(predicted)[np.linspace(0, len(predicted) - 1, points).astype(int)]
    return [[round(float(predicted[each]), 5), round(float(observed[each]), 5)] for each in order]


def _subgroups(found: Judged, seed: int) -> list[dict[str, Any]]:
    table = found.people.table.iloc[found.rows].reset_index(drop=True)
    groups = {"women": table["sex"] == "female", "men": table["sex"] == "male"}
    groups |= {
        f"age {low} to {high}": table["age_years"].between(low, high, inclusive="left") for low, high in _AGE_BANDS
    }
    lines = []
    for name, inside in groups.items():
        rows = np.flatnonzero(inside.to_numpy())
        outcomes = found.outcomes[rows]
        line: dict[str, Any] = {"group": name, "n": len(rows), "events": outcomes.n_events, "harrell_c": None}
        if outcomes.n_events >= LEAST_PEOPLE:
            ranked = _Ranked(outcomes, found.log_hazard[rows])
            line["harrell_c"] = asdict(bootstrap.interval(ranked.c, found.patients[rows], seed, DRAWS // 5))
        lines.append(line)
    return lines


def _tertiles(found: Judged, horizons: Sequence[float]) -> list[dict[str, Any]]:
    """Kaplan-Meier incidence by thirds of predicted risk."""
    third = np.digitize(found.log_hazard, np.quantile(found.log_hazard, (1 / 3, 2 / 3)))
    lines = []
    for each, name in enumerate(("low", "middle", "high")):
        curve = curves.kaplan_meier(found.outcomes[third == each])
        grid = np.linspace(0, max(horizons, default=float(found.outcomes.time.max())), 41)
        lines.append({"third": name, "years": grid.tolist(), "incidence": (1 - curve(grid)).tolist()})
    return lines


def against_the_oracle(found: Judged, folder: Path, facts: OutputFacts, seed: int = 0) -> dict[str, Any] | None:
    """How much of what an ECG can tell was told, where the true hazards are known. SIMULATED."""
    if not (folder / ABOUT).is_file():
        return None
    truth, traits = read_truth(folder)
    at = found.people.table["cohort_row"].to_numpy()[found.rows]
    judge = oracle.Judge.of(truth[at])
    best = oracle.best_ecg_score(traits.iloc[at], truth.preset)
    years = truth.horizon_years
    told: dict[str, Any] = {
        "horizon_years": years,
        "incidence": judge.incidence,
        "bounds": {each.name: each.c for each in judge.bounds(best)},
        "c": judge.c(found.log_hazard),
        "recovery": asdict(
            bootstrap.interval(
                lambda rows: (judge.c(found.log_hazard, rows) - 0.5) / (judge.c(truth.eta_ecg[at], rows) - 0.5),
                found.patients,
                seed,
                DRAWS // 5,
            )
        ),
        "rivals": {
            name: {
                "c": judge.c(rival),
                "model_ahead_by": asdict(judge.paired(found.log_hazard, rival, found.patients, seed, DRAWS // 5)),
            }
            for name, rival in found.rivals.items()
        },
        "spearman_with_eta": float(pd.Series(found.log_hazard).corr(pd.Series(truth.eta_ecg[at]), method="spearman")),
    }
    if any(each.years == years for each in facts.horizons):
        risk = risks(facts, found.log_hazard, years)
        told["mean_distance_from_true_risk"] = judge.calibration_error(risk)
        told["mean_risk_predicted_and_true"] = [float(risk.mean()), judge.incidence]
    return told


def ranks_findings(found: Judged, seed: int = 0) -> list[dict[str, Any]]:
    """AUROC of the log-hazard for findings of a real ECG against normal ones: does it rank what it should?"""
    table = found.people.table.iloc[found.rows]
    once = ~table["signal_digest"].duplicated().to_numpy()
    codes = [set(each) for each in table["codes"]]
    normal = np.array(["NORM" in each for each in codes]) & once
    lines = []
    for name, wanted in _FINDINGS.items():
        with_it = (
            np.array([bool(each & wanted) and (wanted != {"LVH"} or bool(each & _STRAIN)) for each in codes]) & once
        )
        if min(with_it.sum(), normal.sum()) < LEAST_PEOPLE:
            continue
        rows = np.flatnonzero(with_it | normal)
        split = _Split(with_it[rows], found.log_hazard[rows])
        area = bootstrap.interval(split.auroc, found.patients[rows], seed, DRAWS)
        lines.append({"finding": name, "n": int(with_it.sum()), "normal": int(normal.sum()), "auroc": asdict(area)})
    return lines


@dataclass(frozen=True, slots=True, eq=False)
class _Ranked:
    outcomes: Outcomes
    score: Array

    def c(self, rows: Rows) -> float:
        return discrimination.harrell_c(self.outcomes[rows], self.score[rows])


@dataclass(frozen=True, slots=True, eq=False)
class _Split:
    positive: np.ndarray
    score: Array

    def auroc(self, rows: Rows) -> float:
        positive, n = self.positive[rows], int(self.positive[rows].sum())
        if n in (0, len(rows)):
            return float("nan")
        ranks = pd.Series(self.score[rows]).rank().to_numpy()
        return float((ranks[positive].mean() - (n + 1) / 2) / (len(rows) - n))


def told(estimate: dict[str, float] | Estimate, digits: int = 3) -> str:
    """0.712 (0.690 to 0.733)"""
    known = asdict(estimate) if isinstance(estimate, Estimate) else estimate
    return f"{known['value']:.{digits}f} ({known['low']:.{digits}f} to {known['high']:.{digits}f})"
