"""What feature stores are asked for promotions, and what they said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, ForeignKey, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.domain.model import Outcome
from core.policy.features import Looked, Wanted
from core.store.base import Base, index_while

LEASE = timedelta(seconds=60)


class FeatureLookRow(Base):
    """One question of a promotion to a feature store. `due_at` is when it is asked next; NULL while nobody waits."""

    __tablename__ = "feature_looks"
    __table_args__ = (index_while("due_at IS NOT NULL", "ix_feature_looks_due", "due_at"),)
    promotion_id: Mapped[int] = mapped_column(ForeignKey("promotions.id"), primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str]
    service: Mapped[str]
    project: Mapped[str]
    fresh: Mapped[bool]
    wanted_at: Mapped[datetime]  #: since when an answer is waited for
    due_at: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(default=0)
    claimed_until: Mapped[datetime | None]
    trouble: Mapped[str] = mapped_column(default="")  #: why it could not be asked
    outcome: Mapped[str] = mapped_column(default=Outcome.INCONCLUSIVE.value)
    sentence: Mapped[str] = mapped_column(default="")
    at: Mapped[datetime | None]  #: of the last answer

    @property
    def wanted(self) -> Wanted:
        """The question."""
        return Wanted(self.source, self.service, self.project, self.fresh)


def looks(session: Session, promotion_id: int) -> dict[str, Looked]:
    """What was found for a promotion, by question."""
    return looks_of(session, [promotion_id]).get(promotion_id, {})


def looks_of(session: Session, promotion_ids: Sequence[int]) -> dict[int, dict[str, Looked]]:
    """What was found for some promotions, by promotion and question."""
    found: dict[int, dict[str, Looked]] = {}
    for each in session.scalars(select(FeatureLookRow).where(FeatureLookRow.promotion_id.in_(promotion_ids))):
        look = Looked(each.wanted, Outcome(each.outcome), each.sentence, each.at, each.trouble)
        found.setdefault(each.promotion_id, {})[each.key] = look
    return found


def want(session: Session, promotion_id: int, asked: Iterable[Wanted], now: datetime) -> None:
    """Have each question asked (again); one that is being asked already stays as it is."""
    there = {
        each.key: each
        for each in session.scalars(select(FeatureLookRow).where(FeatureLookRow.promotion_id == promotion_id))
    }
    for each in asked:
        row = there.get(each.key)
        if row is None:
            row = FeatureLookRow(
                promotion_id=promotion_id, key=each.key, source=each.source, service=each.service,
                project=each.project, fresh=each.fresh, wanted_at=now, due_at=now,
            )  # fmt: skip
            session.add(row)
        elif row.due_at is None:
            row.wanted_at, row.due_at, row.tries, row.trouble = now, now, 0, ""
    session.flush()


def due(session: Session, now: datetime, limit: int) -> list[tuple[int, str]]:
    """(promotion, key) of what is to be asked now."""
    rows = session.execute(
        select(FeatureLookRow.promotion_id, FeatureLookRow.key)
        .where(FeatureLookRow.due_at <= now, _unclaimed(now))
        .order_by(FeatureLookRow.due_at)
        .limit(limit)
    )
    return [(row.promotion_id, row.key) for row in rows]


def claim(session: Session, promotion_id: int, key: str, now: datetime) -> Wanted | None:
    """Take a question for a while; None when somebody else has it or it is not due any more."""
    taken = session.execute(
        update(FeatureLookRow)
        .where(
            FeatureLookRow.promotion_id == promotion_id,
            FeatureLookRow.key == key,
            FeatureLookRow.due_at <= now,
            _unclaimed(now),
        )
        .values(claimed_until=now + LEASE)
        .returning(FeatureLookRow.key)
    ).first()
    row = session.get(FeatureLookRow, (promotion_id, key)) if taken else None
    return row.wanted if row else None


def _unclaimed(now: datetime) -> ColumnElement[bool]:
    return or_(FeatureLookRow.claimed_until.is_(None), FeatureLookRow.claimed_until <= now)
