"""What time brings about. A scheduler only wakes these; what is due is read from the database, so any replica may run
them, twice or late, and nothing happens twice.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from core.domain.model import State
from core.promotions import Promotions
from core.store.tables import PromotionRow


def expire(promotions: Promotions, now: datetime) -> list[int]:
    """End every promotion whose time is up; returns the ids of those that this call ended."""
    with promotions.database.read() as session:
        due = session.scalars(
            select(PromotionRow.id).where(
                PromotionRow.state.in_((State.EVALUATING.value, State.AWAITING_APPROVAL.value, State.APPROVED.value)),
                PromotionRow.expires_at <= now,
            )
        ).all()
    return [promotion_id for promotion_id in due if promotions.expire(promotion_id)]
