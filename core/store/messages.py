"""Which Slack messages there are, which are stale, and who is rewriting them. Nothing here talks to Slack."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, insert, or_, select, update
from sqlalchemy.orm import Session

from core.store.database import STALE
from core.store.tables import AuditEvent, MessageRow, PromotionRow

#: How long one process may be at work on one message before another may take it over.
CLAIM = timedelta(seconds=30)
#: Built once, and over plain rows: every click waits for these.
_MESSAGES = MessageRow.__table__
_CARD_STALE = (
    update(_MESSAGES)  # type: ignore[arg-type]
    .where(_MESSAGES.c.key == bindparam("card"))
    .values(wanted=_MESSAGES.c.wanted + 1, due_at=bindparam("at"), attempts=0)
)
_CHANNEL = select(_MESSAGES.c.channel).where(_MESSAGES.c.key == bindparam("card"))
_ADD = insert(_MESSAGES)  # type: ignore[arg-type]


def _went_stale(session: Session, subject: int) -> None:
    """Remember whom to show: a promotion's id, or `-id` of a message that belongs to none."""
    session.info.setdefault(STALE, set()).add(subject)


def open_card(session: Session, promotion: PromotionRow, channel: str, at: datetime) -> None:
    """Want a card for a new promotion in `channel`."""
    _went_stale(session, promotion.id)
    session.add(
        MessageRow(
            key=f"card:{promotion.id}",
            kind="card",
            promotion_id=promotion.id,
            channel=channel,
            body={},
            due_at=at,
            created_at=at,
        )
    )


def tell_story(session: Session, promotion_id: int, event: AuditEvent, at: datetime) -> None:
    """The promotion's card is stale, and its thread gets a line for `event`."""
    _went_stale(session, promotion_id)
    card = {"card": f"card:{promotion_id}"}
    channel = session.execute(_CHANNEL, card).scalar()
    if channel is None:
        return
    session.execute(_CARD_STALE, {**card, "at": at})
    line = {
        "key": f"thread:{promotion_id}:{event.seq}",
        "kind": "thread",
        "promotion_id": promotion_id,
        "channel": channel,
        "body": {"seq": event.seq},
        "due_at": at,
        "created_at": at,
    }
    session.execute(_ADD, line)


def tell_directly(session: Session, promotion: PromotionRow, user_id: str, about: str, at: datetime) -> None:
    """Want a direct message to `user_id` about `about` (an end, …); once for each promotion, person and matter."""
    _went_stale(session, promotion.id)
    key = f"direct:{promotion.id}:{user_id}:{about}"
    if session.scalar(select(MessageRow.id).where(MessageRow.key == key)) is None:
        session.add(
            MessageRow(
                key=key,
                kind="direct",
                promotion_id=promotion.id,
                channel=user_id,
                body={"about": about},
                due_at=at,
                created_at=at,
            )
        )


def want_digest(
    session: Session, channel: str, day: str, body: dict[str, Any], at: datetime, shown: bool = False
) -> bool:
    """Want the digest of `day` in `channel`; False when it is there already (whoever was first).

    `shown`: remember that the day is done without saying anything.
    """
    key = f"digest:{channel}:{day}"
    if session.scalar(select(MessageRow.id).where(MessageRow.key == key)) is not None:
        return False
    row = MessageRow(
        key=key,
        kind="digest",
        promotion_id=None,
        channel=channel,
        body=body,
        shown=1 if shown else 0,
        due_at=at,
        created_at=at,
    )
    session.add(row)
    session.flush()
    if not shown:
        _went_stale(session, -row.id)
    return True


@dataclass(frozen=True)
class Claim:
    """One process's right to write one message until `CLAIM` has passed. Plain values: no session is held meanwhile."""

    id: int
    key: str
    kind: str
    promotion_id: int | None
    channel: str
    posted_channel: str
    ts: str
    body: dict[str, Any]
    wanted: int
    shown: int
    attempts: int
    posting_since: datetime | None


