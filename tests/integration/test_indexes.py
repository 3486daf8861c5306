"""What every click reads is found by an index, however much there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, inspect, text

from core.barriers import Barriers
from core.decisions import Decisions
from core.domain.errors import BadInput
from core.policy.load import load
from core.store import champions
from core.store.database import Database
from core.store.review_tables import FreshMeasurement
from tests.integration.api_world import ALICE, BOB, BODY, POLICY, client, running


@pytest.mark.parametrize("table", ["decisions", "deployments", "champions", "messages", "audit_events"])
def test_what_hangs_on_a_promotion_is_found_by_an_index_over_all_of_it(database: Database, table: str) -> None:
    """One that holds for some rows only, as those that keep decisions unique, finds nothing among the others."""
    found = [
        each["name"]
        for each in inspect(database.engine).get_indexes(table)
        if each["column_names"][0] == "promotion_id"
        and not any(key.endswith("_where") for key in each.get("dialect_options", {}))
    ]
    assert found


def test_who_served_a_moment_is_looked_up_and_not_sought_in_the_history(sqlite_template: Path) -> None:
    database = Database(f"sqlite:///{sqlite_template}")
    asked = champions._THEN.params(at=datetime(2026, 11, 23, tzinfo=UTC), models=[1, 2])
    asked = asked.compile(database.engine, compile_kwargs={"literal_binds": True})
    with database.read() as session:
        steps = [row.detail for row in session.execute(text(f"EXPLAIN QUERY PLAN {asked}"))]
    database.dispose()
    history = [each for each in steps if "other" in each]
    assert all(each.startswith("SEARCH other USING") for each in history), steps
    assert "SEARCH other USING INDEX ix_champions_history (model_id=? AND stage=? AND since<?)" in history


@pytest.mark.parametrize(("table", "column"), [("promotions", "state"), ("promotions", "kind"), ("decisions", "kind")])
def test_what_prometheus_counts_is_counted_by_an_index(database: Database, table: str, column: str) -> None:
    assert column in [each["column_names"][0] for each in inspect(database.engine).get_indexes(table)]


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What is asked of the database meanwhile."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    yield asked
    event.remove(database.engine, "before_cursor_execute", note)


def cost(database: Database, act: Callable[[], Any]) -> int:
    with statements(database) as asked:
        act()
    return len(asked)


def test_a_rollback_asks_no_more_of_the_database_the_longer_the_history(database: Database) -> None:
    with running(database) as (world, server), client(server, world.token()) as api:
        first = world.time - timedelta(days=100)

        def serve(number: int, kind: str) -> None:
            api.post("/api/v1/models/fraud/versions", json=BODY | {"version": str(number)})
            made = world.crown("fraud", str(number), "production", first + timedelta(days=number))
            with database.note() as session:
                session.execute(text("UPDATE promotions SET kind = :kind WHERE id = :id"), {"kind": kind, "id": made})

        for number in range(4):
            serve(number, "promotion")
        short = cost(database, lambda: world.rollbacks.plan(BOB, "fraud", "production", None))
        for number in range(4, 30):
            serve(number, "rollback")  # each took the one before it back
        serve(30, "promotion")
        assert world.rollbacks.plan(BOB, "fraud", "production", None).target == "29"
        assert cost(database, lambda: world.rollbacks.plan(BOB, "fraud", "production", None)) == short
        serve(31, "rollback")
        assert world.rollbacks.plan(BOB, "fraud", "production", None).target == "29", "30 was taken back"
        assert cost(database, lambda: world.rollbacks.plan(BOB, "fraud", "production", None)) == short
        with pytest.raises(BadInput) as refused:
            world.rollbacks.plan(BOB, "fraud", "production", "v9")
        known = "30, 29, 28, 27, 26, 25, 24, 23, 22, 21 and more"
        assert refused.value.sentence == f"fraud v9 never served production; earlier versions there: {known}."


def test_measurements_of_a_year_are_read_as_few_rows(database: Database) -> None:
    with running(database) as (world, server), client(server, world.token()) as api:
        version = api.post("/api/v1/models/fraud/versions", json=BODY).json()["version"]
        path = f"/api/v1/models/fraud/versions/{version}"
        for hour in range(30):
            world.later(hours=1)
            metrics = [{"name": "auc", "value": 0.9 + hour / 1000}, {"name": "auc", "slice": "DE", "value": 0.5}]
            assert api.post(f"{path}/measurements", json={"metrics": metrics}).status_code == 201
        read: list[int] = []

        def note(row: FreshMeasurement, _: object) -> None:
            read.append(row.id)

        event.listen(FreshMeasurement, "load", note)
        fresh = api.get(path).json()["fresh"]
        event.remove(FreshMeasurement, "load", note)
        assert [(each["name"], each.get("slice"), each["value"]) for each in fresh] == [
            ("auc", None, 0.929), ("auc", "DE", 0.5),
        ]  # fmt: skip
        assert len(read) == 2


def test_hundreds_that_wait_for_a_monday_cost_no_more_than_one(database: Database) -> None:
    monday = datetime.now(UTC) + timedelta(days=2)
    frozen = (
        f"  - name: production\n    freeze: [{{name: weekend, from: 2026-01-01, until: {monday:%Y-%m-%dT%H:%M:%SZ}}}]\n"
    )
    policy = load(POLICY.replace("  - name: production\n", frozen).replace("quorum: 2, ", ""))
    with running(database, policy=policy) as (world, server), client(server, world.token()) as api:
        decisions, stops = Decisions(world.promotions), Barriers(world.promotions)

        def wait(model: str) -> int:
            api.post(f"/api/v1/models/{model}/versions", json=BODY)
            world.crown(model, "7", "staging", world.time - timedelta(days=1))
            return decisions.approve(BOB, world.promotions.request(ALICE, model, "7", "production").id).id

        waiting = [wait("fraud")]
        assert world.promotions.view(waiting[0]).waiting_for.startswith("production is frozen by “weekend”.")
        alone = cost(database, world.promotions.start_waiting)
        waiting += [wait(f"model-{number}") for number in range(10)]
        assert cost(database, world.promotions.start_waiting) == alone
        world.later(days=3)
        stops.stop(BOB, "", "audit")
        assert world.promotions.judge_waiting() == []
        assert cost(database, world.promotions.start_waiting) == alone, "stopped, whatever time it is"
        stops.resume(BOB, "")
        assert world.promotions.start_waiting() == waiting
