"""python -m bench.fit_left_limbs PTBXL_DIR: teach the network of ecg/left_limbs.py, on folds 1 to 8.

It is shown pairs, a heart as it is and the same with I and II exchanged, and has to tell which is which. Noise on what
it sees, units left out and labels that are not believed entirely (some of the hearts really were recorded exchanged)
keep it from learning hearts by heart. The limits are set on hearts that the network in question was not taught.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import softplus

from bench.fit_reversal import median_beats
from ecg import left_limbs

SUSPECT, SURE = 0.012, 0.0005
_LAST_FOLD = 8
_UNITS, _PASSES, _PAIRS = 64, 120, 64
_NOISE, _UNBELIEVED, _LEFT_OUT, _DECAY, _RATE = 0.5, 0.05, 0.3, 0.1, 3e-3
Forms = NDArray[np.float32]


def in_both_orders(forms: Forms) -> Forms:
    """(n, leads, averages) -> (2 n, inputs): as they are, then with I and II in each other's place."""
    return np.concatenate([forms, forms[:, left_limbs.OTHER_ORDER, :]]).reshape(2 * len(forms), -1)


def taught(forms: Forms, seed: int) -> left_limbs.Network:
    torch.manual_seed(seed)
    both = in_both_orders(forms)
    mean, spread = both.mean(axis=0), both.std(axis=0) + 1e-3
    seen = torch.from_numpy((both - mean) / spread)
    first, last = nn.Linear(seen.shape[1], _UNITS), nn.Linear(_UNITS, 1)
    network = nn.Sequential(nn.Dropout(0.1), first, nn.ReLU(), nn.Dropout(_LEFT_OUT), last)
    steps = _PASSES * (len(forms) // _PAIRS)
    optimiser = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=_DECAY)
    pace = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps)
    for _ in range(_PASSES):
        for chosen in torch.randperm(len(forms))[: len(forms) // _PAIRS * _PAIRS].split(_PAIRS):
            loss = _loss(network, seen[chosen], seen[chosen + len(forms)])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            pace.step()
    taps = first.weight.detach().numpy() / spread
    biases = first.bias.detach().numpy() - taps @ mean
    return left_limbs.Network(taps, biases, last.weight.detach().numpy()[0])


def _loss(network: nn.Module, sound: Tensor, exchanged: Tensor) -> Tensor:
    """Of the pair, the sound one has to be the likelier."""
    noisy = [each + _NOISE * torch.randn_like(each) for each in (sound, exchanged)]
    lead: Tensor = (network(noisy[0]) - network(noisy[1]))[:, 0]
    return ((1 - _UNBELIEVED) * softplus(-lead) + _UNBELIEVED * softplus(lead)).mean()


def unseen_scores(forms: Forms, folds: NDArray[np.int64]) -> NDArray[np.float32]:
    """Of each heart, by a network that was taught the folds of others."""
    scores = np.zeros(len(forms), dtype=np.float32)
    for part in range(4):
        held = folds % 4 == part
        scores[held] = taught(forms[~held], part).exchanged(forms[held])
    return scores


def _rounded(numbers: NDArray[np.float32]) -> list[float]:
    return [round(float(each), 4) for each in numbers]


def main(root: Path) -> None:
    torch.set_num_threads(1)
    beat_mv, folds = median_beats(root)
    forms = np.stack([left_limbs.form(each) for each in beat_mv[folds <= _LAST_FOLD]])
    scores = unseen_scores(forms, folds[folds <= _LAST_FOLD])
    # A score of the heart with the leads exchanged is the heart's own with the sign turned.
    limits = {
        key: round(float(np.quantile(scores, 1 - share)), 3)
        for key, share in (("suspect_from", SUSPECT), ("sure_from", SURE))
    }
    for key, limit in limits.items():
        print(f"{key}: {(-scores > limit).mean():.1%} of {len(scores)} planted in hearts that were not taught")
    network = taught(forms, 0)
    known = {
        "made_by": f"python -m bench.fit_left_limbs PTBXL_DIR, folds 1 to {_LAST_FOLD} of the PTB-XL subset",
        "n": len(forms),
        **limits,
        "biases": _rounded(network.biases),
        "weights": _rounded(network.weights),
        "taps": [_rounded(row) for row in network.taps],
    }
    left_limbs.CONSTANTS.write_text(json.dumps(known) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
