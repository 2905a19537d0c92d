"""pretrain and probe: teach an encoder before it is asked for a risk, and the table that judges what it learned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from model_training import recipe as recipes
from model_training.data import catalogue, prepared
from model_training.data.cohort import CohortError
from model_training.text.encoders import EncoderError
from model_training.train import arms, compare, material, probe, trees
from model_training.train import pretrain as room
from model_training.train.run import Run, RunError

console = Console()

Folder = Annotated[Path, typer.Argument(help="The data set's folder, or a manifest .csv of your own.")]
Cache = Annotated[Path, typer.Option(help="Where prepared tensors and text vectors are kept.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes that prepare tensors, where that is still to be done.")]


def register(app: typer.Typer) -> None:
    app.command("pretrain")(pretrain)
    app.command("probe")(probe_arms)


def pretrain(
    path: Folder,
    config: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The arm, as TOML: see configs/pretrain.")],
    out: Annotated[Path, typer.Option(help="The run's folder. The same command again goes on where it stopped.")],
    cache: Cache = Path("data/prepared"),
    workers: Workers = 2,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the configuration's.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the configuration's.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda; instead of the configuration's.")] = None,
    bf16: Annotated[bool, typer.Option(help="Forward passes in bfloat16.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    progress: Annotated[bool, typer.Option(help="Show a progress bar with the time left.")] = True,
) -> None:
    """Pretrain an encoder and leave it in OUT/encoder.safetensors, with its configuration, metrics and checkpoints.

    Seeds reproduce on the same machine, and a killed run ends with the same weights as an unbroken one. Under
    torchrun several processes share every batch. With TensorBoard installed: tensorboard --logdir OUT.
    """
    changes = {"epochs": epochs, "seed": seed, "device": device, "threads": threads, "bf16": bf16 or None}
    try:
        chosen = _chosen(config, {name: value for name, value in changes.items() if value is not None}, progress)
        stuff = load_material(path, chosen, cache, workers)
        run = Run.open(out, arms.to_toml(chosen))
        done = room.pretrain(chosen, stuff, run, _score(chosen, stuff))
    except (CohortError, EncoderError, RunError, arms.PretrainError, recipes.RecipeError) as error:
        raise typer.BadParameter(str(error)) from error
    console.print(_summary(run, done))
    if done.collapsed:
        console.print(
            "[bold red]collapsed[/]: ECG projections point one way; a loss with negatives would keep them apart"
        )


def probe_arms(
    path: Folder,
    config: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="How each is fine-tuned, as TOML.")],
    scratch: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="How an untaught network is trained, which takes longer.")
    ],
    out: Annotated[Path, typer.Option(help="Where the table goes: OUT.json and OUT.md.")],
    work: Annotated[Path, typer.Option(help="Where fine-tuning keeps its runs; a killed probe goes on there.")],
    run: Annotated[
        list[Path] | None, typer.Option(help="A pretraining run's folder, probed and fine-tuned; once for each arm.")
    ] = None,
    only_probe: Annotated[
        list[Path] | None, typer.Option(help="A run that is probed and not fine-tuned; once for each.")
    ] = None,
    fold: Annotated[list[int], typer.Option(help="A fold to judge on, never learned from.")] = [9, 10],  # noqa: B006
    cache: Cache = Path("data/prepared"),
    workers: Workers = 2,
    resnet: Annotated[bool, typer.Option(help="Also train a plain ResNet the same way, as a reference.")] = True,
    beat_trees: Annotated[
        bool, typer.Option(help="Also grow trees on measurements and the median beat, alone and beside each network.")
    ] = True,
    progress: Annotated[bool, typer.Option(help="Show a progress bar with the time left.")] = True,
) -> None:
    """Judge encoders by the five PTB-XL superclasses: linear probe and fine-tuned, with 95 % intervals over patients.

    Differences from the random frozen encoder and from reconstruction alone are paired on the same patients.
    """
    try:
        ways = compare.Ways(_chosen(config, {}, progress), _chosen(scratch, {}, progress))
        stuff = load_material(path, ways.taught, cache, workers)
        there = [each for each in sorted(set(fold)) if len(stuff.rows_in((each,)))]
        judged = [
            each
            for folder, tune in [(each, True) for each in run or []] + [(each, False) for each in only_probe or []]
            for each in compare.judge_encoder(folder / room.ENCODER, stuff, ways, there, work, tune)
        ]
        judged += compare.judge_resnet(stuff, ways, there, work) if resnet else []
        if beat_trees:
            grown = compare.judge_trees(_measured(path, stuff, cache, workers), stuff, ways, there)
            judged += grown + compare.beside_trees(judged, grown)
    except (CohortError, EncoderError, RunError, arms.PretrainError, recipes.RecipeError) as error:
        raise typer.BadParameter(str(error)) from error
    absent = sorted(set(fold) - set(there))
    for written in compare.write(
        compare.superclass_table(judged, stuff, ways, absent),
        "python -m model_training probe",
        out,
    ):
        console.print(str(written), highlight=False)


def load_material(path: Path, config: arms.PretrainConfig, cache: Path, workers: int) -> material.Material:
    """Opens the data set, prepares what is not prepared yet, and reads what is known of each recording."""
    cohort = catalogue.open_cohort(path)
    made = prepared.prepare(cohort, recipes.load(config.recipe), cache, workers)
    folder = path if path.is_dir() else path.parent
    return material.gather(
        cohort, made, folder, config.folds.train, config.text.source, config.text.encoder, cache / "text",
        config.fit.seed,
    )  # fmt: skip


def _measured(path: Path, stuff: material.Material, cache: Path, workers: int) -> material.Labels:
    """What is measured of the material's recordings, from their median beats."""
    chosen = recipes.load(trees.RECIPE)
    made = prepared.prepare(catalogue.open_cohort(path), chosen, cache, workers)
    return trees.measured(made, chosen, stuff.table["ecg_id"].tolist())


def _chosen(path: Path, changes: dict[str, Any], progress: bool) -> arms.PretrainConfig:
    read = arms.read_config(path.read_text(encoding="utf-8"))
    fit = read.fit.model_copy(update=changes | {"show_progress": progress})
    return read.model_copy(update={"fit": fit})


def _score(config: arms.PretrainConfig, stuff: material.Material) -> Any:
    if not config.folds.validate_on:
        return None
    return probe.probe_score(stuff, stuff.rows_in(config.folds.train), stuff.rows_in(config.folds.validate_on))


def _summary(run: Run, done: room.Pretrained) -> Table:
    table = Table(title=str(run.folder), show_header=False)
    table.add_row("epochs", str(done.epochs))
    table.add_row("kept", f"epoch {done.best_epoch + 1}" if done.epochs else "as initialised")
    for name, value in (run.metrics[-1] if run.metrics else {}).items():
        if name != "epoch":
            table.add_row(name, f"{value:.4g}")
    table.add_row("encoder", str(run.folder / room.ENCODER))
    return table
