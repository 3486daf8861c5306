"""The registry database. Every law of house 3 that a database can hold is held here, not only in code."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Float, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.domain.lifecycle import ACTIVE
from core.domain.model import DecisionKind, DeploymentState, Kind, State
from core.store.base import BIG, MESSAGE_KINDS, Base, index_while, one_of, unique_while

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
    members: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  #: of a bundle: versions by model
    model: Mapped[RegisteredModel] = relationship(lazy="joined")
    measurements: Mapped[list[MeasurementRow]] = relationship(order_by="MeasurementRow.id")


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
        CheckConstraint(one_of("state", State), "state"),
        CheckConstraint(one_of("kind", Kind), "kind"),
        unique_while(ACTIVE_SQL, "uq_promotions_active", "model_id", "stage"),
        Index("ix_promotions_state_expires", "state", "expires_at"),
        Index("ix_promotions_model_stage", "model_id", "stage", "id"),
        Index("ix_promotions_ended", "ended_at"),
        Index("ix_promotions_nudge", "nudge_at"),
        Index("ix_promotions_kind", "kind"),
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
    requester_owner: Mapped[str] = mapped_column(default="")  #: of a token: the person who answers for it
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
    evidence: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)  #: what `evidence_digest` covers, as it was
    waiting_for: Mapped[str] = mapped_column(default="")  #: why it is approved and not deployed yet, or ""
    waiting_until: Mapped[datetime | None]
    members: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))  #: of a bundle: see `core.members`
    nudge_at: Mapped[datetime | None]  #: when somebody is to be reminded next, or told that nobody decides
    model: Mapped[RegisteredModel] = relationship(lazy="joined")
    version: Mapped[Version] = relationship(lazy="joined", foreign_keys=[version_id])
    champion_version: Mapped[Version | None] = relationship(foreign_keys=[champion_version_id])
    decisions: Mapped[list[DecisionRow]] = relationship(order_by="DecisionRow.id")
    deployments: Mapped[list[DeploymentRow]] = relationship(order_by="DeploymentRow.id")
    override: Mapped[OverrideRow | None] = relationship()
    rollout: Mapped[RolloutRow | None] = relationship()


class DecisionRow(Base):
    """What one person said of one promotion, for themselves or for the person who delegated to them; counts once.

    `void_at`: since when it no longer counts (withdrawn, or the evidence changed); what it said stays.
    """

    __tablename__ = "decisions"
    __table_args__ = (
        unique_while("void_at IS NULL", "uq_decisions_actor", "promotion_id", "actor"),
        unique_while("void_at IS NULL", "uq_decisions_principal", "promotion_id", "principal"),
        Index("ix_decisions_promotion", "promotion_id"),
        Index("ix_decisions_kind", "kind"),
        CheckConstraint(one_of("kind", DecisionKind), "kind"),
    )
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    promotion_id: Mapped[int] = mapped_column(ForeignKey("promotions.id"))
    actor: Mapped[str]
    actor_name: Mapped[str]
    kind: Mapped[str]
    reason: Mapped[str]
    groups: Mapped[list[Any]]  #: the policy groups that the person was in when they decided
    evidence_digest: Mapped[str]  #: what they saw
    at: Mapped[datetime]
    #: Whose seat it fills: the actor's own, or that of whoever delegated to them.
    principal: Mapped[str] = mapped_column(default=lambda row: row.get_current_parameters()["actor"])
    principal_name: Mapped[str] = mapped_column(default=lambda row: row.get_current_parameters()["actor_name"])
    void_at: Mapped[datetime | None]
    void_reason: Mapped[str] = mapped_column(default="")
    limit_percent: Mapped[int | None]  #: at most so much traffic,
    limit_seconds: Mapped[int | None]  #: for so long; then the person is asked again


class Champion(Base):
    """Who serves a stage, as history: the open row (`until` is NULL) is the champion now."""

    __tablename__ = "champions"
    __table_args__ = (
        unique_while("until IS NULL", "uq_champions_current", "model_id", "stage"),
        Index("ix_champions_history", "model_id", "stage", "since"),
        Index("ix_champions_version", "version_id", "stage"),
        Index("ix_champions_promotion", "promotion_id"),
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
        unique_while("state <> 'cancelled'", "uq_deployments_action", "promotion_id", "action", "step"),
        Index("ix_deployments_promotion", "promotion_id"),
        CheckConstraint(one_of("state", DeploymentState), "state"),
        CheckConstraint("action IN ('deploy', 'set_traffic', 'rollback')", "action"),
    )
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    promotion_id: Mapped[int] = mapped_column(ForeignKey("promotions.id"))
    action: Mapped[str]
    target: Mapped[str]  #: the target's name in the policy file; "" where the stage has none
    version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    previous_version_id: Mapped[int | None] = mapped_column(ForeignKey("model_versions.id"))
    state: Mapped[str]
    key: Mapped[str] = mapped_column(unique=True)
    step: Mapped[int] = mapped_column(default=0)  #: of its promotion's rollout
    traffic: Mapped[int] = mapped_column(default=100)  #: per cent that the version gets
    run: Mapped[str] = mapped_column(default="")  #: the target's external job, where it is followed
    tried_at: Mapped[datetime | None]  #: when the target was first asked, heard or not
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


class RolloutRow(Base):
    """How a version gets its traffic: which step it is at, and what happens when. Absent where it gets all at once."""

    __tablename__ = "rollouts"
    __table_args__ = (
        CheckConstraint("phase IN ('acting', 'holding', 'asking', 'verifying', 'ended')", "phase"),
        Index("ix_rollouts_due", "due_at"),
    )
    promotion_id: Mapped[int] = mapped_column(ForeignKey("promotions.id"), primary_key=True, autoincrement=False)
    strategy: Mapped[str]
    steps: Mapped[list[Any]]  #: [traffic, hold in seconds] each
    step: Mapped[int] = mapped_column(default=0)
    traffic: Mapped[int] = mapped_column(default=0)  #: what the target has confirmed
    phase: Mapped[str] = mapped_column(default="acting")
    phase_since: Mapped[datetime]
    hold_until: Mapped[datetime | None]
    due_at: Mapped[datetime | None]  #: when to look at it next; NULL while something else must happen first
    progress: Mapped[dict[str, Any] | None]  #: of its analysis (`core.policy.analysis.Progress`)
    said: Mapped[str] = mapped_column(default="")  #: what the analysis said last, or what a person is asked
    paused_by: Mapped[str] = mapped_column(default="")
    limits: Mapped[list[Any]]  #: [who, name, per cent, seconds] of each yes that has a limit and still holds
    abort: Mapped[str] = mapped_column(default="")  #: why it is to be rolled back
    seq: Mapped[int] = mapped_column(default=0)  #: rises with every change: whoever looked before it changes nothing
    claimed_until: Mapped[datetime | None]


class BarrierRow(Base):
    """What a person, or a rollback, put in the way until it is lifted: a stop, a hold or a veto. "" means every one."""

    __tablename__ = "barriers"
    __table_args__ = (
        unique_while("lifted_at IS NULL", "uq_barriers_standing", "kind", "model", "version", "stage"),
        CheckConstraint("kind IN ('stop', 'hold', 'veto')", "kind"),
    )
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    kind: Mapped[str]
    model: Mapped[str]
    version: Mapped[str] = mapped_column(default="")
    stage: Mapped[str] = mapped_column(default="")  #: of a veto: the first stage that it bars
    reason: Mapped[str]
    actor: Mapped[str]
    actor_name: Mapped[str]
    promotion_id: Mapped[int | None] = mapped_column(ForeignKey("promotions.id"))  #: the rollback that placed a hold
    placed_at: Mapped[datetime]
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[str] = mapped_column(default="")
    lifted_by_name: Mapped[str] = mapped_column(default="")
    lifted_reason: Mapped[str] = mapped_column(default="")


class OverrideRow(Base):
    """Break-glass: who deployed a promotion past what, why, and who has looked at it since."""

    __tablename__ = "overrides"
    __table_args__ = (
        CheckConstraint("reviewed_by <> actor", "somebody_else"),
        index_while("reviewed_at IS NULL", "ix_overrides_open", "at"),
    )
    promotion_id: Mapped[int] = mapped_column(ForeignKey("promotions.id"), primary_key=True, autoincrement=False)
    actor: Mapped[str]
    actor_name: Mapped[str]
    reason: Mapped[str]
    bypassed: Mapped[list[Any]]  #: one sentence each
    at: Mapped[datetime]
    reviewed_at: Mapped[datetime | None]
    reviewed_by: Mapped[str] = mapped_column(default="")
    reviewed_by_name: Mapped[str] = mapped_column(default="")
    review: Mapped[str] = mapped_column(default="")


class MessageRow(Base):
    """One message that Slack shows, or is to show: at once the record of where it is and the intent to (re)write it.

    It is stale while `shown < wanted`. `posting_since` is set before a post and cleared after it, so that a post
    whose answer was lost is looked for before it is repeated.
    """

    __tablename__ = "messages"
    __table_args__ = (
        index_while("shown < wanted", "ix_messages_stale", "due_at"),
        Index("ix_messages_promotion", "promotion_id"),
        CheckConstraint(MESSAGE_KINDS, "kind"),
    )
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)  #: `card:12`, `thread:12:345`, `digest:#ml:2026-11-23`
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
    """An API token; only its hash is kept. `owner` is the Slack id of whoever answers for it, or ""."""

    __tablename__ = "api_tokens"
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    hash: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[Any]]
    owner: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class Process(Base):
    """A process that runs workflows, and when it last said that it lives."""

    __tablename__ = "processes"
    executor_id: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    beat_at: Mapped[datetime] = mapped_column(index=True)
