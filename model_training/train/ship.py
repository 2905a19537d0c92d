"""A fine-tuned run becomes an artefact: graph, contract, probe, card and checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ecg.contract import (
    Contract,
    Evidence,
    ExplanationFacts,
    IntendedUse,
    MapKind,
    Metric,
    ModelFacts,
    OutOfDistribution,
    OutputFacts,
    ProbeFacts,
)
from model_training.export import write
from model_training.nets.config import DualAttentionConfig
from model_training.nets.dual_attention import DualAttention
from model_training.nets.risk_model import RiskModel
from model_training.recipe import Recipe
from model_training.train.run import revision

UNTESTED: Final[dict[str, float | str | bool]] = {"tested": False, "statement": "weights, not an explanation: untested"}
CONTRAINDICATIONS: Final = (
    "decisions about a person's care",
    "paced rhythm",
    "age under 18",
    "known heart failure",
)


@dataclass(frozen=True, slots=True)
class Naming:
    """What the artefact is called and for whom it is meant."""

    name: str
    version: str
    population: str
    command: str
    training_data: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """The kind of map that is shown by default, and what each kind reached when it was tested."""

    default: MapKind = MapKind.RISK
    faithfulness: Mapping[str, dict[str, float | str | bool]] | None = None


def contract_of(
    model: RiskModel, recipe: Recipe, naming: Naming, output: OutputFacts, known: OutOfDistribution,
    evaluations: list[dict[str, Any]], shown: Shown,
) -> Contract:  # fmt: skip
    """The probe is a stand-in until export stamps the real one."""
    assert isinstance(model.network, DualAttention)
    return Contract(
        schema_version=1,
        model=ModelFacts(
            name=naming.name, version=naming.version, created=datetime.now(UTC).replace(microsecond=0),
            code_revision=revision(), command=naming.command, training_data=naming.training_data,
            population=naming.population, intended_use=IntendedUse.DEMONSTRATION,
            simulated_outcomes=any(each["simulated"] for each in evaluations),
            contraindications=CONTRAINDICATIONS, minimum_age_years=18.0, licence="Apache-2.0",
        ),
        input=recipe.input,
        preprocessing=recipe.steps,
        quality=recipe.quality,
        output=output,
        out_of_distribution=known,
        explanation=explanation_facts(model.network.config, shown),
        evidence=tuple(_evidence(each) for each in evaluations),
        probe=ProbeFacts(tensor="", log_hazard=0.0, tensor_tolerance_mv=0.0, log_hazard_tolerance=0.0),
    )  # fmt: skip


def explanation_facts(config: DualAttentionConfig, shown: Shown) -> ExplanationFacts:
    faithfulness = shown.faithfulness or {}
    return ExplanationFacts(
        default=shown.default, tokens=config.cells, token_start_ms=config.cell_start_ms,
        token_step_ms=config.cell_step_ms,
        faithfulness={kind.value: dict(faithfulness.get(kind.value, UNTESTED)) for kind in MapKind},
    )  # fmt: skip


def _evidence(found: dict[str, Any]) -> Evidence:
    metrics = [_metric("harrell_c", found["harrell_c"]), _metric("uno_c", found["uno_c"])]
    for horizon in found["horizons"]:
        years = f"{horizon['years']:g}y"
        metrics.append(_metric(f"auc_{years}", horizon["auc"]))
        metrics += [
            Metric(name=f"{name}_{years}", value=horizon[name], low=None, high=None)
            for name in ("calibration_slope", "ici", "observed_over_expected")
        ]
    if oracle := found.get("oracle"):
        metrics.append(_metric("recovery_of_attainable_concordance", oracle["recovery"]))
    metrics += [_metric(f"auroc {line['finding']} against normal", line["auroc"]) for line in found.get("findings", ())]
    return Evidence(
        cohort=found["label"],
        simulated=found["simulated"],
        n=found["n"],
        events=found["events"],
        metrics=tuple(metrics),
    )


def _metric(name: str, estimate: dict[str, float]) -> Metric:
    return Metric(
        name=name, value=round(estimate["value"], 4), low=round(estimate["low"], 4), high=round(estimate["high"], 4)
    )


def write_artefact(model: RiskModel, contract: Contract, folder: Path) -> Path:
    """The file under its label, and the folder's checksums anew."""
    facts = contract.model
    path = write(model, contract, folder / f"{facts.name}-{facts.version}.onnx")
    write_checksums(folder)
    return path


def write_checksums(folder: Path) -> None:
    sums = {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in sorted(folder.glob("*.onnx"))}
    (folder / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()))
