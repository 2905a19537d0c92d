"""A model whose truth is known: the log-hazard is a sum over cells, and its risk map is that sum's terms.

Its attention map is noise that knows nothing, so that every measure has one map that must pass and one that must fail.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ecg.contract import Contract
from ecg.predictor import Inference, RawMaps
from model_training.explain.subject import token_of_sample
from tests.training import contracts, nets

RHYTHM = contracts.contract(nets.config("lead_additive"))


@dataclass
class Planted:
    """f = scale * sum over usable leads and samples of weight of the lead * |x|, or |x - the lead's median|.

    The first is a sum over cells that no other cell enters into; the second does not feel a level that a filter moves.
    """

    contract: Contract = RHYTHM
    weights: Any = field(default_factory=lambda: np.ones(12))
    scale: float = 0.05
    from_median: bool = False

    def infer_batch(self, tensors: Any, lead_masks: Any, *, maps: bool = True) -> list[Inference]:
        return [self._one(x, mask) for x, mask in zip(tensors, lead_masks, strict=True)]

    def _one(self, x: Any, mask: Any) -> Inference:
        token, tokens = token_of_sample(self.contract), self.contract.explanation.tokens
        level = np.median(x, axis=1, keepdims=True) if self.from_median else 0.0
        away = np.abs(x - level).astype(np.float64)
        by_sample = self.scale * self.weights[:, None] * away * mask[:, None]
        cells = np.stack([np.bincount(token, weights=row, minlength=tokens) for row in by_sample])
        noise = np.random.default_rng(zlib.crc32(x.tobytes())).random((12, tokens))
        raw = RawMaps(
            noise.sum(axis=1) / noise.sum(), np.eye(12), noise / noise.sum(axis=1, keepdims=True),
            cells.sum(axis=1), cells,
        )  # fmt: skip
        return Inference(float(cells.sum()), np.zeros(3), np.zeros(4), raw)
