"""A zipped WFDB record: format 16, one microvolt a count."""

from __future__ import annotations

import io
import zipfile

import numpy as np
from numpy.typing import NDArray

from ecg.leads import LEADS

FILENAME = "record.zip"
STEP_MV = 0.001


def header(counts: NDArray[np.int16], rate_hz: float) -> bytes:
    lines = [f"record 12 {rate_hz:g} {counts.shape[1]}"]
    for name, lead in zip(LEADS, counts, strict=True):
        checksum = int(lead.astype(np.int64).sum()) & 0xFFFF
        lines.append(f"record.dat 16 1000.0(0)/mV 16 0 {lead[0]} {checksum} 0 {name}")
    return "\n".join([*lines, "#Age: 61", "#Sex: Female", ""]).encode()


def files(samples_mv: NDArray[np.float64], rate_hz: float) -> dict[str, bytes]:
    counts = np.round(samples_mv / STEP_MV).astype("<i2")
    return {"record.hea": header(counts, rate_hz), "record.dat": counts.T.tobytes()}


def make(samples_mv: NDArray[np.float64], rate_hz: float) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files(samples_mv, rate_hz).items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()
