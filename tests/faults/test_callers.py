"""Callers who misbehave: slow, gone, greedy, or talking no HTTP. The others are served, and nothing stays behind."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.traffic import SAMPLE, Callers, ask, require_nothing_lost
from tests.service.server import Server

assert SAMPLE
HEAD = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: {len(SAMPLE.data)}\r\n\r\n"
OVERLOAD_S = float(os.environ.get("OVERLOAD_S", "6"))


def open_files(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def no_place_taken(server: Server) -> bool:
    return b"ecg_queue_places_taken 0.0" in server.http.get("/metrics").content


@contextlib.contextmanager
def connections(server: Server, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as held:
        yield [held.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(count)]


def is_closed(connection: socket.socket) -> bool:
    connection.settimeout(5)
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def test_slow_heads_are_given_up(tmp_path: Path) -> None:
    """Two hundred callers who send a head byte by byte, or nothing, hold up nobody and are hung up on in time."""
    with Server(tmp_path, UPLOAD_TIMEOUT_S="1.5") as server:
        ask(server.http)
        before = open_files(server)
        with connections(server, 200) as slow:
            begun = time.monotonic()
            for each in slow[:100]:
                each.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nX-")
            assert [ask(server.http).status for _ in range(3)] == [200] * 3
            while time.monotonic() < begun + 4:
                for each in slow[:100]:
                    with contextlib.suppress(OSError):
                        each.sendall(b"a")
                time.sleep(0.2)
            assert all(is_closed(each) for each in slow)
        server.wait(lambda: open_files(server) <= before + 2, 5)
        assert ask(server.http).status == 200


def test_slow_bodies_are_given_up(tmp_path: Path) -> None:
    """Bodies that come byte by byte hear 408, even when they drip on after it; the places are free again."""
    with Server(tmp_path, UPLOAD_TIMEOUT_S="1", QUEUE_SIZE="16") as server:
        with connections(server, 16) as slow:
            for each in slow:
                each.sendall(HEAD.encode() + b"# ")
            for _ in range(20):
                for each in slow:
                    with contextlib.suppress(OSError):
                        each.sendall(b"a")
                time.sleep(0.2)
            heard = []
            for each in slow:
                with contextlib.suppress(ConnectionError):
                    heard.append(each.recv(100))
            assert [each for each in heard if each and not each.startswith(b"HTTP/1.1 408")] == []
            assert all(is_closed(each) for each in slow)
        server.wait(lambda: no_place_taken(server), 5)
        rows = server.http.get("/predictions?limit=50").json()["items"]
        assert [row["code"] for row in rows] == ["upload_timeout"] * 16


def test_a_reader_that_stops_is_given_up(tmp_path: Path) -> None:
    """Callers who ask for large batches and never read them do not keep the places for batches."""
    parts = b"".join(
        b'--xx\r\nContent-Disposition: form-data; name="file"; filename="%d.csv"\r\n\r\n%s\r\n' % (index, SAMPLE.data)
        for index in range(20)
    )
    body = parts + b"--xx--\r\n"
    head = (
        "POST /predict/batch?include=signal HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=xx\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with Server(tmp_path, UPLOAD_TIMEOUT_S="4") as server:
        with contextlib.ExitStack() as held:
            for _ in range(2):
                deaf = held.enter_context(socket.socket())
                deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                deaf.connect(("127.0.0.1", server.port))
                deaf.sendall(head.encode() + body)
            time.sleep(1)
            files = [("file", ("a.csv", SAMPLE.data))]
            server.wait(lambda: server.http.post("/predict/batch", files=files).status_code == 200, 25)
        assert ask(server.http).status == 200


def test_callers_that_leave_while_sending_leave_nothing(tmp_path: Path) -> None:
    """Connections cut in the middle of a body, politely or not: a row each, no place and no open file stays behind."""
    with Server(tmp_path) as server:
        assert ask(server.http).status == 200
        before = open_files(server)
        for index in range(60):
            with contextlib.closing(socket.create_connection(("127.0.0.1", server.port))) as rude:
                if index % 2:  # close with a reset
                    rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
                rude.sendall(HEAD.encode() + SAMPLE.data[: 1 + index * 2000])
        assert ask(server.http).status == 200
        server.wait(lambda: no_place_taken(server), 10)
        server.wait(lambda: open_files(server) <= before + 1, 10)
        rows = server.http.get("/predictions?limit=200").json()["items"]
        codes = [row["code"] for row in rows]
        assert set(codes) == {"ok", "client_closed"}
        assert codes.count("ok") == 2


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\nzz\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"GET /version HTTP/1.1\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 40_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Endless: " + b"a" * 400_000,
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n : folded\r\nX\x00: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    ],
    ids=[
        "tls", "two-lengths", "length-and-chunks", "gzip", "no-host", "nul", "long-head", "long-whole-head",
        "endless-head", "long-target", "nul-name", "two-hosts", "connect", "bad-chunk",
    ],
)  # fmt: skip
def test_what_is_no_http_gets_a_problem(server: Server, sent: bytes) -> None:
    """Smuggled lengths, broken heads and other protocols: a 4xx as problem+json and a closed connection, or silence."""
    with connections(server, 1) as [caller]:
        with contextlib.suppress(OSError):  # reset before all of it was sent
            caller.sendall(sent)
            caller.shutdown(socket.SHUT_WR)
        heard = b""
        caller.settimeout(10)
        with contextlib.suppress(ConnectionError):
            while part := caller.recv(65536):
                heard += part
    assert server.http.get("/version").status_code == 200
    if not heard and len(sent) > 65536:
        return  # what was sent beyond the limit and not read resets the connection before the answer is seen
    head, _, body = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 4")
    assert b"application/problem+json" in head.lower()
    assert json.loads(body)["code"] == "malformed"


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"


def statuses(caller: socket.socket, count: int) -> list[bytes]:
    """Of so many answers on one connection."""
    heard, found = b"", []
    while len(found) < count:
        head, end, rest = heard.partition(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head)[1]) if end else 0  # type: ignore[index]
        if end and len(rest) >= length:
            found.append(head.split()[1])
            heard = rest[length:]
            continue
        part = caller.recv(65536)
        assert part, "the connection was closed too early"
        heard += part
    return found


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(1, 400), max_size=6), offered=st.lists(st.booleans(), min_size=1, max_size=3))
def test_however_a_request_is_cut_up_it_is_the_same(server: Server, cuts: list[int], offered: list[bool]) -> None:
    """One after another on one connection, in pieces, some of them with an offer of another protocol."""
    with connections(server, 1) as [caller]:
        caller.settimeout(10)
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for is_offered in offered:
            offer = OFFER if is_offered else b""
            sent = b"POST /predict HTTP/1.1\r\nHost: x\r\n" + offer + b"Content-Length: 5\r\n\r\nhello"
            places = sorted({0, len(sent), *(min(each, len(sent)) for each in cuts)})
            for start, end in itertools.pairwise(places):
                caller.sendall(sent[start:end])
                time.sleep(0.001)
            assert statuses(caller, 1) == [b"415"]


def test_a_long_body_is_no_part_of_a_head(server: Server) -> None:
    """A head in two reads, the second with a body far longer than a head may be, and the next head behind it."""
    body = b"a" * 150_000
    sent = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with connections(server, 1) as [caller]:
        caller.settimeout(10)
        caller.sendall(sent[:20])
        time.sleep(0.1)
        caller.sendall(sent[20:] + sent[:20])
        time.sleep(0.1)
        caller.sendall(sent[20:])
        assert statuses(caller, 2) == [b"415"] * 2


def test_requests_sent_ahead_are_answered_in_their_order(server: Server) -> None:
    with connections(server, 1) as [caller]:
        caller.settimeout(10)
        ahead = [b"/version", b"/nowhere", b"/health/live", b"/nowhere"]
        caller.sendall(b"".join(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path for path in ahead))
        assert statuses(caller, 4) == [b"200", b"404", b"200", b"404"]


@pytest.mark.parametrize("behind", [b"\x00\x01", b"GET /version HTTP/1.1\r\nHost: x\r\n" + OFFER + b"\r\n"])
def test_what_cannot_be_read_waits_for_its_turn(server: Server, behind: bytes) -> None:
    """A request is answered before the connection is closed for what came behind it, even where it is still waiting."""
    with connections(server, 1) as [caller]:
        caller.settimeout(10)
        caller.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n" + behind)
        assert statuses(caller, 1) == [b"200"]
        assert is_closed(caller)


def test_blank_lines_do_not_hold_a_connection(tmp_path: Path) -> None:
    """Blank lines before a request are allowed; nothing but blank lines is hung up on, before a request and after."""
    with Server(tmp_path, UPLOAD_TIMEOUT_S="1") as server, connections(server, 2) as [fresh, used]:
        used.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
        assert statuses(used, 1) == [b"200"]
        for _ in range(20):
            for each in (fresh, used):
                with contextlib.suppress(OSError):
                    each.sendall(b"\r\n")
            time.sleep(0.1)
        assert is_closed(fresh)
        assert is_closed(used)


@pytest.mark.slow
def test_ten_times_too_many_and_back(tmp_path: Path) -> None:
    """Ten callers for each place: an answer or a 503 that says when to come back, never another; then as before."""
    with Server(tmp_path, QUEUE_SIZE="4") as server:
        ask(server.http)
        alone = median(ask(server.http).seconds for _ in range(10))
        with Callers(server, 40) as callers:
            time.sleep(OVERLOAD_S)
            assert server.http.get("/health/live").status_code == 200
        assert set(callers.codes) <= {"ok", "queue_full", "answer_timeout"}
        assert callers.codes["ok"] > 10
        assert callers.codes["queue_full"] > callers.codes["ok"]
        assert callers.broken == 0
        server.wait(lambda: no_place_taken(server), 5)
        assert median(ask(server.http).seconds for _ in range(10)) < max(5 * alone, 0.5)
        require_nothing_lost(server, callers.heard)
