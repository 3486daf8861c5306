"""Alerts as they were heard, and what each led to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.store.base import BIG, Base, unique_while


class AlertRow(Base):
    """One alert from its beginning to its end, however often it was sent."""

    __tablename__ = "alerts"
    __table_args__ = (
        UniqueConstraint("source", "fingerprint", "starts_at"),
        Index("ix_alerts_proposal", "proposal_id"),
    )
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    source: Mapped[str]
    fingerprint: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]  #: NULL while it fires
    name: Mapped[str]
    summary: Mapped[str]
    url: Mapped[str]
    labels: Mapped[dict[str, Any]]
    received_at: Mapped[datetime]
    proposal_id: Mapped[int | None] = mapped_column(BIG)


class ProposalRow(Base):
    """What alerts about one version in one stage led to; one open at a time, however many alerts there are."""

    __tablename__ = "proposals"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'accepted', 'dismissed', 'withdrawn')", "state"),
        CheckConstraint("mode IN ('auto', 'ask', 'notify')", "mode"),
        unique_while("state = 'open'", "uq_proposals_open", "model", "stage", "version"),
    )
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    model: Mapped[str]
    stage: Mapped[str]
    version: Mapped[str]
    mode: Mapped[str]
    state: Mapped[str] = mapped_column(default="open")
    said: Mapped[str] = mapped_column(default="")  #: why nothing could be done by itself, or what was done
    promotion_id: Mapped[int | None] = mapped_column(ForeignKey("promotions.id"))  #: the rollback that came of it
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str] = mapped_column(default="")
    closed_by_name: Mapped[str] = mapped_column(default="")
