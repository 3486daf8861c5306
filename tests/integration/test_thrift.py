"""What a busy process does not ask for: pings of connections that are well, looks at the queue, messages that must wait."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text, update

from core.pace import Pacer
from core.store.database import Database
from core.store.tables import MessageRow
from tests.integration.test_policy_test import BOB, Story

#: SQLite has no connections that anybody could lose.
on_a_server = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def mine(database: Database) -> int:
    """The number of the server's process that answers."""
    with database.read() as session:
        return int(session.scalar(text("SELECT pg_backend_pid()")) or 0)


@on_a_server
def test_a_connection_that_the_server_closed_is_replaced_before_anybody_uses_it(database: Database) -> None:
    gone = mine(database)
    other = Database(database.engine.url)
    with other.note() as session:  # with a time-out it answers once the process has gone
        assert session.scalar(text("SELECT pg_terminate_backend(:gone, 20000)"), {"gone": gone})
    other.dispose()
    assert mine(database) != gone


@on_a_server
def test_only_a_connection_that_lay_unused_is_tried_before_it_is_used(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    pings: list[object] = []
    ping = database.engine.dialect.do_ping
    monkeypatch.setattr(database.engine.dialect, "do_ping", lambda given: (pings.append(given), ping(given))[1])
    at = mine(database)
    assert [mine(database) for _ in range(5)] == [at] * 5
    assert pings == []
    monkeypatch.setattr("core.store.database.STALE_AFTER", 0.0)
    assert mine(database) == at
    assert len(pings) == 1


def test_a_card_that_waits_for_its_turn_goes_on_waiting_and_its_lines_wait_for_it(database: Database) -> None:
    told = Story(database)
    told.stage(4, "6", 0.93)
    promotion = told.ask(5, "6")
    turn = datetime(2024, 3, 5, 10, 20, tzinfo=UTC)
    with database.note() as session:
        session.execute(update(MessageRow).values(due_at=turn))

    told.at(5, 10)
    told.decisions.approve(BOB, promotion)

    def rows() -> tuple[MessageRow, list[MessageRow]]:
        with database.read() as session:
            found = session.query(MessageRow).filter_by(promotion_id=promotion).order_by(MessageRow.id).all()
        return found[0], found[1:]

    card, lines = rows()
    asked = datetime(2024, 3, 5, 10, tzinfo=UTC)
    assert (card.kind, card.due_at) == ("card", turn)
    assert lines[-1].due_at == asked + timedelta(seconds=60)
    with database.note() as session:
        session.execute(text("UPDATE messages SET ts = '1.1', shown = wanted WHERE kind = 'card'"))
    told.decisions.withdraw(BOB, promotion)
    card, lines = rows()
    assert (card.due_at, lines[-1].due_at) == (asked, asked)
    told.engine.stop()


def test_the_queue_is_looked_at_the_more_rarely_the_longer_a_look_takes() -> None:
    pacer = threading.Event()
    vars(pacer).update(
        poll=60.0, queue_thread=threading.current_thread().name, looks=[], bell=threading.Condition(), left=0.0
    )
    pacer.__class__ = Pacer
    assert isinstance(pacer, Pacer)

    def paused(look: float) -> float:
        pacer.nudge()
        began = time.monotonic()
        pacer.left = began - look
        assert not pacer.wait(1.0)
        return time.monotonic() - began

    assert paused(0.15) >= 0.6
    assert paused(0.0) >= 0.1
    assert paused(30.0) >= 1.0


def test_a_connection_that_comes_back_after_the_pool_was_given_up_is_closed(database: Database) -> None:
    late = Database(database.engine.url)
    with late.note() as session:
        connection = session.connection().connection.dbapi_connection
        late.dispose()
    with pytest.raises(Exception, match="closed"):
        connection.execute("SELECT 1")
