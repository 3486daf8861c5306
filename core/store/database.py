"""One database: SQLite (WAL) or PostgreSQL, the same code over both.

Three ways in, all short:
- `change()` for whatever changes a promotion, a champion or the registry. One at a time in the whole installation:
  the audit chain is a total order anyway, and with the order comes freedom from deadlocks.
- `note()` for book-keeping that is no part of the story (messages shown, heartbeats).
- `read()`.
"""

from __future__ import annotations

import select
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, InvalidatePoolError
from sqlalchemy.orm import Session, sessionmaker

from core.store.turns import Turns

#: Any constant that only Baton uses: "baton" as a number.
CHANGE_LOCK = 0x6261746F6E
BUSY_TIMEOUT_MS = 10_000
#: Under this key a session keeps which subjects' messages its transaction made stale.
STALE = "baton.stale"
#: Under this key a connection to SQLite keeps whether it is its turn to write.
TURN = "baton.turn"
#: Under this key a pooled connection keeps how often its engine's pool had been given up when it was opened.
POOL = "baton.pool"
#: Under this key a pooled connection keeps since when nobody uses it; after so many seconds it is tried before it is used.
UNUSED, STALE_AFTER = "baton.unused", 1.0


def normalise(url: str) -> URL:
    """`postgresql://` means psycopg 3. Raises `ValueError` with one sentence for anything but SQLite and PostgreSQL."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # its text may hold the password, so it is not passed on
        raise ValueError(
            "BATON_DATABASE_URL is not a database URL; write sqlite:///baton.db or postgresql+psycopg://user@host/name."
        ) from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise ValueError(
            f"BATON_DATABASE_URL names {parsed.drivername!r}, which Baton cannot use; "
            "write sqlite:///baton.db or postgresql+psycopg://user@host/name."
        )
    if parsed.drivername == "sqlite" and not parsed.database:
        raise ValueError("BATON_DATABASE_URL names no file; write sqlite:///baton.db.")
    return parsed


def build_engine(url: str | URL, turns: Turns | None = None, **options: Any) -> Engine:
    """An engine set up as Baton and its workflow engine both need it. On SQLite their writers share `turns`."""
    parsed = normalise(url) if isinstance(url, str) else url
    if parsed.drivername == "sqlite":
        options.setdefault("connect_args", {"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False})
        options.setdefault("max_overflow", -1)
        engine = create_engine(parsed, **options)
        _close_latecomers(engine)
        event.listen(engine, "connect", _prepare_sqlite)
        _take_turns(engine, turns or Turns())
        return engine
    options.setdefault("pool_size", 10)
    options.setdefault("max_overflow", 20)
    # A process frozen inside a transaction must not hold the change lock for ever.
    options.setdefault(
        "connect_args", {"options": "-c idle_in_transaction_session_timeout=30000", "connect_timeout": 10}
    )
    engine = create_engine(parsed, **options)
    _close_latecomers(engine)
    _try_before_use(engine)
    return engine


def _close_latecomers(engine: Engine) -> None:
    """A connection that comes back only after the pool was given up is closed, since nobody else would: at a stop, a
    workflow that has just ended may still be writing that down.
    """
    given_up = [0]

    def connected(_connection: object, record: Any) -> None:
        record.info[POOL] = given_up[0]

    def returned(connection: Any, record: Any) -> None:
        if connection is not None and record.info.get(POOL) != given_up[0]:
            connection.close()

    def disposed(_engine: Engine) -> None:
        given_up[0] += 1

    event.listen(engine, "connect", connected)
    event.listen(engine, "checkin", returned)
    event.listen(engine, "engine_disposed", disposed)


def _try_before_use(engine: Engine) -> None:
    """A connection that the server has closed is replaced by another one before anybody uses it.

    SQLAlchemy would ask the server at every use, which under load is a fifth of all that it is asked. But the server's
    good-bye can be seen on the connection itself; only one that lay unused for a while is asked.
    """

    def checkout(connection: Any, record: Any, _proxy: object) -> None:
        since = record.info.get(UNUSED)
        if since is None or (time.monotonic() - since < STALE_AFTER and not _speaks(connection)):
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error:
            raise InvalidatePoolError from None

    def checkin(_connection: object, record: Any) -> None:
        record.info[UNUSED] = time.monotonic()

    event.listen(engine, "checkout", checkout)
    event.listen(engine, "checkin", checkin)


def _speaks(connection: Any) -> bool:
    """Whether the server has sent something that nobody asked for: nearly always that it is leaving."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite, not guessed by the driver
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
    if sqlite3.sqlite_version_info < (3, 42):
        # DBOS asks for unixepoch('subsec'), which came with SQLite 3.42; Debian 12 has 3.40.
        connection.create_function("unixepoch", 1, lambda _: time.time())


def _take_turns(engine: Engine, turns: Turns) -> None:
    """Begin transactions; a writer's turn lasts until its connection is back in the pool, since then it has committed."""

    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("baton_reads", False):
            connection.exec_driver_sql("BEGIN")
            return
        if not connection.info.get(TURN):
            # In vain only where somebody writes in the middle of writing: SQLite then says so itself.
            connection.info[TURN] = turns.take(BUSY_TIMEOUT_MS / 1000)
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def returned(_connection: object, record: Any) -> None:
        if record.info.pop(TURN, False):
            turns.give()

    event.listen(engine, "begin", begin)
    event.listen(engine, "checkin", returned)


_LOCK = text("SELECT pg_advisory_xact_lock(:lock)")


def _nobody(_subjects: set[int]) -> None:
    """Nobody wants to know."""


class Database:
    """The registry database. Construct once, in wiring; `dispose()` at the end."""

    def __init__(self, url: str | URL, **options: Any) -> None:
        #: Told, after each change that committed, which subjects' messages went stale (`core.store.messages`).
        self.after_change: Callable[[set[int]], None] = _nobody
        #: For whatever else in this process writes into the same database.
        self.turns = Turns()
        self.engine = build_engine(url, self.turns, **options)
        self.dialect = self.engine.dialect.name
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        # One snapshot for all statements of a look, as SQLite has it anyway.
        snapshot = {} if self.dialect == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        self._reading = sessionmaker(
            self.engine.execution_options(baton_reads=True, **snapshot), expire_on_commit=False
        )

    @contextmanager
    def change(self) -> Iterator[Session]:
        """A transaction that changes the truth; serialised. Commits at the end, rolls back on any error."""
        with self._one_at_a_time(), self._sessions.begin() as session:
            if self.dialect == "postgresql":
                session.execute(_LOCK, {"lock": CHANGE_LOCK})
            yield session
        if stale := session.info.pop(STALE, None):
            self.after_change(stale)

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """PostgreSQL's lock knows no urgency, and who waits for it holds a connection; SQLite's writers queue anyway.

        However long the queue, nobody jumps it: with every connection waiting for the lock, its holder could not go on.
        """
        mine = self.dialect == "postgresql" and self.turns.take(None)
        try:
            yield
        finally:
            if mine:
                self.turns.give()

    @contextmanager
    def note(self) -> Iterator[Session]:
        """A transaction of book-keeping."""
        with self._sessions.begin() as session:
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent look; whatever is changed here is thrown away."""
        with self._reading() as session:
            yield session

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()
