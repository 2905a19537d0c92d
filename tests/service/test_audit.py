"""The audit store: every row in its place, on SQLite and PostgreSQL, from many processes, whatever is done to it."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import multiprocessing
import sqlite3
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.asyncio import AsyncConnection

from service.audit import __main__ as command
from service.audit import tables
from service.audit.engine import _write_ahead, make_file_engine
from service.audit.entry import Answer, Claim, Entry, Link, now
from service.audit.export import FORMATS
from service.audit.retention import retain
from service.audit.schema import HEAD
from service.audit.store import REPLAYED, Store
from service.audit.verify import Verdict, sealed_rows, verify
from service.ids import new_id
from service.refusals import KeyReused, StoreUnavailable

Tamper = Callable[[AsyncConnection], Awaitable[object]]


def entry(**facts: object) -> Entry:
    plain = Entry(
        id=new_id(), created=now(), action="predict", caller="pacs", request_id="r", correlation_id="c", status=200,
        code="ok", latency_ms=12.5, score=41.25, log_hazard=-0.1, input_sha256="a" * 64,
    )  # fmt: skip
    return replace(plain, **facts)  # type: ignore[arg-type]


def answer(body: bytes = b"body") -> Answer:
    return Answer(new_id(), "application/json", body, b"{}")


async def filled(url: str, rows: int, key: bytes | None = None) -> None:
    store = Store(url, key=key)
    await store.open()
    await asyncio.gather(*(store.record(entry(score=float(index))) for index in range(rows)))
    await store.close()


async def checked(url: str, key: bytes | None = None, expected: Link | None = None) -> Verdict:
    store = Store(url)
    await store.open()
    try:
        return await verify(store.engine, key, expected)
    finally:
        await store.close()


async def tampered(url: str, tamper: Tamper) -> Verdict:
    store = Store(url)
    await store.open()
    async with store.engine.begin() as connection:
        await tamper(connection)
    await store.close()
    return await checked(url)


def test_an_untouched_chain_verifies(store_url: str) -> None:
    """Rows written together and one by one form one chain that verifies, also after reopening."""

    async def run() -> None:
        await filled(store_url, 70)
        await filled(store_url, 3)
        verdict = await checked(store_url)
        assert (verdict.rows, verdict.head.seq, verdict.problem) == (73, 73, None)

    asyncio.run(run())


TAMPERING = {
    "a changed score": "UPDATE audit SET score = 1.0 WHERE seq = 5",
    "a changed caller": "UPDATE audit SET caller = 'nobody' WHERE seq = 1",
    "a changed hash": f"UPDATE audit SET hash = '{'f' * 64}' WHERE seq = 20",
    "a removed row": "DELETE FROM audit WHERE seq = 7",
    "the first row removed": "DELETE FROM audit WHERE seq = 1",
    "the last rows removed": "DELETE FROM audit WHERE seq > 17",
    "all rows removed": "DELETE FROM audit",
    "the head removed": "DELETE FROM audit_head",
    "an anchor moved": "UPDATE audit_head SET anchor_seq = 5, anchor_hash = (SELECT hash FROM audit WHERE seq = 5)",
}


@pytest.mark.parametrize("statement", TAMPERING.values(), ids=TAMPERING.keys())
def test_tampering_is_found(store_url: str, statement: str) -> None:
    """A changed or removed row, wherever it stood, makes the chain fail."""

    async def run() -> None:
        await filled(store_url, 20)
        verdict = await tampered(store_url, lambda connection: connection.execute(text(statement)))
        assert verdict.problem

    asyncio.run(run())


def test_reordered_rows_are_found(store_url: str) -> None:
    """Two rows that change places, hashes and all, make the chain fail."""

    async def swap(connection: AsyncConnection) -> None:
        for old, new in ((3, 1003), (4, 3), (1003, 4)):
            await connection.execute(text(f"UPDATE audit SET seq = {new} WHERE seq = {old}"))

    async def run() -> None:
        await filled(store_url, 20)
        assert (await tampered(store_url, swap)).problem

    asyncio.run(run())


def test_rows_anchored_away_are_found(store_url: str) -> None:
    """Cutting old rows and moving the anchor by hand does not pass for retention."""

    async def cut(connection: AsyncConnection) -> None:
        moved = "UPDATE audit_head SET anchor_seq = 5, anchor_hash = (SELECT hash FROM audit WHERE seq = 5)"
        await connection.execute(text(moved))
        await connection.execute(text("DELETE FROM audit WHERE seq <= 5"))

    async def run() -> None:
        await filled(store_url, 20)
        assert (await tampered(store_url, cut)).problem

    asyncio.run(run())


def test_a_chain_written_anew_is_found(sqlite_url: str) -> None:
    """Whoever recomputes every hash is found by the configured key, or by a head that was noted elsewhere."""

    async def run() -> None:
        await filled(sqlite_url, 10, key=b"the operator's secret")
        noted = (await checked(sqlite_url, b"the operator's secret")).head
        assert (await checked(sqlite_url, b"the operator's secret", noted)).problem is None
        assert (await checked(sqlite_url, b"another secret")).problem
        assert (await checked(sqlite_url, b"the operator's secret", Link(3, "0" * 64))).problem

    asyncio.run(run())


def _write_rows(url: str, rows: int) -> None:
    asyncio.run(filled(url, rows))


def test_many_processes_write_one_chain(store_url: str) -> None:
    """Rows of several processes that start and write at once, migrations included, are one unbroken chain."""
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_write_rows, args=(store_url, 100)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    verdict = asyncio.run(checked(store_url))
    assert (verdict.rows, verdict.problem) == (400, None)


def test_the_migrations_make_the_tables(store_url: str) -> None:
    """The schema that alembic makes is the one that the code uses, and HEAD names its last revision."""

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert context.get_current_revision() == HEAD
        return list(compare_metadata(context, tables.metadata))

    async def run() -> None:
        store = Store(store_url)
        await store.open()
        async with store.engine.connect() as connection:
            assert await connection.run_sync(differences) == []
        await store.close()

    asyncio.run(run())


def test_a_repeated_key_gives_the_stored_answer(store_url: str) -> None:
    """The first answer under a key wins, also of requests under way at once; other bytes are refused; each is a row."""

    async def run() -> None:
        store = Store(store_url)
        await store.open()
        claim = Claim("pacs", "k" * 64, "f" * 64)
        assert await store.repeated(claim) is None
        outcomes = await asyncio.gather(*(store.record(entry(), answer(b"%d" % each), claim) for each in range(3)))
        assert outcomes[0] is None
        assert [each.body for each in outcomes[1:] if each] == [b"0", b"0"]
        found = await store.repeated(claim)
        assert found
        assert found.body == b"0"
        other = replace(claim, fingerprint="e" * 64)
        with pytest.raises(KeyReused):
            await store.repeated(other)
        with pytest.raises(KeyReused):
            await store.record(entry(), answer(), other)
        assert await store.repeated(replace(claim, caller="another")) is None
        rows = await store.rows(lambda query: query.order_by(tables.audit.c.seq))
        assert [row.entry.code for row in rows] == ["ok", REPLAYED, REPLAYED, "idempotency_key_reused"]
        assert (await verify(store.engine, None)).problem is None
        await store.close()

    asyncio.run(run())


def test_a_key_is_forgotten_in_time(sqlite_url: str) -> None:
    """After its hours a key stands for nothing any more and may be used again."""

    async def run() -> None:
        store = Store(sqlite_url, remember_hours=0.00001)
        await store.open()
        claim = Claim("pacs", "k" * 64, "f" * 64)
        await store.record(entry(), answer(b"old"), claim)
        await asyncio.sleep(0.1)
        assert await store.repeated(claim) is None
        fresh = replace(claim, fingerprint="e" * 64)
        assert await store.record(entry(created=now()), answer(b"new"), fresh) is None
        await store.close()

    asyncio.run(run())


def test_a_row_waits_for_company_and_not_for_long(store_url: str) -> None:
    """Of eight requests under way the first row waits for three more and is answered with them; when nobody comes, it
    is written all the same; closing waits for nobody."""

    async def run() -> None:
        store = Store(store_url, under_way=lambda: 8)
        await store.open()
        await store.record(entry())  # nobody else comes
        first = asyncio.ensure_future(store.record(entry()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not first.done()
        await asyncio.gather(*(store.record(entry()) for _ in range(3)))
        assert first.done()
        last = asyncio.ensure_future(store.record(entry()))
        await asyncio.sleep(0)
        await store.close()
        assert last.done()
        assert last.exception() is None
        assert (await checked(store_url)).rows == 6

    asyncio.run(run())


def test_retention_keeps_the_chain(store_url: str) -> None:
    """Old rows and answers go, young ones stay, the cut is a row itself, and the chain goes on verifying."""

    async def run() -> None:
        store = Store(store_url)
        await store.open()
        for created in ("2020-01-01T00:00:00.000000Z", "2020-01-02T00:00:00.000000Z", now()):
            await store.record(entry(created=created), answer())
        removed = await retain(store.engine, None, audit_days=365, answer_days=365, key_days=1)
        assert (removed.rows, removed.answers) == (2, 2)
        again = await retain(store.engine, None, audit_days=365, answer_days=365, key_days=1)
        assert (again.rows, again.answers) == (0, 0)
        await store.record(entry())
        verdict = await verify(store.engine, None)
        assert (verdict.rows, verdict.head.seq, verdict.problem) == (3, 5, None)
        await store.close()
        gone = await tampered(store_url, lambda each: each.execute(text("DELETE FROM audit WHERE seq = 4")))
        assert gone.problem

    asyncio.run(run())


def test_exports_hold_every_row(store_url: str) -> None:
    """CSV and FHIR AuditEvent lines are as many as the rows; the events are valid for a FHIR library."""
    from fhir.resources.R4B.auditevent import AuditEvent

    async def lines(kind: str) -> list[str]:
        store = Store(store_url)
        await store.open()
        await store.record(entry(model="hf-1.0.0", model_sha256="b" * 64))
        await store.record(entry(status=422, code="too_short"))
        async with store.engine.connect() as connection:
            written = [FORMATS[kind](sealed) async for sealed in sealed_rows(connection)]
        await store.close()
        return written

    table = list(csv.reader(io.StringIO("".join(asyncio.run(lines("csv"))))))
    assert [len(row) for row in table] == [len(tables.audit.columns)] * 2
    events = [AuditEvent.model_validate_json(line) for line in asyncio.run(lines("fhir"))]
    assert [event.outcome for event in events] == ["0", "4", "0", "4"]


def test_the_command_line_tells_a_broken_chain(sqlite_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`verify` exits 0 on a sound chain and 1 on a broken one, and names the row."""
    asyncio.run(filled(sqlite_url, 5))
    assert command.main(["--url", sqlite_url, "verify"]) == 0
    asyncio.run(tampered(sqlite_url, lambda each: each.execute(text("UPDATE audit SET band = 'low' WHERE seq = 4"))))
    assert command.main(["--url", sqlite_url, "verify"]) == 1
    assert "row 4 was changed" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="183"):
        command.main(["--url", sqlite_url, "retention", "--audit-days", "10"])


