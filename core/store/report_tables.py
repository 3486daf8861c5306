"""What other systems have told or asked of late, so that its repetition is known for one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.store.base import BIG, Base


class ReportRow(Base):
    """A report's own `webhook-id` and the one deployment it was of; kept while its signature could be sent on."""

    __tablename__ = "reports"
    id: Mapped[str] = mapped_column(primary_key=True)
    deployment_id: Mapped[int] = mapped_column(ForeignKey("deployments.id"))
    at: Mapped[datetime]


class IdempotencyKey(Base):
    """The answer already given to a POST with this key; keys of a token, or of a `caller` that has none."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        UniqueConstraint("token_id", "key"),
        UniqueConstraint("caller", "key"),
        CheckConstraint("(token_id IS NULL) <> (caller IS NULL)", name="of_one_caller"),
    )
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    token_id: Mapped[int | None] = mapped_column(ForeignKey("api_tokens.id"))
    caller: Mapped[str | None]
    key: Mapped[str]
    request_hash: Mapped[str]
    status: Mapped[int | None]  #: NULL while the first request is still at work
    body: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
