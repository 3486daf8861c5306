"""Which Slack messages there are, which are stale, and who is rewriting them. Nothing here talks to Slack."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, bindparam, case, insert, select, update
from sqlalchemy.orm import Session

from core.domain.lifecycle import ACTIVE
from core.store.database import STALE
from core.store.tables import AuditEvent, MessageRow, PromotionRow

#: When a line whose card is not posted yet looks for it, if nobody calls it before.
CARD_FIRST = timedelta(seconds=60)
#: Under this key a session keeps whose cards its transaction has made stale already, and the first of each.
TOLD = "baton.told"
#: Built once, and over plain rows: every click waits for these.
_MESSAGES = MessageRow.__table__
_AT: Any = bindparam("at", type_=_MESSAGES.c.due_at.type)
#: A card that waits for its turn to be posted goes on waiting, whatever else happens to it meanwhile.
_WAITS = and_(_MESSAGES.c.ts == "", _MESSAGES.c.last_error == "", _MESSAGES.c.due_at > _AT)
_CARDS_STALE = (
    update(_MESSAGES)  # type: ignore[arg-type]
    .where(_MESSAGES.c.promotion_id == bindparam("promotion"), _MESSAGES.c.key.like("card:%"))
    .values(wanted=_MESSAGES.c.wanted + 1, due_at=case((_WAITS, _MESSAGES.c.due_at), else_=_AT), attempts=0)
)
_CARDS_STALE_WHERE = _CARDS_STALE.returning(_MESSAGES.c.key, _MESSAGES.c.channel, _MESSAGES.c.ts)
_ADD = insert(_MESSAGES)  # type: ignore[arg-type]


def went_stale(session: Session, subject: int) -> None:
    """Remember whom to show: a promotion's id, or `-id` of a message that belongs to none."""
    session.info.setdefault(STALE, set()).add(subject)


def open_card(session: Session, promotion: PromotionRow, channel: str, at: datetime) -> None:
    """Want a card for a new promotion in `channel`."""
    went_stale(session, promotion.id)
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


def card_stale(session: Session, promotion_id: int, at: datetime) -> None:
    """The promotion's card and its copies are stale, with nothing to tell in the thread."""
    went_stale(session, promotion_id)
    session.execute(_CARDS_STALE, {"promotion": promotion_id, "at": at})


def tell_story(session: Session, promotion_id: int, event: AuditEvent, at: datetime) -> None:
    """The promotion's card and its copies are stale, and its thread gets a line for `event`."""
    went_stale(session, promotion_id)
    told: dict[int, Row[Any]] = session.info.setdefault(TOLD, {})
    if promotion_id not in told:
        cards = session.execute(_CARDS_STALE_WHERE, {"promotion": promotion_id, "at": at})
        found = next((row for row in cards.all() if row.key == f"card:{promotion_id}"), None)
        if found is None:
            return
        told[promotion_id] = found
    card = told[promotion_id]
    line = {
        "key": f"thread:{promotion_id}:{event.seq}",
        "kind": "thread",
        "promotion_id": promotion_id,
        "channel": card.channel,
        "body": {"seq": event.seq},
        "due_at": at if card.ts else at + CARD_FIRST,  # `lines_due` calls it earlier
        "created_at": at,
    }
    session.execute(_ADD, line)


def tell_directly(session: Session, promotion: PromotionRow, user_id: str, about: str, at: datetime) -> None:
    """Want a direct message to `user_id` about `about` (an end, …); once for each promotion, person and matter."""
    went_stale(session, promotion.id)
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


def want_reminder(session: Session, promotion_id: int, user_id: str, about: str, at: datetime) -> bool:
    """Want the card by direct message, since somebody is still awaited; once a person and matter. False when it is there."""
    key = f"card:{promotion_id}:{user_id}:{about}"
    if session.scalar(select(MessageRow.id).where(MessageRow.key == key)) is not None:
        return False
    went_stale(session, promotion_id)
    session.add(
        MessageRow(
            key=key,
            kind="direct",
            promotion_id=promotion_id,
            channel=user_id,
            body={"about": about},
            due_at=at,
            created_at=at,
        )
    )
    return True


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
        went_stale(session, -row.id)
    return True


def digests_of(session: Session, day: str) -> set[str]:
    """Channels and people whose digest of a day is wanted already, or was."""
    keys = session.scalars(
        select(MessageRow.key).where(MessageRow.kind == "digest", MessageRow.key.endswith(f":{day}"))
    )
    return {key.removeprefix("digest:").removesuffix(f":{day}") for key in keys}


