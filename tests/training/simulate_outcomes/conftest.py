"""One crowd for all: 40,000 people whom neither the calibration nor the baselines have seen."""

from __future__ import annotations

import pandas as pd
import pytest

from model_training.simulate import outcomes, people
from model_training.simulate.outcomes import Drawn
from model_training.simulate.presets import PRESETS

SEED = 4_711


@pytest.fixture(scope="session")
def crowd() -> pd.DataFrame:
    return people.draw(40_000, SEED)


@pytest.fixture(scope="session")
def hospital(crowd: pd.DataFrame) -> Drawn:
    return outcomes.draw(crowd, PRESETS["hospital"], SEED)
