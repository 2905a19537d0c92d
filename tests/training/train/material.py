"""A few made-up recordings with all that pretraining may know of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from model_training.train.material import Material

CODES = ("AFIB", "CLBBB", "SR")


def small(n: int = 48, samples: int = 200, seed: int = 0) -> Material:
    """Records whose amplitude tells their class, so that there is something to learn; folds 1 to 4 in turn."""
    chance = np.random.default_rng(seed)
    wave = np.cumsum(chance.normal(0, 0.05, (n, 12, samples)), axis=2).astype(np.float32)
    wave -= wave.mean(axis=2, keepdims=True)
    superclass = (chance.random((n, 5)) < 0.4).astype(np.float32)
    wave *= 1 + 2 * superclass[:, :1, None]
    table = pd.DataFrame({"patient_id": [f"p{k // 2}" for k in range(n)], "fold": np.arange(n) // 2 % 4 + 1})
    demographics = np.stack((chance.normal(0, 1, n), (chance.random(n) < 0.5)), axis=1).astype(np.float32)
    demographics[0] = np.nan
    text = chance.normal(0, 1, (n, 16)).astype(np.float32)
    text[1] = 0  # nothing is said of this one
    masks = np.ones((n, 12), np.float32)
    masks[::5, 3] = 0
    statements = (chance.random((n, len(CODES))) < 0.5).astype(np.float32)
    return Material(
        table, lambda rows: wave[rows], masks, superclass, statements, CODES, demographics, text, "digest-of-a-recipe"
    )
