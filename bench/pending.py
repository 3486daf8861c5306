"""Promotions that await approval, as many as wanted: one asked for as ever, the others its copies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Table, insert, select, update

from bench.databases import careless
from bench.world import Everybody, now
from core.domain.model import Actor, DatasetRef, Lineage, Measurement, ModelVersion
from core.engine import Engine
from core.policy.load import load
from core.promotions import Promotions
from core.registration import Registration
from core.store.tables import DecisionRow, MeasurementRow, MessageRow, PromotionRow, RegisteredModel, Version

CHANNELS, METRICS, TRAINERS, AT_ONCE = 100, 8, 50, 1_000
BOB = "U02BOB"
GATES = ", ".join(f"{{metric: metric_{n}, at_least: 0.1}}" for n in range(METRICS))
POLICY = f"""
version: 1
slack: {{channel: "#bench-0", digest: {{at: "23:59", timezone: UTC}}}}
groups: {{ml-leads: [{BOB}], risk: [U03CAROL, U04DAVE]}}
stages:
  - name: development
  - name: production
    gates: [{GATES}]
    approvals: {{quorum: 2, from: [{{group: ml-leads, at_least: 1}}, {{group: risk, at_least: 1}}]}}
"""

Row = dict[str, Any]
MODELS, VERSIONS, MEASUREMENTS, PROMOTIONS, MESSAGES, DECISIONS = (
    each.__table__ for each in (RegisteredModel, Version, MeasurementRow, PromotionRow, MessageRow, DecisionRow)
)


def waits_on_bob(number: int) -> bool:
    """He trained one in `TRAINERS`, and approved every third."""
    return number % TRAINERS != 1 and number % 3 != 0


def fill(url: str, count: int) -> None:
    """Into a fresh database: each of its own model, with its card in one of `CHANNELS` channels."""
    database = careless(url)
    engine = Engine(database)
    lineage = Lineage((DatasetRef("transactions", "sha256:aa"),), "https://git.example.com/m", "0123abcd")
    measured = tuple(Measurement(f"metric_{n}", 0.9, dataset="eval", samples=100) for n in range(METRICS))
    ci, version = Actor("token", "ci", "ci"), ModelVersion("pending-0", "7", "s3://x", "sha256:0", lineage, measured)
    Registration(database, now).register(ci, version)
    promotions = Promotions(database, load(POLICY), Everybody(), now, engine)
    promotions.request(ci, "pending-0", "7", "production", "bench")
    with database.read() as session:
        kinds = (MODELS, VERSIONS, MEASUREMENTS, PROMOTIONS, MESSAGES)
        first = {table: [dict(row) for row in session.execute(select(table)).mappings()] for table in kinds}
    for start in range(1, count, AT_ONCE):
        with database.note() as session:
            for table, rows in _copies(first, range(start, min(start + AT_ONCE, count))).items():
                session.execute(insert(table), rows)
    with database.note() as session:
        session.execute(insert(DECISIONS), [_approval(number) for number in range(0, count, 3)])
        session.execute(update(MESSAGES).values(shown=MESSAGES.c.wanted))
    if database.dialect == "postgresql":
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    engine.stop()
    database.dispose()


def _copies(first: dict[Table, list[Row]], numbers: range) -> dict[Table, list[Row]]:
    """Rows count from 1, since the database is fresh; what nothing refers to numbers itself."""
    model, version, promotion = (first[table][0] for table in (MODELS, VERSIONS, PROMOTIONS))
    card = next(row for row in first[MESSAGES] if row["kind"] == "card")
    return {
        MODELS: [{**model, "id": n + 1, "name": f"pending-{n}"} for n in numbers],
        VERSIONS: [
            {**version, "id": n + 1, "model_id": n + 1, "lineage": {**version["lineage"], "trained_by": _trainer(n)}}
            for n in numbers
        ],
        MEASUREMENTS: [
            {**_without_id(row), "version_id": n + 1} for n in numbers for row in first[MEASUREMENTS]
        ],
        PROMOTIONS: [
            {
                **promotion, "id": n + 1, "model_id": n + 1, "version_id": n + 1, "nudge_at": None,
                "expires_at": promotion["created_at"] + timedelta(hours=2 + n % 70),
            }
            for n in numbers
        ],
        MESSAGES: [
            {**_without_id(card), "key": f"card:{n + 1}", "promotion_id": n + 1, "channel": f"#bench-{n % CHANNELS}"}
            for n in numbers
        ],
    }  # fmt: skip


def _trainer(number: int) -> str:
    return "bob" if number % TRAINERS == 1 else f"person-{number % TRAINERS}"


def _approval(number: int) -> Row:
    who = {"actor": f"user:{BOB}", "actor_name": "Bob", "principal": f"user:{BOB}", "principal_name": "Bob"}
    said = {"kind": "approval", "reason": "", "groups": ["ml-leads"], "evidence_digest": "", "void_reason": ""}
    return {**who, **said, "promotion_id": number + 1, "at": now()}


def _without_id(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "id"}
