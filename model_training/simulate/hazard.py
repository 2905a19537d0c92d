"""The hazard of heart failure, as log hazard ratios of what an ECG shows and of what it does not; from hazard.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq

from model_training.simulate import expected_cox
from model_training.simulate.chance import Floats
from model_training.simulate.expected_cox import Expected

SHAPE: Final = 1.25
HORIZON_YEARS: Final = 10.0
INCIDENCE: Final = 0.05
# A narrow QRS that is this wide is wide, whatever its name.
_WIDE_MS: Final = 120.0
_CORNELL_LVH_MV: Final = {True: 2.8, False: 2.0}
_SOKOLOW_LVH_MV: Final = 3.5
_STRAIN_MV: Final = 0.05
_LONG_PR_MS: Final = 200.0
_INFARCTS: Final = ("old_inferior_mi", "old_anterior_mi", "acute_inferior_mi", "acute_anterior_mi", "other_mi")
_STEPS: Final = 6
_SETTLED: Final = 2e-4


@dataclass(frozen=True, slots=True)
class Published:
    hr: float
    low: float
    high: float
    source: str
    interval: str = "as published"


@dataclass(frozen=True, slots=True)
class Exposure:
    """How a study looked at the finding: per so much of it, above a value, or above a quantile; and among whom."""

    column: str
    among: str
    per: float | None = None
    above: float | None = None
    quantile: float | None = None

    def of(self, facts: pd.DataFrame, rows: NDArray[np.bool_]) -> Floats:
        values = facts[self.column].to_numpy(float)[rows]
        if self.per is not None:
            return np.asarray(values / self.per)
        cut = self.above if self.above is not None else float(np.quantile(values, self.quantile or 0.0))
        return np.asarray(values > cut, dtype=float)


@dataclass(frozen=True, slots=True)
class Term:
    name: str
    visible: bool
    column: str
    log_hr: float
    target_hr: float
    floor: float
    published: Published
    exposure: Exposure
    why: str
    centre: float = 0.0
    per: float = 1.0
    low: float = -np.inf
    high: float = np.inf
    off: str | None = None

    def of(self, facts: pd.DataFrame) -> Floats:
        """The term's value for each person: 0 where it is off, or where the finding is not known."""
        value = (np.clip(facts[self.column].to_numpy(float), self.low, self.high) - self.centre) / self.per
        silent = np.isnan(value)
        if self.off is not None:
            silent |= facts[self.off].to_numpy(bool)
        return np.where(silent, 0.0, value)


@dataclass(frozen=True, slots=True)
class Hazard:
    terms: tuple[Term, ...]
    frailty_sd: float

    def log_hazard(self, facts: pd.DataFrame, visible: bool) -> Floats:
        """The sum of the terms that an ECG shows, or of those that it does not."""
        wanted = [term for term in self.terms if term.visible is visible]
        return np.asarray(sum((term.log_hr * term.of(facts) for term in wanted), start=np.zeros(len(facts))))

    def term(self, name: str) -> Term:
        return next(term for term in self.terms if term.name == name)

    def with_log_hrs(self, log_hrs: Mapping[str, float]) -> Hazard:
        terms = tuple(replace(term, log_hr=log_hrs.get(term.name, term.log_hr)) for term in self.terms)
        return replace(self, terms=terms)


@lru_cache(maxsize=1)
def shipped() -> Hazard:
    return parse(Path(__file__).with_name("hazard.toml").read_text(encoding="utf-8"))


def parse(text: str) -> Hazard:
    content = tomllib.loads(text)
    terms = [
        _term(name, kind == "visible", entry) for kind in ("visible", "hidden") for name, entry in content[kind].items()
    ]
    return Hazard(tuple(terms), float(content["frailty_sd"]))


def _term(name: str, visible: bool, entry: dict[str, Any]) -> Term:
    low, high = entry.get("range", (-np.inf, np.inf))
    return Term(
        name=name,
        visible=visible,
        column=entry["column"],
        log_hr=float(entry["used"]),
        target_hr=float(entry["target"]),
        floor=float(entry["floor"]),
        published=Published(**entry["published"]),
        exposure=Exposure(**entry["exposure"]),
        why=entry["why"],
        centre=float(entry.get("centre", 0.0)),
        per=float(entry.get("per", 1.0)),
        low=float(low),
        high=float(high),
        off=entry.get("off"),
    )


