"""What time brings about. A scheduler only wakes these; what is due is read from the database, so any replica may run
them, twice or late, and nothing happens twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.model import Actor, Kind, State
from core.domain.views import PromotionView
from core.policy.schema import Policy
from core.promotions import Promotions
from core.store import audit, messages
from core.store import promotions as store
from core.store.database import Database
from core.store.tables import MessageRow, PromotionRow

#: How many promotions a digest lists by name; the rest is counted.
LISTED = 20
#: "Expiring soon".
SOON = timedelta(hours=24)


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


@dataclass(frozen=True)
class Digest:
    """What one channel's digest says; promotions oldest first."""

    channel: str
    day: str
    awaiting: tuple[PromotionView, ...] = ()
    awaiting_count: int = 0
    expiring: tuple[PromotionView, ...] = ()
    rolling_out: tuple[PromotionView, ...] = ()
    rolled_back: tuple[PromotionView, ...] = field(default=())
    now: datetime | None = None

    @property
    def nothing(self) -> bool:
        """True when there is nothing that anybody must know."""
        return not (self.awaiting_count or self.rolling_out or self.rolled_back)


def channels(policy: Policy, database: Database) -> list[str]:
    """Every channel that a digest goes to: those the policy names, and those of cards that still wait."""
    named = [
        policy.slack.channel,
        *(stage.channel for stage in policy.stages),
        *(m.channel for m in policy.models.values()),
    ]
    with database.read() as session:
        waiting = session.scalars(
            select(MessageRow.channel)
            .join(PromotionRow, PromotionRow.id == MessageRow.promotion_id)
            .where(MessageRow.kind == "card", PromotionRow.state.in_(store.ACTIVE_STATES))
            .distinct()
        ).all()
    return list(dict.fromkeys(channel for channel in [*named, *waiting] if channel))


def due_digests(policy: Policy, database: Database, now: datetime) -> list[str]:
    """Want today's digest in every channel where its hour has come; the channels that this call wanted it for."""
    plan = policy.slack.digest
    if plan is None:
        return []
    local = now.astimezone(ZoneInfo(plan.timezone))
    if local.weekday() not in plan.weekdays or local.time() < plan.at:
        return []
    return want_digests(channels(policy, database), policy, database, local.date().isoformat(), now)


def local_day(policy: Policy, now: datetime) -> str:
    """Which day it is where the digest is read, as 2026-11-23."""
    zone = policy.slack.digest.timezone if policy.slack.digest else "UTC"
    return now.astimezone(ZoneInfo(zone)).date().isoformat()


def want_digests(names: Iterable[str], policy: Policy, database: Database, day: str, now: datetime) -> list[str]:
    """Want the digest of `day` in each channel, once however often and by whomever this is called."""
    wanted = []
    for channel in names:
        with database.change() as session:
            silent = policy.slack.digest is not None and policy.slack.digest.when_nothing == "silent"
            facts = digest(session, channel, day, now)
            if not messages.want_digest(session, channel, day, {"day": day}, now, shown=silent and facts.nothing):
                continue
            audit.append(
                session, now, Actor.system("digest"), "digest", audit.Subject(), {"channel": channel, "day": day}
            )
            wanted.append(channel)
    return wanted


def digest(session: Session, channel: str, day: str, now: datetime) -> Digest:
    """The facts of one channel's digest as they are now."""
    here = (
        select(PromotionRow)
        .join(MessageRow, (MessageRow.promotion_id == PromotionRow.id) & (MessageRow.kind == "card"))
        .where(MessageRow.channel == channel)
        .order_by(PromotionRow.id)
    )
    waiting = here.where(PromotionRow.state.in_((State.EVALUATING.value, State.AWAITING_APPROVAL.value)))
    under_way = (State.APPROVED.value, State.DEPLOYING.value, State.VERIFYING.value, State.ROLLING_BACK.value)
    undone = here.where(
        PromotionRow.ended_at > now - timedelta(days=1),
        ((PromotionRow.kind == Kind.ROLLBACK.value) & (PromotionRow.state == State.SUCCEEDED.value))
        | (PromotionRow.state == State.ROLLED_BACK.value),
    )
    ids = session.scalars(waiting.with_only_columns(PromotionRow.id)).all()
    return Digest(
        channel=channel,
        day=day,
        awaiting=_views(session, waiting.limit(LISTED)),
        awaiting_count=len(ids),
        expiring=_views(session, waiting.where(PromotionRow.expires_at <= now + SOON).limit(LISTED)),
        rolling_out=_views(session, here.where(PromotionRow.state.in_(under_way)).limit(LISTED)),
        rolled_back=_views(session, undone.limit(LISTED)),
        now=now,
    )


def _views(session: Session, query: object) -> tuple[PromotionView, ...]:
    return tuple(store.to_view(row) for row in session.scalars(query))  # type: ignore[call-overload]
