"""python -m bench.fit_reversal PTBXL_DIR: fit what ecg/reversal.py knows of ordinary hearts, on folds 1 to 8.

Only good median beats take part. Limb reversals: one logistic regression each on how well the precordial leads foretell
leads I and II as stored and as they would be if the electrodes were put right. Precordial swaps: the likelihood of the
leads' covariance in P, QRS and T as stored and with two leads exchanged.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from ecg import beats, harmonise, quality, reversal
from ecg.errors import EcgError
from model_training.data import ptbxl

SUSPECT, SURE = 0.001, 0.0005
SWAP_SUSPECT = 0.006
# No ordinary heart leaves lead II so silent that it could be sure: two thirds of the least that was seen.
SILENT_SUSPECT, SILENT_SURE = 0.0005, 2 / 3


def median_beats(root: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    cohort, found, folds = ptbxl.load(root), [], []
    for position in range(len(cohort)):
        try:
            twelve = harmonise.to_twelve(cohort.recording(position))
            at = beats.find(twelve)
            faults = quality.lead_issues(twelve, quality.RECOMMENDED, at)
        except EcgError:
            continue
        if at.median_mv is not None and not faults and np.median(at.correlation) > 0.9:
            found.append(at.median_mv)
            folds.append(int(cohort.table["fold"][position]))
    return np.stack(found), np.array(folds)


def fit(beat_mv: NDArray[np.float32]) -> dict[str, object]:
    levelled = [reversal.levelled(each) for each in beat_mv]
    foretell = _foretell(levelled)
    known: dict[str, object] = {"foretell": foretell.round(4).tolist(), "limb": {}, "precision": {}}
    limb: dict[str, object] = known["limb"]  # type: ignore[assignment]
    for name in reversal.FORETOLD:
        limb[name] = _logistic(name, levelled, reversal.PUT_RIGHT[name], foretell)
    products = [reversal.products_of(np.concatenate([each[:2], each[6:]])) for each in levelled]
    typical = np.mean([reversal.covariances(each) for each in products], axis=0)
    precision = {
        wave: np.linalg.inv(each + 0.002 * np.eye(8)).round(2)
        for wave, each in zip(reversal.WAVES, typical, strict=True)
    }
    known["precision"] = {wave: each.tolist() for wave, each in precision.items()}
    swaps = reversal.trial_precisions(precision)
    gains = [reversal.swap_gains(each, swaps).max() for each in products]
    known["swap_suspect_from"] = round(float(np.quantile(gains, 1 - SWAP_SUSPECT)), 3)
    silences = [reversal.silence_of_ii(each) for each in levelled]
    known["silent_ii"] = {
        "suspect_below": round(float(np.quantile(silences, SILENT_SUSPECT)), 3),
        "sure_below": round(SILENT_SURE * min(silences), 3),
    }
    return known


def _foretell(levelled: list[NDArray[np.float32]]) -> NDArray[np.float64]:
    """I and II as a linear map of V1 to V6, each heart weighing the same."""
    gram, cross = np.zeros((6, 6)), np.zeros((2, 6))
    for beat in levelled:
        limb, chest = beat[:2, reversal.WINDOW].astype(float), beat[6:, reversal.WINDOW].astype(float)
        weight = 1 / np.mean(chest**2)
        gram, cross = gram + weight * chest @ chest.T, cross + weight * limb @ chest.T
    return np.asarray(cross @ np.linalg.inv(gram + 1e-3 * np.trace(gram) / 6 * np.eye(6)))


def _logistic(
    name: str, levelled: list[NDArray[np.float32]], put_right: NDArray[np.float64], foretell: NDArray[np.float64]
) -> dict[str, object]:
    wrong = np.linalg.inv(put_right)
    sound = np.stack([reversal.limb_evidence(each[:2], each[6:], put_right, foretell) for each in levelled])
    swapped = np.stack(
        [
            reversal.limb_evidence((wrong @ each[:2]).astype(np.float32), each[6:], put_right, foretell)
            for each in levelled
        ]
    )
    mean, spread = sound.mean(axis=0), sound.std(axis=0)
    model = LogisticRegression(max_iter=2_000).fit(
        (np.concatenate([sound, swapped]) - mean) / spread, np.repeat([0, 1], len(sound))
    )
    weights = model.coef_[0] / spread
    offset = float(model.intercept_[0] - weights @ mean)
    scores = sound @ weights + offset
    limits = {"suspect_from": SUSPECT, "sure_from": SURE}
    found = {key: round(float(np.quantile(scores, 1 - share)), 3) for key, share in limits.items()}
    caught = (swapped @ weights + offset > found["suspect_from"]).mean()
    print(f"{name}: {caught:.1%} of {len(sound)} planted, at {SUSPECT:.1%} false alarms")
    return {"weights": weights.round(4).tolist(), "offset": round(offset, 4), **found}


def main(root: Path) -> None:
    beat_mv, folds = median_beats(root)
    known = fit(beat_mv[folds < 9])
    known["made_by"] = "python -m bench.fit_reversal PTBXL_DIR, folds 1 to 8 of the PTB-XL subset"
    known["n"] = int((folds < 9).sum())
    reversal.CONSTANTS.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
