"""Stops, holds and vetoes: which stand, and the placing and lifting of them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.model import Actor, Barrier
from core.store.tables import BarrierRow


def standing(session: Session, model: str) -> tuple[Barrier, ...]:
    """Everything that stands in the way of one model, oldest first; stops of everything are among it."""
    query = select(BarrierRow).where(BarrierRow.lifted_at.is_(None), BarrierRow.model.in_((model, "")))
    return tuple(_barrier(row) for row in session.scalars(query.order_by(BarrierRow.id)))


def stops(session: Session) -> tuple[Barrier, ...]:
    """Every stop that stands, of all models."""
    query = select(BarrierRow).where(BarrierRow.lifted_at.is_(None), BarrierRow.kind == "stop")
    return tuple(_barrier(row) for row in session.scalars(query.order_by(BarrierRow.id)))


def place(session: Session, barrier: Barrier) -> bool:
    """Put one up; False when the same stands already, which then keeps its first reason."""
    if _find(session, barrier.kind, barrier.model, barrier.version, barrier.stage) is not None:
        return False
    session.add(
        BarrierRow(
            kind=barrier.kind,
            model=barrier.model,
            version=barrier.version,
            stage=barrier.stage,
            reason=barrier.reason,
            actor=str(barrier.actor),
            actor_name=barrier.actor.name,
            promotion_id=barrier.promotion_id,
            placed_at=barrier.placed_at,
        )
    )
    session.flush()
    return True


def lift(
    session: Session, kind: str, model: str, version: str, stage: str, actor: Actor, now: datetime, reason: str = ""
) -> Barrier | None:
    """Take one down; None when there is none."""
    row = _find(session, kind, model, version, stage)
    if row is None:
        return None
    row.lifted_at, row.lifted_by, row.lifted_by_name, row.lifted_reason = now, str(actor), actor.name, reason
    session.flush()
    return _barrier(row)


def vetoes(session: Session, model: str, version: str) -> tuple[Barrier, ...]:
    """The vetoes of one version, whichever stage they begin at."""
    return tuple(each for each in standing(session, model) if each.kind == "veto" and each.version == version)


def _find(session: Session, kind: str, model: str, version: str, stage: str) -> BarrierRow | None:
    return session.scalar(
        select(BarrierRow).where(
            BarrierRow.kind == kind,
            BarrierRow.model == model,
            BarrierRow.version == version,
            BarrierRow.stage == stage,
            BarrierRow.lifted_at.is_(None),
        )
    )


def _barrier(row: BarrierRow) -> Barrier:
    actor = Actor.parse(row.actor, row.actor_name)
    return Barrier(
        row.kind, row.model, row.version, row.stage, row.reason, actor, row.placed_at, row.promotion_id, row.id
    )
