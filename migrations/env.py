"""Alembic's environment. `baton migrate` calls it with a live connection; see core/store/migrate.py."""

from alembic import context

from core.store import (  # noqa: F401 - imported for their tables
    alert_tables,
    feature_tables,
    look_tables,
    paper_tables,
    people_tables,
    registry_tables,
    report_tables,
    retraining_tables,
    review_tables,
    tables,
)
from core.store.base import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
