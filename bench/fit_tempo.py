"""python -m bench.fit_tempo PTBXL_DIR: fit what ecg/tempo.py knows of hearts and their pace, on folds 1 to 8.

One logistic regression of three logarithms (beat, QRS, ST-T) on whether the recording is played at half speed. The
limit is set by the share of recordings as they are that lie above it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from bench.faults import FAULTS
from ecg import beats, harmonise, quality, tempo
from ecg.errors import EcgError
from ecg.recording import TwelveLead
from model_training.data import ptbxl

SLOW, NARROWEST = 0.004, 0.005
_LAST_FOLD = 8
_HALF_SPEED = next(each for each in FAULTS if each.name == "played at half speed")
Evidence = NDArray[np.float64]


def evidence(twelve: TwelveLead) -> Evidence | None:
    """None where the gate refuses the recording before it looks at its pace."""
    found = beats.find(twelve)
    if quality.inspect(twelve, quality.RECOMMENDED, found).verdict is quality.Verdict.REJECTED:
        return None
    measured = tempo.of(found)
    return None if measured is None else np.array(measured.evidence)


def gathered(root: Path) -> tuple[Evidence, Evidence]:
    """Recordings as they are, and the same ones at half speed."""
    cohort, rng = ptbxl.load(root), np.random.default_rng(0)
    sound: list[Evidence] = []
    slowed: list[Evidence] = []
    for position in np.flatnonzero(cohort.table["fold"] <= _LAST_FOLD).tolist():
        try:
            twelve = harmonise.to_twelve(cohort.recording(position))
            found = evidence(twelve), evidence(_HALF_SPEED.plant(twelve, rng))
        except EcgError:
            continue
        for kept, each in zip((sound, slowed), found, strict=True):
            if each is not None:
                kept.append(each)
    return np.stack(sound), np.stack(slowed)


def fit(sound: Evidence, slowed: Evidence) -> dict[str, object]:
    mean, spread = sound.mean(axis=0), sound.std(axis=0)
    every = (np.concatenate([sound, slowed]) - mean) / spread
    model = LogisticRegression(max_iter=2_000).fit(every, np.repeat([0, 1], [len(sound), len(slowed)]))
    weights = model.coef_[0] / spread
    offset = float(model.intercept_[0] - weights @ mean)
    slow_from = float(np.quantile(sound @ weights + offset, 1 - SLOW))
    caught = (slowed @ weights + offset > slow_from).mean()
    print(f"{caught:.1%} of {len(slowed)} at half speed, at {SLOW:.1%} of {len(sound)} as they are")
    return {
        "evidence": ["log rr_ms", "log qrs_ms", "log st_t_ms"],
        "weights": weights.round(4).tolist(),
        "offset": round(offset, 4),
        "slow_from": round(slow_from, 3),
        "narrowest_slowed_qrs_ms": round(float(np.exp(np.quantile(slowed[:, 1], NARROWEST))), 1),
        "made_by": f"python -m bench.fit_tempo PTBXL_DIR, folds 1 to {_LAST_FOLD} of the PTB-XL subset",
        "n": len(sound),
    }


def main(root: Path) -> None:
    tempo.CONSTANTS.write_text(json.dumps(fit(*gathered(root)), indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
