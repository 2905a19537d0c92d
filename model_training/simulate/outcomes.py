"""When simulated people develop heart failure, die or are lost, drawn from their true hazards. SIMULATED outcomes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq

from model_training.data.cohort import Outcome
from model_training.simulate import hazard, people
from model_training.simulate.chance import Chance, Floats
from model_training.simulate.presets import PRESETS, Goal, Preset, eligible
from model_training.simulate.truth import Truth

# Death from all else: Gompertz, per year at 60 and its growth per year of age.
_DEATH_PER_YEAR: Final = 0.008
_DEATH_GROWTH: Final = 0.095
_TYPICAL_AGE_YEARS: Final = 60.0
# The people on whom a preset's baseline is set: always the same, so that two cohorts of a preset share one hazard.
_REFERENCE_PEOPLE: Final = 40_000
_REFERENCE_SEED: Final = 1_948
_STEPS: Final = 60
_TYPICAL_LBBB_MS: Final = 146.0


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """What a study would record, and apart from it the truth."""

    time_years: Floats
    event: NDArray[np.int64]
    external: NDArray[np.bool_]
    truth: Truth


def draw(traits: pd.DataFrame, preset: Preset, seed: int, repeat: int = 0, scale: float | None = None) -> Drawn:
    """One outcome a row. It depends on the seed, the row's `person` and `repeat` only, not on who else is drawn.

    `scale` is the preset's baseline where it is known already.
    """
    chance = Chance.of(seed, traits["person"].to_numpy(), f"outcomes {repeat}")
    external = chance.uniform("external") < preset.external_share
    truth = of_people(traits, preset, external, chance, scale)
    failure = truth.times(chance.uniform("failure"))
    death = _death(_age(traits), chance.uniform("death"))
    censored = np.minimum(_end_of_study(preset, chance), _drop_out(preset, truth, chance))
    time = np.minimum(np.minimum(failure, death), censored)
    event = np.select([failure <= time, death <= time], [Outcome.EVENT, Outcome.COMPETING_DEATH], Outcome.CENSORED)
    return Drawn(time, event.astype(np.int64), external, truth)


def of_people(
    traits: pd.DataFrame, preset: Preset, external: NDArray[np.bool_], chance: Chance, scale: float | None = None
) -> Truth:
    """The hazards of these people under a preset."""
    rules, about = hazard.shipped(), hazard.facts(traits)
    eta_ecg = rules.log_hazard(about, visible=True)
    if preset.interaction:
        eta_ecg = eta_ecg + _interaction(about)
    fades = preset.fading_af_years is not None
    return Truth(
        preset=preset.name,
        horizon_years=preset.horizon_years,
        scale=baseline(preset.name) if scale is None else scale,
        eta_ecg=eta_ecg,
        eta_other=rules.log_hazard(about, visible=False) + preset.external_log_hr * external,
        frailty=rules.frailty_sd * chance.normal("frailty"),
        fading=about["af"].to_numpy() * rules.term("af").log_hr if fades else np.zeros(len(traits)),
        fading_years=preset.fading_af_years,
    )


@lru_cache(maxsize=32)
def baseline(preset_name: str) -> float:
    """The scale at which the preset's people reach its share of failures, by bisection on the expected share."""
    preset = PRESETS[preset_name]
    crowd = _reference()
    crowd = crowd[eligible(preset, crowd)]
    chance = Chance.of(_REFERENCE_SEED, crowd["person"].to_numpy(), "outcomes 0")
    truth = of_people(crowd, preset, chance.uniform("external") < preset.external_share, chance, scale=1.0)
    age = _age(crowd)

    def excess(log_scale: float) -> float:
        return expected_share(replace(truth, scale=float(np.exp(log_scale))), preset, age) - preset.share

    return float(np.exp(brentq(excess, -18.0, 2.0, xtol=1e-9)))


@lru_cache(maxsize=1)
def _reference() -> pd.DataFrame:
    return people.draw(_REFERENCE_PEOPLE, _REFERENCE_SEED)


def expected_share(truth: Truth, preset: Preset, age_years: Floats) -> float:
    """The share of people that fails, over all outcomes they might have: by the horizon, or seen by the study."""
    if preset.goal is Goal.RISK:
        return float(truth.risk(preset.horizon_years).mean())
    low, high = preset.follow_up_years
    times = np.linspace(0, high, _STEPS + 1)
    survival = truth.survival(times)
    followed = np.clip((high - times) / (high - low), 0, 1)
    lost = preset.drop_out_per_year * np.exp(preset.drop_out_log_hr * truth.eta)[:, None] * times
    seen = followed * np.exp(-lost - _death_hazard(age_years[:, None], times))
    return float(((survival[:, :-1] - survival[:, 1:]) * (seen[:, 1:] + seen[:, :-1]) / 2).sum(axis=1).mean())


def _interaction(about: pd.DataFrame) -> Floats:
    """The wider a left bundle branch block the worse; among narrow complexes both ends are worse than the middle."""
    qrs = np.nan_to_num(about["qrs_ms"].to_numpy(), nan=hazard.shipped().term("qrs").centre)
    block = about["lbbb"].to_numpy() * 0.4 * (qrs - _TYPICAL_LBBB_MS) / 10
    return np.asarray(
        block + about["narrow"].to_numpy() * 0.15 * ((qrs - hazard.shipped().term("qrs").centre) / 10) ** 2
    )


def _age(traits: pd.DataFrame) -> Floats:
    return np.asarray(traits["age_years"].fillna(_TYPICAL_AGE_YEARS).to_numpy(float))


def _death_hazard(age_years: Floats, times: Floats) -> Floats:
    start = np.exp(_DEATH_GROWTH * (age_years - _TYPICAL_AGE_YEARS))
    return np.asarray(_DEATH_PER_YEAR / _DEATH_GROWTH * start * np.expm1(_DEATH_GROWTH * times))


def _death(age_years: Floats, uniform: Floats) -> Floats:
    start = np.exp(_DEATH_GROWTH * (age_years - _TYPICAL_AGE_YEARS))
    return np.asarray(np.log1p(-np.log(uniform) * _DEATH_GROWTH / (_DEATH_PER_YEAR * start)) / _DEATH_GROWTH)


def _end_of_study(preset: Preset, chance: Chance) -> Floats:
    low, high = preset.follow_up_years
    return np.asarray(low + (high - low) * chance.uniform("end of study"))


def _drop_out(preset: Preset, truth: Truth, chance: Chance) -> Floats:
    rate = preset.drop_out_per_year * np.exp(preset.drop_out_log_hr * truth.eta)
    return np.asarray(-np.log(chance.uniform("drop-out")) / rate)
