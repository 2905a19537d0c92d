"""Whether reports know more than the ECG shows: words must not foretell frailty, age or outcome beyond the traits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_predict

from model_training.data.leakage import Leak
from model_training.simulate import hazard, oracle
from model_training.simulate.chance import Floats
from model_training.simulate.truth import Truth

_ALARM_Z: Final = 4.0
_RARE: Final = 10
_FOLDS: Final = 5
_PENALTY: Final = 30.0


@dataclass(frozen=True, slots=True)
class Foretelling:
    """How well words foretell a target in people that the words' weights were not learnt on; z of no relation."""

    target: str
    correlation: float
    z: float

    @property
    def leaks(self) -> bool:
        return self.z > _ALARM_Z


def find(
    reports: Sequence[str], traits: pd.DataFrame, truth: Truth, time_years: Floats, event: NDArray[np.int64]
) -> list[Leak]:
    """Every way in which the reports know too much."""
    return [
        Leak("report knows more than the ECG", f"{each.target}: correlation {each.correlation:.3f}, z {each.z:.1f}")
        for each in foretellings(reports, traits, truth, time_years, event)
        if each.leaks
    ]


def foretellings(
    reports: Sequence[str], traits: pd.DataFrame, truth: Truth, time_years: Floats, event: NDArray[np.int64]
) -> list[Foretelling]:
    words = CountVectorizer(binary=True, min_df=_RARE).fit_transform(reports)
    targets = {
        "outcome beyond the true hazard": unforeseen(truth, time_years, event),
        "frailty": truth.frailty,
        "age beyond the traits": _beyond(traits["age_years"].to_numpy(float), traits),
    }
    return [_foretell(name, words, target) for name, target in targets.items()]


def unforeseen(truth: Truth, time_years: Floats, event: NDArray[np.int64]) -> Floats:
    """The failure less the hazard met on the way to it: of mean 0 whatever was known at the start."""
    met = np.empty(len(truth))
    for start in range(0, len(truth), 500):
        rows = np.arange(start, min(start + 500, len(truth)))
        met[rows] = -np.log(np.diag(truth[rows].survival(time_years[rows])))
    return np.asarray((event == 1) - met)


def _beyond(target: Floats, traits: pd.DataFrame) -> Floats:
    """What is left of the target when everything readable on the ECG, and sex, has been used to foretell it."""
    x = np.column_stack([oracle.readable(traits), hazard.facts(traits)["male"]])
    trees = HistGradientBoostingRegressor(max_iter=120, random_state=0)
    return np.asarray(target - cross_val_predict(trees, x, target, cv=KFold(_FOLDS)))


def _foretell(name: str, words: object, target: Floats) -> Foretelling:
    told = cross_val_predict(Ridge(_PENALTY), words, target, cv=KFold(_FOLDS))
    spread = told.std() * target.std()
    correlation = float(np.mean((told - told.mean()) * (target - target.mean())) / spread) if spread > 0 else 0.0
    return Foretelling(name, correlation, correlation * float(np.sqrt(len(target))))