def due_subjects(session: Session, now: datetime, limit: int = 200) -> list[int]:
    """Whose messages are stale, due and nobody's work: promotion ids, and `-id` of messages that belong to none."""
    rows = session.execute(
        select(MessageRow.promotion_id, MessageRow.id)
        .where(
            MessageRow.shown < MessageRow.wanted,
            MessageRow.due_at <= now,
            or_(MessageRow.claimed_until.is_(None), MessageRow.claimed_until < now),
        )
        .order_by(MessageRow.due_at, MessageRow.id)
        .limit(limit)
    )
    return list(dict.fromkeys(row.promotion_id if row.promotion_id is not None else -row.id for row in rows))


def stale_of(session: Session, promotion_id: int) -> tuple[list[int], list[int], list[int]]:
    """Ids of a promotion's stale messages: (its card, lines of its thread in order, direct messages)."""
    rows = session.execute(
        select(MessageRow.id, MessageRow.kind)
        .where(MessageRow.promotion_id == promotion_id, MessageRow.shown < MessageRow.wanted)
        .order_by(MessageRow.id)
    ).all()
    cards, lines, directs = ([row.id for row in rows if row.kind == kind] for kind in ("card", "thread", "direct"))
    return cards, lines, directs


def claim(session: Session, message_id: int, now: datetime) -> Claim | None:
    """Take a stale message to write it; None when it is not stale, or somebody else is at it."""
    taken = session.execute(
        update(MessageRow)
        .where(
            MessageRow.id == message_id,
            MessageRow.shown < MessageRow.wanted,
            or_(MessageRow.claimed_until.is_(None), MessageRow.claimed_until < now),
        )
        .values(claimed_until=now + CLAIM, attempts=MessageRow.attempts + 1)
        .execution_options(synchronize_session=False)
    )
    if taken.rowcount != 1:  # type: ignore[attr-defined]
        return None
    row = session.get_one(MessageRow, message_id, populate_existing=True)
    return Claim(
        row.id, row.key, row.kind, row.promotion_id, row.channel, row.posted_channel, row.ts, dict(row.body),
        row.wanted, row.shown, row.attempts, row.posting_since,
    )  # fmt: skip


def release(session: Session) -> None:
    """Nobody is at any message: where there is only one process, and it starts."""
    session.execute(update(MessageRow).where(MessageRow.claimed_until.is_not(None)).values(claimed_until=None))


def posting(session: Session, claimed: Claim, now: datetime) -> None:
    """About to post for the first time: from here on an answer may be lost."""
    session.execute(update(MessageRow).where(MessageRow.id == claimed.id).values(posting_since=now))


def shown(session: Session, claimed: Claim, channel: str, ts: str) -> None:
    """Slack said yes: `wanted` as it was when claimed is on show. What became stale since stays stale."""
    session.execute(
        update(MessageRow)
        .where(MessageRow.id == claimed.id)
        .values(
            shown=claimed.wanted,
            posted_channel=channel,
            ts=ts,
            posting_since=None,
            claimed_until=None,
            attempts=0,
            last_error="",
        )
    )


def put_off(session: Session, claimed: Claim, until: datetime, error: str, lost_answer: bool) -> None:
    """Slack said no, not now, or nothing. `lost_answer`: a post may have happened; look before repeating it."""
    values: dict[str, Any] = {"due_at": until, "claimed_until": None, "last_error": error[:500]}
    if not lost_answer:
        values["posting_since"] = None
    session.execute(update(MessageRow).where(MessageRow.id == claimed.id).values(**values))


def repost(session: Session, claimed: Claim, at: datetime) -> None:
    """The message was deleted in Slack: forget where it was, so that it is posted anew."""
    session.execute(
        update(MessageRow)
        .where(MessageRow.id == claimed.id)
        .values(ts="", posted_channel="", claimed_until=None, due_at=at, posting_since=None)
    )


def card_place(session: Session, promotion_id: int) -> tuple[str, str] | None:
    """(channel id, ts) of a promotion's card, once it was posted."""
    row = session.execute(
        select(MessageRow.posted_channel, MessageRow.ts).where(MessageRow.key == f"card:{promotion_id}")
    ).first()
    return (row.posted_channel, row.ts) if row and row.ts else None


def backlog(session: Session, now: datetime) -> tuple[int, float]:
    """How many messages are stale, and how many seconds the oldest of them has waited since it was due."""
    rows = session.scalars(select(MessageRow.due_at).where(MessageRow.shown < MessageRow.wanted)).all()
    return len(rows), max(((now - due_at).total_seconds() for due_at in rows), default=0.0)
