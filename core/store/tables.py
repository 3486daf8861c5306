"""The registry database. Every law of house 3 that a database can hold is held here, not only in code."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

from core.domain.lifecycle import ACTIVE
from core.domain.model import DecisionKind, DeploymentState, Kind, State

BIG = BigInteger().with_variant(Integer(), "sqlite")  # SQLite's rowid must be spelled INTEGER


class Utc(TypeDecorator[datetime]):
    """An aware moment, kept in UTC. SQLite forgets zones, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse naive moments; store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a moment without a time zone: {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give UTC back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """All tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: Utc, dict[str, Any]: JSON, list[Any]: JSON, str: Text}  # noqa: RUF012


def _one_of(column: str, values: type[State] | type[Kind] | type[DeploymentState] | type[DecisionKind]) -> str:
    return f"{column} IN ({', '.join(repr(v.value) for v in values)})"


ACTIVE_SQL = f"state IN ({', '.join(repr(s.value) for s in sorted(ACTIVE))})"


class RegisteredModel(Base):
    """A registered model: a name under which versions arrive."""

    __tablename__ = "models"
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]


class Version(Base):
    """A model version. Immutable: a trigger refuses updates (see the first migration)."""

    __tablename__ = "model_versions"
    __table_args__ = (UniqueConstraint("model_id", "version"), Index("ix_model_versions_newest", "model_id", "id"))
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    version: Mapped[str]
    artifact_uri: Mapped[str]
    digest: Mapped[str]
    lineage: Mapped[dict[str, Any]]
    tags: Mapped[dict[str, Any]]
    content_digest: Mapped[str]  #: over everything registered: the same again is a 200, anything else a 409
    registered_by: Mapped[str]
    registered_at: Mapped[datetime]
    model: Mapped[RegisteredModel] = relationship(lazy="joined")
    measurements: Mapped[list[MeasurementRow]] = relationship(lazy="selectin", order_by="MeasurementRow.id")


class MeasurementRow(Base):
    """One measured number of a version; `value` is NULL where no finite number was given, `raw` says what was."""

    __tablename__ = "measurements"
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"), index=True)
    name: Mapped[str]
    slice: Mapped[str]
    value: Mapped[float | None] = mapped_column(Float(53))
    raw: Mapped[str]
    dataset: Mapped[str]
    dataset_digest: Mapped[str]
    samples: Mapped[int | None] = mapped_column(BigInteger)


class PolicyText(Base):
    """Every policy file that a promotion was judged by, for whoever asks a year later."""

    __tablename__ = "policies"
    version: Mapped[str] = mapped_column(primary_key=True)
    text: Mapped[str]
    loaded_at: Mapped[datetime]


class PromotionRow(Base):
    """A promotion. `state` changes only in `core.store.transition`."""

    __tablename__ = "promotions"
    __table_args__ = (
        CheckConstraint(_one_of("state", State), "state"),
        CheckConstraint(_one_of("kind", Kind), "kind"),
        Index(
            "uq_promotions_active",
            "model_id",
            "stage",
            unique=True,
            sqlite_where=text(ACTIVE_SQL),
            postgresql_where=text(ACTIVE_SQL),
        ),
        Index("ix_promotions_state_expires", "state", "expires_at"),
        Index("ix_promotions_model_stage", "model_id", "stage", "id"),
        Index("ix_promotions_ended", "ended_at"),
    )
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    kind: Mapped[str]
    state: Mapped[str]
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    stage: Mapped[str]
    champion_version_id: Mapped[int | None] = mapped_column(ForeignKey("model_versions.id"))  #: when it was judged
    requester: Mapped[str]
    requester_name: Mapped[str]
    reason: Mapped[str]
    rules: Mapped[dict[str, Any]]  #: the stage's rules as they were; later edits of the policy do not reach back
    policy_version: Mapped[str]
    verdicts: Mapped[list[Any]]
    evidence_digest: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str] = mapped_column(default="")
    ended_by: Mapped[str] = mapped_column(default="")
    ended_by_name: Mapped[str] = mapped_column(default="")
    model: Mapped[RegisteredModel] = relationship(lazy="joined")
    version: Mapped[Version] = relationship(lazy="joined", foreign_keys=[version_id])
    champion_version: Mapped[Version | None] = relationship(foreign_keys=[champion_version_id])
    decisions: Mapped[list[DecisionRow]] = relationship(lazy="selectin", order_by="DecisionRow.id")
    deployments: Mapped[list[DeploymentRow]] = relationship(lazy="selectin", order_by="DeploymentRow.id")


class DecisionRow(Base):
    """What one person said of one promotion; once."""

    __tablename__ = "decisions"
    __table_args__ = (UniqueConstraint("promotion_id", "actor"), CheckConstraint(_one_of("kind", DecisionKind), "kind"))
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    promotion_id: Mapped[int] = mapped_column(ForeignKey("promotions.id"))
    actor: Mapped[str]
    actor_name: Mapped[str]
    kind: Mapped[str]
    reason: Mapped[str]
    groups: Mapped[list[Any]]  #: the policy groups that the person was in when they decided
    evidence_digest: Mapped[str]  #: what they saw
    at: Mapped[datetime]


class Champion(Base):
    """Who serves a stage, as history: the open row (`until` is NULL) is the champion now."""

    __tablename__ = "champions"
    __table_args__ = (
        Index(
            "uq_champions_current",
            "model_id",
            "stage",
            unique=True,
            sqlite_where=text("until IS NULL"),
            postgresql_where=text("until IS NULL"),
        ),
        Index("ix_champions_history", "model_id", "stage", "since"),
        Index("ix_champions_version", "version_id", "stage"),
        CheckConstraint("until IS NULL OR until >= since", "order"),
    )
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    stage: Mapped[str]
    version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    promotion_id: Mapped[int] = mapped_column(ForeignKey("promotions.id"))
    since: Mapped[datetime]
    until: Mapped[datetime | None]
    ended_by: Mapped[int | None] = mapped_column(ForeignKey("promotions.id"))
    version: Mapped[Version] = relationship(lazy="joined")
    promotion: Mapped[PromotionRow] = relationship(foreign_keys=[promotion_id])


class DeploymentRow(Base):
    """One piece of work asked of a deploy target. `key` is the `webhook-id`, the same over every retry."""

    __tablename__ = "deployments"
    __table_args__ = (
        UniqueConstraint("promotion_id", "action"),
        CheckConstraint(_one_of("state", DeploymentState), "state"),
        CheckConstraint("action IN ('deploy', 'rollback')", "action"),
    )
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    promotion_id: Mapped[int] = mapped_column(ForeignKey("promotions.id"))
    action: Mapped[str]
    target: Mapped[str]  #: the target's name in the policy file; "" where the stage has none
    version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    previous_version_id: Mapped[int | None] = mapped_column(ForeignKey("model_versions.id"))
    state: Mapped[str]
    key: Mapped[str] = mapped_column(unique=True)
    seq: Mapped[int] = mapped_column(default=0)
    timeout_seconds: Mapped[int]
    attempts: Mapped[int] = mapped_column(default=0)
    requested_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]  #: when the target first took it
    deadline: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    report: Mapped[str] = mapped_column(default="")  #: what the target said last: in_progress, succeeded, failed
    abort: Mapped[str] = mapped_column(default="")  #: why a person wants it undone; "" while nobody does
    url: Mapped[str] = mapped_column(default="")
    message: Mapped[str] = mapped_column(default="")
    promotion: Mapped[PromotionRow] = relationship(back_populates="deployments")
    version: Mapped[Version] = relationship(foreign_keys=[version_id])
    previous_version: Mapped[Version | None] = relationship(foreign_keys=[previous_version_id])


class MessageRow(Base):
    """One message that Slack shows, or is to show: at once the record of where it is and the intent to (re)write it.

    It is stale while `shown < wanted`. `posting_since` is set before a post and cleared after it, so that a post
    whose answer was lost is looked for before it is repeated.
    """

    __tablename__ = "messages"
    __table_args__ = (
        Index(
            "ix_messages_stale",
            "due_at",
            sqlite_where=text("shown < wanted"),
            postgresql_where=text("shown < wanted"),
        ),
        Index("ix_messages_promotion", "promotion_id"),
        CheckConstraint("kind IN ('card', 'thread', 'direct', 'digest')", "kind"),
    )
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    key: Mapped[str] = mapped_column(
        unique=True
    )  #: `card:12`, `thread:12:345`, `direct:12:U01`, `digest:#ml:2026-11-23`
    kind: Mapped[str]
    promotion_id: Mapped[int | None] = mapped_column(ForeignKey("promotions.id"))
    channel: Mapped[str]  #: as the policy names it: "#name", an id, or a user's id for a direct message
    posted_channel: Mapped[str] = mapped_column(default="")
    ts: Mapped[str] = mapped_column(default="")
    body: Mapped[dict[str, Any]]  #: the facts of a thread line, a direct message or a digest; {} for a card
    wanted: Mapped[int] = mapped_column(default=1)
    shown: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime]
    claimed_until: Mapped[datetime | None]
    posting_since: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]


class AuditEvent(Base):
    """One thing that happened. `hash` covers the row and the hash before it; triggers refuse updates and deletes."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_promotion", "promotion_id", "seq"),
        Index("ix_audit_events_model", "model", "seq"),
    )
    seq: Mapped[int] = mapped_column(BIG, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str]
    actor_name: Mapped[str]
    kind: Mapped[str]
    model: Mapped[str]
    version: Mapped[str]
    stage: Mapped[str]
    promotion_id: Mapped[int | None]
    deployment_id: Mapped[int | None]
    data: Mapped[dict[str, Any]]
    prev_hash: Mapped[str]
    hash: Mapped[str] = mapped_column(unique=True)


class ApiToken(Base):
    """An API token; only its hash is kept."""

    __tablename__ = "api_tokens"
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    hash: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[Any]]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class IdempotencyKey(Base):
    """The answer already given to a POST with this key."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("token_id", "key"),)
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    token_id: Mapped[int] = mapped_column(ForeignKey("api_tokens.id"))
    key: Mapped[str]
    request_hash: Mapped[str]
    status: Mapped[int | None]  #: NULL while the first request is still at work
    body: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]


class Process(Base):
    """A process that runs workflows, and when it last said that it lives."""

    __tablename__ = "processes"
    executor_id: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    beat_at: Mapped[datetime] = mapped_column(index=True)
