"""What every look of a rollout's analysis found, for whoever wants to see it over time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from core.store.base import BIG, Base


class LookRow(Base):
    """One look at all metrics of a rollout. The analysis itself goes by `rollouts.progress`; nothing here decides."""

    __tablename__ = "rollout_looks"
    __table_args__ = (Index("ix_rollout_looks_promotion", "promotion_id", "id"),)
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    promotion_id: Mapped[int] = mapped_column(ForeignKey("promotions.id"))
    at: Mapped[datetime]
    traffic: Mapped[int]
    found: Mapped[dict[str, Any]]  #: by metric: [outcome, candidate, champion]
