"""A running HTTP side over a real database, real use cases and a directory of the cast; only Slack is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from bot.http.app import build_http
from bot.http.metrics import Metrics
from bot.http.server import HttpServer
from bot.http.services import SlackEvents
from bot.settings import Settings
from core.bundles import Bundles
from core.deployments import Deployments
from core.domain.model import Actor, Person
from core.engine import Engine
from core.policy.load import load
from core.policy.schema import Policy
from core.promotions import Promotions
from core.registration import Registration
from core.rollbacks import Rollbacks
from core.store.database import Database
from core.store.tables import Champion, PromotionRow, Version
from core.targets.standard_webhooks import Secret, parse_secrets
from core.tokens import Tokens

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
POLICY = """
version: 1
slack: {channel: "#ml-promotions"}
groups:
  ml-leads: [U02BOB, U03CAROL]
stages:
  - name: development
  - name: staging
    requires: [development]
    approvals: {automatic: true}
    deploy: {target: hook}
  - name: production
    requires: [staging]
    gates:
      - {metric: auc, at_least: 0.9}
    approvals: {quorum: 2, from: [{group: ml-leads}]}
    rollback: {allowed: [ml-leads]}
targets:
  hook: {type: webhook, url: "http://127.0.0.1:9/deploy", secret_env: HOOK_SECRET}
"""
ALICE, BOB, CAROL = (Actor.user(f"U0{n}{name.upper()}", name) for n, name in ((1, "Alice"), (2, "Bob"), (3, "Carol")))
BODY: dict[str, Any] = {
    "version": "7",
    "metrics": [
        {"name": "auc", "value": 0.93, "dataset": {"name": "eval", "digest": "sha256:aa"}, "samples": 1000},
        {"name": "auc", "value": 0.91, "slice": "country=DE", "dataset": "train"},
    ],
    "artifact": {"uri": "s3://models/fraud/7", "digest": "sha256:" + "ab" * 32},
    "lineage": {
        "data": [{"name": "train", "digest": "sha256:bb"}],
        "code": {"repo": "https://github.com/acme/fraud", "commit": "c0ffee"},
        "run_url": "https://ci.example.com/1",
        "trained_by": "dave@example.com",
    },
    "tags": {"framework": "scikit-learn"},
}


class Cast:
    """The directory: Bob and Carol lead, everybody is active."""

    def person(self, user_id: str) -> Person | None:
        name = user_id[3:]
        return Person(user_id, name.title(), f"{name.lower()}@example.com", name.lower())

    def groups_of(self, user_id: str, groups: dict[str, list[str]]) -> frozenset[str]:
        return frozenset(name for name, members in groups.items() if user_id in members)

    def members(self, members: list[str]) -> list[Person]:
        return [Person(member, member) for member in members]


@dataclass
class World:
    """What `bot.wiring.Services` is to the HTTP side, with a clock that tests move."""

    settings: Settings
    policy: Policy
    database: Database
    engine: Engine
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    slack: str = ""

    def __post_init__(self) -> None:
        self.clock = lambda: self.time
        self.metrics = Metrics(self.database, self.clock)
        self.tokens = Tokens(self.database, self.clock)
        self.registration = Registration(self.database, self.clock)
        self.bundles = Bundles(self.policy, self.registration)
        self.promotions = Promotions(self.database, self.policy, Cast(), self.clock, self.engine)
        self.rollbacks = Rollbacks(self.promotions)
        self.deployments = Deployments(
            self.database, {}, self.engine, self.clock, "http://127.0.0.1", self.promotions.evaluation
        )

    def slack_ready(self) -> str:
        return self.slack

    def digest(self) -> dict[str, Any]:
        return {"day": "2026-11-23", "channels": [{"channel": "#ml-promotions", "text": "Nothing waits."}]}

    def send_digest(self) -> list[str]:
        return ["#ml-promotions"]

    def target_secrets(self, name: str) -> tuple[Secret, ...]:
        return parse_secrets(SECRET) if name == "hook" else ()

    def token(self, *scopes: str, name: str = "ci") -> str:
        return self.tokens.create(Actor.system("test"), name, scopes or ("admin",))[1]

    def crown(self, model: str, version: str, stage: str, since: datetime) -> int:
        """Make a version the champion as a finished promotion would have; the promotion's id."""
        with self.database.change() as session:
            row = session.query(Version).filter(Version.version == version, Version.model.has(name=model)).one()
            promotion = PromotionRow(
                kind="promotion", state="succeeded", model_id=row.model_id, version_id=row.id, stage=stage,
                requester=str(ALICE), requester_name="Alice", reason="", rules={"name": stage}, policy_version="p",
                verdicts=[], evidence_digest="e", created_at=since, updated_at=since, ended_at=since,
            )  # fmt: skip
            session.add(promotion)
            session.flush()
            old = session.query(Champion).filter_by(model_id=row.model_id, stage=stage, until=None).one_or_none()
            if old is not None:
                old.until, old.ended_by = since, promotion.id
                session.flush()
            session.add(
                Champion(model_id=row.model_id, stage=stage, version_id=row.id, promotion_id=promotion.id, since=since)
            )
            return promotion.id

    def later(self, **by: float) -> None:
        self.time += timedelta(**by)


@contextmanager
def running(
    database: Database, slack_events: SlackEvents | None = None, policy: Policy | None = None
) -> Iterator[tuple[World, HttpServer]]:
    """The world and its server on loopback."""
    engine = Engine(database)
    world = World(Settings.load({}), policy or load(POLICY), database, engine)
    server = HttpServer(build_http(world, slack_events), "127.0.0.1", 0)
    server.start()
    try:
        yield world, server
    finally:
        server.stop()
        engine.stop()


def client(server: HttpServer, token: str = "") -> httpx.Client:
    """A client that holds a token."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=server.url, headers=headers, trust_env=False, verify=False, timeout=20)
