"""Which patients make a batch: every batch holds its share of events, or a Cox risk set compares nobody."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray


class EventStratifiedBatches:
    """Yields index batches in which the event rate is the cohort's to within one event, each person once an epoch.

    `set_epoch` changes the shuffle; the same seed and epoch give the same batches. A ragged end is kept unless
    `drop_last`.
    """

    def __init__(self, event: ArrayLike, batch_size: int, seed: int, drop_last: bool = False) -> None:
        self._event = np.asarray(event).astype(bool)
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self._batch_size, self._seed, self._epoch, self._drop_last = batch_size, seed, 0, drop_last

    def __len__(self) -> int:
        whole, rest = divmod(len(self._event), self._batch_size)
        return whole + (rest > 0 and not self._drop_last)

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        order = self._spread_out()
        for batch in range(len(self)):
            yield order[batch * self._batch_size : (batch + 1) * self._batch_size].tolist()

    def _spread_out(self) -> NDArray[np.int64]:
        """All people in one line, events at even distances in it, each group shuffled."""
        chance = np.random.default_rng((self._seed, self._epoch))
        with_event, without = (chance.permutation(np.flatnonzero(mask)) for mask in (self._event, ~self._event))
        # the i-th of k stands at (i + 1/2) / k of the line: any stretch holds its share to within one
        place = [(np.arange(len(group)) + 0.5) / max(len(group), 1) for group in (with_event, without)]
        line = np.argsort(np.concatenate(place), kind="stable")
        return np.concatenate((with_event, without))[line]
