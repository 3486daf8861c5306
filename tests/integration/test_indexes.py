"""What every click reads is found by an index, however much there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, inspect, text

from core.domain.errors import BadInput
from core.store import champions
from core.store.database import Database
from core.store.review_tables import FreshMeasurement
from tests.integration.api_world import BOB, BODY, client, running


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
