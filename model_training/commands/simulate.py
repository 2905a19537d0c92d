"""simulate: a cohort whose true answer is known, of simulated people or of real recordings with drawn outcomes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from model_training.data import ptbxl, simulated
from model_training.data.cohort import SIMULATED, CohortError, Outcome
from model_training.simulate import oracle, plasmode, write_cohort
from model_training.simulate.folder import read_truth
from model_training.simulate.presets import PRESETS
from model_training.simulate.reports import ARMS, Arm

console = Console()

PresetName = StrEnum("PresetName", {name: name for name in PRESETS})  # type: ignore[misc]
ArmName = StrEnum("ArmName", {arm: arm for arm in ARMS})  # type: ignore[misc]
_PRESETS = "; ".join(f"{preset.name}: {preset.title}" for preset in PRESETS.values())


def register(app: typer.Typer) -> None:
    app.command("simulate")(simulate)


def simulate(
    out: Annotated[Path, typer.Argument(help="The folder to write; open it later like any other data set.")],
    preset: Annotated[PresetName, typer.Option(help=_PRESETS)] = PresetName("hospital"),  # noqa: B008
    people: Annotated[int, typer.Option(min=1, help="How many people, one 10-second recording each.")] = 20_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same people, signals and outcomes.")] = 1,
    reports: Annotated[
        ArmName, typer.Option(help="Free text and codes: as seen, noisy, another person's, or three in ten missing.")
    ] = ArmName("noisy"),  # noqa: B008
    plasmode_of: Annotated[
        Path | None,
        typer.Option("--plasmode", help="PTB-XL's folder: draw outcomes for its real recordings; --people is ignored."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="With --plasmode: independent outcomes a recording.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Make a cohort whose true hazards are known. Its outcomes are SIMULATED, and every file says so.

    Each person is drawn from latent states of the heart, which show on a rendered 12-lead ECG and raise the hazard of
    heart failure by ratios set to published ones (model_training/simulate/hazard.toml). Death competes, follow-up ends.
    The folder holds the table of a study, the signals, and apart from both an oracle.parquet with the true hazards:
    what a model could reach at best. Training never reads it; evaluation may.

    With --plasmode the recordings are PTB-XL's own, and the traits are measured from them and from their statements.

    A killed run goes on where it stopped when it is started again with the same options.

    Examples:

      python -m model_training simulate data/hospital --people 20000 --seed 1

      python -m model_training simulate data/plasmode --plasmode data/ptb-xl --repeats 4

      python -m model_training check-cohort data/hospital
    """
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    try:
        with Progress(*columns, console=console) as progress:
            total = len(ptbxl.load(plasmode_of)) if plasmode_of else people
            task = progress.add_task(f"{SIMULATED}: {preset.value}", total=total)

            def advance(done: int) -> None:
                progress.advance(task, done)

            if plasmode_of:
                plasmode.write(out, plasmode_of, preset.value, seed, repeats, workers, advance)
            else:
                write_cohort.write(out, preset.value, people, seed, workers, advance, arm=cast(Arm, reports.value))
    except CohortError as error:
        raise typer.BadParameter(str(error)) from error
    console.print(_summary(out))
    console.print(_oracle(out))


def _summary(folder: Path) -> Table:
    cohort = simulated.load(folder)
    table = Table(title=cohort.label, show_header=False)
    table.add_row("recordings", str(len(cohort)))
    table.add_row("patients", str(cohort.table["patient_id"].nunique()))
    counts = cohort.table["event"].value_counts()
    for each in (Outcome.EVENT, Outcome.COMPETING_DEATH, Outcome.CENSORED):
        table.add_row(each.name.lower().replace("_", " "), str(counts.get(each, 0)))
    table.add_row("follow-up, median years", f"{cohort.table['time_years'].median():.1f}")
    return table


def _oracle(folder: Path) -> Table:
    truth, known = read_truth(folder)
    # Only of simulated people is everything on the ECG known, so only there can it be said what all of it implies.
    implied = oracle.best_ecg_score(known, truth.preset) if set(oracle.READABLE) <= set(known.columns) else None
    table = Table("what is known", "best C", "horizon, years", "incidence", title=f"{SIMULATED}: what can be reached")
    for each in oracle.Judge.of(truth).bounds(implied):
        table.add_row(each.name, f"{each.c:.3f}", f"{each.horizon_years:g}", f"{each.incidence:.2%}")
    return table
