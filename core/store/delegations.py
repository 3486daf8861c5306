"""Who decides for whom, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.orm import Session

from core.store.people_tables import DelegationRow

_D = DelegationRow.__table__
#: Built once: every click asks.
_FOR = select(_D.c.principal, _D.c.principal_name).where(
    _D.c.delegate == bindparam("who"), _D.c.ended_at.is_(None), _D.c.since <= bindparam("now"), _D.c.until > bindparam("now")
)  # fmt: skip


@dataclass(frozen=True)
class Delegation:
    """`principal` has `delegate` decide for them until `until`; Slack ids, with names as they were."""

    principal: str
    principal_name: str
    delegate: str
    delegate_name: str
    since: datetime
    until: datetime


def delegators(session: Session, who: str, now: datetime) -> list[tuple[str, str]]:
    """(id, name) of everybody for whom `who` may decide now."""
    return [(row.principal, row.principal_name) for row in session.execute(_FOR, {"who": who, "now": now})]


def going(session: Session, now: datetime, who: str | None = None) -> list[Delegation]:
    """Delegations that hold now or will; only those that concern `who`, if named."""
    query = select(DelegationRow).where(DelegationRow.ended_at.is_(None), DelegationRow.until > now)
    if who is not None:
        query = query.where(or_(DelegationRow.principal == who, DelegationRow.delegate == who))
    return [
        Delegation(row.principal, row.principal_name, row.delegate, row.delegate_name, row.since, row.until)
        for row in session.scalars(query.order_by(DelegationRow.id))
    ]


def standing_in(session: Session, now: datetime) -> dict[str, Delegation]:
    """Who decides for somebody else now, by whom they decide for."""
    return {each.principal: each for each in going(session, now) if each.since <= now}


def over(session: Session, now: datetime) -> list[tuple[int, str, str]]:
    """(id, principal, their name) of every delegation whose time is up and whose end nobody has noticed yet."""
    query = select(DelegationRow.id, DelegationRow.principal, DelegationRow.principal_name).where(
        DelegationRow.ended_at.is_(None), DelegationRow.until <= now
    )
    return [(row.id, row.principal, row.principal_name) for row in session.execute(query.order_by(DelegationRow.id))]


def close(session: Session, delegation_id: int) -> bool:
    """Notice that a delegation's time is up; False where somebody else has."""
    ended = session.execute(
        update(DelegationRow)
        .where(DelegationRow.id == delegation_id, DelegationRow.ended_at.is_(None))
        .values(ended_at=DelegationRow.until)
        .returning(DelegationRow.id)
    )
    return ended.first() is not None


def start(session: Session, given: Delegation) -> None:
    """From now on; whatever the principal had delegated before ends."""
    end(session, given.principal, given.since)
    session.add(DelegationRow(**given.__dict__))
    session.flush()


def end(session: Session, principal: str, now: datetime) -> bool:
    """Take back what a person delegated; False when there was nothing that still held."""
    ended = session.execute(
        update(DelegationRow)
        .where(DelegationRow.principal == principal, DelegationRow.ended_at.is_(None))
        .values(ended_at=now)
        .returning(DelegationRow.until)
    ).scalars()
    return any(until > now for until in ended)
