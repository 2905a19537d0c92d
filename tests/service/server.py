"""The service as an operator starts it: a process of its own, on a free loopback port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx

from tests.service.conftest import free_port

ROOT = Path(__file__).resolve().parents[2]


def _command_of(pid: str) -> bytes:
    """Nothing of a process that has ended since it was listed."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


class Server:
    """`with Server(folder, WORKERS="4") as server: server.http.get("/version")`"""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "server.log"
        self.database = folder / "audit.db"
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "PORT": str(self.port),
            "AUDIT_URL": f"sqlite:///{self.database}",
            **environment,
        }
        self.http = httpx.Client(base_url=self.url, timeout=60)

    def start(self) -> Self:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                # A warning raised while uvloop closes its handles would leave them open and hang the process.
                [sys.executable, "-W", "error", "-W", "ignore::ResourceWarning", "-m", "service"],
                cwd=self.database.parent, env=self._environment, stdout=log, stderr=log,
            )  # fmt: skip
        return self

    def __enter__(self) -> Self:
        self.start()
        self.wait(self.is_ready, 60)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.http.close()

    def stop(self) -> int:
        """SIGTERM, as an orchestrator sends it; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(40)
        finally:
            self.process.kill()

    def wait(self, condition: Callable[[], Any], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the server did not get there:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.02)

    def is_ready(self) -> bool:
        try:
            return self.http.get("/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def lines(self) -> list[dict[str, Any]]:
        """The log; every line of it must be JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def workers(self) -> list[int]:
        """The worker processes' ids: children that serve, without the resource tracker."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if b"spawn_main" in _command_of(pid)]
