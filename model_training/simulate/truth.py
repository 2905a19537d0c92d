"""Each person's true hazard of heart failure: what no training table may hold, and every oracle number rests on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_training.simulate.chance import Floats
from model_training.simulate.hazard import SHAPE

_LATEST_YEARS: Final = 400.0
_KNOTS: Final = 4_000

COLUMNS: Final = ("eta_ecg", "eta_other", "frailty", "fading")


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """h(t) = scale * SHAPE * t^(SHAPE - 1) * exp(eta), eta the sum of the three parts.

    `fading` is the share of eta_ecg that is lost as exp(-t / fading_years): 0 where hazards are proportional.
    """

    preset: str
    horizon_years: float
    scale: float
    eta_ecg: Floats
    eta_other: Floats
    frailty: Floats
    fading: Floats
    fading_years: float | None = None

    def __len__(self) -> int:
        return len(self.eta_ecg)

    def __getitem__(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Truth:
        return replace(self, **{name: getattr(self, name)[rows] for name in COLUMNS})

    @property
    def eta(self) -> Floats:
        return self.eta_ecg + self.eta_other + self.frailty

    @property
    def incidence(self) -> float:
        """Mean true risk by the horizon, death and censoring apart."""
        return float(self.risk(self.horizon_years).mean())

    def survival(self, times_years: Floats) -> Floats:
        """(n, times): the chance to be free of heart failure, exactly."""
        times = np.atleast_1d(np.asarray(times_years, dtype=np.float64))
        hazard = np.empty((len(self), len(times)))
        for part in np.unique(self.fading):
            rows = self.fading == part
            hazard[rows] = self._shape(float(part), times)
        return np.asarray(np.exp(-self.scale * np.exp(self.eta)[:, None] * hazard))

    def risk(self, horizon_years: float) -> Floats:
        return np.asarray(1 - self.survival(np.array([horizon_years]))[:, 0])

    def times(self, uniform: Floats) -> Floats:
        """When each person fails, by inversion: the cumulative hazard at that time is -log of the uniform number."""
        needed = -np.log(uniform) / (self.scale * np.exp(self.eta))
        found = needed ** (1 / SHAPE)
        for part in np.unique(self.fading[self.fading != 0]):
            rows = self.fading == part
            knots = _knots()
            found[rows] = np.interp(needed[rows], self._shape(float(part), knots), knots, right=np.inf)
        return np.asarray(found)

    def _shape(self, fading: float, times: Floats) -> Floats:
        """The cumulative baseline over `scale`; where a part fades, exp(eta) already holds its full effect."""
        if fading == 0 or self.fading_years is None:
            return np.asarray(times**SHAPE)
        knots = _knots()
        # in s = t^SHAPE the baseline is flat, so that only the fading has to be integrated
        effect = np.exp(-fading * -np.expm1(-knots / self.fading_years))
        grown = np.concatenate(([0.0], np.cumsum(np.diff(knots**SHAPE) * (effect[1:] + effect[:-1]) / 2)))
        return np.asarray(np.interp(times, knots, grown))

    def to_frame(self) -> pd.DataFrame:
        columns = {name: getattr(self, name) for name in COLUMNS}
        return pd.DataFrame({**columns, "true_risk": self.risk(self.horizon_years)})


def _knots() -> Floats:
    return np.concatenate(([0.0], np.geomspace(1e-4, _LATEST_YEARS, _KNOTS)))
