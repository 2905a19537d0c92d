"""The store's tables. Migrations under migrations/ make them; a test holds that both agree."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, MetaData, String, Table

metadata: Final = MetaData()

audit: Final = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("id", String(26), nullable=False, unique=True),
    Column("created", String(32), nullable=False),
    Column("action", String(16), nullable=False),
    Column("caller", String(200), nullable=False),
    Column("request_id", String(200), nullable=False),
    Column("correlation_id", String(200), nullable=False),
    Column("status", Integer, nullable=False),
    Column("code", String(64), nullable=False),
    Column("latency_ms", Double, nullable=False),
    Column("answer_id", String(26)),
    Column("input_sha256", String(64)),
    Column("recording_format", String(64)),
    Column("model", String(200)),
    Column("model_sha256", String(64)),
    Column("contract_digest", String(64)),
    Column("score", Double),
    Column("log_hazard", Double),
    Column("band", String(16)),
    Column("detail", String(400)),
    Column("hash", String(64), nullable=False),
    Index("audit_created", "created"),
    Index("audit_request_id", "request_id"),
)

# One row: the last link of the chain, and the last link that retention removed.
head: Final = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("anchor_seq", BigInteger, nullable=False),
    Column("anchor_hash", String(64), nullable=False),
)

answers: Final = Table(
    "answers",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("created", String(32), nullable=False, index=True),
    Column("caller", String(200), nullable=False),
    Column("record", LargeBinary, nullable=False),
)

keys: Final = Table(
    "idempotency",
    metadata,
    Column("caller", String(200), primary_key=True),
    Column("key_sha256", String(64), primary_key=True),
    Column("created", String(32), nullable=False, index=True),
    Column("fingerprint", String(64), nullable=False),
    Column("answer_id", String(26), nullable=False),
    Column("media_type", String(100), nullable=False),
    Column("body", LargeBinary, nullable=False),
)
