"""A light client in a process of its own: `clients` callers, each sends its next request when its last was answered.

What it spends is taken from whoever serves beside it, and is part of each latency: its requests are made once, and its
answers are parsed in C.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import httptools

ROOT: Final = Path(__file__).resolve().parent.parent
_READ_BYTES: Final = 2**18


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


class _Answer:
    def __init__(self) -> None:
        self.is_whole = False
        self._parser = httptools.HttpResponseParser(self)

    def on_message_complete(self) -> None:
        self.is_whole = True

    def read(self, connection: socket.socket) -> int:
        while not self.is_whole:
            data = connection.recv(_READ_BYTES)
            if not data:
                raise ConnectionError("the connection was closed before the answer's end")
            self._parser.feed_data(data)
        status: int = self._parser.get_status_code()
        return status


def _caller(port: int, request: bytes, until: float, latencies_ms: list[float], failed: list[int]) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while time.perf_counter() < until:
            start = time.perf_counter()
            connection.sendall(request)
            status = _Answer().read(connection)
            latencies_ms.append((time.perf_counter() - start) * 1000)
            failed.append(status != 200)


def _request(path: str, content_type: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\nAccept: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def main() -> None:
    port, path, content_type, body, clients, seconds = sys.argv[1:]
    request = _request(path, content_type, Path(body).read_bytes())
    latencies_ms: list[float] = []
    failed: list[int] = []
    start = time.perf_counter()
    until = start + float(seconds)
    with ThreadPoolExecutor(int(clients)) as pool:
        callers = [pool.submit(_caller, int(port), request, until, latencies_ms, failed) for _ in range(int(clients))]
    for each in callers:
        each.result()  # a broken connection breaks the measurement
    took = time.perf_counter() - start
    rounded = [round(each, 3) for each in latencies_ms]
    print(json.dumps({"requests": len(rounded), "failed": sum(failed), "seconds": took, "latencies_ms": rounded}))
    assert median(rounded) > 0


if __name__ == "__main__":
    main()
