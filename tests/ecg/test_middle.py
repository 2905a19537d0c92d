"""The short median against numpy's."""

from __future__ import annotations

import numpy as np
import pytest

from ecg.middle import median


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("size", [1, 2, 3, 10, 11, 1250])
def test_is_numpys_to_the_last_bit(dtype: type, size: int) -> None:
    """Whatever the numbers, their type and their count: the same float."""
    chance = np.random.default_rng(size)
    for _ in range(20):
        values = (chance.normal(size=size) * 1000).astype(dtype)
        assert median(values) == float(np.median(values))


def test_one_that_is_no_number_makes_none_of_all() -> None:
    """A NaN among the values is the answer, as numpy has it."""
    assert np.isnan(median(np.array([1.0, np.nan, 2.0])))


def test_looks_at_all_axes() -> None:
    """A table's median is that of all its cells."""
    table = np.arange(12.0).reshape(3, 4)
    assert median(table) == float(np.median(table))
