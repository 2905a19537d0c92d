"""Batches wait for their turn, against the real server: briefly, in a bounded line, and not behind one who left."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from service import samples
from tests.service.server import Server

SAMPLE = samples.find("table")
assert SAMPLE
FILES = [("file", (f"{index}.csv", SAMPLE.data)) for index in range(3)]
HEAD = "POST /predict/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/zip\r\nContent-Length: {length}\r\n\r\n"


@contextlib.contextmanager
def stalled(server: Server, sent: bytes = b"") -> Iterator[socket.socket]:
    """A batch whose body does not arrive: it keeps its place, or its turn, as long as the connection stands."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(HEAD.format(length=10_000_000).encode() + sent)
        yield connection


def shows(server: Server, gauge: str, count: int) -> bool:
    return f"\n{gauge} {count}.0\n" in server.http.get("/metrics").text


def batch(server: Server) -> httpx.Response:
    return httpx.post(f"{server.url}/predict/batch?explain=false", files=FILES, timeout=60)


def test_more_batches_than_places_are_all_answered(tmp_path: Path) -> None:
    """Six batches at once for one place: none is sent away, and each gets all of its lines."""
    with Server(tmp_path, BATCHES_AT_ONCE="1") as server, ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: batch(server), range(18)))
        assert {each.status_code for each in answers} == {200}
        told = [[json.loads(line)["index"] for line in each.text.splitlines()] for each in answers]
        assert told == [[0, 1, 2]] * 18
        assert shows(server, "ecg_batch_places_taken", 0)
        assert shows(server, "ecg_batches_waiting", 0)


def test_one_too_many_is_sent_away_and_so_is_one_who_waited_long(tmp_path: Path) -> None:
    """Behind a full line 503 comes at once, in the line after the wait; both say when to come back."""
    with (
        Server(tmp_path, BATCHES_AT_ONCE="1", BATCHES_WAITING="1", BATCH_WAIT_S="2") as server,
        ThreadPoolExecutor(1) as pool,
        stalled(server),
    ):
        server.wait(lambda: shows(server, "ecg_batch_places_taken", 1), 5)
        begun = time.monotonic()
        waiting = pool.submit(batch, server)
        server.wait(lambda: shows(server, "ecg_batches_waiting", 1), 5)
        refused = batch(server)
        assert time.monotonic() - begun < 1.9
        assert waiting.result().status_code == refused.status_code == 503
        assert time.monotonic() - begun >= 2
        for each in (refused, waiting.result()):
            assert (each.json()["code"], each.headers["retry-after"]) == ("queue_full", "2")
        one = server.http.post("/predict", content=SAMPLE.data, headers={"content-type": "text/csv"})
        assert one.status_code == 200


def test_one_who_leaves_the_line_frees_the_spot(tmp_path: Path) -> None:
    """Callers who wait and go, with or without a part of a body, are noticed while the place is still taken."""
    with Server(tmp_path, BATCHES_AT_ONCE="1", BATCHES_WAITING="3", BATCH_WAIT_S="60") as server:
        with stalled(server):
            server.wait(lambda: shows(server, "ecg_batch_places_taken", 1), 5)
            with stalled(server), stalled(server, b"PK\x03\x04" * 10), stalled(server, bytes(150_000)):
                server.wait(lambda: shows(server, "ecg_batches_waiting", 3), 5)
            server.wait(lambda: shows(server, "ecg_batches_waiting", 0), 5)
            assert shows(server, "ecg_batch_places_taken", 1)
        assert batch(server).status_code == 200
        codes = [row["code"] for row in server.http.get("/predictions?limit=50").json()["items"]]
        assert codes.count("client_closed") == 4


def test_a_body_that_came_while_its_batch_waited_is_read_whole(tmp_path: Path) -> None:
    """What was sent before the turn came, be it little or far more than a worker takes, is in the answer."""
    with Server(tmp_path, BATCHES_AT_ONCE="1") as server, ThreadPoolExecutor(2) as pool:
        with stalled(server):
            server.wait(lambda: shows(server, "ecg_batch_places_taken", 1), 5)
            small = pool.submit(httpx.post, f"{server.url}/predict/batch", files=FILES[:1], timeout=60)
            large = pool.submit(httpx.post, f"{server.url}/predict/batch", files=FILES * 10, timeout=60)
            server.wait(lambda: shows(server, "ecg_batches_waiting", 2), 5)
            time.sleep(0.3)
        for answered, count in ((small, 1), (large, 30)):
            codes = [json.loads(line).get("code", "ok") for line in answered.result().text.splitlines()]
            assert codes == ["ok"] * count


def test_a_stop_waits_for_no_line(tmp_path: Path) -> None:
    """SIGTERM while a batch holds the place and another waits for it: over when the drain is over."""
    with (
        Server(tmp_path, BATCHES_AT_ONCE="1", BATCH_WAIT_S="600", SHUTDOWN_TIMEOUT_S="2") as server,
        stalled(server),
        stalled(server),
    ):
        server.wait(lambda: shows(server, "ecg_batches_waiting", 1), 5)
        begun = time.monotonic()
        server.stop()
        assert time.monotonic() - begun < 8
