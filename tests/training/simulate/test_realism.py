"""The simulation looks like the world: what is learnt on it is found in real recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model_training.data import ptbxl
from model_training.simulate import realism, sheets


@pytest.mark.slow
def test_trees_learnt_on_simulated_people_read_real_ecgs(ptbxl_dir: Path) -> None:
    """LBBB, RBBB, AF and LVH are found in PTB-XL's fold 9 with AUROC 0.90, among all others and among the normal."""
    for found in realism.audit(realism.simulated(3_000), realism.ptb_xl(ptbxl_dir)):
        assert found.positives >= 10
        assert min(found.auroc_rest, found.auroc_normal) >= 0.90, found


def test_the_audit_can_fail() -> None:
    """Trees that learnt on shuffled labels find nothing: the audit measures what was learnt."""
    made = realism.simulated(400)
    chance = np.random.default_rng(0)
    labels = [{"LVH"} if each else set() for each in chance.random(400) < 0.3]
    real = realism.Sample(made.features[::-1], [codes | {"NORM"} - {"LVH"} for codes in made.codes])
    found = realism.audit(realism.Sample(made.features, labels), real, ("LVH",))[0]
    assert 0.35 < found.auroc_rest < 0.65


def test_pages_say_which_half_is_simulated(ptbxl_dir: Path) -> None:
    """The made half of a page carries SIMULATED, the real half names its source."""
    subject = sheets.SUBJECTS[1]
    page = sheets.page(sheets.simulated(subject, 5), sheets.real(ptbxl.load(ptbxl_dir), subject), subject.title)
    assert page.count("<svg") == 2
    assert page.index("SIMULATED") < page.index("PTB-XL (real)")
