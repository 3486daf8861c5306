"""Channels that cannot be written to: the copies of cards that go round them, and the one report of each.

A report is one message for each person told, under `unreachable:#name` and `unreachable:#name:2`, …. Settled, it is
edited to say so; the next time the channel cannot be reached those keys are free for a new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.store.messages import went_stale
from core.store.tables import MessageRow


@dataclass(frozen=True)
class CardState:
    """Where a promotion's card is to be, where it is ("" while nowhere), and what Slack said of it last."""

    channel: str
    posted_channel: str
    ts: str
    trouble: str  #: "" once it is true


def card_state(session: Session, promotion_id: int) -> CardState | None:
    """The channel's card of a promotion."""
    row = session.execute(
        select(
            MessageRow.channel, MessageRow.posted_channel, MessageRow.ts, MessageRow.last_error, MessageRow.shown,
            MessageRow.wanted,
        ).where(MessageRow.key == f"card:{promotion_id}")
    ).first()  # fmt: skip
    if row is None:
        return None
    return CardState(row.channel, row.posted_channel, row.ts, row.last_error if row.shown < row.wanted else "")


def missing_copies(session: Session, promotion_id: int, people: Sequence[str]) -> list[str]:
    """Those of `people` who have no copy of the promotion's card yet."""
    keys = {f"card:{promotion_id}:{who}": who for who in people}
    there = set(session.scalars(select(MessageRow.key).where(MessageRow.key.in_(keys))))
    return [who for key, who in keys.items() if key not in there]


def want_copies(session: Session, promotion_id: int, people: Sequence[str], at: datetime) -> None:
    """Want the promotion's card as a direct message to each of `people`, once."""
    went_stale(session, promotion_id)
    for who in missing_copies(session, promotion_id, people):
        session.add(
            MessageRow(
                key=f"card:{promotion_id}:{who}",
                kind="direct",
                promotion_id=promotion_id,
                channel=who,
                body={"about": "card"},
                due_at=at,
                created_at=at,
            )
        )


def copies_stale(session: Session, promotion_id: int, at: datetime) -> None:
    """The channel's card is where it belongs again: its copies say so."""
    session.execute(
        update(MessageRow)
        .where(MessageRow.promotion_id == promotion_id, MessageRow.key.like("card:%:%"))
        .values(wanted=MessageRow.wanted + 1, due_at=at, attempts=0)
    )


def move_card(session: Session, promotion_id: int, channel: str, at: datetime) -> None:
    """The policy names another channel by now: the card is posted there, and its story goes on there."""
    went_stale(session, promotion_id)
    mine = MessageRow.promotion_id == promotion_id
    session.execute(
        update(MessageRow)
        .where(mine, MessageRow.kind == "thread", MessageRow.shown < MessageRow.wanted)
        .values(channel=channel, due_at=at)
    )
    session.execute(
        update(MessageRow)
        .where(mine, MessageRow.kind == "card")
        .values(channel=channel, posted_channel="", ts="", posting_since=None, due_at=at, attempts=0)
    )


def reported(session: Session, channel: str) -> bool:
    """True while a report of this channel stands."""
    body = session.scalar(select(MessageRow.body).where(MessageRow.key == _key(channel)))
    return body is not None and "settled" not in body


def report(session: Session, channel: str, people: Sequence[str], facts: dict[str, Any], at: datetime) -> None:
    """Want `people` told, by direct message, that `channel` cannot be reached. Only where none is `reported`."""
    unsaid = {}
    for row in _rows(session, channel):
        if row.ts and row.posting_since is None:
            row.key = f"{row.key}:settled:{row.id}"
        else:  # it was settled before it was said: said now, it says what is true now
            unsaid[row.key] = row
    session.flush()
    for number, who in enumerate(people, 1):
        row = unsaid.get(_key(channel, number)) or MessageRow(
            key=_key(channel, number), kind="direct", promotion_id=None, wanted=0, created_at=at
        )
        row.channel, row.due_at, row.wanted = who, at, row.wanted + 1
        row.body = {"about": "channel", "channel": channel, "people": list(people), "since": at.isoformat()} | facts
        session.add(row)
        session.flush()
        went_stale(session, -row.id)


def settle(session: Session, channel: str, at: datetime, moved_to: str = "") -> list[int]:
    """The channel can be written to again, or is needed no more: its report says so. Whose messages are stale by that."""
    rows = [row for row in _rows(session, channel) if "settled" not in row.body]
    for row in rows:
        row.body = {**row.body, "settled": at.isoformat(), "moved_to": moved_to}
        row.wanted, row.due_at, row.attempts = row.wanted + 1, at, 0
    return [-row.id for row in rows]


def reopened(session: Session, channel: str, edits: bool, at: datetime) -> list[int]:
    """Whatever waited for `channel`, or only to be edited there, is due; whose messages those are."""
    waiting = [MessageRow.shown < MessageRow.wanted, MessageRow.channel == channel]
    if edits:
        waiting.append(MessageRow.ts != "")
    session.execute(update(MessageRow).where(*waiting).values(due_at=at))
    rows = session.execute(select(MessageRow.promotion_id, MessageRow.id).where(*waiting))
    return list(dict.fromkeys(-row.id if row.promotion_id is None else row.promotion_id for row in rows))


def waiting(session: Session, channel: str, codes: Sequence[str]) -> bool:
    """True while anything is still kept out of `channel` by one of Slack's `codes`."""
    found = select(MessageRow.id).where(
        MessageRow.shown < MessageRow.wanted, MessageRow.channel == channel, MessageRow.last_error.in_(codes)
    )
    return session.scalar(found.limit(1)) is not None


def _key(channel: str, number: int = 1) -> str:
    return f"unreachable:{channel}" + (f":{number}" if number > 1 else "")


def _rows(session: Session, channel: str) -> list[MessageRow]:
    first = session.scalar(select(MessageRow).where(MessageRow.key == _key(channel)))
    if first is None:
        return []
    keys = [_key(channel, number) for number in range(2, len(first.body["people"]) + 1)]
    return [first, *session.scalars(select(MessageRow).where(MessageRow.key.in_(keys)))]
