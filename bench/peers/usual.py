"""The endpoint as it is usually written: FastAPI, a temporary folder, wfdb, neurokit2, plain json; the same network."""

from __future__ import annotations

import io
import json
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import neurokit2 as nk
import numpy as np
import onnxruntime as ort
import uvicorn
import wfdb
from fastapi import FastAPI, Request
from fastapi.responses import Response

from bench.peers._pipeline import model_path

warnings.simplefilter("ignore")
app = FastAPI()
session = ort.InferenceSession(str(model_path()), providers=["CPUExecutionProvider"])
SAMPLES = session.get_inputs()[0].shape[2]


@app.post("/predict")
async def predict(request: Request) -> Response:
    data = await request.body()
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            archive.extractall(folder)
        [header] = Path(folder).rglob("*.hea")
        record = wfdb.rdrecord(str(header.with_suffix("")))
    return Response(json.dumps(judged(record.p_signal.T, int(record.fs))), media_type="application/json")


def judged(signal: np.ndarray, rate: int) -> dict[str, Any]:
    """Clean twelve leads, R peaks, quality of twelve, delineation of one, median beat, network."""
    cleaned = [nk.ecg_clean(lead, sampling_rate=rate) for lead in signal]
    peaks = nk.ecg_peaks(cleaned[1], sampling_rate=rate)[1]["ECG_R_Peaks"]
    quality = [float(np.mean(nk.ecg_quality(lead, rpeaks=peaks, sampling_rate=rate))) for lead in cleaned]
    waves = nk.ecg_delineate(cleaned[1], peaks, sampling_rate=rate)[1]
    inside = [peak for peak in peaks if peak >= 240 and peak + 360 <= len(cleaned[0])]
    beats = np.stack([np.stack([lead[peak - 240 : peak + 360] for lead in cleaned]) for peak in inside])
    beat = np.median(beats, axis=0).astype(np.float32)
    tensor = np.zeros((1, 12, SAMPLES), dtype=np.float32)
    length = min(SAMPLES, beat.shape[1])
    tensor[0, :, :length] = beat[:, :length]
    outputs = session.run(None, {"ecg": tensor, "lead_mask": np.ones((1, 12), dtype=np.float32)})
    names = [each.name for each in session.get_outputs()]
    return {
        "heart_rate_bpm": float(60 * rate / np.median(np.diff(peaks))),
        "quality": quality,
        "t_offsets": [float(each) for each in waves["ECG_T_Offsets"]],
        **{name: value.tolist() for name, value in zip(names, outputs, strict=True)},
    }


if __name__ == "__main__":
    uvicorn.run(
        "bench.peers.usual:app", host="127.0.0.1", port=int(sys.argv[1]), workers=int(sys.argv[2]), log_level="error"
    )
