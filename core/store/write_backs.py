"""What a registry is still to be told of Baton's decisions. A row commits together with the end that it tells of."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from core.domain.lifecycle import Event
from core.domain.model import Kind, State
from core.store.registry_tables import DriftRow, RegistryVersion, WriteBackRow
from core.store.tables import Champion, PromotionRow, RegisteredModel, Version

#: Decisions by which another version serves; the others only leave their mark on the version.
MOVES = ("approved", "adopted")
#: What is known to stand in the registry after a write-back.
SETTLED = ("written", "unchanged")


def want(session: Session, promotion: PromotionRow, event: Event, end: State, at: datetime) -> None:
    """A promotion has ended: the registry that its version came from is to hear of it, if there is one."""
    if end is State.SUCCEEDED:
        decision = "adopted" if event is Event.ADOPTED else "approved"
        came = session.scalars(select(Champion.version_id).where(Champion.promotion_id == promotion.id)).all()
        for version_id in dict.fromkeys([promotion.version_id, *came]):  # of a bundle also the members
            _want(session, promotion, version_id, decision, at)
        if promotion.kind == Kind.ROLLBACK:
            for gone in session.scalars(select(Champion.version_id).where(Champion.ended_by == promotion.id)):
                _want(session, promotion, gone, "rolled_back", at)
    elif promotion.kind == Kind.PROMOTION and end in (State.REJECTED, State.ROLLED_BACK):
        _want(session, promotion, promotion.version_id, end.value, at)


def _want(session: Session, promotion: PromotionRow, version_id: int, decision: str, at: datetime) -> None:
    found = session.execute(
        select(RegistryVersion.origin, RegistryVersion.model, Version.version)
        .join(Version, Version.id == RegistryVersion.version_id)
        .where(RegistryVersion.version_id == version_id)
    ).first()
    if found is not None:
        session.add(
            WriteBackRow(
                origin=found.origin, promotion_id=promotion.id, model=found.model, stage=promotion.stage,
                version=found.version, decision=decision, due_at=at, created_at=at,
            )
        )  # fmt: skip


def want_revert(session: Session, drift: DriftRow, promotion_id: int, at: datetime) -> None:
    """Baton's champion is to be put back where somebody moved it away."""
    session.add(
        WriteBackRow(
            origin=drift.origin, promotion_id=promotion_id, drift_id=drift.id, model=drift.model, stage=drift.stage,
            version=drift.expected, decision="approved", due_at=at, created_at=at,
        )
    )  # fmt: skip


def due(session: Session, name: str, now: datetime, limit: int = 100) -> list[WriteBackRow]:
    """What is to be told now; of each model and stage only what comes first."""
    earlier = aliased(WriteBackRow)
    query = select(WriteBackRow).where(
        WriteBackRow.origin == name,
        WriteBackRow.state == "pending",
        WriteBackRow.due_at <= now,
        ~select(earlier.id)
        .where(
            earlier.model == WriteBackRow.model,
            earlier.stage == WriteBackRow.stage,
            earlier.state == "pending",
            earlier.id < WriteBackRow.id,
        )
        .exists(),
    )
    return list(session.scalars(query.order_by(WriteBackRow.id).limit(limit)))


def overtaken(session: Session, row: WriteBackRow) -> bool:
    """Whether a later decision says what serves: then this one moves nothing any more."""
    later = select(WriteBackRow.id).where(
        WriteBackRow.model == row.model,
        WriteBackRow.stage == row.stage,
        WriteBackRow.decision.in_(MOVES),
        WriteBackRow.id > row.id,
    )
    return session.scalar(later.limit(1)) is not None


def told_last(session: Session, row: WriteBackRow) -> str | None:
    """The version that Baton knows to stand in the place that `row` moves; None where it never put one there."""
    query = select(WriteBackRow.version).where(
        WriteBackRow.model == row.model,
        WriteBackRow.stage == row.stage,
        WriteBackRow.decision.in_(MOVES),
        WriteBackRow.state.in_(SETTLED),
        WriteBackRow.id < row.id,
    )
    return session.scalar(query.order_by(WriteBackRow.id.desc()).limit(1))


def served_before(session: Session, promotion_id: int, model: str) -> str | None:
    """The version of a model whose place was taken by a promotion."""
    query = select(Version.version).join(Champion, Champion.version_id == Version.id)
    query = query.join(RegisteredModel, RegisteredModel.id == Champion.model_id)
    return session.scalar(query.where(Champion.ended_by == promotion_id, RegisteredModel.name == model))


def pending(session: Session, model: str, stage: str) -> bool:
    """Whether the registry has yet to be told something about the stage."""
    query = select(WriteBackRow.id).where(
        WriteBackRow.model == model, WriteBackRow.stage == stage, WriteBackRow.state == "pending"
    )
    return session.scalar(query.limit(1)) is not None


def last_id(session: Session) -> int:
    """The newest write-back's id: what came after a look is told apart by it."""
    return session.scalar(select(func.max(WriteBackRow.id))) or 0


def touched(session: Session, model: str, stage: str, since: int) -> bool:
    """Whether anything about the stage was decided after the write-back `since`, or is still to be told."""
    newest = select(WriteBackRow.id).where(
        WriteBackRow.model == model, WriteBackRow.stage == stage, WriteBackRow.id > since
    )
    return session.scalar(newest.limit(1)) is not None or pending(session, model, stage)
