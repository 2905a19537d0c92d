"""Trees on measurements: what they are told is what was measured, they learn it, and they stand beside networks."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecg.leads import INDEX, LEADS
from ecg.measure import LeadVoltages, Measurements
from model_training import recipe as recipes
from model_training.data import prepared
from model_training.data.cohort import CohortError
from model_training.train import arms, compare, probe, trees
from model_training.train.arms import PretrainError
from tests.training.train.material import small

pytestmark = pytest.mark.torch
FINETUNE = Path(__file__).resolve().parents[3] / "configs" / "pretrain" / "finetune.toml"
WHOLE = len(fields(Measurements)) - 1
STEPS = 42
BEAT = recipes.load(trees.RECIPE)


def made(folder: Path, beats_mv: np.ndarray, qrs_ms: list[float | None]) -> prepared.Prepared:
    """Prepared median beats on disk, as preparation leaves them; V6 of the first recording is unusable."""
    measured = []
    for width in qrs_ms:
        voltages = {lead: LeadVoltages(1.0, 0.5, 0.1, None if lead == "I" else 0.3) for lead in LEADS}
        found = asdict(Measurements(qrs_ms=width, voltages=voltages))
        measured.append({f"measured_{name}": value for name, value in found.items()})
    np.save(folder / "part-00000.npy", beats_mv)
    masks = [[1] * 12 for _ in qrs_ms]
    masks[0][INDEX["V6"]] = 0
    about = pd.DataFrame(
        {"ecg_id": [f"e{k}" for k in range(len(qrs_ms))], "lead_mask": masks, "shard": 0, "slot": range(len(qrs_ms))}
    )
    return prepared.Prepared(folder, about.join(pd.DataFrame(measured)), BEAT.digest)


def by_lead(row: np.ndarray) -> np.ndarray:
    """(12, 4 voltages and the steps)."""
    return np.asarray(row[WHOLE:].reshape(12, 4 + STEPS))


def test_trees_are_told_what_was_measured(tmp_path: Path) -> None:
    """The asked order; R in its own step; NaN for the unusable lead, the unmeasured, and the unknown recording."""
    beats = np.zeros((3, 12, 600), np.float32)
    beats[1, INDEX["V2"], 240:250] = 2.5  # from R on for 20 ms: the eleventh step after -200 ms
    told = trees.measured(made(tmp_path, beats, [90.0, 140.0, None]), BEAT, ["e1", "e0", "nobody", "e2"])
    assert told.shape == (4, WHOLE + 12 * (4 + STEPS))
    qrs = [field.name for field in fields(Measurements)].index("qrs_ms")
    assert told[:2, qrs].tolist() == [140.0, 90.0]
    assert np.isnan(told[3, qrs])
    assert np.isnan(told[2]).all()
    steps = by_lead(told[0])[:, 4:]
    assert np.argwhere(steps).tolist() == [[INDEX["V2"], 10]]
    assert steps[INDEX["V2"], 10] == pytest.approx(2.5)
    assert np.isnan(by_lead(told[1])[INDEX["V6"]]).all()
    assert by_lead(told[1])[INDEX["V5"], :4] == pytest.approx([1.0, 0.5, 0.1, 0.3])
    assert np.isnan(by_lead(told[1])[INDEX["I"], 3])


def test_trees_want_beats(tmp_path: Path) -> None:
    """Ten seconds of rhythm are no median beat: refused, not cut to size."""
    beats = np.zeros((1, 12, 600), np.float32)
    with pytest.raises(CohortError, match="trees look at one beat"):
        trees.measured(made(tmp_path, beats, [90.0]), recipes.load("rhythm-100hz"), ["e0"])


def columns(labels: np.ndarray) -> np.ndarray:
    """One column for each class with holes in it, and noise."""
    chance = np.random.default_rng(5)
    x = np.concatenate((labels + chance.normal(0, 0.3, labels.shape), chance.normal(0, 1, labels.shape)), axis=1)
    x[chance.random(x.shape) < 0.05] = np.nan
    return x.astype(np.float32)


def test_trees_learn_and_stand_beside_networks() -> None:
    """They find the classes on people they did not learn from; the pair's probability is the mean of both."""
    stuff = small(800, samples=8)
    config = arms.read_config(FINETUNE.read_text()).model_copy(update={"folds": arms.Folds(train=(1, 2, 3))})
    ways = compare.Ways(config, config)
    (grown,) = compare.judge_trees(columns(stuff.superclass), stuff, ways, (4,))
    held_out = stuff.superclass[stuff.rows_in((4,))]
    assert probe.macro_auroc(held_out, grown.scores) > 0.97
    network = compare.Judged("best", compare.TUNED, 4, np.full_like(grown.scores, 0.4), tuned_epochs=8)
    frozen = replace(network, way=compare.PROBE)
    (pair,) = compare.beside_trees([network, frozen], [grown])
    assert (pair.arm, pair.way, pair.tuned_epochs) == ("best", compare.BESIDE, 8)
    assert pair.scores == pytest.approx(0.5 * (grown.scores + 0.4))
    table = compare.superclass_table([network, grown, pair], stuff, ways)
    assert "trees" in table["rows"][-1]["against"]
    assert compare.TITLES[compare.BESIDE] in compare.to_markdown(table, "the command")
    with pytest.raises(PretrainError, match="learned from"):
        compare.judge_trees(columns(stuff.superclass), stuff, ways, (3,))
