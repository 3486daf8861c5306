"""Who served a stage at a moment, and by whose word."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, or_, select, tuple_
from sqlalchemy.orm import Session

from core.domain.model import Actor, Decision, DecisionKind, Kind, Override
from core.store.promotions import to_decision, to_override
from core.store.registry import model_row, storable
from core.store.tables import Champion, DecisionRow, OverrideRow, PromotionRow, RegisteredModel, Version


@dataclass(frozen=True)
class Reign:
    """One version's time as champion of a stage; `until` is None while it serves.

    `approvals` are those that counted: none where nobody had to be asked, as for a rollback, and `override` says who
    broke the glass.
    """

    model: str
    stage: str
    version: str
    digest: str
    since: datetime
    until: datetime | None
    promotion_id: int
    kind: Kind
    requested_by: Actor
    approvals: tuple[Decision, ...] = ()
    override: Override | None = None
    ended_by_id: int | None = None

    @property
    def promotion(self) -> str:
        """`P-12`."""
        return f"P-{self.promotion_id}"

    @property
    def ended_by(self) -> str | None:
        """The promotion that put another version in its place."""
        return f"P-{self.ended_by_id}" if self.ended_by_id else None


_C, _M, _V, _P, _D = (
    each.__table__ for each in (Champion, RegisteredModel, Version, PromotionRow, DecisionRow)
)  # plain rows: a page of objects would cost several times as much
_REIGNS = (
    select(
        _M.c.name, _C.c.stage, _V.c.version, _V.c.digest, _C.c.since, _C.c.until, _C.c.promotion_id, _C.c.ended_by,
        _P.c.kind, _P.c.requester, _P.c.requester_name,
    )
    .select_from(_C)
    .join(_M, _M.c.id == _C.c.model_id)
    .join(_V, _V.c.id == _C.c.version_id)
    .join(_P, _P.c.id == _C.c.promotion_id)
)  # fmt: skip
_APPROVALS = (
    select(_D).where(_D.c.kind == DecisionKind.APPROVAL.value, _D.c.void_at.is_(None)).order_by(_D.c.promotion_id, _D.c.id)
)  # fmt: skip


def champion_at(session: Session, model: str, stage: str, at: datetime) -> Reign | None:
    """Who served the stage at a moment. Raises `NotFound` for the model."""
    parent = model_row(session, model)
    if not storable(stage):
        return None
    query = _REIGNS.where(_C.c.model_id == parent.id, _C.c.stage == stage, *_serving(at))
    found = session.execute(query.order_by(_C.c.since.desc(), _C.c.id.desc()).limit(1)).all()
    return next(iter(_reigns(session, found)), None)


def champions_at(
    session: Session, at: datetime, model: str | None = None, after: tuple[str, str] | None = None, limit: int = 50
) -> list[Reign]:
    """Who served which stage of which model at a moment, by model and stage, after those two names.

    Raises `NotFound` for a model that is named.
    """
    query = _REIGNS.where(*_serving(at)).order_by(_M.c.name, _C.c.stage).limit(limit)
    if model is not None:
        query = query.where(_C.c.model_id == model_row(session, model).id)
    if after is not None:
        if not all(map(storable, after)):
            return []
        query = query.where(_M.c.name >= after[0], tuple_(_M.c.name, _C.c.stage) > tuple_(*after))
    return _reigns(session, session.execute(query).all())


def _serving(at: datetime) -> tuple[ColumnElement[bool], ...]:
    return _C.c.since <= at, or_(_C.c.until.is_(None), _C.c.until > at)


def _reigns(session: Session, rows: Sequence[Any]) -> list[Reign]:
    promotions = {row.promotion_id for row in rows}
    approvals: dict[int, list[Decision]] = defaultdict(list)
    overrides = {}
    if promotions:
        for row in session.execute(_APPROVALS.where(_D.c.promotion_id.in_(promotions))):
            approvals[row.promotion_id].append(to_decision(row))
        broken = select(OverrideRow).where(OverrideRow.promotion_id.in_(promotions))
        overrides = {row.promotion_id: to_override(row) for row in session.scalars(broken)}
    return [
        Reign(
            model=row.name,
            stage=row.stage,
            version=row.version,
            digest=row.digest,
            since=row.since,
            until=row.until,
            promotion_id=row.promotion_id,
            kind=Kind(row.kind),
            requested_by=Actor.parse(row.requester, row.requester_name),
            approvals=tuple(approvals[row.promotion_id]),
            override=overrides.get(row.promotion_id),
            ended_by_id=row.ended_by,
        )
        for row in rows
    ]
