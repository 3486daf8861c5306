"""Migrations: what they make is what the code has in mind, and what was there before is there after them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, inspect, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError, SAWarning

import migrations
from core.store import (  # noqa: F401 - imported for their tables
    alert_tables,
    feature_tables,
    look_tables,
    paper_tables,
    people_tables,
    registry_tables,
    report_tables,
    retraining_tables,
    review_tables,
    tables,
)
from core.store.base import Base
from core.store.database import build_engine
from core.store.migrate import current, revisions, upgrade, wanted
from tests.conftest import DIALECTS

#: Made of expressions, which only the first migration writes down.
EXPRESSIONS = {"ix_models_search", "ix_model_versions_search"}
AT = "2026-01-05 09:00:00+00:00"
#: A database of the first release: a model, its version with a measurement, a promotion, two decisions, a deployment.
FIRST = (
    f"INSERT INTO models (name, created_at) VALUES ('fraud', '{AT}')",
    f"""INSERT INTO model_versions (model_id, version, artifact_uri, digest, lineage, tags, content_digest, registered_by,
        registered_at) VALUES (1, '7', 's3://m', 'sha256:7', '{{"trained_by": "erin"}}', '{{}}', 'c', 'token:ci', '{AT}')""",
    """INSERT INTO measurements (version_id, name, slice, value, raw, dataset, dataset_digest, samples)
        VALUES (1, 'auc', '', 0.93, '0.93', 'eval', 'sha256:e', 1000)""",
    f"""INSERT INTO promotions (kind, state, model_id, version_id, stage, requester, requester_name, reason, rules,
        policy_version, verdicts, evidence_digest, created_at, updated_at, ended_at, end_reason, ended_by, ended_by_name)
        VALUES ('promotion', 'succeeded', 1, 1, 'production', 'user:U01ALICE', 'Alice', 'better',
        '{{"name": "production"}}', 'p1', '[]', 'e1', '{AT}', '{AT}', '{AT}', '', 'system:engine', 'engine')""",
    f"""INSERT INTO decisions (promotion_id, actor, actor_name, kind, reason, groups, evidence_digest, at) VALUES
        (1, 'user:U02BOB', 'Bob', 'approval', '', '["ml-leads"]', 'e1', '{AT}'),
        (1, 'user:U03CAROL', 'Carol', 'approval', 'good', '["risk"]', 'e1', '{AT}')""",
    f"""INSERT INTO deployments (promotion_id, action, target, version_id, state, key, seq, timeout_seconds, attempts,
        requested_at, report, abort, url, message)
        VALUES (1, 'deploy', 'prod-hook', 1, 'succeeded', 'baton_1', 3, 60, 1, '{AT}', 'succeeded', '', '', 'done')""",
    f"""INSERT INTO champions (model_id, stage, version_id, promotion_id, since)
        VALUES (1, 'production', 1, 1, '{AT}')""",
    f"""INSERT INTO audit_events (seq, at, actor, actor_name, kind, model, version, stage, promotion_id, data, prev_hash,
        hash) VALUES (1, '{AT}', 'user:U01ALICE', 'Alice', 'requested', 'fraud', '7', 'production', 1, '{{}}', '0', 'h1')""",
    f"""INSERT INTO messages (key, kind, promotion_id, channel, posted_channel, ts, body, wanted, shown, due_at, attempts,
        last_error, created_at)
        VALUES ('card:1', 'card', 1, '#ml', 'C1', '1.0', '{{}}', 2, 1, '{AT}', 0, '', '{AT}')""",
)
KEPT = ("models", "model_versions", "measurements", "promotions", "decisions", "deployments", "champions",
        "audit_events", "messages")  # fmt: skip

New = Callable[[], Engine]


@pytest.fixture(params=DIALECTS)
def new(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[New]:
    """`new()` is an engine on a database without a single table."""
    made: list[Engine] = []
    numbers = count(1)

    def make() -> Engine:
        name = f"empty_{next(numbers)}"
        if request.param == "sqlite":
            made.append(build_engine(f"sqlite:///{tmp_path / name}.db"))
        else:
            server: URL = request.getfixturevalue("postgres_server")
            _sql(server, f"CREATE DATABASE {name}")
            made.append(build_engine(server.set(database=name)))
        return made[-1]

    yield make
    for engine in made:
        engine.dispose()
        if engine.dialect.name == "postgresql":
            _sql(make_url(engine.url).set(database="postgres"), f"DROP DATABASE {engine.url.database} WITH (FORCE)")


@pytest.fixture
def first(new: New) -> Engine:
    """A database as the first release left it, with rows."""
    engine = new()
    config = Config()
    config.set_main_option("script_location", str(Path(next(iter(migrations.__path__)))))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for statement in FIRST:
            connection.exec_driver_sql(statement)
    assert current(engine) == "0001"
    return engine


def _sql(server: URL, statement: str) -> None:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


def shape(engine: Engine) -> dict[str, Any]:
    """Every table with what holds its rows to the law, by name; conditions and checks as the database spells them."""
    with warnings.catch_warnings(action="ignore", category=SAWarning):  # of the expressions, which are left out here
        seen = inspect(engine)
        return {
            table: {
                "columns": {each["name"]: (str(each["type"]), each["nullable"]) for each in seen.get_columns(table)},
                "key": seen.get_pk_constraint(table)["constrained_columns"],
                "unique": {each["name"]: each["column_names"] for each in seen.get_unique_constraints(table)},
                "checks": {each["name"]: each["sqltext"] for each in seen.get_check_constraints(table)},
                "points at": {
                    each["name"]: (each["constrained_columns"], each["referred_table"], each["referred_columns"])
                    for each in seen.get_foreign_keys(table)
                },
                "indexes": {
                    each["name"]: (each["column_names"], bool(each["unique"]), _condition(each))
                    for each in seen.get_indexes(table)
                    if each["name"] not in EXPRESSIONS
                },
            }
            for table in seen.get_table_names()
            if table != "alembic_version"
        }


def _condition(index: Any) -> str:
    options = index.get("dialect_options", {})
    return str(options.get("sqlite_where", options.get("postgresql_where", "")))


def rows(connection: Connection, table: str) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY 1")).mappings()]


def everything(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    with engine.connect() as connection:
        return {table: rows(connection, table) for table in KEPT}


def refused(engine: Engine, statement: str) -> str:
    with pytest.raises(IntegrityError) as raised, engine.begin() as connection:
        connection.execute(text(statement))
    return str(raised.value.orig)


def decision(actor: str, principal: str) -> str:
    return (
        "INSERT INTO decisions (promotion_id, actor, actor_name, kind, reason, groups, evidence_digest, at, principal) "
        f"VALUES (1, '{actor}', '', 'approval', '', '[]', 'e1', '{AT}', '{principal}')"
    )


def test_the_revisions_read_off_the_names_of_their_files_are_those_that_alembic_knows() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(next(iter(migrations.__path__)))))
    known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions("base", "heads")]
    assert list(revisions()) == known[::-1]


def test_alembic_would_add_nothing_to_what_the_migrations_make(new: New) -> None:
    engine = new()
    assert upgrade(engine) == (None, wanted())
    with engine.connect() as connection, warnings.catch_warnings(action="ignore", category=SAWarning):
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, Base.metadata)
    assert [each for each in found if not (each[0] == "remove_index" and each[1].name in EXPRESSIONS)] == []


def test_what_the_migrations_make_is_what_the_tables_say_with_every_check_and_condition(new: New) -> None:
    migrated, made = new(), new()
    upgrade(migrated)
    with made.begin() as connection:
        Base.metadata.create_all(connection)
    wanted_shape, found = shape(made), shape(migrated)
    assert found.keys() == wanted_shape.keys()
    for table, said in wanted_shape.items():
        assert found[table] == said, table
    assert sum(len(each["checks"]) for each in found.values()) > 10, "they were seen at all"
    assert "state" in found["promotions"]["indexes"]["uq_promotions_active"][2]


def test_a_database_of_the_first_release_keeps_everything(first: Engine) -> None:
    before = everything(first)
    assert {table: len(kept) for table, kept in before.items()} == dict.fromkeys(KEPT, 1) | {"decisions": 2}
    assert upgrade(first) == ("0001", wanted())
    after = everything(first)
    for table, kept in before.items():
        assert [{name: row[name] for name in old} for old, row in zip(kept, after[table], strict=True)] == kept, table
    assert [(each["principal"], each["principal_name"], each["void_at"]) for each in after["decisions"]] == [
        ("user:U02BOB", "Bob", None),
        ("user:U03CAROL", "Carol", None),
    ]
    assert (after["deployments"][0]["step"], after["deployments"][0]["traffic"]) == (0, 100)
    assert (after["promotions"][0]["evidence"], after["promotions"][0]["waiting_for"]) == (None, "")


def test_after_the_upgrade_the_laws_hold_for_the_rows_of_before(first: Engine) -> None:
    upgrade(first)
    assert "rows of decisions are never deleted" in refused(first, "DELETE FROM decisions")
    for column in ("actor", "reason", "evidence_digest", "principal"):
        statement = f"UPDATE decisions SET {column} = 'user:U05MALLORY' WHERE id = 1"
        assert "what a decision said is never changed" in refused(first, statement)
    assert "rows of audit_events are never changed" in refused(first, "UPDATE audit_events SET actor = 'x'")
    assert "rows of audit_events are never deleted" in refused(first, "DELETE FROM audit_events")
    assert "rows of model_versions are never changed" in refused(first, "UPDATE model_versions SET digest = 'x'")
    assert "rows of measurements are never changed" in refused(first, "UPDATE measurements SET value = 1")
    assert re.search("decisions[._]actor", refused(first, decision("user:U02BOB", "user:U09"))), "one a person"
    assert re.search("decisions[._]principal", refused(first, decision("user:U04DAVE", "user:U02BOB"))), "one a seat"
    with first.begin() as connection:
        connection.execute(text("UPDATE decisions SET void_at = at, void_reason = 'withdrawn' WHERE id = 1"))
        connection.execute(text(decision("user:U02BOB", "user:U02BOB")))
    voided = [each["void_reason"] for each in everything(first)["decisions"]]
    assert voided == ["withdrawn", "", ""], "what was taken back stays, and may be said again"


def test_upgrading_twice_changes_nothing(first: Engine) -> None:
    upgrade(first)
    once, looks = everything(first), shape(first)
    assert upgrade(first) == (wanted(), wanted())
    assert (everything(first), shape(first)) == (once, looks)
