"""Batches in which events are spread evenly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_training.samplers import EventStratifiedBatches

pytestmark = pytest.mark.torch


@given(n=st.integers(1, 400), events=st.integers(0, 400), size=st.integers(1, 130), seed=st.integers(0, 5))
def test_each_person_once_and_events_at_the_cohorts_rate(n: int, events: int, size: int, seed: int) -> None:
    """Law: an epoch is a permutation of the cohort; each batch's events are within one of its share."""
    event = np.zeros(n, bool)
    event[: min(events, n)] = True
    event = np.random.default_rng(seed).permutation(event)
    batches = list(EventStratifiedBatches(event, size, seed))
    assert sorted(index for batch in batches for index in batch) == list(range(n))
    assert len(batches) == len(EventStratifiedBatches(event, size, seed))
    for batch in batches:
        assert abs(event[batch].sum() - event.mean() * len(batch)) <= 1 + 1e-9


def test_a_plain_shuffle_would_fail_that_law() -> None:
    """Law: the test above can fail: random batches of a rare event do leave some batch without any."""
    event = np.zeros(640, bool)
    event[:16] = True
    order = np.random.default_rng(0).permutation(640).reshape(-1, 80)
    assert (event[order].sum(axis=1) == 0).any()
    assert all(event[batch].sum() == 2 for batch in EventStratifiedBatches(event, 80, 0))


def test_same_seed_and_epoch_same_batches_other_epoch_others() -> None:
    """Law: reproducible, and reshuffled by set_epoch."""
    event = np.arange(50) % 7 == 0
    one, two = EventStratifiedBatches(event, 8, 1), EventStratifiedBatches(event, 8, 1)
    assert list(one) == list(two)
    two.set_epoch(1)
    assert list(one) != list(two)
    assert len(list(EventStratifiedBatches(event, 8, 1, drop_last=True))) == 6


def test_an_impossible_size_is_refused() -> None:
    """Law: a batch holds at least one person."""
    with pytest.raises(ValueError, match="batch_size"):
        EventStratifiedBatches([0, 1], 0, 0)
