"""The audit store breaks: no answer leaves that was not written, nothing written is lost, and it recovers by itself."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.audit import __main__ as audit
from tests.faults.conftest import Disk, Postgres
from tests.faults.traffic import Callers, ask, require_nothing_lost
from tests.service.server import ROOT, Server

UNAVAILABLE = (503, "audit_unavailable")


@pytest.mark.slow
@pytest.mark.postgres
def test_the_database_crashes_and_comes_back(tmp_path: Path, postgres: Postgres) -> None:
    """While PostgreSQL is away every caller hears 503; when it is back they are answered, and no row is missing."""
    with Server(tmp_path, AUDIT_URL=postgres.url, STORE_TIMEOUT_S="1", WORKERS="2") as server:
        with Callers(server, 4) as callers:
            time.sleep(1.5)
            postgres.crash()
            time.sleep(2)
            assert server.http.get("/health/ready").status_code == 503
            assert server.http.get("/health/live").status_code == 200
            away = len(callers.heard)
            time.sleep(1)
            assert {each.code for each in callers.heard[away:]} == {"audit_unavailable"}
            postgres.start()
            server.wait(server.is_ready, 10)
            back = len(callers.heard)
            time.sleep(2)
        assert "ok" in {each.code for each in callers.heard[back + callers.count :]}
        assert set(callers.codes) == {"ok", "audit_unavailable"}
        assert callers.broken == 0
        require_nothing_lost(server, callers.heard, postgres.url)
        assert ask(server.http).status == 200


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while file.write(bytes(512)):
            pass


def test_the_disk_is_full(tmp_path: Path, small_disk: Path) -> None:
    """With no room for a row callers hear 503 and no risk; when there is room again they are answered."""
    store = f"sqlite:///{small_disk}/audit.db"
    with Server(tmp_path, AUDIT_URL=store, STORE_TIMEOUT_S="1") as server:
        heard = [ask(server.http) for _ in range(3)]
        ballast = small_disk / "ballast"
        with pytest.raises(OSError, match="No space left"):
            fill(ballast)
        full = [ask(server.http) for _ in range(20)]
        # What is left in the last page of the log may take a row or two yet.
        assert {each.code for each in full[-10:]} == {"audit_unavailable"}
        assert all("risk" not in each.body for each in full if each.status != 200)
        assert server.http.get("/health/ready").json()["code"] == "audit_unavailable"
        ballast.unlink()
        server.wait(server.is_ready, 10)
        after = [ask(server.http) for _ in range(3)]
        assert {each.code for each in after} == {"ok"}
        require_nothing_lost(server, [*heard, *full, *after], store)


def test_the_disk_turns_read_only(tmp_path: Path, failing_disk: Disk) -> None:
    """After an error of the disk callers hear 503; mounted again and started again, everything told is still there."""
    store = f"sqlite:///{failing_disk.folder}/audit.db"
    with Server(tmp_path, AUDIT_URL=store, STORE_TIMEOUT_S="1") as server:
        heard = [ask(server.http) for _ in range(3)]
        failing_disk.fail()
        refused = [ask(server.http) for _ in range(3)]
        assert {(each.status, each.code) for each in refused} == {UNAVAILABLE}
        assert server.http.get("/health/ready").status_code == 503
        assert server.http.get("/health/live").status_code == 200
    failing_disk.unmount()
    failing_disk.mount()
    with Server(tmp_path, AUDIT_URL=store) as server:
        heard.append(ask(server.http))
        assert heard[-1].status == 200
        require_nothing_lost(server, heard, store)


def test_it_says_why_it_does_not_start_on_a_store_that_cannot_be_written(tmp_path: Path, small_disk: Path) -> None:
    """A read-only folder for the store: the process ends at once, and its log names the audit store."""
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    server = Server(tmp_path, AUDIT_URL=f"sqlite:///{small_disk}/audit.db").start()
    assert server.process.wait(30) != 0
    assert "audit" in server.log.read_text()
    server.http.close()


def test_it_needs_no_writable_disk_but_its_store(tmp_path: Path, small_disk: Path) -> None:
    """With a working folder that is read-only it answers: only the store and the temporary folder are written."""
    (small_disk / "here").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with Server(tmp_path) as server:
        environment, log = server._environment, (tmp_path / "second.log").open("wb")
        assert server.stop() == 0
        with log:
            server.process = subprocess.Popen(
                [sys.executable, "-m", "service"], cwd=small_disk / "here", env=environment, stdout=log, stderr=log
            )
        server.wait(server.is_ready, 30)
        assert ask(server.http).status == 200


def test_a_row_cut_off_by_hand_is_found(tmp_path: Path) -> None:
    """Verification after a fault means something: take the last row away and it fails."""
    with Server(tmp_path) as server:
        ask(server.http)
        ask(server.http)
    statement = "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)"
    script = f"import sqlite3; c = sqlite3.connect({str(server.database)!r}); c.execute({statement!r}); c.commit()"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
    assert audit.main(["--url", f"sqlite:///{server.database}", "verify"]) == 1
