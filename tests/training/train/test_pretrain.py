"""Pretraining: every arm runs, collapse is noticed, an arm does what its name says, the verb leaves an encoder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from model_training.cli import app
from model_training.nets.dual_attention import DualAttention
from model_training.train import arms, compare, material, objective, pretrain, probe
from model_training.train.arms import Arm, PretrainConfig, PretrainError
from model_training.train.run import Run
from tests.training.data import layouts
from tests.training.train.material import small

pytestmark = pytest.mark.torch
ROOT = Path(__file__).resolve().parents[3]
CONFIGS = ROOT / "configs" / "pretrain"
NET = {
    "view": "rhythm", "sampling_rate_hz": 100.0, "samples": 200, "amplitude": "millivolt", "stem": "shared",
    "stem_channels": 4, "stem_kernel": 15, "stem_stride": 5, "block": "lean", "channels": [8, 8], "kernel": 3,
    "strides": [2, 2], "lead_attention": True, "temporal_attention": True, "arrangement": "sequential",
    "lead_context": "weight", "norm_first": True, "positions": "learned", "lead_size": 8, "lead_heads": 2,
    "temporal_heads": 2, "mlp_ratio": 1, "dropout": 0.0, "dropout_kind": "batchwise", "read_out": "attention",
    "read_out_heads": 2, "embedding_size": 16, "evidence_size": 0, "evidence_heads": 0, "honour_lead_mask": True,
    "ignore_padding": True,
}  # fmt: skip


@pytest.fixture
def small_net(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(arms.toml_of({"network": NET}))
    return path


def shipped(name: str, network: Path, **more: object) -> PretrainConfig:
    """A shipped arm on the small network and a few records."""
    read = arms.read_config((CONFIGS / f"{name}.toml").read_text()).model_dump()
    read |= {"network": str(network), "batch_size": 12, "folds": {"train": (1, 2, 3)}, **more}
    read["fit"] |= {"epochs": 1, "device": "cpu", "show_progress": False}
    return PretrainConfig.model_validate(read)


@pytest.mark.parametrize("name", [arm.value for arm in Arm])
def test_each_arm_runs(name: str, small_net: Path, tmp_path: Path) -> None:
    """Some steps of every shipped arm; the encoder reads back equal, moved from its start when its arm trains."""
    stuff, config = small(), shipped(name, small_net)
    done = pretrain.pretrain(config, stuff, Run.open(tmp_path / "run", "", board=False))
    again, about = pretrain.load_encoder(tmp_path / "run" / pretrain.ENCODER)
    assert about["arm"] == name
    assert about["recipe_digest"] == stuff.recipe_digest
    batch = stuff.batch(stuff.rows_in((4,)))
    with torch.no_grad():
        expected = done.network(batch.ecg, batch.lead_mask).embedding
        assert torch.equal(again(batch.ecg, batch.lead_mask).embedding, expected)
    assert expected.isfinite().all()
    torch.manual_seed(config.fit.seed)
    start = DualAttention(config.net)
    moved = not torch.equal(start.encoder.stem.filters.weight, done.network.encoder.stem.filters.weight)
    assert moved == Arm(name).trains
    line = (Run(tmp_path / "run").metrics or [{}])[-1]
    assert {part for part, weight in config.weights.model_dump().items() if weight} <= line.keys()


def test_best_epoch_by_the_probe(small_net: Path, tmp_path: Path) -> None:
    """Selection asks the embedding for the classes of people that it did not learn from."""
    stuff = small()
    config = shipped("reconstruction", small_net, folds={"train": (1, 2), "validate_on": (3,)})
    config = config.model_copy(
        update={"fit": config.fit.model_copy(update={"select": "probe_macro_auroc", "epochs": 2})}
    )
    run = Run.open(tmp_path, "", board=False)
    done = pretrain.pretrain(config, stuff, run, probe.probe_score(stuff, stuff.rows_in((1, 2)), stuff.rows_in((3,))))
    scores = [line["probe_macro_auroc"] for line in run.metrics]
    assert done.best_epoch == int(np.argmax(scores))


def test_collapse_is_noticed(small_net: Path, tmp_path: Path) -> None:
    """1 - cosine without negatives falls to one point at a high rate; the contrastive loss stays spread out."""
    stuff = small()
    found = {}
    for alignment in ("cosine", "soft_contrastive"):
        config = shipped("align_structured", small_net, weights={"alignment": 1.0})
        text = config.text.model_copy(update={"alignment": arms.Alignment(alignment)})
        fast = config.fit.optimiser.model_copy(update={"learning_rate": 0.02, "warm_up": 0.0, "shape": "constant"})
        fit = config.fit.model_copy(update={"epochs": 25, "optimiser": fast})
        config = config.model_copy(update={"text": text, "fit": fit, "augmentation": arms.Changes()})
        found[alignment] = pretrain.pretrain(config, stuff, Run.open(tmp_path / alignment, "", board=False)).collapsed
        assert json.loads((tmp_path / alignment / pretrain.SUMMARY).read_text())["collapsed"] == found[alignment]
    assert found == {"cosine": True, "soft_contrastive": False}


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("reconstruction", {"weights": {"reconstruction": 1.0, "superclass": 1.0}}, "no objective"),
        ("classification", {"weights": {}}, "needs a weight above 0"),
        ("align_structured", {"text": {"source": "raw"}}, "aligns with text structured"),
        ("best", {"folds": {"train": (1, 2), "validate_on": (2,)}}, "both learned from and judged on"),
    ],
)
def test_an_arm_does_what_its_name_says(name: str, change: dict[str, object], message: str, small_net: Path) -> None:
    """A configuration that mixes in what its arm does not name is refused."""
    with pytest.raises(ValueError, match=message):
        shipped(name, small_net, **change)


def test_configurations_are_written_as_they_are_read() -> None:
    """The run's config.toml holds every setting, and reads back as the same configuration."""
    for path in CONFIGS.glob("*.toml"):
        config = arms.read_config(path.read_text())
        assert arms.read_config(arms.to_toml(config)) == config
    with pytest.raises(PretrainError, match="no_such_setting"):
        arms.read_config('arm = "none"\nno_such_setting = 1\n[fit]\nepochs = 1\n')