def facts(traits: pd.DataFrame) -> pd.DataFrame:
    """What the terms speak of, from people's traits or a real recording's measurements; unknown numbers stay NaN."""

    def number(name: str) -> Floats:
        return traits[name].to_numpy(float) if name in traits else np.full(len(traits), np.nan)

    def flag(name: str) -> NDArray[np.bool_]:
        return traits[name].to_numpy(bool) if name in traits else np.zeros(len(traits), bool)

    condition, male = traits["condition"].to_numpy(object), flag("male")
    af = flag("af") | flag("flutter")
    wide = (condition != "normal") | flag("paced") | flag("pre_excitation") | (number("qrs_ms") >= _WIDE_MS)
    no_p = af | flag("paced") | (traits["av_block"].to_numpy(object) == "complete" if "av_block" in traits else False)
    cornell, st = number("cornell_mv"), number("st_depression_mv")
    lvh = cornell > np.where(male, _CORNELL_LVH_MV[True], _CORNELL_LVH_MV[False])
    strained = (lvh | (number("sokolow_mv") > _SOKOLOW_LVH_MV)) & (st >= _STRAIN_MV)
    numbers = ("heart_rate_bpm", "pr_ms", "qrs_ms", "qtc_ms", "qrs_t_angle_deg", "left_atrial", "age_years")
    return pd.DataFrame(
        {
            **{name: number(name) for name in numbers},
            "cornell_mv": cornell,
            "st_depression_mv": st,
            "male": male,
            "lbbb": condition == "lbbb",
            "rbbb": condition == "rbbb",
            "af": af,
            "paced": flag("paced"),
            "pvc": flag("pvc"),
            "ecg_mi": np.logical_or.reduce([flag(name) for name in _INFARCTS]),
            "cornell_lvh": lvh & ~wide,
            "lvh_strain": (strained & ~wide) | flag("coded_lvh_strain"),
            "pr_long": (number("pr_ms") > _LONG_PR_MS) & ~no_p,
            "wide": wide,
            "no_p": no_p,
            "narrow": ~wide,
            "sinus": ~no_p,
            "all": np.ones(len(traits), bool),
        }
    )


def marginals(hazard: Hazard, traits: pd.DataFrame, frailty: Floats) -> dict[str, float]:
    """The hazard ratio that a study of these people would find for each term, adjusted for age and sex."""
    about = facts(traits)
    eta = hazard.log_hazard(about, True) + hazard.log_hazard(about, False) + frailty
    survival = _survival(eta)
    return {term.name: _marginal(term.exposure, about, survival) for term in hazard.terms}


def calibrate(hazard: Hazard, traits: pd.DataFrame, frailty: Floats, rounds: int = 60, pace: float = 0.4) -> Hazard:
    """Joint log hazard ratios whose marginal ones meet the targets: each moves by part of what its own still lacks.

    `pace` is below one because findings go together: what one gains, its neighbours show too.
    """
    about = facts(traits)
    slopes = {term.name: _slope(term, about) for term in hazard.terms}
    for _ in range(rounds):
        found = marginals(hazard, traits, frailty)
        moved = {
            term.name: max(
                term.floor, term.log_hr + pace * float(np.log(term.target_hr / found[term.name])) / slopes[term.name]
            )
            for term in hazard.terms
        }
        furthest = max(abs(moved[term.name] - term.log_hr) for term in hazard.terms)
        hazard = hazard.with_log_hrs(moved)
        if furthest < _SETTLED:
            break
    return hazard


def _slope(term: Term, about: pd.DataFrame) -> float:
    """How much of the term comes with one unit of its exposure: both need not be in the same unit."""
    rows = about[term.exposure.among].to_numpy(bool)
    exposure, value = term.exposure.of(about, rows), term.of(about)[rows]
    return float(np.cov(exposure, value)[0, 1] / exposure.var(ddof=1))


def _survival(eta: Floats) -> Floats:
    """Survival at the edges of a few intervals, with the baseline that gives the reference incidence."""

    def excess(log_scale: float) -> float:
        return float(np.mean(-np.expm1(-np.exp(log_scale + eta))) - INCIDENCE)

    at_horizon = np.exp(brentq(excess, -20.0, 5.0))
    share = np.linspace(0, 1, _STEPS + 1) ** SHAPE
    return np.asarray(np.exp(-np.exp(eta)[:, None] * at_horizon * share))


def _marginal(exposure: Exposure, about: pd.DataFrame, survival: Floats) -> float:
    rows = about[exposure.among].to_numpy(bool)
    age, male = about["age_years"].to_numpy(float)[rows], about["male"].to_numpy(float)[rows]
    adjusted = [column for name, column in (("age_years", age / 10), ("male", male)) if name != exposure.column]
    x = np.column_stack([exposure.of(about, rows), *adjusted])
    return float(np.exp(expected_cox.fit(x, Expected.of(survival[rows]))[0]))
