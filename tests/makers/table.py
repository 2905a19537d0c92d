"""A CSV with declared rate and unit, and the same as JSON."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from ecg.leads import LEADS

FILENAME = "record.csv"
STEP_MV = 0.0001


def make(samples_mv: NDArray[np.float64], rate_hz: float) -> bytes:
    return csv(samples_mv, f"# sampling_rate_hz={rate_hz:g}\n# unit=mV\n").encode()


def csv(
    samples_mv: NDArray[np.float64],
    declared: str,
    delimiter: str = ",",
    time: tuple[str, NDArray[np.float64]] | None = None,
) -> str:
    columns = [*([time[0]] if time else []), *LEADS]
    rows = samples_mv.T if time is None else np.column_stack([time[1], samples_mv.T])
    lines = [delimiter.join(f"{value:.4f}" for value in row) for row in rows]
    return declared + "\n".join([delimiter.join(columns), *lines]) + "\n"


def as_json(samples_mv: NDArray[np.float64], rate_hz: float, **changes: object) -> bytes:
    leads = {name: [round(value, 4) for value in lead.tolist()] for name, lead in zip(LEADS, samples_mv, strict=True)}
    document = {"sampling_rate_hz": rate_hz, "unit": "mV", "leads": leads} | changes
    return json.dumps({key: value for key, value in document.items() if value is not None}).encode()
