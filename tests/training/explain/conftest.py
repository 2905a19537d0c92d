"""People and a model whose truth is known."""

from __future__ import annotations

import pytest

from model_training.explain import cohorts
from model_training.explain.cohorts import Simulated
from tests.training.explain.planted import RHYTHM, Planted


@pytest.fixture(scope="session")
def planted() -> Planted:
    return Planted()


@pytest.fixture(scope="session")
def people() -> Simulated:
    return cohorts.simulated(RHYTHM, 16, seed=5)
