"""The engine itself: what a transaction promises, how soon and how cheaply the queue is looked at, and the watchdog."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from dbos import DBOS
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from core.engine import Durable, Engine
from core.store.database import Database
from tests.integration.receiver import Receiver
from tests.integration.staging import Staging, now, webhook


class Boom(Exception):
    pass


def nothing(_durable: Durable, _deployment: int) -> None:
    pass


def await_state(engine: Engine, deployment: int, state: str, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while engine.states([deployment]) != {deployment: state}:
        assert time.monotonic() < until, engine.states([deployment])
        time.sleep(0.02)


def test_what_is_rolled_back_was_never_enqueued(database: Database) -> None:
    engine = Engine(database)

    def change_one_s_mind() -> None:
        with database.change() as session:
            engine.enqueue(session, 1, "m/production")
            raise Boom

    with pytest.raises(Boom):
        change_one_s_mind()
    assert engine.states([1]) == {}
    engine.stop()


def test_enqueued_twice_runs_once(database: Database) -> None:
    engine = Engine(database, poll=0.1)
    runs: list[int] = []
    engine.launch(lambda _durable, deployment: runs.append(deployment))
    for _ in range(2):
        with database.change() as session:
            engine.enqueue(session, 1, "m/production")
            engine.enqueue(session, 1, "m/production")
        await_state(engine, 1, "SUCCESS")
    assert runs == [1]
    engine.stop()


def test_one_that_waits_is_woken_and_one_that_does_not_wait_yet_finds_the_wake_up(database: Database) -> None:
    engine = Engine(database, poll=0.1)
    ready = threading.Event()
    began: list[str] = []

    def workflow(durable: Durable, _deployment: int) -> None:
        began.append("first")
        ready.wait(20)
        durable.wait(600)
        began.append("second")
        durable.wait(600)

    engine.launch(workflow)
    with database.change() as session:
        engine.enqueue(session, 1, "m/production")
        engine.wake(session, 1)  # before it has begun
    ready.set()
    until = time.monotonic() + 20
    while began != ["first", "second"]:
        assert time.monotonic() < until
        time.sleep(0.02)
    with database.change() as session:
        engine.wake(session, 1)
    await_state(engine, 1, "SUCCESS")
    engine.stop()


@pytest.mark.parametrize("call", ["recv", "run_step"])
def test_one_whose_database_went_away_under_the_engine_is_begun_again(
    database: Database, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    engine = Engine(database, poll=0.1)
    engine._processes._beat = 0.2
    asked = getattr(DBOS, call)
    did: list[str] = []
    away = [OperationalError("SELECT 1", {}, Exception("server closed the connection"))]

    def once_away(*given: Any, **named: Any) -> Any:
        if away and did == ["first"]:
            raise away.pop()
        return asked(*given, **named)

    def workflow(durable: Durable, _deployment: int) -> None:
        durable.step("first", lambda: did.append("first"))
        durable.wait(0.01)
        durable.step("second", lambda: did.append("second"))

    monkeypatch.setattr(DBOS, call, once_away)
    engine.launch(workflow)
    with database.change() as session:
        engine.enqueue(session, 1, "m/production")
    await_state(engine, 1, "SUCCESS")
    assert did == ["first", "second"]  # what was done is remembered
    assert not away
    engine.stop()


def test_an_idle_engine_hardly_asks_and_a_decision_does_not_wait(database: Database) -> None:
    engine = Engine(database, poll=30.0)
    started = threading.Event()
    engine.launch(lambda _durable, _deployment: started.set())
    time.sleep(1.5)  # DBOS's threads come to wait on our events only after their first second
    asked: list[str] = []
    event.listen(engine._engine, "before_cursor_execute", lambda _c, _cursor, statement, *_: asked.append(statement))
    time.sleep(3)
    assert len(asked) <= 6, asked  # the heartbeat's look for the dead; DBOS's own pace would be some forty
    with database.change() as session:
        engine.enqueue(session, 1, "m/production")
    committed = time.monotonic()
    assert started.wait(20)
    assert time.monotonic() - committed < 2
    engine.stop()


def test_a_workflow_that_broke_is_ended_and_a_person_told(database: Database) -> None:
    staging = Staging(database, {})
    staging.serve("6")

    def breaks(_durable: Durable, deployment: int) -> None:
        staging.deployments.begin(deployment)
        raise Boom

    staging.engine.launch(breaks)
    deployment = staging.approve("7")
    await_state(staging.engine, deployment, "ERROR")
    assert staging.deployments.recover_stuck(now()) == []  # too young to be judged
    later = now() + timedelta(minutes=2)
    assert staging.deployments.recover_stuck(later) == [deployment]
    row = staging.deployment(deployment)
    assert (row.state, row.promotion.state) == ("errored", "errored")
    assert row.promotion.end_reason == (
        "Baton could not carry it out (its workflow ended as ERROR); prod-hook may hold a half-done deployment. "
        "A person must look."
    )
    assert staging.champions() == [("6", True)]
    assert staging.deployments.recover_stuck(later) == []
    staging.stop()


def test_a_workflow_that_broke_before_it_began_fails_the_promotion(database: Database) -> None:
    staging = Staging(database, {})

    def breaks(_durable: Durable, _deployment: int) -> None:
        raise Boom

    staging.engine.launch(breaks)
    deployment = staging.approve("7")
    await_state(staging.engine, deployment, "ERROR")
    assert staging.deployments.recover_stuck(now() + timedelta(minutes=2)) == [deployment]
    assert staging.promotion_of(deployment).state == "failed"
    staging.stop()


def test_an_error_in_a_step_ends_the_deployment_itself(database: Database) -> None:
    class Broken:
        def send(self, _act: object) -> object:
            raise Boom

    with Staging(database, {"prod-hook": Broken()}).running() as staging:  # type: ignore[dict-item]
        row = staging.await_end(staging.approve("7"))
    assert row.promotion.state == "errored"
    assert row.promotion.end_reason.startswith("Baton could not carry it out (Boom); prod-hook may hold a half-done")


def test_a_deployment_without_a_workflow_gets_one(database: Database) -> None:
    with Receiver(lambda _hook: (200, {"state": "succeeded"})) as receiver:
        with Staging(database, webhook(receiver.url)).running() as staging:
            deployment = staging.approve("7", enqueue=False)
            assert staging.deployments.recover_stuck(now() + timedelta(minutes=2)) == [deployment]
            assert staging.await_end(deployment).promotion.state == "succeeded"
        assert len(receiver.ids) == 1


def test_a_promotion_that_was_withdrawn_is_not_deployed(database: Database) -> None:
    with Receiver() as receiver:
        staging = Staging(database, webhook(receiver.url))
        deployment = staging.approve("7")
        with database.change() as session:
            row = staging.deployment(deployment)
            promotion = session.get_one(type(row.promotion), row.promotion_id)
            promotion.state, promotion.ended_at = "cancelled", now()
        with staging.running():
            await_state(staging.engine, deployment, "SUCCESS")
            row = staging.deployment(deployment)
            assert (row.state, row.message) == ("cancelled", "its promotion had ended before it began")
        assert receiver.hooks == []
        assert staging.champions() == []


def test_old_workflows_are_forgotten_and_those_under_way_are_not(database: Database) -> None:
    engine = Engine(database, poll=0.1)
    engine.launch(lambda durable, deployment: durable.wait(600) if deployment == 2 else None)
    for deployment in (1, 2, 3):
        with database.change() as session:
            engine.enqueue(session, deployment, f"m{deployment}/production")
    await_state(engine, 1, "SUCCESS")
    await_state(engine, 3, "SUCCESS")
    assert engine.prune(now()) == 0
    assert engine.prune(now() + timedelta(days=31)) == 2
    assert engine.states([1, 2, 3]) == {2: "PENDING"}
    engine.stop()


def test_tables_are_missing_until_migrated(tmp_path: object) -> None:
    database = Database(f"sqlite:///{tmp_path}/empty.db")
    engine = Engine(database)
    assert not engine.is_current()
    engine.migrate()
    engine.migrate()
    assert engine.is_current()
    engine.stop()
    database.dispose()
