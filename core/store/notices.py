"""What the owners of registries are told directly, or the channel is. One message for each and matter, edited as it
changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.store.messages import went_stale
from core.store.tables import MessageRow

#: How many sentences one message lists; the rest is counted.
LISTED = 5


def outage(session: Session, name: str, people: Sequence[str], since: datetime, sentence: str, at: datetime) -> None:
    """Tell `people` that a registry has not answered since then."""
    body = {"about": "outage", "registry": name, "since": since.isoformat(), "sentence": sentence}
    for who in people:
        _want(session, f"{_outage(name, since)}:{who}", who, body, at)


def over(session: Session, name: str, since: datetime, at: datetime) -> None:
    """It answers again: whoever was told of it sees that."""
    rows = session.scalars(
        select(MessageRow).where(MessageRow.key.startswith(f"{_outage(name, since)}:", autoescape=True))
    )
    for row in rows:
        _rewrite(session, row, {**row.body, "settled": at.isoformat()}, at)


def refused(session: Session, name: str, people: Sequence[str], sentence: str, at: datetime) -> None:
    """Tell `people` what was not taken over, and why: one message a day, which grows."""
    for who in people:
        key = f"registry:{name}:refused:{at.date().isoformat()}:{who}"
        row = session.scalar(select(MessageRow).where(MessageRow.key == key))
        if row is None:
            _want(session, key, who, {"about": "refused", "registry": name, "sentences": [sentence], "more": 0}, at)
        elif len(row.body["sentences"]) < LISTED:
            _rewrite(session, row, {**row.body, "sentences": [*row.body["sentences"], sentence]}, at)
        else:
            _rewrite(session, row, {**row.body, "more": row.body["more"] + 1}, at)


def _outage(name: str, since: datetime) -> str:
    return f"registry:{name}:outage:{since.isoformat()}"


def _want(session: Session, key: str, who: str, body: dict[str, Any], at: datetime) -> None:
    row = MessageRow(key=key, kind="registry", promotion_id=None, channel=who, body=body, due_at=at, created_at=at)
    session.add(row)
    session.flush()
    went_stale(session, -row.id)


def _rewrite(session: Session, row: MessageRow, body: dict[str, Any], at: datetime) -> None:
    row.body, row.wanted, row.due_at, row.attempts = body, row.wanted + 1, at, 0
    session.flush()
    went_stale(session, -row.id)
