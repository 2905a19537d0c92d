"""What the soak sends: recordings of every format, batches, retries, and what a hostile or clumsy caller sends."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import httpx

from service import samples
from tests.ecg.formats.hostile import EXTREMES

SAMPLES: Final = [sample for name in samples.names() if (sample := samples.find(name))]
ACCEPTED: Final = ("application/json", "application/fhir+json", "image/svg+xml", "application/pdf")


@dataclass(frozen=True)
class Heard:
    """`status` 0 stands for a connection that this caller broke off by itself."""

    kind: str
    status: int


Kind = Callable[[httpx.Client, random.Random], int]


def good(http: httpx.Client, chance: random.Random) -> int:
    sample = chance.choice(SAMPLES)
    headers = {"accept": chance.choices(ACCEPTED, (8, 2, 1, 1))[0]}
    explain = chance.choice(("true", "false"))
    return http.post(
        f"/predict?explain={explain}", files={"file": (sample.filename, sample.data)}, headers=headers
    ).status_code


def retried(http: httpx.Client, chance: random.Random) -> int:
    sample, key = chance.choice(SAMPLES), {"idempotency-key": uuid4().hex}
    first, second = (http.post("/predict?explain=false", content=sample.data, headers=key) for _ in range(2))
    both_answered = first.status_code == second.status_code == 200
    assert not both_answered or first.content == second.content, "a retry got another answer"
    return second.status_code


def batch(http: httpx.Client, chance: random.Random) -> int:
    chosen = chance.choices(SAMPLES, k=3)
    files = [("file", (f"{index}-{each.filename}", each.data)) for index, each in enumerate(chosen)]
    return http.post("/predict/batch?explain=false", files=files).status_code


def read(http: httpx.Client, chance: random.Random) -> int:
    return http.get(chance.choice(("/predictions?limit=20", "/models", "/metrics", "/health/ready", "/"))).status_code


def damaged(http: httpx.Client, chance: random.Random) -> int:
    data = bytearray(chance.choice(SAMPLES).data)
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(min(len(data), chance.choice((200, 4_000, len(data)))))
        match chance.randrange(3):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                del data[at : at + chance.randint(1, 2_000)]
            case _:
                extreme = chance.choice(EXTREMES)
                data[at : at + len(extreme)] = extreme
    return http.post("/predict", content=bytes(data)).status_code


def noise(http: httpx.Client, chance: random.Random) -> int:
    head = chance.choice(
        (b"", b"PK\x03\x04", b"SCPECG", b"<?xml version='1.0'?>", b"0       ", b"{", b"\x00" * 128 + b"DICM")
    )
    return http.post("/predict", content=head + chance.randbytes(chance.choice((0, 100, 50_000)))).status_code


def odd(http: httpx.Client, chance: random.Random) -> int:
    """Wrong methods, paths, types, parameters and headers."""
    method, path, headers = chance.choice(
        (
            ("PUT", "/predict", {}),
            ("GET", "/../../etc/passwd", {}),
            ("GET", "/predictions/%0d%0aX-Evil:1", {}),
            ("POST", "/predict?explain=perhaps", {}),
            ("POST", "/predict", {"content-type": "text/html"}),
            ("POST", "/predict", {"content-type": "multipart/form-data; boundary=x"}),
            ("POST", "/predict", {"accept": "text/html"}),
            ("POST", "/predict", {"x-request-id": "a" * 5_000, "idempotency-key": "k" * 300}),
        )
    )
    return http.request(method, path, headers=headers, content=b"x" if method == "POST" else None).status_code


def leaves(http: httpx.Client, chance: random.Random) -> int:
    """Half a body, then gone."""
    sample = chance.choice(SAMPLES)
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(sample.data)}\r\n\r\n".encode()
    with socket.create_connection((http.base_url.host, http.base_url.port or 80)) as connection:
        connection.sendall(head + sample.data[: chance.randrange(len(sample.data))])
    return 0


MIX: Final[dict[Kind, int]] = {good: 55, retried: 5, batch: 4, read: 8, damaged: 14, noise: 6, odd: 5, leaves: 3}


def one(http: httpx.Client, chance: random.Random) -> Heard:
    kind = chance.choices(list(MIX), list(MIX.values()))[0]
    return Heard(kind.__name__, kind(http, chance))
