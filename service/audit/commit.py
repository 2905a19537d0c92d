"""One commit: the rows that wait, sealed after the chain's last link, with their answers and keys, under one lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from isal import isal_zlib
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import NoResultFound

from service.audit import tables
from service.audit.direct import Connected
from service.audit.entry import Answer, Claim, Entry, Link, Sealed, as_row, seal
from service.problems import row_for
from service.refusals import KeyReused

REPLAYED: Final = "replayed"


@dataclass(frozen=True, slots=True)
class Repeated:
    """What the store held already under an Idempotency-Key."""

    answer_id: str
    media_type: str
    body: bytes


class Remembered(NamedTuple):
    """What an Idempotency-Key stands for, as it lies in the store."""

    fingerprint: str
    answer_id: str
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Written:
    """What one request asks to be written."""

    entry: Entry
    answer: Answer | None
    claim: Claim | None


@dataclass(frozen=True, slots=True)
class Rules:
    """The key of the chain's hashes, and how long an Idempotency-Key stands for its answer."""

    chain_key: bytes | None
    remember: timedelta


Outcome = Repeated | KeyReused | None

# Statements are built once: to build one takes longer than to run it.
_HEAD: Final = select(tables.head.c.seq, tables.head.c.hash).with_for_update()
_MOVE: Final = update(tables.head).values(seq=bindparam("last_seq"), hash=bindparam("last_hash"))
_ROW: Final = insert(tables.audit)
_ANSWER: Final = insert(tables.answers)
_KEY: Final = insert(tables.keys)
_SAME: Final = (tables.keys.c.caller == bindparam("of"), tables.keys.c.key_sha256 == bindparam("key"))
_REMEMBERED: Final = select(*(tables.keys.c[each] for each in Remembered._fields)).where(
    *_SAME, tables.keys.c.created >= bindparam("oldest")
)
_FORGET: Final = delete(tables.keys).where(*_SAME)


def commit(connection: Connected, batch: Sequence[Written], rules: Rules) -> list[Outcome]:
    """All of the batch or nothing; the caller ends the transaction."""
    records = [packed(each.answer.record) if each.answer else b"" for each in batch]  # before the lock
    link = lock_head(connection)
    outcomes: list[Outcome] = []
    sealed: list[Sealed] = []
    answers: list[dict[str, Any]] = []
    for written, record in zip(batch, records, strict=True):
        entry, outcome = _claimed(connection, written, rules)
        if written.answer and outcome is None:
            answers.append(_answer_row(entry, written.answer, record))
        sealed.append(seal(link, entry, rules.chain_key))
        link = Link(sealed[-1].seq, sealed[-1].hash)
        outcomes.append(outcome)
    if answers:
        connection.execute(_ANSWER, answers)
    connection.execute(_ROW, [as_row(each) for each in sealed])
    connection.execute(_MOVE, {"last_seq": link.seq, "last_hash": link.hash})
    return outcomes


def packed(text: bytes) -> bytes:
    """As zlib does, in a third of the time: to pack an answer took longer than to write it."""
    return isal_zlib.compress(text, 1)


def unpacked(text: bytes) -> bytes:
    return isal_zlib.decompress(text)


def lock_head(connection: Connected) -> Link:
    """The chain's last link; no other process can add one until this transaction ends."""
    row = connection.execute(_HEAD).fetchone()
    if row is None:
        raise NoResultFound("the chain has no head")
    return Link(*row)


def remembered(connection: Connected, claim: Claim, remember: timedelta) -> Remembered | None:
    oldest = as_text(datetime.now(UTC) - remember)
    row = connection.execute(_REMEMBERED, {**_name(claim), "oldest": oldest}).fetchone()
    return Remembered(*row) if row else None


def repeated(row: Remembered, claim: Claim) -> Repeated:
    if row.fingerprint != claim.fingerprint:
        raise KeyReused("this Idempotency-Key came before with other bytes or options")
    return Repeated(row.answer_id, row.media_type, unpacked(row.body))


def _claimed(connection: Connected, written: Written, rules: Rules) -> tuple[Entry, Outcome]:
    """Under the lock, so that of two requests with one key exactly one is the first."""
    entry, answer, claim = written.entry, written.answer, written.claim
    if answer is None or claim is None:
        return entry, None
    row = remembered(connection, claim, rules.remember)
    if row:
        return _second(entry, row, claim)
    connection.execute(_FORGET, _name(claim))
    connection.execute(_KEY, _key_row(claim, answer, entry.created))
    return entry, None


def _second(entry: Entry, row: Remembered, claim: Claim) -> tuple[Entry, Outcome]:
    try:
        found = repeated(row, claim)
    except KeyReused as reused:
        return replace(entry, status=row_for(reused).status, code=reused.code, answer_id=None), reused
    return replace(entry, code=REPLAYED, answer_id=found.answer_id), found


def _name(claim: Claim) -> dict[str, str]:
    return {"of": claim.caller, "key": claim.key_sha256}


def _answer_row(entry: Entry, answer: Answer, record: bytes) -> dict[str, Any]:
    return {"id": answer.id, "created": entry.created, "caller": entry.caller, "record": record}


def _key_row(claim: Claim, answer: Answer, created: str) -> dict[str, Any]:
    return {
        "caller": claim.caller,
        "key_sha256": claim.key_sha256,
        "fingerprint": claim.fingerprint,
        "created": created,
        "answer_id": answer.id,
        "media_type": answer.media_type,
        "body": packed(answer.body),
    }


def as_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
