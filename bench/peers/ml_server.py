"""MLServer with parallel workers; its V2 protocol carries the file as base64 in JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    port, workers = int(sys.argv[1]), int(sys.argv[2])
    folder = Path(tempfile.mkdtemp())
    settings = {
        "http_port": port, "grpc_port": port + 1, "metrics_port": port + 2, "host": "127.0.0.1",
        "parallel_workers": workers, "debug": False,
    }  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(settings))
    model = {"name": "ecg", "implementation": "bench.peers._mlserver_model.Ecg"}
    (folder / "model-settings.json").write_text(json.dumps(model))
    program = str(Path(sys.executable).with_name("mlserver"))
    # It leaves folders of its own where it stands.
    return subprocess.call([program, "start", "."], env=dict(os.environ), cwd=folder)


if __name__ == "__main__":
    sys.exit(main())
