"""What was asked of those who train, and what for."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.store.audit import Subject
from core.store.base import BIG, Base, index_while


class RetrainingRow(Base):
    """One request to train a model anew (`R-n`): at once the record of it and the intent to send it.

    `cause` is unique, so that nothing asks twice. `key` is the `webhook-id`, the same over every retry; so is `body`.
    """

    __tablename__ = "retrainings"
    __table_args__ = (
        Index("ix_retrainings_stage", "model", "stage", "id"),
        index_while("state = 'pending'", "ix_retrainings_due", "due_at"),
        CheckConstraint("kind IN ('drift', 'rollback', 'age')", "kind"),
        CheckConstraint("state IN ('pending', 'sent', 'refused')", "state"),
    )
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    cause: Mapped[str] = mapped_column(unique=True)  #: `rollback:12`, `drift:7`, `age:3:1`
    kind: Mapped[str]
    model: Mapped[str]
    stage: Mapped[str]
    version: Mapped[str]  #: the champion that is to be replaced
    promotion_id: Mapped[int] = mapped_column(ForeignKey("promotions.id"))  #: by which it became that
    reason: Mapped[str]
    target: Mapped[str]
    key: Mapped[str] = mapped_column(unique=True)
    body: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(default="pending")
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    claimed_until: Mapped[datetime | None]
    tried_at: Mapped[datetime | None]  #: when it was first sent, heard or not
    attempts: Mapped[int] = mapped_column(default=0)
    ended_at: Mapped[datetime | None]
    said: Mapped[str] = mapped_column(default="")  #: what the target answered last

    @property
    def ref(self) -> str:
        """`R-12`."""
        return f"R-{self.id}"

    @property
    def subject(self) -> Subject:
        """What its audit events are about: the champion, told in the thread of its promotion."""
        return Subject(self.model, self.version, self.stage, self.promotion_id)


def find(session: Session, ref: str, model: str) -> RetrainingRow | None:
    """The request called `R-12` of a model, if there is one."""
    match = re.fullmatch(r"R-(\d{1,18})", ref, re.ASCII)
    row = session.get(RetrainingRow, int(match[1])) if match else None
    return row if row is not None and row.model == model else None
