"""Alembic's entry: migrations run on the connection that the store hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from service.audit.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    compare_type=True,
)
context.run_migrations()