def test_mixing_keeps_the_larger_part() -> None:
    """A blend lies between two records, nearer to its own; leads that either lacks are masked."""
    batch = small(24).batch(np.arange(24))
    mixed = objective.blended(batch, 0.4, torch.Generator().manual_seed(0))
    own = (mixed.superclass - batch.superclass).abs().amax()
    assert 0 < own <= 0.5
    assert ((mixed.ecg - batch.ecg).abs() <= (0.5 * (batch.ecg.amax() - batch.ecg.amin()))).all()
    assert (mixed.lead_mask <= batch.lead_mask).all()


def test_unknown_age_and_silent_text_teach_nothing(small_net: Path) -> None:
    """A record without age, sex or text changes no other record's loss, and the loss stays a number."""
    stuff = small()
    config = shipped("best", small_net, augmentation={})
    torch.manual_seed(0)
    model = objective.Pretraining(config, stuff).eval()
    losses = objective.Objective(config)(model, stuff.batch(np.arange(2)), torch.Generator())
    assert losses["demographics"].isfinite()
    assert losses["alignment"] == 0


def test_the_probe_finds_what_is_there() -> None:
    """Linear classes in an embedding are found, in one of noise they are not; penalties are chosen inside."""
    chance = np.random.default_rng(0)
    x = chance.normal(0, 1, (400, 10)).astype(np.float32)
    labels = (x[:, :2] > 0).astype(np.float32)
    people = np.array([f"p{k // 2}" for k in range(400)], dtype=object)
    noise = chance.normal(0, 1, (400, 10)).astype(np.float32)
    for embedded, low, high in ((x, 0.97, 1.0), (noise, 0.35, 0.65)):
        fitted = probe.linear_probe(embedded[:300], labels[:300], people[:300])
        assert low <= probe.macro_auroc(labels[300:], fitted.scores(embedded[300:])) <= high


def test_auroc_is_the_known_one() -> None:
    """As scikit-learn counts it, ties included; a class that all or none have is left out."""
    chance = np.random.default_rng(1)
    labels = (chance.random((200, 4)) < 0.3).astype(np.float32)
    labels[:, 3] = 1
    scores = np.round(chance.normal(0, 1, (200, 4)), 1)
    expected = roc_auc_score(labels[:, :3], scores[:, :3], average="macro")
    assert probe.macro_auroc(labels, scores) == pytest.approx(expected, abs=1e-6)
    assert np.isnan(probe.macro_auroc(labels[:, 3:], scores[:, 3:]))


def test_shuffled_text_stays_in_its_fold() -> None:
    """Each fold keeps its texts, in another order: nothing of a test fold is learned from."""
    vectors = np.arange(40, dtype=np.float32)[:, None]
    folds = np.arange(40) % 4
    moved = material._shuffled(vectors, folds, seed=0)
    assert not np.array_equal(moved, vectors)
    for fold in range(4):
        assert sorted(moved[folds == fold, 0]) == sorted(vectors[folds == fold, 0])


