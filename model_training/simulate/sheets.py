"""Pages that show a SIMULATED recording beside a real one of PTB-XL with the same finding, for people to judge."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import pandas as pd
import typer

from ecg import harmonise, plot
from ecg.recording import TwelveLead
from model_training.data import ptbxl
from model_training.data.cohort import SIMULATED, Cohort
from model_training.simulate import people, render, reports
from model_training.simulate.phrases import WORDINGS

_PEOPLE: Final = 400


@dataclass(frozen=True, slots=True)
class Subject:
    """One finding: how to enrich the sample, whom to show, the code of the real one, and which of those that fit."""

    title: str
    code: str
    enrich: dict[str, float]
    wanted: Callable[[pd.DataFrame], pd.Series[bool]]
    which: tuple[int, int] = (0, 0)


def _has(column: str, value: Any = True) -> Callable[[pd.DataFrame], pd.Series[bool]]:
    return lambda traits: traits[column] == value


SUBJECTS: Final = (
    Subject("normal", "NORM", {}, lambda t: (t["strain"] < 0.05) & (t["condition"] == "normal"), (1, 3)),
    Subject("left bundle branch block", "CLBBB", {"lbbb": 0.3}, _has("condition", "lbbb"), (0, 2)),
    Subject("right bundle branch block", "CRBBB", {"rbbb": 0.3}, _has("condition", "rbbb"), (0, 0)),
    Subject("atrial fibrillation", "AFIB", {"af": 0.3}, _has("af"), (1, 1)),
    Subject(
        "left ventricular hypertrophy",
        "LVH",
        {"lvh": 0.5},
        lambda t: (t["strain"] > 0.6) & (t["sokolow_mv"] > 3.5),
        (3, 3),
    ),
    Subject("old inferior infarction", "IMI", {"old_inferior_mi": 0.3}, _has("old_inferior_mi"), (0, 3)),
    Subject("ventricular ectopic beats", "PVC", {"pvc": 0.4}, lambda t: t["pvc_rate"] > 0.12, (1, 1)),
    Subject("anterior fascicular block", "LAFB", {"lafb": 0.3}, _has("lafb"), (1, 2)),
)
_LOUD: Final = (
    "af", "flutter", "paced", "pvc", "pac", "lbbb", "rbbb", "lafb", "lpfb", "old_inferior_mi", "old_anterior_mi",
    "left_axis", "right_axis", "mobitz", "complete", "wide_qrs",
)  # fmt: skip
_DISTURBING: Final = ("CLBBB", "CRBBB", "AFIB", "LVH", "IMI", "PVC", "PACE", "ASMI", "AMI", "ILMI", "LAFB", "AFLT")

_WINDOW: Final = "2200,575"


def simulated(subject: Subject, seed: int) -> TwelveLead:
    """A person of an enriched sample who has this finding and no other."""
    traits = people.draw(_PEOPLE, seed, prevalence=subject.enrich)
    told = reports.findings(traits)
    others = [told[name] > 0 for name in _LOUD if subject.code not in WORDINGS[name].codes]
    alone = subject.wanted(traits).to_numpy(bool) & ~np.any(others, axis=0)
    person = traits[alone].iloc[[subject.which[0]]]
    return render.render(person, seed).twelve(0)


def real(cohort: Cohort, subject: Subject) -> TwelveLead:
    """A recording outside fold 9 with this code and no other loud one."""
    table = cohort.table
    others = set(_DISTURBING) - {subject.code}
    fits = [
        subject.code in codes and not others & set(codes) and fold != 9
        for codes, fold in zip(table["codes"], table["fold"], strict=True)
    ]
    position = int(np.flatnonzero(np.array(fits) & ~table["noise_noted"].to_numpy(bool))[subject.which[1]])
    return harmonise.to_twelve(cohort.recording(position))


def page(made: TwelveLead, recorded: TwelveLead, title: str) -> str:
    """HTML with the two sheets side by side, both through the same display filter."""
    sheets = [_sheet(made, f"{SIMULATED}: {title}"), _sheet(recorded, f"PTB-XL (real): {title}")]
    body = "".join(f'<div style="width:50%;display:inline-block;vertical-align:top">{each}</div>' for each in sheets)
    style = "<style>body{margin:0;font-size:0}svg{width:100%;height:auto;display:block}</style>"
    return f"<!doctype html><meta charset=utf-8>{style}{body}"


def _sheet(twelve: TwelveLead, heading: str) -> str:
    return plot.sheet(twelve.samples_mv, twelve.sampling_rate_hz, heading=heading, filters="as recorded")


def main(
    root: Annotated[Path, typer.Argument(help="PTB-XL's folder")],
    out: Annotated[Path, typer.Argument(help="where the pages go")],
    seed: Annotated[int, typer.Option(help="seed of the simulated people")] = 5,
) -> None:
    """Write one page a finding as HTML, and as PNG where a Chromium is installed."""
    cohort, browser = ptbxl.load(root), shutil.which("chromium")
    out.mkdir(parents=True, exist_ok=True)
    for subject in SUBJECTS:
        path = out / f"{subject.title.replace(' ', '-')}.html"
        path.write_text(page(simulated(subject, seed), real(cohort, subject), subject.title), encoding="utf-8")
        if browser:
            _photograph(browser, path)
        typer.echo(path.stem)


def _photograph(browser: str, path: Path) -> None:
    """The page as a picture beside it, by the browser's own screenshot."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={_WINDOW}"]
    picture = f"--screenshot={path.with_suffix('.png')}"
    subprocess.run([browser, *options, picture, str(path.resolve())], check=True, capture_output=True, timeout=60)  # noqa: S603


if __name__ == "__main__":
    typer.run(main)
