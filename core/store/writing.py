"""Who is writing which Slack message: one process at a time, whose claim runs out should it die. Nothing here talks to Slack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.orm import Session

from core.store.tables import MessageRow

#: How long one process may be at work on one message before another may take it over.
CLAIM = timedelta(seconds=30)
_MESSAGES = MessageRow.__table__
#: Built once, and over plain rows: every card waits for these.
_ONE = update(_MESSAGES).where(_MESSAGES.c.id == bindparam("message"))  # type: ignore[arg-type]
_POSTING = _ONE.where(_MESSAGES.c.claimed_until == bindparam("until")).values(posting_since=bindparam("now"))
_SHOWN = _ONE.values(
    shown=bindparam("as_claimed"), posted_channel=bindparam("where"), ts=bindparam("post"), posting_since=None,
    claimed_until=None, attempts=0, last_error="",
)  # fmt: skip
_LET_GO = _ONE.values(claimed_until=None, attempts=_MESSAGES.c.attempts - 1)


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
    last_error: str
    created_at: datetime
    claimed_until: datetime

    @property
    def subject(self) -> int:
        """Whose message it is: a promotion's id, or `-id` where it belongs to none."""
        return -self.id if self.promotion_id is None else self.promotion_id

    @property
    def is_card(self) -> bool:
        """True for a promotion's card, and for each copy of it."""
        return self.key.startswith("card:")

    @property
    def reminds(self) -> str:
        """`remind` or `escalate` where the card goes to somebody because nobody decides; else ""."""
        about = str(self.body.get("about") or "").partition("-")[0]
        return about if about in ("remind", "escalate") else ""

    @property
    def to_person(self) -> bool:
        """True for a direct message."""
        return self.channel.startswith(("U", "W"))


_CLAIM = (
    update(_MESSAGES)  # type: ignore[arg-type]
    .where(
        _MESSAGES.c.id.in_(bindparam("ids", expanding=True)),
        _MESSAGES.c.shown < _MESSAGES.c.wanted,
        or_(_MESSAGES.c.claimed_until.is_(None), _MESSAGES.c.claimed_until < bindparam("now")),
    )
    .values(claimed_until=bindparam("until"), attempts=_MESSAGES.c.attempts + 1)
    .returning(*(_MESSAGES.c[field.name] for field in fields(Claim)))
)


def due_subjects(session: Session, now: datetime, limit: int = 200) -> list[int]:
    """Whose messages are stale, due and nobody's work: promotion ids, and `-id` of messages that belong to none."""
    rows = session.execute(
        select(MessageRow.promotion_id, MessageRow.id)
        .where(
            MessageRow.shown < MessageRow.wanted,
            MessageRow.due_at <= now,
            MessageRow.kind != "picture",  # those have a writer of their own
            or_(MessageRow.claimed_until.is_(None), MessageRow.claimed_until < now),
        )
        .order_by(MessageRow.due_at, MessageRow.id)
        .limit(limit)
    )
    return list(dict.fromkeys(row.promotion_id if row.promotion_id is not None else -row.id for row in rows))


def stale_of(session: Session, promotion_id: int, now: datetime) -> tuple[list[int], list[int], list[int]]:
    """Ids of a promotion's messages that are stale and due: (its card, lines of its thread in order, direct messages).

    A line comes after every line before it, so none is given while the first one that is stale is not due.
    """
    rows = session.execute(
        select(MessageRow.id, MessageRow.kind, MessageRow.due_at)
        .where(MessageRow.promotion_id == promotion_id, MessageRow.shown < MessageRow.wanted)
        .order_by(MessageRow.id)
    ).all()
    cards, directs = ([row.id for row in rows if row.kind == kind and row.due_at <= now] for kind in ("card", "direct"))
    lines = [row for row in rows if row.kind == "thread"]
    return cards, [row.id for row in lines] if lines and lines[0].due_at <= now else [], directs


def claim(session: Session, ids: Sequence[int], now: datetime) -> list[Claim]:
    """Take messages to write them, in the order of `ids`; without those that are not stale, or that somebody is at."""
    taken = session.execute(_CLAIM, {"ids": list(ids), "now": now, "until": now + CLAIM})
    found = {row.id: Claim(*row) for row in taken}
    return [found[each] for each in ids if each in found]


def claim_lines(session: Session, ids: Sequence[int], now: datetime) -> list[Claim]:
    """As `claim`, for lines of one thread: after one that somebody else is at, none is taken, since it must come first."""
    taken = claim(session, ids, now)
    mine = [claimed for claimed, wanted in zip(taken, ids, strict=False) if claimed.id == wanted]
    for claimed in taken[len(mine) :]:
        session.execute(_LET_GO, {"message": claimed.id})
    return mine


def release(session: Session) -> None:
    """Nobody is at any message: where there is only one process, and it starts."""
    session.execute(update(MessageRow).where(MessageRow.claimed_until.is_not(None)).values(claimed_until=None))


class Overtaken(Exception):
    """The claim ran out (its process was frozen for long), and somebody else may be at the message: leave it alone."""


def posting(session: Session, claimed: Claim, now: datetime) -> None:
    """About to post for the first time: from here on an answer may be lost. Raises `Overtaken`."""
    still = {"message": claimed.id, "until": claimed.claimed_until, "now": now}
    if session.execute(_POSTING, still).rowcount != 1:  # type: ignore[attr-defined]
        raise Overtaken


def shown(session: Session, claimed: Claim, channel: str, ts: str) -> None:
    """Slack said yes: `wanted` as it was when claimed is on show. What became stale since stays stale."""
    session.execute(_SHOWN, {"message": claimed.id, "as_claimed": claimed.wanted, "where": channel, "post": ts})


def put_off(session: Session, claims: Sequence[Claim], until: datetime, error: str, lost_answer: bool) -> None:
    """Slack said no, not now, or nothing; "" where it was not asked. `lost_answer`: a post may have happened; look
    before repeating it.
    """
    values: dict[str, Any] = {"due_at": until, "claimed_until": None}
    if error:
        values["last_error"] = error[:500]
    if not lost_answer:
        values["posting_since"] = None
    mine = _MESSAGES.c.id.in_([claimed.id for claimed in claims])
    session.execute(update(_MESSAGES).where(mine).values(**values))  # type: ignore[arg-type]


def repost(session: Session, claimed: Claim, at: datetime, replaces: dict[str, str]) -> None:
    """The message is gone from Slack, or can be edited no more: it is posted anew, and says what it `replaces`."""
    session.execute(
        update(MessageRow)
        .where(MessageRow.id == claimed.id)
        .values(
            ts="",
            posted_channel="",
            claimed_until=None,
            due_at=at,
            posting_since=None,
            body={**claimed.body, "replaces": replaces},
        )
    )
