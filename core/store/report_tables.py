"""Which reports of deploy systems were taken of late."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from core.store.base import Base


class ReportRow(Base):
    """A report's own `webhook-id` and the one deployment it was of; kept while its signature could be sent on."""

    __tablename__ = "reports"
    id: Mapped[str] = mapped_column(primary_key=True)
    deployment_id: Mapped[int] = mapped_column(ForeignKey("deployments.id"))
    at: Mapped[datetime]