def want_alert(session: Session, proposal_id: int, channel: str, at: datetime) -> None:
    """Want the message of what alerts propose, in `channel`."""
    row = MessageRow(
        key=f"alert:{proposal_id}", kind="alert", promotion_id=None, channel=channel, body={"proposal": proposal_id},
        due_at=at, created_at=at,
    )  # fmt: skip
    session.add(row)
    session.flush()
    went_stale(session, -row.id)


def alert_stale(session: Session, proposal_id: int, at: datetime) -> None:
    """What alerts propose is to be shown as it is now."""
    row = session.scalar(select(MessageRow).where(MessageRow.key == f"alert:{proposal_id}"))
    if row is not None:
        row.wanted, row.due_at, row.attempts = row.wanted + 1, at, 0
        session.flush()
        went_stale(session, -row.id)


def due_now(session: Session, at: datetime) -> None:
    """Whatever was put off is tried at once: a process starts, perhaps with a mended token, channel or release."""
    session.execute(
        update(MessageRow).where(MessageRow.shown < MessageRow.wanted, MessageRow.due_at > at).values(due_at=at)
    )


def lines_due(session: Session, promotion_id: int, at: datetime) -> bool:
    """The card is posted: the lines that waited for it are due. True when there are any."""
    waited = session.execute(
        update(MessageRow)
        .where(
            MessageRow.promotion_id == promotion_id,
            MessageRow.kind == "thread",
            MessageRow.shown < MessageRow.wanted,
            MessageRow.due_at > at,
        )
        .values(due_at=at)
    )
    return bool(waited.rowcount)  # type: ignore[attr-defined]


def doubt(session: Session, key: str, at: datetime) -> None:
    """What Slack shows may be untrue, or gone: write it again, unless that is wanted anyway."""
    session.execute(
        update(MessageRow)
        .where(MessageRow.key == key, MessageRow.shown == MessageRow.wanted)
        .values(wanted=MessageRow.wanted + 1, due_at=at, attempts=0)
    )


def standing(session: Session, limit: int = 1000) -> list[tuple[int, str, str]]:
    """(promotion, channel id, ts) of the cards of all that is under way, newest first."""
    rows = session.execute(
        select(MessageRow.promotion_id, MessageRow.posted_channel, MessageRow.ts)
        .join(PromotionRow, PromotionRow.id == MessageRow.promotion_id)
        .where(PromotionRow.state.in_([state.value for state in ACTIVE]), MessageRow.kind == "card")
        .where(MessageRow.ts != "", MessageRow.shown == MessageRow.wanted)
        .order_by(MessageRow.id.desc())
        .limit(limit)
    )
    return [(row.promotion_id, row.posted_channel, row.ts) for row in rows]


def card_place(session: Session, promotion_id: int) -> tuple[str, str] | None:
    """(channel id, ts) of a promotion's card, once it was posted."""
    row = session.execute(
        select(MessageRow.posted_channel, MessageRow.ts).where(MessageRow.key == f"card:{promotion_id}")
    ).first()
    return (row.posted_channel, row.ts) if row and row.ts else None


def card_places(session: Session, ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """The same of several, by promotion."""
    rows = session.execute(
        select(MessageRow.promotion_id, MessageRow.posted_channel, MessageRow.ts).where(
            MessageRow.promotion_id.in_(ids), MessageRow.kind == "card", MessageRow.ts != ""
        )
    )
    return {row.promotion_id: (row.posted_channel, row.ts) for row in rows}


def last_line(session: Session, promotion_id: int) -> tuple[str, str] | None:
    """(channel id, ts) of the line that was written last into the promotion's thread."""
    row = session.execute(
        select(MessageRow.posted_channel, MessageRow.ts)
        .where(MessageRow.promotion_id == promotion_id, MessageRow.kind == "thread", MessageRow.ts != "")
        .order_by(MessageRow.id.desc())
        .limit(1)
    ).first()
    return (row.posted_channel, row.ts) if row else None


def backlog(session: Session, now: datetime) -> tuple[int, float]:
    """How many messages are stale, and how many seconds the oldest of them has waited since it was due."""
    rows = session.scalars(select(MessageRow.due_at).where(MessageRow.shown < MessageRow.wanted)).all()
    return len(rows), max(((now - due_at).total_seconds() for due_at in rows), default=0.0)
