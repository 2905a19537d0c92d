"""BentoML with as many workers as the service has processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import bentoml

from bench.peers._pipeline import Pipeline


@bentoml.service(workers=int(os.environ.get("BENCH_WORKERS", "2")), traffic={"timeout": 120})
class Ecg:
    def __init__(self) -> None:
        self.pipeline = Pipeline()

    @bentoml.api(route="/predict")
    def predict(self, data: bytes, /) -> dict[str, Any]:
        return self.pipeline(data)


def main() -> int:
    port, workers = sys.argv[1:3]
    program = str(Path(sys.executable).with_name("bentoml"))
    command = [program, "serve", "bench.peers.bento_ml:Ecg", "--port", port, "--host", "127.0.0.1"]
    return subprocess.call(command, env=os.environ | {"BENCH_WORKERS": workers, "BENTOML_DO_NOT_TRACK": "True"})


if __name__ == "__main__":
    sys.exit(main())
