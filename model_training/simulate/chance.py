"""Random numbers that belong to a person: each depends on the seed, the person's number and the name of the draw only.

A counter-based hash gives them, so any subset, order or chunk of people gets the same values, and all at once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]
Keys = NDArray[np.uint64]

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLY: Final = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_UNIT: Final = 2.0**-53


def _mix(x: Keys) -> Keys:
    """The finaliser of SplitMix64: every bit of the input moves every bit of the output."""
    x = (x ^ (x >> np.uint64(30))) * _MULTIPLY[0]
    x = (x ^ (x >> np.uint64(27))) * _MULTIPLY[1]
    return np.asarray(x ^ (x >> np.uint64(31)))


def _named(name: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little"))


@dataclass(frozen=True, slots=True, eq=False)
class Chance:
    """One stream of named draws for each key."""

    keys: Keys

    @classmethod
    def of(cls, seed: int, numbers: NDArray[np.integer], purpose: str = "") -> Chance:
        start = _mix(np.array([seed], dtype=np.int64).astype(np.uint64) ^ _named(purpose))
        return cls(_mix(start + numbers.astype(np.uint64) * _GOLDEN))

    def within(self, seed: int, purpose: str) -> Chance:
        """The same people's draws for something else, such as one recording among many."""
        return Chance(_mix(self.keys ^ _mix(np.array([seed], dtype=np.int64).astype(np.uint64) ^ _named(purpose))))

    def uniform(self, name: str, count: int | None = None) -> Floats:
        """Strictly between 0 and 1; (n,) or, with `count`, (n, count)."""
        columns = np.arange(1 if count is None else count, dtype=np.uint64)
        hashed = _mix(_mix(self.keys ^ _named(name))[:, None] + (columns + np.uint64(1)) * _GOLDEN)
        values = ((hashed >> np.uint64(11)).astype(np.float64) + 0.5) * _UNIT
        return values[:, 0] if count is None else values

    def normal(self, name: str, count: int | None = None) -> Floats:
        return np.asarray(ndtri(self.uniform(name, count)))
