"""Bringing the database to this release, and telling whether it is there."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

#: Only one process may migrate at a time; any constant but that of `Database.change`.
MIGRATION_LOCK = 0x6261746F6F


def _config() -> Config:
    import migrations

    config = Config()
    config.set_main_option("script_location", str(Path(next(iter(migrations.__path__)))))
    return config


@cache
def _scripts() -> ScriptDirectory:
    """What this release knows; it does not change while it runs."""
    return ScriptDirectory.from_config(_config())


def current(engine: Engine) -> str | None:
    """The revision that the database is at; None for an empty one."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def wanted() -> str | None:
    """The revision that this release needs."""
    return _scripts().get_current_head()


def newer(engine: Engine) -> bool:
    """True when a later release has been at this database."""
    known = {script.revision for script in _scripts().walk_revisions()}
    found = current(engine)
    return found is not None and found not in known


def upgrade(engine: Engine) -> tuple[str | None, str | None]:
    """Bring the registry's tables to this release; returns (before, after). Running it twice is harmless."""
    before = current(engine)
    config = _config()
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return before, current(engine)
