"""What could be reached at best, and how near a score comes to it, when the true hazards are known. SIMULATED.

Concordance here is Rao-Blackwellised: averaged over every outcome that the people might have had, so that only who was
drawn makes it vary. It refers to heart failure by a horizon, death and censoring apart, at a stated incidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.ensemble import HistGradientBoostingRegressor

from model_training.data.cohort import SIMULATED
from model_training.simulate import hazard, outcomes, people
from model_training.simulate.chance import Floats
from model_training.simulate.presets import PRESETS, eligible
from model_training.simulate.truth import Truth
from model_training.survival import bootstrap
from model_training.survival.bootstrap import Estimate

_INTERVALS: Final = 24
_LEARNING_SEED: Final = 77_077
_LEARNING_PEOPLE: Final = 60_000
# What a perfect reader of the ECG has: the hazard's own findings, and those that tell of age and sex besides.
READABLE: Final = (
    "heart_rate_bpm", "pr_ms", "p_ms", "qrs_ms", "qtc_ms", "qrs_t_angle_deg", "cornell_mv", "sokolow_mv", "axis_deg",
    "st_depression_mv", "left_atrial", "t_amp_mv", "rsa",
)  # fmt: skip
_FINDINGS: Final = ("lbbb", "rbbb", "paced", "af", "pvc", "ecg_mi", "lvh_strain", "pr_long", "cornell_lvh", "wide")


@dataclass(frozen=True, slots=True)
class Attainable:
    """A concordance that means something only together with its horizon and incidence."""

    name: str
    c: float
    horizon_years: float
    incidence: float

    def __str__(self) -> str:
        return (
            f"{self.name}: C {self.c:.3f} at {self.horizon_years:g} years, incidence {self.incidence:.2%} ({SIMULATED})"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """Scores people whose hazards are known; `survival` is theirs at the edges of equal intervals to the horizon."""

    truth: Truth
    survival: Floats
    horizon_years: float

    @classmethod
    def of(cls, truth: Truth, horizon_years: float | None = None) -> Judge:
        horizon = truth.horizon_years if horizon_years is None else horizon_years
        return cls(truth, truth.survival(np.linspace(0, horizon, _INTERVALS + 1)), horizon)

    @property
    def incidence(self) -> float:
        return float(1 - self.survival[:, -1].mean())

    def c(self, score: Floats, rows: NDArray[np.int64] | None = None) -> float:
        """Of all pairs, each weighted by the chance that one fails first by the horizon: the share ranked rightly."""
        survival = self.survival if rows is None else self.survival[rows]
        return concordance(np.asarray(score if rows is None else score[rows], dtype=np.float64), survival)

    def attainable(self, name: str, score: Floats) -> Attainable:
        return Attainable(name, self.c(score), self.horizon_years, self.incidence)

    def bounds(self, best_ecg: Floats | None = None) -> tuple[Attainable, ...]:
        """The ladder of what can be known: the ECG's own part, all that an ECG implies, age and sex, everything."""
        known = self.truth.eta_ecg + self.truth.eta_other
        ladder = [("age and sex", self.truth.eta_other), ("ECG, its own part of the hazard", self.truth.eta_ecg)]
        if best_ecg is not None:
            ladder.append(("ECG, with what it implies of the rest", best_ecg))
        ladder += [("ECG, age and sex", known), ("everything, frailty too", -self.survival[:, -1])]
        return tuple(self.attainable(name, score) for name, score in ladder)

    def recovery(self, score: Floats, best: Floats | None = None) -> float:
        """(C - 1/2) / (C* - 1/2): the share of the ECG's attainable concordance that the score reaches."""
        reference = self.c(self.truth.eta_ecg if best is None else best)
        return (self.c(score) - 0.5) / (reference - 0.5)

    def paired(
        self, first: Floats, second: Floats, patients: NDArray[np.generic], seed: int, draws: int = 300
    ) -> Estimate:
        """C of the first less C of the second, with an interval over draws of the same people for both."""
        return bootstrap.paired(
            lambda rows: self.c(first, rows), lambda rows: self.c(second, rows), patients, seed, draws
        )

    def calibration_error(self, risk: Floats) -> float:
        """Mean distance of predicted from true risk by the horizon: exact, without a single outcome."""
        return float(np.abs(risk - (1 - self.survival[:, -1])).mean())


def concordance(score: Floats, survival: Floats) -> float:
    """P(the one who fails first has the higher score | one of the two fails within the intervals), ties one half.

    In each interval person i fails with chance d_i and j is beyond with about s_j: the sum over pairs of d_i s_j is
    a running sum over people in the order of their scores.
    """
    order = np.argsort(score, kind="stable")
    ordered, survival = score[order], survival[order]
    fails = survival[:, :-1] - survival[:, 1:]
    beyond = (survival[:, :-1] + survival[:, 1:]) / 2
    running = np.concatenate([np.zeros((1, beyond.shape[1])), np.cumsum(beyond, axis=0)])
    below = running[np.searchsorted(ordered, ordered, side="left")]
    upto = running[np.searchsorted(ordered, ordered, side="right")]
    # those tied count half, and nobody is paired with himself
    right = (fails * (below + upto) / 2 - fails * beyond / 2).sum()
    pairs = (fails * running[-1] - fails * beyond).sum()
    return float(right / pairs)


def pairwise(score: Floats, truth: Truth, horizon_years: float) -> float:
    """The same by its closed form over all pairs, for proportional hazards and few people."""
    hazard_ratio = np.exp(truth.eta)
    both = hazard_ratio[:, None] + hazard_ratio[None]
    at_horizon = truth.scale * horizon_years**hazard.SHAPE
    weight = hazard_ratio[:, None] / both * -np.expm1(-at_horizon * both)
    np.fill_diagonal(weight, 0.0)
    ahead = score[:, None] - score[None]
    return float((weight * np.where(ahead == 0, 0.5, ahead > 0)).sum() / weight.sum())


def rare_event_c(sd: float) -> float:
    """C of a normal log-hazard with this SD, when failures are rare: cases are the same normal moved up by sd^2."""
    return float(norm.cdf(sd / np.sqrt(2)))


def best_ecg_score(traits: pd.DataFrame, preset_name: str) -> Floats:
    """E[log-hazard | everything readable on the ECG], by boosted trees learnt on other people of the same preset."""
    return np.asarray(_reader(preset_name).predict(readable(traits)))


@lru_cache(maxsize=8)
def _reader(preset_name: str) -> HistGradientBoostingRegressor:
    preset = PRESETS[preset_name]
    crowd = people.draw(_LEARNING_PEOPLE, _LEARNING_SEED)
    crowd = crowd[eligible(preset, crowd)].reset_index(drop=True)
    truth = outcomes.draw(crowd, preset, _LEARNING_SEED).truth
    trees = HistGradientBoostingRegressor(max_iter=150, learning_rate=0.08, max_leaf_nodes=15, random_state=0)
    return trees.fit(readable(crowd), truth.eta)


def readable(traits: pd.DataFrame) -> Floats:
    """What a perfect reader would note of each ECG, as columns of numbers."""
    about = hazard.facts(traits)
    measured = [traits[name].to_numpy(float) if name in traits else np.full(len(traits), np.nan) for name in READABLE]
    return np.column_stack([*measured, *(about[name].to_numpy(float) for name in _FINDINGS)])
