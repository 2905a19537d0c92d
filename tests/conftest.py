"""Shared fixtures: genuine data where it lies beside the project, skipped where it does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GENUINE = ROOT.parent / "shared" / "data"
CACHE = ROOT / ".cache"


@pytest.fixture(scope="session")
def vendor_dir() -> Path:
    """Genuine files as devices wrote them, one folder a format."""
    folder = GENUINE / "vendor"
    if not folder.is_dir():
        pytest.skip("no genuine vendor files beside the project")
    return folder


@pytest.fixture(scope="session")
def ptbxl_dir() -> Path:
    """The PTB-XL subset in PTB-XL's own layout, unpacked once into the cache."""
    source = GENUINE / "ptbxl" / "unpack.py"
    if not source.is_file():
        pytest.skip("no PTB-XL beside the project")
    target = CACHE / "ptbxl"
    if not (target / "scp_statements.csv").is_file():
        subprocess.run([sys.executable, str(source), str(target)], check=True)
    return target
