"""python -m tests.make_untrained PTBXL_DIR: the artefact of tests that need no trained model.

A real network with random weights, exported through the real path, on real recordings: everything works and nothing is
learned. Its name and its card say so.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ecg import beats, harmonise, preprocess, probe, quality
from ecg.contract import (
    Bands,
    Calibration,
    Contract,
    ExplanationFacts,
    Horizon,
    InputFacts,
    IntendedUse,
    MapKind,
    ModelFacts,
    OutputFacts,
    Step,
    View,
)  # fmt: skip
from ecg.errors import EcgError
from ecg.leads import LEADS
from ecg.predictor import Predictor
from model_training.data import ptbxl
from model_training.export import write
from model_training.nets.config import DualAttentionConfig
from model_training.nets.dual_attention import DualAttention
from model_training.nets.heads import RiskHead
from model_training.nets.risk_model import RiskModel
from tests.conftest import ROOT

NAME, VERSION, SEED = "hf-untrained", "0.1.0", 7
STEPS = (
    Step(step="resample.v1", parameters={"rate_hz": 500.0}),
    Step(step="bandpass.v1", parameters={"low_hz": 0.5, "high_hz": 150.0, "order": 2}),
    Step(step="median_beat.v1", parameters={"before_ms": 480.0, "after_ms": 720.0}),
    Step(step="clip.v1", parameters={"limit_mv": 10.0}),
)
SMALL = {
    "view": "median_beat", "sampling_rate_hz": 500.0, "samples": 600, "stem_channels": 8, "channels": [16, 32],
    "lead_size": 32, "embedding_size": 64,
}  # fmt: skip
CARD = f"""# {NAME} {VERSION}

**Untrained: random weights.** This artefact exists so that the service and its tests have a model to run. Its risks
mean nothing. `intended_use: demonstration`.

The graph is a small dual attention network on the median beat, exported by the same code as a trained one; calibration
and reference percentiles only spread its output over PTB-XL (Wagner et al., CC BY 4.0), so that every part of an answer
is exercised.

Made by `python -m tests.make_untrained PTBXL_DIR`, seed {SEED}.
"""


def network(reference: NDArray[np.float32]) -> RiskModel:
    """Random, but with the statistics of real recordings, so that its log-hazards differ from person to person."""
    torch.manual_seed(SEED)
    base = DualAttentionConfig.from_toml(ROOT / "model_training" / "configs" / "nets" / "lead_additive.toml")
    config = DualAttentionConfig.from_dict(base.to_dict() | SMALL)
    model = RiskModel(DualAttention(config), RiskHead(config.embedding_size, hidden=0)).eval()
    with torch.no_grad():
        embedding = model.network(torch.from_numpy(reference), torch.ones(len(reference), len(LEADS))).embedding
        assert model.head.norm.running_mean is not None
        assert model.head.norm.running_var is not None
        model.head.norm.running_mean.copy_(embedding.mean(dim=0))
        model.head.norm.running_var.copy_(embedding.var(dim=0))
        model.head.norm.eps = 1e-12
        model.head.out.weight.div_(model.head(embedding).std())
    return model


def tensors(root: Path, n: int) -> NDArray[np.float32]:
    """Median beats of the first recordings that the gate lets through."""
    cohort, found = ptbxl.load(root), []
    for position in range(len(cohort)):
        try:
            twelve = harmonise.to_twelve(cohort.recording(position))
            at = beats.find(twelve)
            quality.inspect(twelve, quality.RECOMMENDED, at).require()
            found.append(preprocess.prepare(twelve, STEPS, at))
        except EcgError:
            continue
        if len(found) == n:
            break
    return np.stack(found)


def contract(model: RiskModel, reference: NDArray[np.float32]) -> Contract:
    with torch.no_grad():
        ecg = torch.from_numpy(reference)
        raw = model(ecg, torch.ones(len(ecg), len(LEADS))).log_hazard.double().numpy()
    slope = round(0.8 / float(raw.std()), 6)
    center = round(float(raw.mean()), 6)
    spread = np.quantile(slope * (raw - center), np.linspace(0, 1, 101))
    assert isinstance(model.network, DualAttention)
    config = model.network.config

    def log_hazard_of(tensor: NDArray[np.float32]) -> float:
        with torch.no_grad():
            return float(model(torch.from_numpy(tensor)[None], torch.ones(1, len(LEADS))).log_hazard[0])

    return Contract(
        schema_version=1,
        model=ModelFacts(
            name=NAME, version=VERSION, created=datetime(2026, 11, 21, tzinfo=UTC), code_revision=_revision(),
            command="python -m tests.make_untrained PTBXL_DIR", training_data=("none: random weights",),
            population="nobody: random weights, for tests and demonstration", intended_use=IntendedUse.DEMONSTRATION,
            simulated_outcomes=True, contraindications=("any clinical use", "paced rhythm", "age under 18"),
            minimum_age_years=18.0, licence="Apache-2.0",
        ),
        input=InputFacts(
            leads=LEADS, sampling_rate_hz=500.0, samples=config.samples, unit="mV", layout="batch_lead_time",
            view=View.MEDIAN_BEAT,
        ),
        preprocessing=STEPS,
        quality=quality.RECOMMENDED,
        output=OutputFacts(
            kind="log_hazard",
            horizons=tuple(
                Horizon(years=years, baseline_survival=survival, log_cumulative_hazard_se=0.2)
                for years, survival in ((1.0, 0.997), (2.0, 0.993), (5.0, 0.98), (10.0, 0.955))
            ),
            calibration=Calibration(center=center, slope=slope),
            reference_log_hazard_percentiles=tuple(round(float(each), 6) for each in spread),
            bands=Bands(
                moderate_from_percentile=50.0, high_from_percentile=90.0, source="arbitrary: the upper half and tenth"
            ),
            log_hazard_se=0.3,
        ),
        out_of_distribution=None,
        explanation=ExplanationFacts(
            default=MapKind.ATTENTION, tokens=config.tokens, token_start_ms=config.token_start_ms,
            token_step_ms=config.token_step_ms,
            faithfulness={
                kind.value: {"tested": False, "statement": "untrained: weights, not an explanation"} for kind in MapKind
            },
        ),
        evidence=(),
        probe=probe.facts(STEPS, log_hazard_of),
    )  # fmt: skip


def _revision() -> str:
    found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    return found.stdout.strip()


def main(root: Path, folder: Path) -> None:
    reference = tensors(root, 400)
    model = network(reference)
    path = write(model, contract(model, reference), folder / f"{NAME}-{VERSION}.onnx")
    path.with_suffix(".md").write_text(CARD)
    sums = {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in sorted(folder.glob("*.onnx"))}
    (folder / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()))
    probe.verify(Predictor.load(path))
    print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), ROOT / "tests" / "fixtures" / "models")
