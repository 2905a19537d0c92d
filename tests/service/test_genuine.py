"""Genuine device files, posted by a real HTTP client: an answer or the right refusal, and never anything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.schemas import Answer, Problem
from tests.conftest import GENUINE
from tests.service.server import Server

FILES = sorted(
    each for each in (GENUINE / "vendor").rglob("*") if each.is_file() and each.suffix.lower() not in (".md", ".txt")
)
FORMATS = {
    "muse": "muse_xml", "cardiosoft": "cardiosoft_xml", "philips": "philips_sierra", "hl7_aecg": "hl7_aecg",
    "dicom": "dicom", "scp": "scp_ecg",
}  # fmt: skip


@pytest.mark.skipif(not FILES, reason="no genuine vendor files beside the project")
@pytest.mark.parametrize("path", FILES, ids=lambda each: f"{each.parent.name}-{each.name}")
def test_a_genuine_file_is_answered_or_refused_with_a_reason(server: Server, path: Path) -> None:
    """200 in the documented shape and of the right format, or a 422 that says why this ECG may not be judged."""
    response = server.http.post("/predict", files={"file": (path.name, path.read_bytes())})
    if response.status_code == 200:
        assert Answer.model_validate_json(response.content).recording.format == FORMATS[path.parent.name]
    else:
        told = Problem.model_validate_json(response.content)
        print(path.name, told.code, told.detail)
        assert response.status_code == 422, told
