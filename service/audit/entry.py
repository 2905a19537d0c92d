"""One audit row and the chain's arithmetic. Holds no waveform and no patient data."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import orjson

GENESIS: Final = "0" * 64


class Action(StrEnum):
    PREDICT = "predict"
    BATCH = "batch"
    READ = "read"
    RELOAD = "reload"
    RETENTION = "retention"


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened, to whom it was told, and which model answered."""

    id: str
    created: str
    action: str
    caller: str
    request_id: str
    correlation_id: str
    status: int
    code: str
    latency_ms: float
    answer_id: str | None = None
    input_sha256: str | None = None
    recording_format: str | None = None
    model: str | None = None
    model_sha256: str | None = None
    contract_digest: str | None = None
    score: float | None = None
    log_hazard: float | None = None
    band: str | None = None
    detail: str | None = None


COLUMNS: Final = tuple(each.name for each in fields(Entry))


@dataclass(frozen=True, slots=True)
class Claim:
    """An Idempotency-Key as stored: only its hash, since callers put all sorts of things into keys."""

    caller: str
    key_sha256: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a caller got: the JSON kept for GET /predictions/{id}, and the exact body kept for a repeated key."""

    id: str
    media_type: str
    body: bytes
    record: bytes


@dataclass(frozen=True, slots=True)
class Sealed:
    """A row in its place: its number and the hash that ties it to the row before."""

    seq: int
    entry: Entry
    hash: str


@dataclass(frozen=True, slots=True)
class Link:
    """A place in the chain."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def canonical(entry: Entry) -> bytes:
    return orjson.dumps(_members(entry), option=orjson.OPT_SORT_KEYS)


def _members(entry: Entry) -> dict[str, Any]:
    """By name; `asdict` would copy each value and take twenty times as long."""
    return {name: getattr(entry, name) for name in COLUMNS}


def digest(previous: str, seq: int, entry: Entry, key: bytes | None) -> str:
    """SHA-256 over the row before, the row's number and its content; HMAC when a key is configured."""
    text = b"|".join((previous.encode(), str(seq).encode(), canonical(entry)))
    return hmac.new(key, text, hashlib.sha256).hexdigest() if key else hashlib.sha256(text).hexdigest()


def seal(after: Link, entry: Entry, key: bytes | None) -> Sealed:
    seq = after.seq + 1
    return Sealed(seq, entry, digest(after.hash, seq, entry, key))


def as_row(sealed: Sealed) -> dict[str, Any]:
    return {"seq": sealed.seq, **_members(sealed.entry), "hash": sealed.hash}


def from_row(row: Any) -> Sealed:
    return Sealed(row["seq"], Entry(**{name: row[name] for name in COLUMNS}), row["hash"])


__all__ = ["COLUMNS", "GENESIS", "Action", "Answer", "Claim", "Entry", "Link", "Sealed", "as_row", "digest", "from_row"]
__all__ += ["now", "replace", "seal"]
