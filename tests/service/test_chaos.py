"""Workers killed at random under load: nobody gets another's answer, and the audit is right to the row."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest

from service.audit import __main__ as audit
from tests.ecg.hearts import normal_mv
from tests.makers import table
from tests.service.server import Server

REQUESTS = int(os.environ.get("CHAOS_REQUESTS", "600"))
CALLERS = int(os.environ.get("CHAOS_CALLERS", "64"))
KILL_EVERY_S = 1.5
EXPECTED_REFUSALS = {
    "unknown_format": 415,
    "quality_rejected": 422,
    "malformed": 400,
    "model_unknown": 404,
    "queue_full": 503,
}


@dataclass(frozen=True)
class Case:
    """Bytes and what they must give: numbers, or a code."""

    data: bytes
    query: str
    code: str | None


@dataclass(frozen=True)
class Heard:
    """What came back of one request."""

    request_id: str
    case: int
    status: int
    body: dict[str, Any]


def cases() -> list[Case]:
    hearts = [Case(table.make(normal_mv(rate, seed=int(rate)), 500.0), "", None) for rate in (55.0, 66.0, 77.0, 88.0)]
    flat = table.make(np.zeros((12, 5000)), 500.0)
    refused = [(b"no ecg", "", "unknown_format"), (flat, "", "quality_rejected"), (b"PK\x03\x04", "", "malformed")]
    refused.append((hearts[0].data, "&model=none", "model_unknown"))
    return hearts * 2 + [Case(*each) for each in refused]


def numbers(answer: dict[str, Any]) -> str:
    return json.dumps({name: answer[name] for name in ("risk", "recording", "measurements", "quality")}, sort_keys=True)


def ask(server: Server, case: int, known: list[Case]) -> Heard | None:
    """None when the connection broke: then nothing was answered."""
    request_id = uuid4().hex
    headers = {"X-Request-ID": request_id, "content-type": "application/octet-stream", "connection": "close"}
    try:
        with httpx.Client(base_url=server.url, timeout=60) as http:
            answer = http.post(f"/predict?explain=false{known[case].query}", content=known[case].data, headers=headers)
        return Heard(request_id, case, answer.status_code, answer.json())
    except httpx.TransportError:
        return None


def kill_at_random(server: Server, stop: threading.Event, killed: list[int]) -> None:
    chance = random.Random(1)
    while not stop.wait(KILL_EVERY_S):
        workers = server.workers()
        if len(workers) > 1:
            killed.append(chance.choice(workers))
            with contextlib.suppress(ProcessLookupError):
                os.kill(killed[-1], signal.SIGKILL)


def audit_rows(server: Server) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    query: dict[str, int] = {"limit": 500}
    while True:
        page = server.http.get("/predictions", params=query).json()
        rows += page["items"]
        if page["next"] is None:
            return rows
        query["before"] = page["next"]


@pytest.mark.slow
@pytest.mark.parametrize("store", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_nothing_is_lost_or_mixed_up(tmp_path: Path, request: pytest.FixtureRequest, store: str) -> None:
    """Every answered request has one audit row with its outcome, each answer is its own ECG's, the chain holds."""
    url = request.getfixturevalue(f"{store}_url")
    known = cases()
    with Server(tmp_path, WORKERS="4", QUEUE_SIZE="32", AUDIT_URL=url) as server:
        server.wait(lambda: len(server.workers()) == 4, 40)
        expected = [ask(server, case, known) for case in range(len(known))]
        truth = [numbers(each.body) if each and each.status == 200 else None for each in expected]
        stop, killed = threading.Event(), list[int]()
        killer = threading.Thread(target=kill_at_random, args=(server, stop, killed))
        killer.start()
        order = random.Random(2).choices(range(len(known)), k=REQUESTS)
        with ThreadPoolExecutor(CALLERS) as pool:
            heard = [each for each in pool.map(lambda case: ask(server, case, known), order) if each]
        stop.set()
        killer.join()
        time.sleep(1)
        server.wait(server.is_ready, 30)
        rows = audit_rows(server)
    assert killed
    assert len(heard) > REQUESTS // 3
    told = Counter(row["request_id"] for row in rows)
    outcome = {row["request_id"]: (row["status"], row["code"]) for row in rows}
    assert {told[each.request_id] for each in heard} == {1}
    for each in heard:
        code = "ok" if each.status == 200 else each.body["code"]
        assert outcome[each.request_id] == (each.status, code)
        if each.status == 200:
            assert numbers(each.body) == truth[each.case]
        else:
            assert EXPECTED_REFUSALS[code] == each.status
            assert code in (known[each.case].code, "queue_full")
    assert audit.main(["--url", url, "verify"]) == 0
