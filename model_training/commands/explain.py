"""explain: is a map of the shipped artefact an explanation? Tested, and said plainly."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ecg.errors import EcgError
from ecg.predictor import Predictor
from model_training.data.cohort import CohortError
from model_training.explain import cohorts, examine, report, verdict
from model_training.nets.risk_model import RiskModel
from model_training.train import finetune

console = Console()


def register(app: typer.Typer) -> None:
    app.command("explain")(explain)


def explain(
    model: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The artefact, .onnx.")],
    out: Annotated[Path, typer.Option(help="Folder for faithfulness-<model>.json and .md.")],
    ptbxl: Annotated[Path | None, typer.Option(help="PTB-XL's folder: real ECGs of fold 9 against a textbook.")] = None,
    run: Annotated[
        Path | None, typer.Option(help="The fine-tuning run's folder: its weights allow the tests that need gradients.")
    ] = None,
    pairs: Annotated[int, typer.Option(min=3, help="Simulated pairs of recordings for each change.")] = 24,
    people: Annotated[int, typer.Option(min=20, help="Simulated people for discrimination.")] = 240,
) -> None:
    """Test whether the maps of a model explain it, and say so in words.

    Both kinds of map are held against planted changes, deletion, random weights and, with --ptbxl, the textbook. The
    thresholds are in model_training/explain/verdict.py; a kind that misses one is called what it is: attention
    weights, not an explanation.

    Example: python -m model_training explain models/hf.onnx --ptbxl data/ptbxl --run runs/best --out docs/results
    """
    try:
        predictor = Predictor.load(model)
        real = cohorts.open_ptbxl(ptbxl) if ptbxl else None
    except (EcgError, CohortError) as error:
        raise typer.BadParameter(str(error)) from error
    sizes = examine.Sizes(pairs=pairs, population=people)
    found = examine.examine(
        predictor, _name(predictor), predictor.sha256, sizes, weights=_weights(run, predictor), real=real,
        tell=console.print,
    )  # fmt: skip
    for path in report.write(found, out):
        console.print(str(path), highlight=False)
    for judged in verdict.judge(found).values():
        console.print(f"[bold]{judged.kind.value}[/]: {judged.statement}", highlight=False)


def _name(predictor: Predictor) -> str:
    return f"{predictor.contract.model.name}-{predictor.contract.model.version}"


def _weights(run: Path | None, predictor: Predictor) -> RiskModel | None:
    if run is None:
        return None
    path = run / finetune.MODEL if run.is_dir() else run
    if not path.is_file():
        raise typer.BadParameter(f"{path} not found: give the folder of a finished fine-tuning run")
    weights, about = finetune.load_model(path)
    if about["recipe_digest"] != predictor.contract.recipe_digest:
        raise typer.BadParameter("the weights were trained on another recipe than the artefact's")
    return weights
