"""ablate: the experiment table in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from model_training.data.cohort import CohortError
from model_training.train import ablate as room
from model_training.train import ablate_page
from model_training.train.ablate import Bench, Cell
from model_training.train.finetune import FinetuneError
from model_training.train.people import People

console = Console()


def register(app: typer.Typer) -> None:
    app.command("ablate")(ablate)


def ablate(
    cohort: Annotated[list[Path], typer.Argument(help="Folders of simulated cohorts, such as of each preset.")],
    config: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="As TOML: see configs/ablate.")],
    encoder: Annotated[list[Path], typer.Option(help="A pretraining run's folder, named after its arm; repeat.")],
    out: Annotated[Path, typer.Option(help="Where cells keep their scores; a killed table goes on there.")],
    results: Annotated[Path, typer.Option(help="Where the tables and figures go.")] = Path("docs/results"),
    cache: Annotated[Path, typer.Option(help="Where prepared tensors are kept.")] = Path("data/prepared"),
    engine: Annotated[str, typer.Option(help="local, or ray: tasks of a cluster on one file system.")] = "local",
) -> None:
    """Compare arms of pretraining, networks and plain Cox models at several numbers of labelled events.

    Every arm sees the same people and is judged on the same held-out ones, against their true hazards: SIMULATED.
    configs/ablate/small.toml takes minutes on two cores, full.toml a GPU or a cluster.
    """
    chosen = room.read_config(config.read_text(encoding="utf-8"))
    for folder in cohort:
        bench = Bench(folder, {each.name: each for each in encoder}, chosen, out / folder.name, cache)
        bench.out.mkdir(parents=True, exist_ok=True)
        try:
            people = bench.people()
            _run(bench, people, engine)
        except (CohortError, FinetuneError) as error:
            raise typer.BadParameter(str(error)) from error
        found = room.table(bench, people)
        for path in (*ablate_page.write(found, results, folder.name), room.attention(bench, people, found, results)):
            console.print(str(path), highlight=False)


def _run(bench: Bench, people: People, engine: str) -> None:
    todo = [cell for cell in bench.cells(room.available(people)) if not bench.done(cell)]
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(bench.folder.name, total=len(todo))

        def on_done(cell: Cell) -> None:
            progress.update(task, advance=1, description=f"{bench.folder.name}: {cell.arm}, {cell.events or 'all'}")

        if engine == "ray":
            room.run_on_ray(bench, people, todo, on_done)
        else:
            room.run(bench, people, todo, on_done)
