"""Rows to deploy, written straight into the tables, and a Baton that has no more than deployments."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from core.deployments import Deployments
from core.engine import Engine
from core.evaluation import Evaluation
from core.policy.load import load
from core.ports import DeployTarget
from core.store.database import Database
from core.store.tables import (
    AuditEvent,
    Champion,
    DecisionRow,
    DeploymentRow,
    PromotionRow,
    RegisteredModel,
    Version,
)
from core.targets.standard_webhooks import parse_secrets
from core.targets.webhook import WebhookTarget
from tests.integration.receiver import SECRET

MODEL, STAGE = "fraud-detector", "production"
PUBLIC = "https://baton.example.com"
POLL = 0.1
POLICY = """
version: 1
slack: {channel: "#ml-promotions"}
stages: [{name: development}, {name: production}]
"""


def now() -> datetime:
    return datetime.now(UTC)


class Staging:
    """One Baton on one database. `engine` is started by `running()`."""

    def __init__(self, database: Database, targets: dict[str, DeployTarget]) -> None:
        self.database = database
        self.targets = targets
        self.engine = Engine(database, poll=POLL)
        self.seen: list[tuple[str, str, float]] = []
        self.deployments = Deployments(
            database,
            targets,
            self.engine,
            now,
            PUBLIC,
            Evaluation(load(POLICY), self.engine),
            on_hook=lambda *seen: self.seen.append(seen),
        )

    @contextmanager
    def running(self) -> Iterator[Staging]:
        self.engine.launch(self.deployments.run)
        try:
            yield self
        finally:
            self.stop()

    def stop(self) -> None:
        self.engine.stop()
        for target in self.targets.values():
            if isinstance(target, WebhookTarget):
                target.close()

    # -- rows --------------------------------------------------------------------------------------------------

    def approve(
        self, version: str = "7", target: str = "prod-hook", timeout: int = 60, kind: str = "promotion",
        model: str = MODEL, enqueue: bool = True,
    ) -> int:  # fmt: skip
        """An approved promotion with its deployment, as the last approval leaves it; returns the deployment's id."""
        with self.database.change() as session:
            candidate = self._version(session, model, version)
            serving = session.scalar(
                select(Champion).where(
                    Champion.model_id == candidate.model_id, Champion.stage == STAGE, Champion.until.is_(None)
                )
            )
            promotion = PromotionRow(
                kind=kind, state="approved", model_id=candidate.model_id, version_id=candidate.id, stage=STAGE,
                champion_version_id=serving.version_id if serving else None, requester="user:U01ALICE",
                requester_name="Alice", reason="better", rules={"name": STAGE}, policy_version="p1", verdicts=[],
                evidence_digest="e1", created_at=now(), updated_at=now(),
            )  # fmt: skip
            promotion.decisions.append(
                DecisionRow(
                    actor="user:U02BOB", actor_name="Bob", kind="approval", reason="", groups=["ml"],
                    evidence_digest="e1", at=now(),
                )
            )  # fmt: skip
            session.add(promotion)
            session.flush()
            deployment = DeploymentRow(
                promotion_id=promotion.id, action="deploy" if kind == "promotion" else "rollback", target=target,
                version_id=candidate.id, previous_version_id=serving.version_id if serving else None, state="pending",
                key=f"baton_{model}_{promotion.id}", timeout_seconds=timeout, requested_at=now(),
            )  # fmt: skip
            session.add(deployment)
            session.flush()
            if enqueue:
                self.engine.enqueue(session, deployment.id, f"{model}/{STAGE}")
            return deployment.id

    def serve(self, version: str, model: str = MODEL) -> None:
        """`version` is the champion already."""
        deployment_id = self.approve(version, target="", model=model, enqueue=False)
        assert self.deployments.begin(deployment_id)
        self.deployments._outcomes.end(deployment_id, "succeeded", "")

    def abort(self, deployment_id: int, reason: str = "wrong one") -> None:
        """What cancelling does."""
        with self.database.change() as session:
            session.get_one(DeploymentRow, deployment_id).abort = reason
            self.engine.wake(session, deployment_id)

    def _version(self, session: Any, model: str, version: str) -> Version:
        parent = session.scalar(select(RegisteredModel).where(RegisteredModel.name == model))
        if parent is None:
            parent = RegisteredModel(name=model, created_at=now())
            session.add(parent)
            session.flush()
        found = session.scalar(select(Version).where(Version.model_id == parent.id, Version.version == version))
        if found is None:
            found = Version(
                model_id=parent.id, version=version, artifact_uri="s3://m", digest=f"sha256:{version:0>64}", lineage={},
                tags={}, content_digest="c", registered_by="token:ci", registered_at=now(),
            )  # fmt: skip
            session.add(found)
            session.flush()
        return found

    # -- looking -----------------------------------------------------------------------------------------------

    def deployment(self, deployment_id: int) -> DeploymentRow:
        with self.database.read() as session:
            row = session.get_one(DeploymentRow, deployment_id)
            _ = row.promotion.state
            return row

    def promotion_of(self, deployment_id: int) -> PromotionRow:
        return self.deployment(deployment_id).promotion

    def await_end(self, deployment_id: int, seconds: float = 30.0) -> DeploymentRow:
        """The deployment's row once its promotion has ended."""
        return self.await_row(deployment_id, lambda row: row.promotion.ended_at is not None, seconds)

    def await_row(
        self, deployment_id: int, wanted: Callable[[DeploymentRow], bool], seconds: float = 30.0
    ) -> DeploymentRow:
        until = time.monotonic() + seconds
        while True:
            row = self.deployment(deployment_id)
            if wanted(row):
                return row
            assert time.monotonic() < until, (row.state, row.promotion.state, row.message, row.attempts)
            threading.Event().wait(0.02)

    def champions(self, model: str = MODEL) -> list[tuple[str, bool]]:
        """(version, serves now) in order of time."""
        with self.database.read() as session:
            rows = session.scalars(
                select(Champion).join(RegisteredModel).where(RegisteredModel.name == model).order_by(Champion.id)
            )
            return [(row.version.version, row.until is None) for row in rows]

    def story(self, deployment_id: int) -> list[str]:
        """The kinds of the audit events of the deployment's promotion."""
        with self.database.read() as session:
            promotion_id = session.get_one(DeploymentRow, deployment_id).promotion_id
            return list(
                session.scalars(
                    select(AuditEvent.kind).where(AuditEvent.promotion_id == promotion_id).order_by(AuditEvent.seq)
                )
            )


def webhook(url: str) -> dict[str, DeployTarget]:
    """The target `prod-hook` at `url`."""
    return {"prod-hook": WebhookTarget("prod-hook", url, parse_secrets(SECRET), now)}
