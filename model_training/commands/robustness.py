"""robustness: how far the answer moves when the recording is made a little worse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ecg.errors import EcgError
from ecg.predictor import Predictor
from model_training.data.cohort import CohortError
from model_training.robustness import measure, report

console = Console()


def register(app: typer.Typer) -> None:
    app.command("robustness")(robustness)


def robustness(
    model: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The artefact, .onnx.")],
    out: Annotated[Path, typer.Option(help="Folder for robustness-<model>.json, .md and .svg.")],
    ptbxl: Annotated[Path | None, typer.Option(help="PTB-XL's folder: real ECGs of fold 9.")] = None,
    people: Annotated[int, typer.Option(min=10, help="Recordings of each cohort.")] = 100,
) -> None:
    """Change sound recordings in one way at a time, and see how far the answer moves and what the gate says.

    Sampling rates, gains, start and length, mains, wander, muscle, missing leads, exchanged electrodes, filter bands
    and device steps, on simulated people and with --ptbxl on real ones.

    Example: python -m model_training robustness models/hf.onnx --ptbxl data/ptbxl --out docs/results
    """
    try:
        predictor = Predictor.load(model)
        cohorts = [measure.real(ptbxl, predictor.contract, people)] if ptbxl else []
    except (EcgError, CohortError) as error:
        raise typer.BadParameter(str(error)) from error
    cohorts.append(measure.simulated(predictor.contract, people))
    found = [each for cohort in cohorts for each in measure.effects(predictor, cohort)]
    facts = predictor.contract.model
    for path in report.write(f"{facts.name}-{facts.version}", predictor.sha256, cohorts, found, out):
        console.print(str(path), highlight=False)
