"""THE one state change of a promotion."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from core.domain.errors import StaleState
from core.domain.lifecycle import ENDS, Event, next_state
from core.domain.model import Actor, State
from core.store import audit, messages, write_backs
from core.store.tables import PromotionRow


def transition(
    session: Session,
    promotion: PromotionRow,
    expected: State,
    event: Event,
    actor: Actor,
    at: datetime,
    reason: str = "",
    data: dict[str, Any] | None = None,
) -> None:
    """Move `promotion` along one arrow of the table, with its audit event and the wish to show it, in one transaction.

    One conditional UPDATE decides between two who try at once. Raises `StaleState` when the promotion is no longer in
    `expected`, and `ValueError` when the table has no such arrow (a defect, not somebody's mistake).
    """
    target = next_state(expected, event)
    if target is None:
        raise ValueError(f"no arrow {event} from {expected}")
    values: dict[str, Any] = {"state": target.value, "updated_at": at}
    if target is State.ROLLING_BACK:
        values |= {"end_reason": reason}  # why it ends, though it has not ended yet
    if target in ENDS:
        values |= {"ended_at": at, "end_reason": reason, "ended_by": str(actor), "ended_by_name": actor.name}
    changed = session.execute(
        update(PromotionRow)
        .where(PromotionRow.id == promotion.id, PromotionRow.state == expected.value)
        .values(**values)
    )
    if changed.rowcount != 1:  # type: ignore[attr-defined]
        raise StaleState
    record(
        session,
        promotion,
        event.value,
        actor,
        at,
        {"from": expected.value, "to": target.value, "reason": reason} | (data or {}),
    )
    if target in ENDS:
        write_backs.want(session, promotion, event, target, at)
    asked = Actor.parse(promotion.requester, owner=promotion.requester_owner).person
    if target in ENDS and asked:
        messages.tell_directly(session, promotion, asked, "end", at)


def record(
    session: Session,
    promotion: PromotionRow,
    kind: str,
    actor: Actor,
    at: datetime,
    data: dict[str, Any] | None = None,
    deployment_id: int | None = None,
) -> None:
    """Something happened to `promotion` that is no change of state: audit event, thread line, card stale."""
    tell(session, audit.Subject.of(promotion, deployment_id), kind, actor, at, data)


def tell(
    session: Session, subject: audit.Subject, kind: str, actor: Actor, at: datetime, data: dict[str, Any] | None = None
) -> None:
    """The same for whoever has no row at hand; `subject` is about a promotion."""
    session.flush()  # the card may be new
    event = audit.append(session, at, actor, kind, subject, data)
    if subject.promotion_id is not None:
        messages.tell_story(session, subject.promotion_id, event, at)
