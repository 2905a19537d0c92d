"""The wall clock jumps under a running service: by a library that is preloaded, so that nobody else's clock moves."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.traffic import ask, require_nothing_lost
from tests.service.server import Server

DAY_S = 86_400


def put(offset: Path, ahead_s: int) -> None:
    """In place: the server looks into this file while it is written."""
    with offset.open("r+b") as file:
        file.write(struct.pack("q", ahead_s))


def test_the_clock_jumps(tmp_path: Path, shifting_clock: Path) -> None:
    """A day ahead, two days back, a century on: answers go on, ids sort, the chain verifies, nobody is locked out."""
    offset = tmp_path / "offset"
    settings = {"LD_PRELOAD": str(shifting_clock), "RATE_PER_MINUTE": "600", "RATE_BURST": "50"}
    with Server(tmp_path, **settings) as server:
        heard, years = [], []
        for ahead_s in (0, DAY_S, -2 * DAY_S, 36_500 * DAY_S, -3_600, 0):
            put(offset, ahead_s)
            heard += [ask(server.http) for _ in range(3)]
            years.append(datetime.fromisoformat(heard[-1].body["created"]).year)
        assert {each.status for each in heard} == {200}
        now = datetime.now(UTC).year
        assert years[0] == now
        assert now + 99 <= years[3] <= now + 101
        ids = [each.body["id"] for each in heard]
        assert ids == sorted(ids)
        assert server.is_ready()
        require_nothing_lost(server, heard)


def test_a_key_is_remembered_across_a_jump(tmp_path: Path, shifting_clock: Path) -> None:
    """An hour back or ahead changes nothing about an Idempotency-Key: the retry gets the stored answer."""
    offset, key = tmp_path / "offset", {"Idempotency-Key": "one"}
    with Server(tmp_path, LD_PRELOAD=str(shifting_clock)) as server:
        first = ask(server.http, **key)
        for ahead_s in (3_600, -3_600, -DAY_S):
            put(offset, ahead_s)
            assert ask(server.http, **key).body == first.body
