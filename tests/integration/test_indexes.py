"""What every click reads is found by an index, however much there is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from core.store import champions
from core.store.database import Database


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