def test_a_store_that_cannot_be_written_says_so(sqlite_url: str) -> None:
    """While another process holds the store, a row is refused in time as StoreUnavailable, never lost in silence."""

    async def run() -> None:
        holder, store = Store(sqlite_url), Store(sqlite_url, timeout_s=0.3)
        await holder.open()
        await store.open()
        async with holder.engine.execution_options(store_write=True).begin():
            with pytest.raises(StoreUnavailable):
                await store.record(entry())
            with pytest.raises(StoreUnavailable):
                await store.require_writable()
        await store.record(entry())
        assert (await verify(store.engine, None)).rows == 1
        await store.close()
        await holder.close()

    asyncio.run(run())


def test_ids_sort_by_time() -> None:
    """Ids made later sort later, also within one millisecond, and none repeats."""
    made = [new_id() for _ in range(5_000)]
    assert made == sorted(set(made))
    assert {len(each) for each in made} == {26}


def test_processes_that_start_at_once_share_a_new_file(tmp_path: Path) -> None:
    """None of them is refused while another one prepares the file; without patience one in some ten starts was."""
    starters, together = 4, Barrier(4)

    def start(path: Path) -> str:
        engine = make_file_engine(f"sqlite:///{path}", 10)
        assert engine is not None
        together.wait()
        with engine.connect() as connection:
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        engine.dispose()
        return str(mode)

    with ThreadPoolExecutor(starters) as pool:
        for number in range(50):
            path = tmp_path / f"{number}.db"
            assert list(pool.map(start, [path] * starters)) == ["wal"] * starters


