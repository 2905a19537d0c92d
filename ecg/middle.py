"""The median of a few numbers: numpy asks about axes and masks first, which takes longer than the answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def median(values: NDArray[Any]) -> float:
    """Of all values, at least one; bit for bit what `numpy.median` gives."""
    ordered = np.sort(values, axis=None)
    half, last = ordered.size // 2, float(ordered[-1])
    if last != last:  # what is no number is sorted to the end, and speaks for all
        return last
    return float(ordered[half]) if ordered.size % 2 else float((ordered[half - 1] + ordered[half]) / 2)
