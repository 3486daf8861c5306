"""Alembic's environment. `baton migrate` calls it with a live connection; see core/store/migrate.py."""

from alembic import context

from core.store import alert_tables, look_tables, registry_tables, tables  # noqa: F401 - imported for their tables
from core.store.base import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
