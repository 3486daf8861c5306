"""Whether any other process of this installation lives: a dead one's half-written messages need not be waited for."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, func, select
from sqlalchemy.orm import Session

from core.store.database import Database

#: Any constant but those of `core.store.database` and `core.processes`.
PRESENCE_LOCK = 0x6261746F71


class Presence:
    """On PostgreSQL a lock that every process shares for as long as it lives; the server lets go of it with the process.

    On SQLite there is only one process.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None

    def enter(self, alone: Callable[[Session], None]) -> None:
        """Be there from now on. Runs `alone` in a transaction where nobody else is; nobody comes meanwhile."""
        if self._database.dialect == "sqlite":
            with self._database.note() as session:
                alone(session)
            return
        self._connection = mine = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        nobody_else = mine.scalar(select(func.pg_try_advisory_lock(PRESENCE_LOCK)))
        if nobody_else:
            with self._database.note() as session:
                alone(session)
        mine.execute(select(func.pg_advisory_lock_shared(PRESENCE_LOCK)))
        if nobody_else:
            mine.execute(select(func.pg_advisory_unlock(PRESENCE_LOCK)))

    def leave(self) -> None:
        """Be there no longer."""
        if self._connection is not None:
            self._connection.invalidate()  # back in the pool it would keep the lock
            self._connection.close()
            self._connection = None
