"""Left arm and left leg exchanged: the limb reversal that stands nothing on its head.

Leads I and II change places and stay the leads of a possible heart. What tells is how their P, QRS and T go with those
of V1 to V6. A small network sees the averaged beat in both orders and says by how much the other one is likelier; it
was taught on hearts in both orders, and lies in left_limbs.json with the command that made it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg import native
from ecg.leads import INDEPENDENT, INDEPENDENT_ROWS
from ecg.recording import Samples

CONSTANTS: Final = Path(__file__).with_name("left_limbs.json")
# The median beat at 500 Hz, R at sample 240, in steps of so many samples: P, QRS, ST-T.
_FIRST: Final = 120
_WAVES: Final = ((11, 8), (16, 4), (10, 18))
_STEPS: Final = np.repeat([each for _, each in _WAVES], [count for count, _ in _WAVES])
_STEP_STARTS: Final = np.cumsum(_STEPS) - _STEPS
_COUNTS: Final = np.array([count for count, _ in _WAVES])
_WAVE_STARTS: Final = np.cumsum(_COUNTS) - _COUNTS
_LAST: Final = _FIRST + int(_STEPS.sum())
# Between P and QRS, where the heart is silent: the last step of the one and the first of the other.
_SILENT: Final = slice(_WAVES[0][0] - 1, _WAVES[0][0] + 1)
OTHER_ORDER: Final = [1, 0, *range(2, len(INDEPENDENT))]
_SMALLEST_MV: Final = 0.01
Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """One layer of `units`, then a weighted sum: `taps` (units, inputs), `biases` and `weights` (units)."""

    taps: Array
    biases: Array
    weights: Array
    both: tuple[Array, Array, Array] = field(init=False)

    def __post_init__(self) -> None:
        """The layer as it meets the other order, and as it meets the one that is there, whose answer is taken off."""
        leads = self.taps.reshape(len(self.taps), len(INDEPENDENT), -1)
        taps = np.concatenate([leads[:, OTHER_ORDER, :], leads]).reshape(2 * len(self.taps), -1)
        both = taps, np.concatenate([self.biases] * 2), np.concatenate([self.weights, -self.weights])
        object.__setattr__(self, "both", both)

    def exchanged(self, forms: Array) -> Array:
        """(n, leads, averages) -> how much likelier each is with I and II in the other order, as a logit."""
        taps, biases, weights = self.both
        units = np.einsum("ni,ui->nu", forms.reshape(len(forms), -1), taps) + biases
        likelier: Array = np.einsum("nu,u->n", np.maximum(units, 0), weights)
        return likelier


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    network: Network
    suspect_from: float
    sure_from: float


@cache
def stored() -> Known:
    read = json.loads(CONSTANTS.read_text())
    layers = (np.array(read[name], dtype=np.float32) for name in ("taps", "biases", "weights"))
    return Known(Network(*layers), read["suspect_from"], read["sure_from"])


def suspicion(median_mv: Samples) -> bool | None:
    """None where the leads are as they should be; else whether they surely are not."""
    known, score = stored(), likelier(median_mv)
    return score > known.sure_from if score > known.suspect_from else None


def likelier(median_mv: Samples) -> float:
    """By how much the beat is likelier with I and II in the other order, as a logit."""
    network = stored().network
    if native.compiled:
        return native.left_limbs(median_mv, _FIRST, _STEPS, _SILENT.start, _COUNTS, _SMALLEST_MV, *network.both)
    return float(network.exchanged(form(median_mv)[None])[0])


def form(median_mv: Samples) -> Array:
    """(leads, averages): each wave of the eight independent leads in coarse steps, as a share of the wave's size.

    So a tall heart is no other than a small one, and a wave that is hardly there says hardly anything.
    """
    above = _averages(median_mv)
    power = np.add.reduceat(np.einsum("lk,lk->k", above, above), _WAVE_STARTS) / (len(INDEPENDENT_ROWS) * _COUNTS)
    return np.asarray(above / np.repeat(np.sqrt(power) + _SMALLEST_MV, _COUNTS), dtype=np.float32)


def _averages(median_mv: Samples) -> Array:
    """Of the independent leads step by step, about their mean where the heart is silent."""
    sums = np.add.reduceat(median_mv[INDEPENDENT_ROWS, _FIRST:_LAST], _STEP_STARTS, axis=1)
    level = sums[:, _SILENT].sum(axis=1) / _STEPS[_SILENT].sum()
    return np.asarray(sums / _STEPS - level[:, None], dtype=np.float32)
