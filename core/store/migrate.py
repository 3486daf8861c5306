"""Bringing the database to this release, and telling whether it is there."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sqlalchemy import Engine, inspect, text

#: Only one process may migrate at a time; any constant but that of `Database.change`.
MIGRATION_LOCK = 0x6261746F6F
#: Where Alembic keeps the revision that a database is at.
KEPT_IN = "alembic_version"


def _folder() -> Path:
    import migrations

    return Path(next(iter(migrations.__path__)))


@cache
def revisions() -> tuple[str, ...]:
    """The revisions that this release knows, in order; they do not change while it runs.

    Read off the names of their files (`v0013_reports.py` is 0013), so that `serve` need not import Alembic.
    """
    return tuple(sorted(file.name[1:5] for file in (_folder() / "versions").glob("v[0-9][0-9][0-9][0-9]_*.py")))


def current(engine: Engine) -> str | None:
    """The revision that the database is at; None for an empty one."""
    with engine.connect() as connection:
        if not inspect(connection).has_table(KEPT_IN):
            return None
        found: str | None = connection.execute(text(f"SELECT version_num FROM {KEPT_IN}")).scalar()  # noqa: S608 - ours
        return found


def wanted() -> str:
    """The revision that this release needs."""
    return revisions()[-1]


def newer(engine: Engine) -> bool:
    """True when a later release has been at this database."""
    found = current(engine)
    return found is not None and found not in revisions()


def upgrade(engine: Engine) -> tuple[str | None, str | None]:
    """Bring the registry's tables to this release; returns (before, after). Running it twice is harmless."""
    from alembic import command  # late, since only this needs it
    from alembic.config import Config

    before = current(engine)
    config = Config()
    config.set_main_option("script_location", str(_folder()))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return before, current(engine)
