"""The looks of rollouts as they were taken: written once, read by whoever draws them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.policy.analysis import Progress
from core.policy.timeline import TakenLook
from core.store.look_tables import LookRow


def keep(session: Session, promotion_id: int, progress: Progress, traffic: int, at: datetime) -> None:
    """Keep what the look at `at` found; `progress` is the analysis after it."""
    found = {
        each.name: [each.last.outcome.value, each.last.candidate, each.last.champion]
        for each in progress.metrics
        if each.last is not None and each.last.at == at.isoformat()
    }
    if found:
        session.add(LookRow(promotion_id=promotion_id, at=at, traffic=traffic, found=found))


def taken(session: Session, promotion_id: int) -> list[TakenLook]:
    """Every look of a promotion's rollout, in order."""
    rows = session.execute(
        select(LookRow.at, LookRow.traffic, LookRow.found)
        .where(LookRow.promotion_id == promotion_id)
        .order_by(LookRow.id)
    )
    return [TakenLook(row.at, row.traffic, row.found) for row in rows]


def any_taken(session: Session, promotion_id: int) -> bool:
    """Whether a promotion's rollout was looked at."""
    return session.scalar(select(LookRow.id).where(LookRow.promotion_id == promotion_id).limit(1)) is not None
