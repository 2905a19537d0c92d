"""Lead weights, the cross-lead matrix and temporal activation, mapped back onto the recording.

Attention says where the network looked; relevance (attention times the gradient of the log-hazard) what moved the risk.
Which of them is shown, and how faithful it measured on this very model, is the contract's to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ecg.contract import Contract, MapKind, View
from ecg.leads import LEADS
from ecg.predictor import RawMaps
from ecg.preprocess import Prepared

DECIMALS: Final = 4
Array = NDArray[np.float64]


class TimeBase(StrEnum):
    """Whether activation is told along one beat, from its R peak, or along the recording, from its start."""

    BEAT = "beat"
    RECORDING = "recording"


@dataclass(frozen=True, slots=True, eq=False)
class Attention:
    """`activation` is 0 to 1 over all leads and moments, so that leads may be compared; masked leads have none.

    Token k of a lead covers `start_ms + k * step_ms` to the next, from the start of the recording or from each R peak.
    """

    kind: MapKind
    lead_weights: Array  # (12,), sums to 1
    cross_lead: Array  # (12, 12), rows sum to 1, a row is a query lead
    activation: Array  # (12, tokens), 0 to 1
    time_base: TimeBase
    start_ms: float
    step_ms: float
    anchors_ms: tuple[float, ...]
    faithfulness: dict[str, float | str | bool]

    @property
    def by_lead(self) -> dict[str, float]:
        return {name: float(weight) for name, weight in zip(LEADS, self.lead_weights, strict=True)}

    def on_recording(self, duration_s: float, step_ms: float) -> Array:
        """(12, steps): the activation at each moment of the recording; a beat's lies around each of its R peaks."""
        moments = np.arange(0, duration_s * 1000, step_ms)
        drawn = np.zeros((len(LEADS), moments.size))
        for anchor_ms in self.anchors_ms:
            token = np.floor((moments - anchor_ms - self.start_ms) / self.step_ms).astype(int)
            inside = (token >= 0) & (token < self.activation.shape[1])
            # Where two beats' windows overlap the stronger activation shows.
            drawn[:, inside] = np.maximum(drawn[:, inside], self.activation[:, token[inside]])
        return drawn


def maps(
    contract: Contract, raw: RawMaps, lead_mask: NDArray[np.bool_], place: Prepared, kind: MapKind | None = None
) -> Attention:
    """The wanted kind of map, or the contract's own; `place` is the prepared tensor's place in time."""
    facts = contract.explanation
    chosen = kind or facts.default
    lead, temporal = _of_kind(raw, chosen, lead_mask)
    shares = _summing_to_one(np.concatenate([lead[None], raw.cross_lead], dtype=np.float64))
    return Attention(
        kind=chosen,
        lead_weights=shares[0],
        cross_lead=shares[1:],
        activation=_zero_to_one(temporal),
        time_base=TimeBase.BEAT if contract.input.view is View.MEDIAN_BEAT else TimeBase.RECORDING,
        start_ms=place.start_ms + facts.token_start_ms,
        step_ms=facts.token_step_ms,
        anchors_ms=place.anchors_ms,
        faithfulness={"kind": chosen.value, **facts.faithfulness.get(chosen.value, {})},
    )


def _of_kind(raw: RawMaps, kind: MapKind, lead_mask: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Weight a lead and weight a lead and token, none of them negative, masked leads silent."""
    if kind is MapKind.RISK:
        lead, temporal = np.abs(raw.lead_relevance), np.abs(raw.temporal_relevance)
    else:
        # A token counts as much as its share of its lead's attention times the lead's own.
        lead, temporal = raw.lead_attention, raw.temporal_attention * raw.lead_attention[:, None]
    usable = lead_mask.astype(np.float64)
    return lead * usable, temporal * usable[:, None]


def _summing_to_one(weights: Array) -> Array:
    """Rows rounded, and the rounding's remainder given to the largest, so that the written numbers sum to 1."""
    rows, width = np.arange(weights.shape[0]), weights.shape[1]
    total = weights.sum(axis=1, keepdims=True).astype(np.float64)
    some = total > 0
    shares = np.where(some, weights, 1 / width) / np.where(some, total, 1.0)
    rounded = np.round(shares, DECIMALS)
    largest = rounded.argmax(axis=1)
    # Python's rounding of each: the nearest float to the decimal number, which numpy's misses at times.
    rest = (rounded[rows, largest] + 1 - rounded.sum(axis=1)).tolist()
    rounded[rows, largest] = [round(each, DECIMALS) for each in rest]
    return rounded


def _zero_to_one(weights: Array) -> Array:
    highest = float(weights.max())
    scaled = weights / highest if highest > 0 else np.zeros_like(weights)
    return np.round(scaled, DECIMALS).astype(np.float64)
