"""Pictures of promotions: rows of `messages` of their own kind, since each is uploaded before it is posted.

`body` says what it is `about` (evidence, analysis), the state `of` the promotion that it is to show, the `file` that was
uploaded for the state `drawn`, its `alt` text, and which file is `ready` to be shown.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from core.domain.lifecycle import ENDS
from core.domain.model import Kind, State
from core.store import looks
from core.store.tables import MessageRow, PromotionRow, RolloutRow
from core.store.writing import Claim

EVIDENCE, ANALYSIS = "evidence", "analysis"


def want(session: Session, promotion_id: int, at: datetime) -> bool:
    """The promotion's card is shown: want its pictures as it is now; whether any is new. Twice changes nothing."""
    found = session.execute(
        select(
            PromotionRow.kind, PromotionRow.state, PromotionRow.evidence_digest, RolloutRow.step, RolloutRow.phase,
            MessageRow.channel,
        )
        .select_from(PromotionRow)
        .join(MessageRow, MessageRow.key == f"card:{promotion_id}")
        .outerjoin(RolloutRow, RolloutRow.promotion_id == PromotionRow.id)
        .where(PromotionRow.id == promotion_id)
    ).first()  # fmt: skip
    if found is None or found.kind != Kind.PROMOTION:
        return False
    wanted = {}
    if found.evidence_digest and found.state != State.EVALUATING:
        wanted[EVIDENCE] = found.evidence_digest[:40]
    if found.step is not None and looks.any_taken(session, promotion_id):
        wanted[ANALYSIS] = "the end" if State(found.state) in ENDS else f"step {found.step} {found.phase}"
    new = [_want(session, promotion_id, about, of, found.channel, at) for about, of in wanted.items()]
    return any(new)


def _want(session: Session, promotion_id: int, about: str, of: str, channel: str, at: datetime) -> bool:
    key = f"picture:{promotion_id}:{about}"
    row = session.scalar(select(MessageRow).where(MessageRow.key == key))
    if row is None:
        body = {"about": about, "of": of}
        session.add(
            MessageRow(
                key=key, kind="picture", promotion_id=promotion_id, channel=channel, body=body, due_at=at, created_at=at
            )
        )
        return True
    if row.body["of"] == of:
        return False
    row.body = {**row.body, "of": of, "tries": 0}
    row.wanted, row.due_at, row.attempts, row.channel = row.wanted + 1, at, 0, channel
    return True


def due(session: Session, now: datetime, limit: int = 20) -> list[int]:
    """Pictures that are wanted, due and nobody's work."""
    rows = session.scalars(
        select(MessageRow.id)
        .where(
            MessageRow.kind == "picture",
            MessageRow.shown < MessageRow.wanted,
            MessageRow.due_at <= now,
            or_(MessageRow.claimed_until.is_(None), MessageRow.claimed_until < now),
        )
        .order_by(MessageRow.due_at, MessageRow.id)
        .limit(limit)
    )
    return list(rows)


def note(session: Session, claimed: Claim, facts: dict[str, Any]) -> None:
    """Remember what became of a picture that is being worked on; what it is to show may have changed meanwhile."""
    row = session.get_one(MessageRow, claimed.id, populate_existing=True)
    row.body = {**row.body, **facts}


def ready(session: Session, promotion_id: int) -> dict[str, tuple[str, str]]:
    """By what it is about: (file, alt text) of the promotion's pictures that Slack can show."""
    rows = session.scalars(
        select(MessageRow.body).where(MessageRow.promotion_id == promotion_id, MessageRow.kind == "picture")
    )
    return {body["about"]: (body["ready"], str(body.get("alt") or "")) for body in rows if body.get("ready")}


def forget(session: Session, promotion_id: int) -> None:
    """Slack shows the promotion's pictures no more: none of them is ready."""
    keys = [f"picture:{promotion_id}:{about}" for about in (EVIDENCE, ANALYSIS)]
    for row in session.scalars(select(MessageRow).where(MessageRow.key.in_(keys))):
        row.body = {**row.body, "ready": ""}


def unwanted(session: Session, now: datetime) -> None:
    """No pictures are shown any more: what is wanted of them is wanted no longer."""
    session.execute(
        update(MessageRow)
        .where(MessageRow.kind == "picture", MessageRow.shown < MessageRow.wanted, MessageRow.due_at <= now)
        .values(shown=MessageRow.wanted)
    )
