"""Whether a process is alone, on both databases."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.orm import Session

from core.store.database import Database
from core.store.presence import Presence


def entering(presence: Presence) -> bool:
    """Enter; whether nobody else was there."""
    alone: list[Session] = []
    enter: Callable[[Session], None] = alone.append
    presence.enter(enter)
    return bool(alone)


def test_who_comes_first_is_alone(database: Database) -> None:
    presence = Presence(database)

    assert entering(presence)
    presence.leave()


def test_nobody_is_alone_while_another_process_lives(database: Database) -> None:
    if database.dialect == "sqlite":  # one process only: whoever starts, the one before is dead
        assert entering(Presence(database))
        assert entering(Presence(database))
        return
    first, second, third = Presence(database), Presence(database), Presence(database)
    assert entering(first)

    assert not entering(second)

    first.leave()
    assert not entering(third)  # the second is still there
    second.leave()
    third.leave()
    assert entering(first)
    first.leave()


def test_a_process_that_died_is_not_waited_for(database: Database) -> None:
    theirs = Database(database.engine.url)
    dead = Presence(theirs)
    assert entering(dead)
    if dead._connection is not None:
        dead._connection.connection.dbapi_connection.close()  # as the system does with the sockets of the dead

    mine = Presence(database)

    assert entering(mine)
    mine.leave()
    dead.leave()
    theirs.dispose()
