"""check-cohort and prepare: what lies in a folder, whether it can be trusted, and its tensors."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from model_training import recipe as recipes
from model_training.data import catalogue, leakage, prepared, splits, ukb
from model_training.data.cohort import Cohort, CohortError, Outcome

console = Console()

Folder = Annotated[Path, typer.Argument(help="The data set's folder, or a manifest .csv of your own.")]
Hosp = Annotated[Path | None, typer.Option(help="MIMIC-IV: its hosp folder, which holds the outcomes.")]
Participants = Annotated[Path | None, typer.Option(help="UK Biobank: the participant table (.csv).")]
CensorDate = Annotated[
    datetime | None, typer.Option(help="UK Biobank: the date up to which outcomes are complete.", formats=["%Y-%m-%d"])
]
Population = Annotated[ukb.Population, typer.Option(help="UK Biobank: everyone, or one of the paper's cohorts.")]
RecipeName = Annotated[str, typer.Option("--recipe", help="A shipped recipe's name, or a TOML file.")]
Cache = Annotated[Path, typer.Option(help="Where prepared tensors are kept.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes.")]


def register(app: typer.Typer) -> None:
    app.command("check-cohort")(check_cohort)
    app.command("prepare")(prepare)


def check_cohort(
    path: Folder,
    hosp: Hosp = None,
    participants: Participants = None,
    censor_date: CensorDate = None,
    population: Population = ukb.Population.ALL,
    recipe: RecipeName = "rhythm-100hz",
    cache: Cache = Path("data/prepared"),
    workers: Workers = 2,
    sample: Annotated[int, typer.Option(min=0, help="Recordings to read for the signal checks; 0 reads none.")] = 500,
    diagram: Annotated[Path | None, typer.Option(help="Write the flow diagram (Mermaid) to this file.")] = None,
) -> None:
    """Say what was found, what was left out and why, which outcomes there are, and whether anything leaks.

    Exit status 1 when a leak was found. Nothing is trained and nothing is changed in the data.
    """
    cohort = _open(path, catalogue.Options(hosp, participants, censor_date and censor_date.date(), population))
    console.print(cohort.flow.to_text(), highlight=False)
    console.print(_summary(cohort))
    if diagram:
        diagram.write_text(cohort.flow.to_mermaid() + "\n", encoding="utf-8")
    folds = cohort.table["fold"].to_numpy()
    if not (folds > 0).any():
        folds = splits.by_patient(cohort, 5, seed=0)
    leaks = leakage.find(cohort, folds)
    if sample and len(cohort):
        leaks += _check_signals(cohort, recipe, cache, workers, sample)
    for leak in leaks:
        console.print(f"[bold red]leak[/] {leak.kind}: {leak.detail}", highlight=False)
    if leaks:
        raise typer.Exit(1)
    console.print("no leak found")


def prepare(
    path: Folder,
    hosp: Hosp = None,
    participants: Participants = None,
    censor_date: CensorDate = None,
    population: Population = ukb.Population.ALL,
    recipe: RecipeName = "rhythm-100hz",
    cache: Cache = Path("data/prepared"),
    workers: Workers = 2,
    assume_millivolts: Annotated[
        bool, typer.Option(help="Prepare z-scored data as if in mV; never mix the result with data in mV.")
    ] = False,
) -> None:
    """Make the tensors of every recording, through the code that serves. A killed run goes on where it stopped."""
    cohort = _open(path, catalogue.Options(hosp, participants, censor_date and censor_date.date(), population))
    console.print(cohort.flow.to_text(), highlight=False)
    made = _prepared(cohort, recipe, cache, workers, assume_millivolts)
    console.print(_refusals(cohort, made.folder))
    console.print(f"{len(made)} of {len(cohort)} recordings are ready in {made.folder}", highlight=False)


def _open(path: Path, options: catalogue.Options) -> Cohort:
    try:
        return catalogue.open_cohort(path, options)
    except CohortError as error:
        raise typer.BadParameter(str(error)) from error


def _prepared(cohort: Cohort, recipe: str, cache: Path, workers: int, assume_millivolts: bool) -> prepared.Prepared:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    try:
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(f"preparing {cohort.label}", total=len(cohort))
            return prepared.prepare(
                cohort,
                recipes.load(recipe),
                cache,
                workers,
                lambda done: progress.advance(task, done),
                assume_millivolts,
            )
    except (CohortError, recipes.RecipeError) as error:
        raise typer.BadParameter(str(error)) from error


def _check_signals(cohort: Cohort, recipe: str, cache: Path, workers: int, sample: int) -> list[leakage.Leak]:
    """Reads a spread of the recordings as training would: units, refusals, the same signal twice."""
    step = max(1, len(cohort) // sample)
    some = cohort.subset(cohort.table.index.to_series() % step == 0, "not in the sample that was read")
    made = _prepared(some, recipe, cache, workers, assume_millivolts=not cohort.units_known)
    console.print(_refusals(some, made.folder))
    console.print(f"units: {'millivolts' if cohort.units_known else 'unknown (scaled or z-scored)'}")
    return leakage.repeated_signals(made.table)


def _summary(cohort: Cohort) -> Table:
    table = Table(title=cohort.label, show_header=False)
    rows = cohort.table
    outcome = rows["event"].map(Outcome).value_counts()
    table.add_row("recordings", str(len(cohort)))
    table.add_row("patients", str(rows["patient_id"].nunique()) + ("" if cohort.patients_known else " (ids unknown)"))
    ages = rows["age_years"].dropna()
    table.add_row("age, median years", f"{ages.median():.0f}" if len(ages) else "unknown")
    table.add_row("female", f"{(rows['sex'] == 'female').mean():.1%}")
    table.add_row("with a report", f"{(rows['report'] != '').mean():.1%}")
    table.add_row("with codes", f"{rows['codes'].map(bool).mean():.1%}")
    endpoint = cohort.endpoint.name + (" (a proxy)" if cohort.endpoint.proxy else "") if cohort.endpoint else "none"
    table.add_row("endpoint", endpoint)
    for each in Outcome:
        table.add_row(each.name.lower().replace("_", " "), str(outcome.get(each, 0)))
    if cohort.endpoint:
        table.add_row("follow-up, median years", f"{rows['time_years'].median():.2f}")
    return table


def _refusals(cohort: Cohort, folder: Path) -> Table:
    table = Table("read as the service reads them", "recordings", title=f"{len(cohort)} recordings")
    for code, count in prepared.outcomes(folder).items():
        table.add_row(code, str(count))
    return table
