"""The people of a simulated cohort: age, sex, hidden states of the heart, and the traits these show on an ECG.

Every number is a design constant within published ranges; correlations come from four latents and age and sex.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from model_training.simulate import traits as visible
from model_training.simulate.chance import Chance, Floats

Bools = NDArray[np.bool_]

# How common each finding is in a woman of 60 with average latents (not the marginal share, which is higher).
PREVALENCE: Final[Mapping[str, float]] = MappingProxyType(
    {
        "lbbb": 0.0086, "rbbb": 0.023, "lafb": 0.016, "lpfb": 0.0012, "af": 0.009, "flutter": 0.0012,
        "paced": 0.003, "pre_excitation": 0.0015, "pvc": 0.039, "pac": 0.030, "old_inferior_mi": 0.010,
        "old_anterior_mi": 0.007, "acute_inferior_mi": 0.0012, "acute_anterior_mi": 0.0012, "pericarditis": 0.0008,
        "hyperkalaemia": 0.0008, "mobitz": 0.0012, "complete": 0.0008, "low_voltage": 0.008, "lvh": 0.0,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Latents:
    """What no ECG shows directly; a is decades from 60, the rest has SD 1 around a line in age and sex."""

    a: Floats
    male: Bools
    mass: Floats
    fibrosis: Floats
    atrial: Floats
    ischaemia: Floats


def draw(n: int, seed: int, first: int = 0, prevalence: Mapping[str, float] | None = None) -> pd.DataFrame:
    """People `first` to `first + n - 1` of the cohort with this seed, one row each.

    `prevalence` replaces entries of PREVALENCE, to enrich a sample; "lvh" is a share given heavy ventricles.
    """
    if unknown := set(prevalence or ()) - set(PREVALENCE):
        raise ValueError(f"no such finding: {', '.join(sorted(unknown))}")
    chance = Chance.of(seed, np.arange(first, first + n), "people")
    share = {**PREVALENCE, **(prevalence or {})}
    age_years = np.clip(60 + 10 * chance.normal("age"), 35, 85)
    latents = _latents(chance, age_years, share["lvh"])
    columns: dict[str, NDArray[Any]] = {
        "person": np.arange(first, first + n),
        "person_key": chance.keys,
        "age_years": age_years,
        "male": latents.male,
        "lv_mass": latents.mass,
        "fibrosis": latents.fibrosis,
        "atrial_myopathy": latents.atrial,
        "ischaemia": latents.ischaemia,
    }
    columns |= _findings(chance, latents, share)
    columns |= _intervals(chance, latents, columns)
    columns |= _voltages(chance, latents, columns)
    columns |= _repolarisation(chance, latents, columns)
    table = pd.DataFrame(columns)
    return table.assign(**visible.of_dipole(table))


def _latents(chance: Chance, age_years: Floats, heavy: float) -> _Latents:
    a, male = (age_years - 60) / 10, chance.uniform("male") < 0.48
    mass = 0.25 * a + 0.15 * male + chance.normal("mass") + 2.2 * (chance.uniform("heavy") < heavy)
    fibrosis = 0.35 * a + chance.normal("fibrosis")
    atrial = 0.25 * a + 0.4 * fibrosis + chance.normal("atrial")
    return _Latents(a, male, mass, fibrosis, atrial, 0.30 * a + 0.15 * male + chance.normal("ischaemia"))


def _findings(chance: Chance, hidden: _Latents, share: Mapping[str, float]) -> dict[str, NDArray[Any]]:
    """Who has what; the few that exclude each other are settled in a fixed order."""

    def has(name: str, slope: Floats | float = 0.0) -> Bools:
        return np.asarray(chance.uniform(name) < expit(logit(share[name]) + slope))

    paced = has("paced", 0.6 * hidden.a + 0.3 * hidden.fibrosis)
    pre_excitation = has("pre_excitation", -0.3 * hidden.a) & ~paced
    free = ~paced & ~pre_excitation
    lbbb = has("lbbb", 0.55 * hidden.a + 0.8 * hidden.fibrosis + 0.3 * hidden.mass) & free
    rbbb = has("rbbb", 0.45 * hidden.a + 0.3 * hidden.male) & free & ~lbbb
    lafb = has("lafb", 0.4 * hidden.a + 0.4 * hidden.fibrosis + 1.2 * rbbb) & free & ~lbbb
    flutter = has("flutter", 0.6 * hidden.a + 0.6 * hidden.atrial)
    af = has("af", 0.75 * hidden.a + 0.7 * hidden.atrial) & ~flutter & ~pre_excitation
    sinus = ~af & ~flutter & ~paced & ~pre_excitation
    complete = has("complete", 0.5 * hidden.a + 0.5 * hidden.fibrosis) & sinus
    mobitz = has("mobitz", 0.4 * hidden.a + 0.5 * hidden.fibrosis) & sinus & ~complete
    normal = free & ~lbbb & ~rbbb
    inferior = has("acute_inferior_mi", 0.8 * hidden.ischaemia) & normal
    anterior = has("acute_anterior_mi", 0.8 * hidden.ischaemia) & normal & ~inferior
    acute = inferior | anterior
    return {
        "condition": np.select([lbbb, rbbb], ["lbbb", "rbbb"], "normal").astype(object),
        "lafb": lafb,
        "lpfb": has("lpfb", 0.3 * hidden.fibrosis) & free & ~lbbb & ~lafb,
        "af": af,
        "flutter": flutter,
        "paced": paced,
        "pre_excitation": pre_excitation,
        "pvc": has("pvc", 0.3 * hidden.a + 0.5 * hidden.fibrosis) & ~paced,
        "pac": has("pac", 0.4 * hidden.a + 0.5 * hidden.atrial) & sinus & ~complete & ~mobitz,
        "old_inferior_mi": has("old_inferior_mi", 0.9 * hidden.ischaemia + 0.4 * hidden.male) & free & ~lbbb & ~acute,
        "old_anterior_mi": has("old_anterior_mi", 0.9 * hidden.ischaemia + 0.4 * hidden.male) & free & ~lbbb & ~acute,
        "acute_inferior_mi": inferior,
        "acute_anterior_mi": anterior,
        "pericarditis": has("pericarditis", -0.4 * hidden.a) & normal & ~acute,
        "hyperkalaemia": has("hyperkalaemia", 0.2 * hidden.a) & normal & ~acute,
        "av_block": np.select([complete, mobitz], ["complete", "mobitz"], "").astype(object),
        "low_voltage": has("low_voltage", 0.2 * hidden.fibrosis),
    }


def _spread(chance: Chance, name: str, mean: Floats | float, sd: float, low: float, high: float) -> Floats:
    return np.asarray(np.clip(mean + sd * chance.normal(name), low, high))


def _intervals(
    chance: Chance,
    hidden: _Latents,
    t: Mapping[str, NDArray[Any]],
) -> dict[str, NDArray[Any]]:
    """Rate, PR, P, QRS, QT. QT follows Bazett between 50 and 90 beats a minute, Fridericia outside."""
    lbbb, rbbb, kalium, paced, delta = (
        t["condition"] == "lbbb", t["condition"] == "rbbb", t["hyperkalaemia"], t["paced"], t["pre_excitation"],
    )  # fmt: skip
    narrow = _spread(
        chance, "qrs", 90 + 5 * hidden.male + 2.5 * hidden.mass + 2.5 * hidden.fibrosis + 8 * t["lafb"], 8, 70, 118
    )
    wide = {
        "lbbb": _spread(chance, "qrs lbbb", 150.0, 14, 122, 195),
        "rbbb": _spread(chance, "qrs rbbb", 142.0, 13, 121, 180),
        "paced": _spread(chance, "qrs paced", 160.0, 12, 135, 195),
        "delta": _spread(chance, "qrs delta", 130.0, 10, 112, 155),
        "kalium": _spread(chance, "qrs kalium", 118.0, 10, 100, 145),
        "escape": _spread(chance, "qrs escape", 110.0, 22, 85, 150),
    }
    escape = (t["av_block"] == "complete") & ~lbbb & ~rbbb
    chosen = [lbbb, rbbb, paced, delta, kalium, escape]
    qrs = np.select(chosen, [wide[k] for k in ("lbbb", "rbbb", "paced", "delta", "kalium", "escape")], narrow)
    fast = np.select([t["af"], t["flutter"]], [20.0, 20.0], 0.0)
    acute = t["acute_inferior_mi"] | t["acute_anterior_mi"] | t["pericarditis"]
    rate = _spread(chance, "rate", 67 + fast + 1.5 * hidden.fibrosis + 10 * acute, 11, 42, 125)
    rate = np.where(t["af"], np.clip(rate + 14 * chance.normal("af rate"), 42, 150), rate)
    rate = np.where(t["av_block"] == "complete", _spread(chance, "escape rate", 41.0, 5, 30, 55), rate)
    rate = np.where(paced, _spread(chance, "paced rate", 68.0, 6, 60, 90), rate)
    mean = 415 + 8.0 * ~hidden.male + 6 * hidden.fibrosis + 4 * hidden.mass
    qtc = np.clip(mean + 17 * chance.normal("qtc") + np.maximum(0, 0.45 * (qrs - 100)), 360, 540)
    qt = np.where((rate >= 50) & (rate <= 90), qtc * np.sqrt(60 / rate), qtc * np.cbrt(60 / rate))
    pr = _spread(chance, "pr", 162 + 7 * hidden.a + 8 * hidden.atrial + 25 * kalium, 20, 110, 320)
    return {
        "heart_rate_bpm": rate,
        "pr_ms": np.where(delta, _spread(chance, "pr delta", 100.0, 8, 80, 118), pr),
        "p_ms": np.minimum(
            _spread(chance, "p", 120 + 2 * hidden.a + 7 * hidden.atrial, 9, 75, 160), np.where(delta, 85, 160)
        ),
        "qrs_ms": qrs,
        "qt_ms": qt,
        "qtc_ms": qtc,
        "pvc_rate": t["pvc"] * (0.06 + 0.19 * chance.uniform("pvc rate")),
        "rsa": np.clip(0.028 * np.exp(-0.3 * hidden.a + 0.7 * chance.normal("rsa")), 0.004, 0.12),
    }


def _voltages(
    chance: Chance,
    hidden: _Latents,
    t: Mapping[str, NDArray[Any]],
) -> dict[str, NDArray[Any]]:
    body = np.exp(0.04 + 0.12 * (hidden.male - 0.5) + 0.12 * chance.normal("body"))
    lean = -6 * hidden.a - 3.5 * hidden.mass - 4 * hidden.fibrosis
    turn = np.clip(lean + 13 * chance.normal("axis"), -75, 65)
    wide, hemi = (t["condition"] == "lbbb") | t["paced"], t["lafb"] | t["lpfb"]
    return {
        "p_amp": np.exp(0.18 * chance.normal("p amplitude")) * np.where(t["hyperkalaemia"], 0.4, 1.0),
        "left_atrial": np.exp(0.35 * hidden.atrial + 0.15 * chance.normal("left atrium")),
        "volt": np.exp(0.16 * hidden.mass + 0.10 * chance.normal("volt")),
        "body": body * np.where(t["low_voltage"], 0.38 + 0.08 * chance.uniform("low voltage"), 1.0),
        "axis_rotation_deg": np.select([hemi, wide], [0.25 * turn, 0.5 * turn], turn),
    }


def _repolarisation(
    chance: Chance,
    hidden: _Latents,
    t: Mapping[str, NDArray[Any]],
) -> dict[str, NDArray[Any]]:
    """T wave and ST segment; discordant after a left bundle block or a paced beat."""
    strain = expit(2.2 * (hidden.mass - 1.7) + 0.8 * hidden.ischaemia - 0.5)
    size = np.clip(
        0.42 - 0.05 * hidden.fibrosis - 0.04 * hidden.ischaemia - 0.1 * t["af"] + 0.12 * chance.normal("t"), 0.08, 0.85
    )
    azimuth = 28 + 15 * chance.normal("t azimuth") + 75 * strain + 10 * np.maximum(0, hidden.ischaemia)
    elevation = 16 + 9 * chance.normal("t elevation") - 18 * strain
    inferior, anterior = t["old_inferior_mi"], t["old_anterior_mi"]
    discordant, rbbb, kalium = (t["condition"] == "lbbb") | t["paced"], t["condition"] == "rbbb", t["hyperkalaemia"]
    u, v = chance.normal("t own azimuth"), chance.normal("t own elevation")
    kinds: list[Bools] = [np.asarray(k, bool) for k in (discordant, inferior, anterior, rbbb)]
    depth = np.maximum(0, 0.018 * hidden.ischaemia + 0.09 * strain + 0.015 * chance.normal("st"))
    quiet = discordant | t["acute_inferior_mi"] | t["acute_anterior_mi"] | t["pericarditis"]
    return {
        "strain": strain,
        "t_amp_mv": np.select(
            [kinds[0], np.asarray(kalium, bool)],
            [np.abs(0.68 + 0.18 * chance.normal("t discordant")), 2.0 * size],
            size * (1 - 0.75 * strain),
        ),
        "t_azimuth_deg": np.select(kinds, [100 + 15 * u, 65 + 30 * u, 65 + 50 * u, -38 + 32 * u], azimuth),
        "t_elevation_deg": np.select(kinds, [-1 + 10 * v, -6 + 16 * v, 9 + 18 * v, 12 + 12 * v], elevation),
        "st_depression_mv": np.where(quiet, 0.0, depth),
        **_injury(chance, t),
    }


def _injury(chance: Chance, t: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """ST elevation and where it points: inferior wall, anterior wall, or the whole pericardium."""
    kinds: list[Bools] = [np.asarray(t[k], bool) for k in ("acute_inferior_mi", "acute_anterior_mi", "pericarditis")]
    spread = np.exp(0.3 * chance.normal("injury"))
    return {
        "st_elevation_mv": np.select(kinds, [0.22 * spread, 0.26 * spread, 0.13 * spread], 0.0),
        "st_azimuth_deg": np.select(kinds, [150.0, 70.0, 12.0], 0.0),
        "st_elevation_deg": np.select(kinds, [68.0, 5.0, 45.0], 0.0),
    }
