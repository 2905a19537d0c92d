"""A light client in a process of its own: `clients` callers, each sends its next request when its last was answered."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Sent:
    """One kind of request: what is posted where."""

    path: str
    content_type: str
    body: Path


@dataclass(frozen=True, slots=True)
class Measured:
    requests: int
    failed: int
    seconds: float
    latencies_ms: tuple[float, ...]

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    def percentile_ms(self, share: float) -> float:
        return sorted(self.latencies_ms)[min(len(self.latencies_ms) - 1, int(share * len(self.latencies_ms)))]


def load(port: int, sent: Sent, clients: int, seconds: float) -> Measured:
    """Runs the client in another process, so that its work is not the server's."""
    asked = [str(port), sent.path, sent.content_type, str(sent.body), str(clients), str(seconds)]
    run = subprocess.run([sys.executable, __file__, *asked], capture_output=True, text=True, check=True, cwd=ROOT)
    told = json.loads(run.stdout)
    return Measured(told["requests"], told["failed"], told["seconds"], tuple(told["latencies_ms"]))


def _caller(
    port: int, sent: tuple[str, str, bytes], until: float, latencies_ms: list[float], failed: list[int]
) -> None:
    path, content_type, body = sent
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    while time.perf_counter() < until:
        start = time.perf_counter()
        connection.request("POST", path, body, {"Content-Type": content_type, "Accept": "application/json"})
        answer = connection.getresponse()
        answer.read()
        latencies_ms.append((time.perf_counter() - start) * 1000)
        failed.append(answer.status != 200)
    connection.close()


def main() -> None:
    port, path, content_type, body, clients, seconds = sys.argv[1:]
    sent = (path, content_type, Path(body).read_bytes())
    latencies_ms: list[float] = []
    failed: list[int] = []
    start = time.perf_counter()
    until = start + float(seconds)
    threads = [
        threading.Thread(target=_caller, args=(int(port), sent, until, latencies_ms, failed))
        for _ in range(int(clients))
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    took = time.perf_counter() - start
    rounded = [round(each, 3) for each in latencies_ms]
    print(json.dumps({"requests": len(rounded), "failed": sum(failed), "seconds": took, "latencies_ms": rounded}))
    assert median(rounded) > 0


if __name__ == "__main__":
    main()