def test_the_table_compares_arms(small_net: Path, tmp_path: Path) -> None:
    """Controls have a paired difference from each arm; a fold that is not there is said to be absent."""
    stuff, judged = small(120), []
    tune = compare.Ways(shipped("finetune", small_net), shipped("finetune_scratch", small_net))
    for name in ("none", "random_frozen", "classification"):
        pretrain.pretrain(shipped(name, small_net), stuff, Run.open(tmp_path / name, "", board=False))
        encoder = tmp_path / name / pretrain.ENCODER
        judged += compare.judge_encoder(encoder, stuff, tune, (4,), tmp_path / "tuned")
    judged += compare.judge_resnet(stuff, tune, (4,), tmp_path / "tuned")
    assert {(each.arm, each.way) for each in judged} == {
        ("none", "fine_tuned"), ("random_frozen", "linear_probe"), ("classification", "linear_probe"),
        ("classification", "fine_tuned"), ("resnet1d_wang", "fine_tuned"),
    }  # fmt: skip
    json_path, text_path = compare.write(
        compare.superclass_table(judged, stuff, tune, (10,)), "the command", tmp_path / "t"
    )
    rows = json.loads(json_path.read_text())["rows"]
    probed = next(row for row in rows if row["arm"] == "classification" and row["way"] == "linear_probe")
    difference = probed["against"]["random_frozen"]
    assert difference["low"] <= difference["value"] <= difference["high"]
    text = text_path.read_text()
    assert "fold 10: not in these data" in text
    assert "| 4 | resnet1d_wang | 0 + 1 | " in text
    with pytest.raises(PretrainError, match="they cannot judge it"):
        compare.judge_encoder(tmp_path / "none" / pretrain.ENCODER, stuff, tune, (3,), tmp_path / "tuned")


def test_the_verb_leaves_an_encoder(tmp_path: Path) -> None:
    """From a folder in PTB-XL's layout to encoder.safetensors; run again it has nothing left to do."""
    layouts.ptbxl(tmp_path / "ptbxl")
    words = [
        "pretrain", str(tmp_path / "ptbxl"), "--config", str(CONFIGS / "reconstruction.toml"), "--out",
        str(tmp_path / "run"), "--cache", str(tmp_path / "cache"), "--epochs", "1", "--device", "cpu", "--workers", "1",
        "--no-progress",
    ]  # fmt: skip
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2  # made-up walks are no ECGs: the gate refuses them all
    assert "no recording is ready" in " ".join(result.output.split())


def test_the_verb_on_real_records(ptbxl_dir: Path, tmp_path: Path) -> None:
    """Thirty real records through preparation, statements as text, all objectives, and the file that is left."""
    folder = tmp_path / "ptbxl"
    folder.mkdir()
    lines = (ptbxl_dir / "ptbxl_database.csv").read_text().splitlines()
    (folder / "ptbxl_database.csv").write_text("\n".join(lines[:31]) + "\n")
    for name in ("scp_statements.csv", "records100", "records500"):
        (folder / name).symlink_to(ptbxl_dir / name)
    words = [
        "pretrain", str(folder), "--config", str(CONFIGS / "best.toml"), "--out", str(tmp_path / "run"), "--cache",
        str(tmp_path / "cache"), "--epochs", "1", "--device", "cpu", "--workers", "1", "--no-progress",
    ]  # fmt: skip
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    _, about = pretrain.load_encoder(tmp_path / "run" / pretrain.ENCODER)
    assert about["arm"] == "best"
    before = (tmp_path / "run" / pretrain.ENCODER).read_bytes()
    assert CliRunner().invoke(app, words).exit_code == 0
    assert (tmp_path / "run" / pretrain.ENCODER).read_bytes() == before
    other = CliRunner().invoke(app, [*words, "--seed", "5"])
    assert other.exit_code == 2
    assert "another configuration" in " ".join(other.output.split())


def test_tuning_begins_with_the_probe(small_net: Path) -> None:
    """The superclass head says of an embedding what the fitted probe says of it."""
    stuff, config = small(96), shipped("finetune", small_net)
    torch.manual_seed(0)
    model = objective.Pretraining(config, stuff).eval()
    rows = stuff.rows_in((1, 2, 3))
    embedded = probe.embeddings(model.network, stuff, rows)
    fitted = probe.linear_probe(embedded, stuff.superclass[rows], stuff.patients[rows], (1e-2,))
    compare.begin_with(model, fitted)
    with torch.no_grad():
        said = model.heads["superclass"](torch.from_numpy(embedded)).numpy()
    np.testing.assert_allclose(said, fitted.scores(embedded), atol=1e-3)
