"""What the kernels' bench counts is what differs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench import kernels
from bench.peers._pipeline import model_path
from ecg import native
from ecg.predictor import Predictor


@pytest.mark.skipif(not native.compiled, reason="no kernels here: no C compiler, or ECG_KERNELS=numpy")
def test_it_counts_what_differs(ptbxl_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing on ordinary recordings; in every one when the kernels shift the beats."""
    headers, predictor = sorted((ptbxl_dir / "records500").rglob("*.hea"))[:4], Predictor.load(model_path())
    sound = kernels.agreement(headers, predictor)
    assert (sound.recordings, sound.verdicts, sound.intervals, sound.r_peaks) == (4, 0, 0, 0)
    assert sound.tensor_mv < 0.001
    align = native.align

    def one_late(*arguments: object) -> tuple[object, ...]:
        best, fit, typical = align(*arguments)  # type: ignore[arg-type]
        return np.maximum(best - 1, 0), fit, typical

    monkeypatch.setattr(native, "align", one_late)
    assert kernels.agreement(headers, predictor).r_peaks == 4