@pytest.mark.parametrize("name", ["no_database", "folder"])
def test_a_file_that_cannot_be_a_store_is_told_at_once(tmp_path: Path, name: str) -> None:
    """Only a lock is worth waiting for: neither another file nor a folder becomes a store."""
    (tmp_path / "no_database").write_bytes(b"no database at all, but long enough to look like one" * 100)
    (tmp_path / "folder").mkdir()
    engine = make_file_engine(f"sqlite:///{tmp_path / name}", 10)
    assert engine is not None
    begun = time.monotonic()
    with pytest.raises(DatabaseError):
        engine.connect()
    assert time.monotonic() - begun < 5


def test_a_chain_without_its_head_is_a_store_that_cannot_be_written(sqlite_url: str) -> None:
    """Somebody emptied a table: callers hear that the store is unavailable, and nothing is written."""

    async def run() -> None:
        store = Store(sqlite_url)
        await store.open()
        async with store.engine.begin() as connection:
            await connection.execute(tables.head.delete())
        with pytest.raises(StoreUnavailable):
            await store.record(entry(), answer())
        assert await store.rows(lambda query: query) == []
        await store.close()

    asyncio.run(run())


def test_another_fault_than_a_lock_is_not_waited_out(tmp_path: Path) -> None:
    """A store that may only be read stays so, and the fault is of the same class as a lock's."""
    path = tmp_path / "store.db"
    with contextlib.closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE something (it)")
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as only_read:
        begun = time.monotonic()
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            _write_ahead(only_read.cursor(), 10)
    assert time.monotonic() - begun < 5
