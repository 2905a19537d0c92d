"""finetune, evaluate, export, card: from a pretrained encoder to a risk model, its figures and its artefact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ecg.contract import MapKind, OutOfDistribution, OutputFacts
from model_training import recipe as recipes
from model_training.data.cohort import CohortError
from model_training.train import arms, calibrate, evaluate, finetune, ship
from model_training.train import card as cards
from model_training.train import people as people_room
from model_training.train.people import People
from model_training.train.run import Run, RunError

console = Console()
OUTPUT, KNOWN, EVALUATION, FAITHFULNESS = "output.json", "known.json", "evaluation.json", "faithfulness.json"

Cohorts = Annotated[list[Path], typer.Argument(help="Folders of cohorts with outcomes, or manifests.")]
RunFolder = Annotated[Path, typer.Argument(exists=True, file_okay=False, help="A fine-tuning run's folder.")]
Cache = Annotated[Path, typer.Option(help="Where prepared tensors are kept.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes that prepare tensors, where that is still to be done.")]


def register(app: typer.Typer) -> None:
    app.command("finetune")(finetune_verb)
    app.command("evaluate")(evaluate_verb)
    app.command("export")(export_verb)
    app.command("card")(card_verb)


def finetune_verb(
    cohorts: Cohorts,
    config: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="As TOML: see configs/finetune.")],
    out: Annotated[Path, typer.Option(help="The run's folder. The same command again goes on where it stopped.")],
    encoder: Annotated[
        Path | None, typer.Option(help="A pretraining run's folder, instead of the one in --config.")
    ] = None,
    reference: Annotated[
        int, typer.Option(help="Which of the cohorts, from 0, a risk refers to; -1 is the last.")
    ] = -1,
    cache: Cache = Path("data/prepared"),
    workers: Workers = 2,
    progress: Annotated[bool, typer.Option(help="Show a progress bar with the time left.")] = True,
) -> None:
    """Learn who fails sooner from one or several cohorts, and calibrate the risks on training and validation folds.

    A cohort without folds of its own is dealt into ten by patient; 9 and 10 are left for `evaluate`.
    """
    try:
        chosen = _config(config, encoder, progress)
        people = people_room.gather(cohorts, recipes.load(chosen.recipe), cache, workers)
        run = Run.open(out, arms.toml_of(chosen.model_dump(mode="json", exclude={"fit": {"show_progress"}})))
        done = finetune.finetune(chosen, people, run)
        calibrated(done, chosen, people, run, reference % len(cohorts))
    except (CohortError, RunError, finetune.FinetuneError, recipes.RecipeError) as error:
        raise typer.BadParameter(str(error)) from error
    kept = f"epoch {done.best_epoch + 1}" if done.best_epoch >= 0 else "the head on the frozen encoder"
    console.print(f"{out}: {kept}, C on the validation folds {done.validation_c:.4f} (head alone {done.head_c:.4f})")


def calibrated(
    done: finetune.Finetuned, config: finetune.FinetuneConfig, people: People, run: Run, stratum: int
) -> OutputFacts:
    """Fits and keeps what turns log-hazards into risks."""
    population = calibrate.Population(
        people, done.embedded, finetune.chosen_rows(config, people), people.rows_in(config.folds.validate_on), stratum
    )
    facts = calibrate.output_facts(done.model, done.ridge, population, config.fit.seed)
    (run.folder / OUTPUT).write_text(facts.model_dump_json(indent=1) + "\n")
    known = calibrate.out_of_distribution(population)
    (run.folder / KNOWN).write_text(known.model_dump_json() + "\n")
    return facts


def evaluate_verb(
    run: RunFolder,
    cohorts: Cohorts,
    fold: Annotated[list[int], typer.Option(help="A fold to judge on, never learned from.")] = [9, 10],  # noqa: B006
    cache: Cache = Path("data/prepared"),
    workers: Workers = 2,
) -> None:
    """Judge a run on people that nothing was chosen by: discrimination, calibration, usefulness, subgroups.

    Give the cohorts in the order they were fine-tuned in. Writes evaluation.json, .md, .html and figures into RUN.
    """
    try:
        _, about = finetune.load_model(run / finetune.MODEL)
        people = people_room.gather(cohorts, recipes.load(about["recipe"]), cache, workers)
        found = evaluated(run, people, cohorts, fold)
    except (CohortError, finetune.FinetuneError, recipes.RecipeError) as error:
        raise typer.BadParameter(str(error)) from error
    for each in found:
        console.print(f"{each['label']}: C {evaluate.told(each['harrell_c'])}", highlight=False)


def evaluated(run: Path, people: People, folders: list[Path], folds: list[int]) -> list[dict[str, Any]]:
    """Each cohort by itself."""
    model, about = finetune.load_model(run / finetune.MODEL)
    learned = {*about["folds"]["train"], *about["folds"]["validate_on"]}
    if seen := learned & set(folds):
        raise finetune.FinetuneError(f"folds {sorted(seen)} were learned from")
    if about["recipe_digest"] != people.recipe.digest:
        raise finetune.FinetuneError("the people lie in another recipe than the model's")
    facts = OutputFacts.model_validate_json((run / OUTPUT).read_text())
    stratum = people.table["stratum"].to_numpy()
    found = []
    for place, folder in enumerate(folders):
        rows, train = (
            each[stratum[each] == place] for each in (people.rows_in(folds), people.rows_in(about["folds"]["train"]))
        )
        if not people.outcomes.happened[rows].any():
            continue
        judged = evaluate.judged(model, people, train, rows, facts)
        result = evaluate.evaluate(judged, facts) | {"label": _label(people, place)}
        result["oracle"] = evaluate.against_the_oracle(judged, folder, facts)
        result["findings"] = evaluate.ranks_findings(judged)
        found.append(result)
    (run / EVALUATION).write_text(json.dumps(found, indent=1, default=float) + "\n")
    text = "\n".join(line for each in found for line in cards.evaluation_lines(each))
    pictures = [path for each in found for path in cards.figures(each, run / "figures")]
    (run / "evaluation.md").write_text(f"# Evaluation of {run.name}\n\n{text}")
    (run / "evaluation.html").write_text(cards.as_html(f"# Evaluation of {run.name}\n\n{text}", run.name, pictures))
    return found


def _label(people: People, place: int) -> str:
    return people.names[place] + (" (SIMULATED)" if people.simulated else "")


def export_verb(
    run: RunFolder,
    name: Annotated[str, typer.Option(help="Such as hf-general.")],
    out: Annotated[Path, typer.Option(help="Folder of the artefact, its card and SHA256SUMS.")],
    population: Annotated[str, typer.Option(help="Whom the risks refer to, in words.")],
    version: Annotated[str, typer.Option(help="Three numbers.")] = "1.0.0",
    command: Annotated[str, typer.Option(help="What made it, for the contract.")] = "python -m model_training export",
    data: Annotated[list[str] | None, typer.Option(help="What it was trained on, for the contract; repeat.")] = None,
) -> None:
    """Write one file for the service: graph with its maps, contract, probe; and its card. Needs `evaluate` before."""
    if not (run / EVALUATION).is_file():
        raise typer.BadParameter(f"{run} was not evaluated: a model leaves only with its figures")
    _, about = finetune.load_model(run / finetune.MODEL)
    naming = ship.Naming(name, version, population, command, tuple(data or [about["label"]]))
    path = exported(run, naming, out)
    console.print(f"{path}: {path.stat().st_size:,} bytes")


def exported(run: Path, naming: ship.Naming, out: Path) -> Path:
    """What lies in the run becomes the artefact and its card; faithfulness.json, where `explain` left one, goes in."""
    model, about = finetune.load_model(run / finetune.MODEL)
    evaluations = json.loads((run / EVALUATION).read_text())
    contract = ship.contract_of(
        model, recipes.load(about["recipe"]), naming, OutputFacts.model_validate_json((run / OUTPUT).read_text()),
        OutOfDistribution.model_validate_json((run / KNOWN).read_text()), evaluations, _shown(run),
    )  # fmt: skip
    path = ship.write_artefact(model, contract, out)
    path.with_suffix(".md").write_text(cards.card(contract, evaluations))
    return path


def _shown(run: Path) -> ship.Shown:
    if not (run / FAITHFULNESS).is_file():
        return ship.Shown()
    found = json.loads((run / FAITHFULNESS).read_text())
    return ship.Shown(MapKind(found["default"]), found["faithfulness"])


def card_verb(
    run: RunFolder,
    model: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="The artefact that the run was exported to.")
    ],
) -> None:
    """Write the artefact's card anew, from its contract and from the run's evaluation."""
    from ecg.predictor import Predictor

    text = cards.card(Predictor.load(model).contract, json.loads((run / EVALUATION).read_text()))
    model.with_suffix(".md").write_text(text)
    console.print(str(model.with_suffix(".md")), highlight=False)


def _config(path: Path, encoder: Path | None, progress: bool) -> finetune.FinetuneConfig:
    read = finetune.read_config(path.read_text(encoding="utf-8"))
    fit = read.fit.model_copy(update={"show_progress": progress})
    return read.model_copy(update={"fit": fit, "encoder": str(encoder) if encoder else read.encoder})
