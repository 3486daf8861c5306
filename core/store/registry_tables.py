"""What is known of other registries: how each is doing, what it has, what it was told, and what moved there.

`origin` is everywhere the registry by its name in the policy file.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.store.base import BIG, Base, index_while, unique_while


class RegistryRow(Base):
    """One registry of the policy file: what was seen of it, when it is asked next, and how long it has been away."""

    __tablename__ = "registries"
    name: Mapped[str] = mapped_column(primary_key=True)
    seen_at: Mapped[datetime | None]  #: when, by its clock, the newest version that was seen was created
    listed_at: Mapped[datetime | None]  #: when all its models were listed
    polled_at: Mapped[datetime | None]  #: when it answered last
    due_at: Mapped[datetime]
    claimed_until: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    failing_since: Mapped[datetime | None]
    last_error: Mapped[str] = mapped_column(default="")
    told: Mapped[bool] = mapped_column(default=False)  #: whether the owner knows of this outage


class RegistryModel(Base):
    """A model that another registry has. `due_at`: when to look at its versions; NULL where it is not taken over."""

    __tablename__ = "registry_models"
    __table_args__ = (Index("ix_registry_models_due", "origin", "due_at"),)
    origin: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    due_at: Mapped[datetime | None]
    said: Mapped[str] = mapped_column(default="")  #: why it is not taken over


class RegistryVersion(Base):
    """A version that another registry has, from its first sighting to its registration."""

    __tablename__ = "registry_versions"
    __table_args__ = (
        UniqueConstraint("origin", "model", "number"),
        CheckConstraint("state IN ('waiting', 'registered', 'left', 'refused')", "state"),
        index_while("state = 'waiting'", "ix_registry_versions_due", "origin", "due_at"),
        index_while("version_id IS NOT NULL", "uq_registry_versions_version", "version_id", unique=True),
    )
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    origin: Mapped[str]
    model: Mapped[str]
    number: Mapped[int] = mapped_column(BIG)
    created_at: Mapped[datetime]  #: by the registry's clock
    seen_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(default="waiting")
    due_at: Mapped[datetime]
    said: Mapped[str] = mapped_column(default="")  #: why it is not registered
    version_id: Mapped[int | None] = mapped_column(ForeignKey("model_versions.id"))  #: what it became here


class RegistryEvent(Base):
    """A webhook that was heard, so that its repetition is known for one."""

    __tablename__ = "registry_events"
    __table_args__ = (Index("ix_registry_events_at", "at"),)
    origin: Mapped[str] = mapped_column(primary_key=True)
    delivery: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]


class WriteBackRow(Base):
    """A decision that the registry is to be told, in the order of `id` for each model and stage.

    With `drift_id` it is Baton's champion that somebody wants put back.
    """

    __tablename__ = "write_backs"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'written', 'unchanged', 'moved', 'refused', 'nothing')", "state"),
        CheckConstraint("decision IN ('approved', 'adopted', 'rejected', 'rolled_back')", "decision"),
        unique_while("drift_id IS NULL", "uq_write_backs_decision", "promotion_id", "model", "version"),
        index_while("state = 'pending'", "ix_write_backs_pending", "origin", "due_at"),
        Index("ix_write_backs_place", "model", "stage", "id"),
    )
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    origin: Mapped[str]
    promotion_id: Mapped[int] = mapped_column(ForeignKey("promotions.id"))
    drift_id: Mapped[int | None] = mapped_column(ForeignKey("drifts.id"))
    model: Mapped[str]
    stage: Mapped[str]
    version: Mapped[str]
    decision: Mapped[str]
    state: Mapped[str] = mapped_column(default="pending")
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime]
    last_error: Mapped[str] = mapped_column(default="")
    said: Mapped[str] = mapped_column(default="")  #: what came of it
    created_at: Mapped[datetime]
    done_at: Mapped[datetime | None]


class DriftRow(Base):
    """What somebody moved in the registry, past Baton; one open at a time for each model and stage."""

    __tablename__ = "drifts"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'reverting', 'adopted', 'reverted', 'gone')", "state"),
        unique_while("state IN ('open', 'reverting')", "uq_drifts_open", "model", "stage"),
    )
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    origin: Mapped[str]
    model: Mapped[str]
    stage: Mapped[str]
    place: Mapped[str]  #: what moved, in words: `the alias champion`
    expected: Mapped[str]  #: Baton's champion
    found: Mapped[str]  #: the version that is there, or words for what is; "" for nothing
    said: Mapped[str] = mapped_column(default="")  #: why putting it back did not work
    state: Mapped[str] = mapped_column(default="open")
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str] = mapped_column(default="")
    closed_by_name: Mapped[str] = mapped_column(default="")
    promotion_id: Mapped[int | None] = mapped_column(ForeignKey("promotions.id"))  #: the one that adopted it
