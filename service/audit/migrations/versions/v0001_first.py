"""The chain, its head, the kept answers and the remembered keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String(26), nullable=False, unique=True),
        sa.Column("created", sa.String(32), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("caller", sa.String(200), nullable=False),
        sa.Column("request_id", sa.String(200), nullable=False),
        sa.Column("correlation_id", sa.String(200), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("latency_ms", sa.Double, nullable=False),
        sa.Column("answer_id", sa.String(26)),
        sa.Column("input_sha256", sa.String(64)),
        sa.Column("recording_format", sa.String(64)),
        sa.Column("model", sa.String(200)),
        sa.Column("model_sha256", sa.String(64)),
        sa.Column("contract_digest", sa.String(64)),
        sa.Column("score", sa.Double),
        sa.Column("log_hazard", sa.Double),
        sa.Column("band", sa.String(16)),
        sa.Column("detail", sa.String(400)),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_index("audit_created", "audit", ["created"])
    op.create_index("audit_request_id", "audit", ["request_id"])
    chain_head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("anchor_seq", sa.BigInteger, nullable=False),
        sa.Column("anchor_hash", sa.String(64), nullable=False),
    )
    op.bulk_insert(chain_head, [{"id": 1, "seq": 0, "hash": "0" * 64, "anchor_seq": 0, "anchor_hash": "0" * 64}])
    op.create_table(
        "answers",
        sa.Column("id", sa.String(26), primary_key=True),
        sa.Column("created", sa.String(32), nullable=False, index=True),
        sa.Column("caller", sa.String(200), nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "idempotency",
        sa.Column("caller", sa.String(200), primary_key=True),
        sa.Column("key_sha256", sa.String(64), primary_key=True),
        sa.Column("created", sa.String(32), nullable=False, index=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("answer_id", sa.String(26), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    for table in ("idempotency", "answers", "audit_head", "audit"):
        op.drop_table(table)
