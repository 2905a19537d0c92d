"""Callers who note what they were told, and whether the audit says the same."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import uuid4

import httpx

from service import samples
from service.audit import __main__ as audit
from tests.service.server import Server
from tests.service.test_chaos import audit_rows

SAMPLE = samples.find("table")
assert SAMPLE
HEADERS = {"content-type": "text/csv"}


@dataclass(frozen=True)
class Told:
    """One answer as a caller got it."""

    request_id: str
    status: int
    body: dict[str, Any]
    seconds: float

    @property
    def code(self) -> str:
        return "ok" if self.status == 200 else str(self.body["code"])


def ask(http: httpx.Client, **headers: str) -> Told:
    assert SAMPLE
    request_id, begun = uuid4().hex, time.perf_counter()
    sent = HEADERS | {"X-Request-ID": request_id} | headers
    answer = http.post("/predict?explain=false", content=SAMPLE.data, headers=sent)
    return Told(request_id, answer.status_code, answer.json(), time.perf_counter() - begun)


@dataclass
class Callers:
    """`with Callers(server, 4) as callers:` so many ask without a pause; `heard` is what they were told."""

    server: Server
    count: int
    heard: list[Told] = field(default_factory=list)
    broken: int = 0

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(self.count)]
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for each in self._threads:
            each.join(60)

    def _ask(self) -> None:
        with httpx.Client(base_url=self.server.url, timeout=60) as http:
            while not self._stop.is_set():
                try:
                    told = ask(http)
                except httpx.TransportError:
                    self.broken += 1
                else:
                    self.heard.append(told)
                    if told.status == 503:
                        time.sleep(0.02)

    @property
    def codes(self) -> Counter[str]:
        return Counter(each.code for each in self.heard)


def require_nothing_lost(server: Server, heard: list[Told], url: str | None = None) -> None:
    """Every answer that somebody got has its one row with its outcome, and the chain verifies."""
    rows = audit_rows(server)
    told = Counter(row["request_id"] for row in rows)
    outcome = {row["request_id"]: (row["status"], row["code"]) for row in rows}
    for each in heard:
        if each.code != "audit_unavailable":  # what could not be written down said so, and no more
            assert told[each.request_id] == 1
            assert outcome[each.request_id] == (each.status, each.code)
    assert audit.main(["--url", url or f"sqlite:///{server.database}", "verify"]) == 0
