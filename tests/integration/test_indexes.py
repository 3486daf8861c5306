"""What every click reads is found by an index, however much there is."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect

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
