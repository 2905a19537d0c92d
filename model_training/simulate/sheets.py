"""Pages that show a SIMULATED recording beside a real one of PTB-XL with the same finding, for people to judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from ecg import harmonise, plot
from ecg.recording import TwelveLead
from model_training.data.cohort import SIMULATED, Cohort
from model_training.simulate import people, render

_PEOPLE: Final = 400


@dataclass(frozen=True, slots=True)
class Subject:
    """One finding: how to enrich the sample, whom to show, and the code of the real one."""

    title: str
    code: str
    enrich: dict[str, float]
    wanted: Callable[[pd.DataFrame], pd.Series[bool]]


def _has(column: str, value: Any = True) -> Callable[[pd.DataFrame], pd.Series[bool]]:
    return lambda traits: traits[column] == value


SUBJECTS: Final = (
    Subject("normal", "NORM", {}, lambda t: (t["strain"] < 0.05) & (t["condition"] == "normal")),
    Subject("left bundle branch block", "CLBBB", {"lbbb": 0.3}, _has("condition", "lbbb")),
    Subject("right bundle branch block", "CRBBB", {"rbbb": 0.3}, _has("condition", "rbbb")),
    Subject("atrial fibrillation", "AFIB", {"af": 0.3}, _has("af")),
    Subject(
        "left ventricular hypertrophy", "LVH", {"lvh": 0.5}, lambda t: (t["strain"] > 0.6) & (t["sokolow_mv"] > 3.5)
    ),
    Subject("old inferior infarction", "IMI", {"old_inferior_mi": 0.3}, _has("old_inferior_mi")),
    Subject("ventricular ectopic beats", "PVC", {"pvc": 0.4}, lambda t: t["pvc_rate"] > 0.12),
    Subject("ventricular pacing", "PACE", {"paced": 0.3}, _has("paced")),
)
_DISTURBING: Final = ("CLBBB", "CRBBB", "AFIB", "LVH", "IMI", "PVC", "PACE", "ASMI", "AMI", "ILMI", "LAFB", "AFLT")


def simulated(subject: Subject, seed: int, which: int = 0) -> TwelveLead:
    """The `which`-th person with this finding in an enriched sample."""
    traits = people.draw(_PEOPLE, seed, prevalence=subject.enrich)
    calm = ~(traits["af"] | traits["pvc"] | traits["paced"] | (traits["condition"] != "normal") | traits["pac"])
    wanted = subject.wanted(traits)
    plain = wanted & calm if (wanted & calm).sum() > which else wanted
    person = traits[plain].iloc[[which]]
    return render.render(person, seed).twelve(0)


def real(cohort: Cohort, subject: Subject, which: int = 0) -> TwelveLead:
    """The `which`-th recording outside fold 9 with this code and no other loud one."""
    table = cohort.table
    others = set(_DISTURBING) - {subject.code}
    fits = [
        subject.code in codes and not others & set(codes) and fold != 9
        for codes, fold in zip(table["codes"], table["fold"], strict=True)
    ]
    position = int(np.flatnonzero(np.array(fits) & ~table["noise_noted"].to_numpy(bool))[which])
    return harmonise.to_twelve(cohort.recording(position))


def page(made: TwelveLead, recorded: TwelveLead, title: str) -> str:
    """HTML with the two sheets side by side, both through the same display filter."""
    sheets = [_sheet(made, f"{SIMULATED}: {title}"), _sheet(recorded, f"PTB-XL (real): {title}")]
    body = "".join(f'<div style="width:50%;display:inline-block;vertical-align:top">{each}</div>' for each in sheets)
    style = "<style>body{margin:0;font-size:0}svg{width:100%;height:auto;display:block}</style>"
    return f"<!doctype html><meta charset=utf-8>{style}{body}"


def _sheet(twelve: TwelveLead, heading: str) -> str:
    return plot.sheet(twelve.samples_mv, twelve.sampling_rate_hz, heading=heading, filters="as recorded")
