"""make: the shipped models from nothing but PTB-XL, by the verbs that anybody can call one by one."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from model_training.commands import risk
from model_training.train import pretrain, ship

console = Console()
CONFIGS: Final = Path(__file__).resolve().parents[2] / "configs"


@dataclass(frozen=True, slots=True)
class Shipped:
    """One artefact: whose risks it tells, by which simulated cohort, and from whose encoder it starts."""

    name: str
    population: str
    preset: str
    people: int
    seed: int
    config: str
    encoder: str


SHIPPED: Final = (
    Shipped("hf-general", "SIMULATED outpatients of a hospital, 5 % of whom fail within 10 years",
            "hospital", 30_000, 1, "hf-general", "encoder"),
    Shipped("hf-hypertension", "SIMULATED hypertensives, as in UK Biobank",
            "ukb_hyp", 16_000, 2, "special", "hf-general"),
    Shipped("hf-post-mi", "SIMULATED people after a myocardial infarction, as in UK Biobank",
            "ukb_mi", 8_000, 3, "special", "hf-general"),
)  # fmt: skip
PLASMODE_REPEATS: Final = 3


def register(app: typer.Typer) -> None:
    app.command("make")(make)


def make(
    ptbxl: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="PTB-XL's folder.")],
    out: Annotated[Path, typer.Option(help="Where artefacts, cards and SHA256SUMS go.")] = Path("models"),
    work: Annotated[Path, typer.Option(help="Cohorts, tensors and runs; what is there already is kept.")] = Path(
        "data/made"
    ),
    version: Annotated[str, typer.Option(help="Of all three.")] = "1.0.0",
    results: Annotated[Path, typer.Option(help="Where the tests of the maps are told.")] = Path("docs/results"),
) -> None:
    """Make the three shipped models: pretrain, simulate, fine-tune, evaluate, test the maps, export.

    Each step is a verb of its own and is printed before it runs. A killed run goes on where it stopped.
    """
    maker = _Maker(ptbxl, out, work, version, results)
    maker.encoder()
    for each in SHIPPED:
        maker.artefact(each)


@dataclass(frozen=True, slots=True)
class _Maker:
    ptbxl: Path
    out: Path
    work: Path
    version: str
    results: Path

    @property
    def cache(self) -> Path:
        return self.work / "prepared"

    def encoder(self) -> None:
        self._verb(
            self.work / "encoder" / pretrain.ENCODER,
            "pretrain", self.ptbxl, "--config", CONFIGS / "pretrain" / "best.toml",
            "--out", self.work / "encoder", "--cache", self.cache,
        )  # fmt: skip

    def artefact(self, each: Shipped) -> None:
        run = self.work / each.name
        # real signals first, so that a risk refers to the last, which has the wanted population
        cohorts = (self._plasmode(), self._simulated(each))
        self._verb(
            run / risk.KNOWN,
            "finetune", *cohorts, "--config", CONFIGS / "finetune" / f"{each.config}.toml",
            "--encoder", self.work / each.encoder, "--out", run, "--cache", self.cache,
        )  # fmt: skip
        self._verb(run / risk.EVALUATION, "evaluate", run, *cohorts, "--cache", self.cache)
        naming = ship.Naming(
            each.name, self.version, each.population, f"python -m model_training make {self.ptbxl.name}",
            ("PTB-XL folds 1 to 8: encoder", "PTB-XL folds 1 to 8 with SIMULATED outcomes: risk",
             f"SIMULATED people, preset {each.preset}: risk"),
        )  # fmt: skip
        candidate = risk.exported(run, naming, self.work / "candidates")
        told = self.results / f"faithfulness-{each.name}-{self.version}.json"
        self._verb(told, "explain", candidate, "--ptbxl", self.ptbxl, "--run", run, "--out", self.results)
        found = json.loads(told.read_text())
        shown = {"default": found["recommended"], "faithfulness": found["for_contract"]}
        (run / risk.FAITHFULNESS).write_text(json.dumps(shown, indent=1) + "\n")
        console.print(str(risk.exported(run, naming, self.out)), highlight=False)

    def _plasmode(self) -> Path:
        folder = self.work / "plasmode"
        self._verb(
            folder / "simulated.json",
            "simulate", folder, "--plasmode", self.ptbxl, "--repeats", PLASMODE_REPEATS, "--seed", 1,
        )  # fmt: skip
        return folder

    def _simulated(self, each: Shipped) -> Path:
        folder = self.work / each.preset
        self._verb(
            folder / "table.parquet",
            "simulate", folder, "--preset", each.preset, "--people", each.people, "--seed", each.seed,
        )  # fmt: skip
        return folder

    def _verb(self, result: Path, *words: object) -> None:
        """Run one verb, unless what it leaves is there."""
        if result.is_file():
            return
        command: Sequence[str] = [str(word) for word in words]
        console.print(f"[bold]python -m model_training {shlex.join(command)}[/]", highlight=False)
        done = subprocess.run([sys.executable, "-m", "model_training", *command], check=False)  # noqa: S603
        if done.returncode:
            raise typer.Exit(done.returncode)
