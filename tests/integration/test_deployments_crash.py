"""`kill -9` in the middle of a deployment, then another process: one webhook-id, one champion, nothing left over."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.context import ForkServerProcess

import pytest

from core.store import audit
from core.store.database import Database
from core.store.tables import Process
from tests.integration.deployments_child import live
from tests.integration.receiver import Hook, Receiver
from tests.integration.staging import Staging, webhook
from tests.lives import begin


@contextmanager
def child(database_url: str, hook_url: str, deployment: int, point: str) -> Iterator[ForkServerProcess]:
    running = begin(live, database_url, hook_url, deployment, point)
    try:
        yield running
    finally:
        running.kill()
        running.join(30)


def ended(running: ForkServerProcess, seconds: float) -> int | None:
    running.join(seconds)
    return running.exitcode


def dies(database_url: str, hook_url: str, deployment: int, point: str) -> None:
    with child(database_url, hook_url, deployment, point) as running:
        assert ended(running, 60) == -signal.SIGKILL, point


def finishes(database_url: str, hook_url: str, deployment: int) -> None:
    with child(database_url, hook_url, deployment, "never") as running:
        assert ended(running, 90) == 0


@pytest.mark.parametrize("point", ["inside:begin", "inside:send", "after:send", "inside:end"])
def test_one_deployment_whenever_the_process_dies(database: Database, database_url: str, point: str) -> None:
    staging = Staging(database, {})
    staging.serve("6")
    deployment = staging.approve("7")
    with Receiver(lambda _hook: (200, {"state": "succeeded"})) as receiver:
        dies(database_url, receiver.url, deployment, point)
        finishes(database_url, receiver.url, deployment)
    assert not receiver.problems
    assert len(set(receiver.ids)) == 1
    assert len(receiver.ids) <= 2
    row = staging.deployment(deployment)
    assert (row.state, row.promotion.state) == ("succeeded", "succeeded")
    assert staging.champions() == [("6", False), ("7", True)]
    assert staging.story(deployment) == ["deployment_started", "deployment_succeeded", "verification_passed"]
    with database.read() as session:
        assert audit.verify(session).problem == ""
    staging.engine.stop()


def test_death_while_the_target_answers(database: Database, database_url: str) -> None:
    staging = Staging(database, {})
    deployment = staging.approve("7")
    running: list[ForkServerProcess] = []

    def reply(_hook: Hook) -> tuple[int, dict[str, object]]:
        if len(receiver.hooks) == 1:
            os.kill(running[0].pid or 0, signal.SIGKILL)
            return 202, {}
        return 200, {"state": "succeeded"}

    with Receiver(reply) as receiver:
        with child(database_url, receiver.url, deployment, "never") as first:
            running.append(first)
            assert ended(first, 60) == -signal.SIGKILL
        finishes(database_url, receiver.url, deployment)
    assert len(receiver.ids) == 2
    assert len(set(receiver.ids)) == 1
    assert staging.champions() == [("7", True)]
    staging.engine.stop()


def test_a_report_that_came_while_nobody_ran_is_not_lost(database: Database, database_url: str) -> None:
    with Receiver() as receiver:
        staging = Staging(database, webhook(receiver.url))
        deployment = staging.approve("7")
        with child(database_url, receiver.url, deployment, "never") as first:
            staging.await_row(deployment, lambda row: row.sent_at is not None)
            first.kill()
        staging.deployments.report(deployment, "succeeded")
        assert staging.champions() == []
        finishes(database_url, receiver.url, deployment)
        assert len(receiver.ids) == 1
        assert staging.champions() == [("7", True)]
        staging.stop()


def test_another_process_takes_over_from_a_dead_one(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.processes.DEAD", timedelta(seconds=1))
    with Receiver() as receiver:
        staging = Staging(database, webhook(receiver.url))
        staging.engine._processes._beat = 0.2
        deployment = staging.approve("7")
        with child(database_url, receiver.url, deployment, "never") as first:
            staging.await_row(deployment, lambda row: row.sent_at is not None)
            if database.dialect == "postgresql":  # two at once; on SQLite there is only ever one
                staging.engine.launch(staging.deployments.run)
            first.kill()
        if database.dialect == "sqlite":
            staging.engine.launch(staging.deployments.run)
        staging.deployments.report(deployment, "succeeded")
        staging.await_end(deployment)
        assert len(receiver.ids) == 1
        with database.read() as session:
            assert [each.executor_id for each in session.query(Process)] == [staging.engine.executor_id]
        staging.stop()


def test_a_process_that_stops_leaves_its_work_to_the_next(database: Database) -> None:
    with Receiver() as receiver:
        first = Staging(database, webhook(receiver.url))
        with first.running():
            deployment = first.approve("7")
            first.await_row(deployment, lambda row: row.sent_at is not None)
        with database.read() as session:
            assert session.query(Process).count() == 0
        assert first.deployment(deployment).state == "in_progress"
        with Staging(database, webhook(receiver.url)).running() as second:
            second.deployments.report(deployment, "succeeded")
            assert second.await_end(deployment).promotion.state == "succeeded"
        assert len(receiver.ids) == 1
