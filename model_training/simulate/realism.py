"""Does the simulation look like the world? Trees that learnt on SIMULATED measurements read real PTB-XL recordings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from ecg import beats, harmonise
from ecg.errors import EcgError
from ecg.leads import LEADS
from ecg.recording import Recording, TwelveLead
from model_training.simulate.chance import Floats

_SCALARS: Final = (
    "heart_rate_bpm", "p_ms", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms", "axis_deg", "p_axis_deg", "t_axis_deg",
    "sokolow_lyon_mv", "cornell_mv",
)  # fmt: skip
_VOLTAGES: Final = ("r_mv", "s_mv", "st_mv", "t_mv")
FEATURES: Final = (
    *_SCALARS,
    *(f"{lead}_{what}" for lead in LEADS for what in _VOLTAGES),
    "irregularity",
    "rr_spread",
    "ectopic_share",
)


def measured(twelve: TwelveLead) -> list[float]:
    """One row of FEATURES as the service itself measures them; NaN where a wave cannot be told."""
    found = beats.find(twelve)
    m = beats.measure(found)
    row = [getattr(m, name) for name in _SCALARS]
    row += [getattr(m.voltages[lead], what) if m.voltages else None for lead in LEADS for what in _VOLTAGES]
    rr = found.rr_ms
    spread = float(rr.std() / rr.mean()) if rr.size >= 3 else None
    ectopic = float(np.mean([kind is beats.BeatKind.ECTOPIC for kind in found.kinds])) if found.kinds else None
    return [np.nan if value is None else float(value) for value in (*row, found.irregularity, spread, ectopic)]


def measured_all(recordings: Iterable[TwelveLead | Recording]) -> Floats:
    """(n, features); a recording that cannot be read at all is a row of NaN."""
    rows = []
    for recording in recordings:
        try:
            rows.append(measured(harmonise.to_twelve(recording) if isinstance(recording, Recording) else recording))
        except EcgError:
            rows.append([np.nan] * len(FEATURES))
    return np.array(rows, dtype=np.float64).reshape(-1, len(FEATURES))
