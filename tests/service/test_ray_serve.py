"""The same application behind Ray Serve."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ecg.assess import assess_bytes
from ecg.predictor import Predictor
from service import samples
from tests.conftest import ROOT

pytest.importorskip("ray.serve")


def test_replicas_answer_and_write_as_workers_do(tmp_path: Path) -> None:
    """Two replicas over one audit store: the risk is the core's own, and each answer has its row."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    audit, model = tmp_path / "audit.db", sorted((ROOT / "models").glob("hf-general-*.onnx"))[-1]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "AUDIT_URL": f"sqlite:///{audit}", "LOG_LEVEL": "error"}
    environment |= {"MODELS": str(model), "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-m", "tests.service.ray_replicas", str(port), str(audit)]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=150, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    [line] = [each for each in run.stdout.splitlines() if each.startswith('{"answers"')]
    told = json.loads(line)
    assert told["rows"] == [[each["id"], 200] for each in told["answers"]]
    sample = samples.find("wfdb")
    assert sample
    expected = assess_bytes(sample.data, Predictor.load(model)).risk
    assert {each["risk"]["log_hazard"] for each in told["answers"]} == {expected.log_hazard}
