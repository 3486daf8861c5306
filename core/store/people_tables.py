"""What single people have asked of Baton: who decides for them, and whether they get a digest of their own."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from core.store.base import BIG, Base, unique_while


class DelegationRow(Base):
    """Somebody decides for somebody else, for a while; one delegate a person at a time."""

    __tablename__ = "delegations"
    __table_args__ = (
        unique_while("ended_at IS NULL", "uq_delegations_principal", "principal"),
        Index("ix_delegations_delegate", "delegate", "until"),
        CheckConstraint("principal <> delegate", "somebody_else"),
        CheckConstraint("until > since", "order"),
    )
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    principal: Mapped[str]  #: a Slack user id, as `delegate`
    principal_name: Mapped[str]
    delegate: Mapped[str]
    delegate_name: Mapped[str]
    since: Mapped[datetime]
    until: Mapped[datetime]
    ended_at: Mapped[datetime | None]  #: taken back before its time, replaced, or over and shown as over


class PreferenceRow(Base):
    """What one person wants of Baton."""

    __tablename__ = "preferences"
    user_id: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[bool] = mapped_column(default=False)
    updated_at: Mapped[datetime]
