"""The kinds of cohort that can be simulated: who is in them, how long they are followed, how often they fail."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray


class Goal(StrEnum):
    """What `share` is a share of."""

    RISK = "mean risk of heart failure by the horizon, death and censoring apart"
    OBSERVED = "people whose heart failure is observed"


class Population(StrEnum):
    EVERYONE = "everyone"
    HYPERTENSIVE = "aged 45 to 82, left ventricular mass above the average"
    AFTER_INFARCTION = "aged 45 to 82, with an infarction on the ECG or much ischaemia"


@dataclass(frozen=True, slots=True)
class Preset:
    name: str
    title: str
    horizon_years: float = 10.0
    share: float = 0.05
    goal: Goal = Goal.RISK
    population: Population = Population.EVERYONE
    # Recruitment is spread over time and follow-up ends at one date: its length is uniform between these.
    follow_up_years: tuple[float, float] = (6.0, 14.0)
    drop_out_per_year: float = 0.015
    # Stress: what the usual analysis assumes, and this cohort breaks.
    fading_af_years: float | None = None
    interaction: bool = False
    drop_out_log_hr: float = 0.0
    external_share: float = 0.0
    external_log_hr: float = 0.0


PRESETS: Final = {
    preset.name: preset
    for preset in (
        Preset("hospital", "a hospital's outpatients: 5 % fail within 10 years"),
        Preset(
            "ukb_hyp",
            "as UK Biobank's hypertensives: 1.4 % observed failures within 7.3 years",
            horizon_years=7.0,
            share=0.014,
            goal=Goal.OBSERVED,
            population=Population.HYPERTENSIVE,
            follow_up_years=(1.5, 7.3),
        ),
        Preset(
            "ukb_mi",
            "as UK Biobank's survivors of infarction: 4 % observed failures",
            horizon_years=7.0,
            share=0.04,
            goal=Goal.OBSERVED,
            population=Population.AFTER_INFARCTION,
            follow_up_years=(1.5, 7.3),
        ),
        Preset("non_proportional", "stress: the effect of atrial fibrillation fades over 3 years", fading_af_years=3.0),
        Preset("interaction", "stress: a left block is worse the wider, QRS risk is U-shaped", interaction=True),
        Preset("informative_censoring", "stress: those at risk drop out sooner", drop_out_log_hr=0.8),
        Preset(
            "device_shift",
            "stress: half the recordings from another site, with another device and more failures",
            external_share=0.5,
            external_log_hr=0.5,
        ),
    )
}


def eligible(preset: Preset, traits: pd.DataFrame) -> NDArray[np.bool_]:
    if preset.population is Population.EVERYONE:
        return np.ones(len(traits), dtype=bool)
    in_age = traits["age_years"].between(45, 82).to_numpy()
    if preset.population is Population.HYPERTENSIVE:
        return np.asarray(in_age & (traits["lv_mass"].to_numpy() > 0))
    infarct = traits[["old_inferior_mi", "old_anterior_mi"]].any(axis=1).to_numpy()
    return np.asarray(in_age & (infarct | (traits["ischaemia"].to_numpy() > 1.5)))
