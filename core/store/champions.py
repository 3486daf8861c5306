"""Who served a stage at a moment, and by whose word."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Integer, bindparam, func, or_, select
from sqlalchemy.orm import Session

from core.domain.model import Actor, Decision, DecisionKind, Kind, Override
from core.store.registry import model_row, storable
from core.store.tables import Champion, DecisionRow, OverrideRow, PromotionRow, RegisteredModel, Version
from core.store.views import to_decision, to_override


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


#: As many models are looked at together.
WINDOW = 1_000
#: Built once, and plain rows: objects, and building this anew, would cost several times as much.
_C, _M, _V, _P, _D, _O = (
    each.__table__ for each in (Champion, RegisteredModel, Version, PromotionRow, DecisionRow, OverrideRow)
)
_AT = bindparam("at", type_=_C.c.since.type)
_REIGNS = (
    select(
        _M.c.name, _C.c.stage, _V.c.version, _V.c.digest, _C.c.since, _C.c.until, _C.c.promotion_id, _C.c.ended_by,
        _P.c.kind, _P.c.requester, _P.c.requester_name, _O.c.promotion_id.label("glass"),
    )
    .select_from(_M)
    .join(_C, _C.c.model_id == _M.c.id)
    .join(_V, _V.c.id == _C.c.version_id)
    .join(_P, _P.c.id == _C.c.promotion_id)
    .outerjoin(_O, _O.c.promotion_id == _P.c.id)
)  # fmt: skip
_ONE = (
    _REIGNS.where(_M.c.name == bindparam("model"), _C.c.stage == bindparam("stage"))
    .where(_C.c.since <= _AT, or_(_C.c.until.is_(None), _C.c.until > _AT))
    .order_by(_C.c.since.desc())
    .limit(1)
)


def _then() -> Any:
    """The rows of that moment, of some models. Each may have had thousands of champions, so its stages are found by
    stepping from one to the next in the index, and of each the one row is looked up, not sought among all.
    """
    other = _C.alias("other")
    models: BindParameter[Any] = bindparam("models", expanding=True)
    first = select(func.min(other.c.stage)).where(other.c.model_id == _M.c.id).scalar_subquery()
    pairs = select(_M.c.id, first.label("stage")).where(_M.c.id.in_(models)).cte("pairs", recursive=True)
    later = select(func.min(other.c.stage)).where(other.c.model_id == pairs.c.id, other.c.stage > pairs.c.stage)
    pairs = pairs.union_all(select(pairs.c.id, later.scalar_subquery()).where(pairs.c.stage.is_not(None)))
    then = select(other.c.id).where(other.c.model_id == pairs.c.id, other.c.stage == pairs.c.stage)
    then = then.where(other.c.since <= _AT, or_(other.c.until.is_(None), other.c.until > _AT))
    row = then.order_by(other.c.since.desc()).limit(1).scalar_subquery()
    return select(row.label("id")).select_from(pairs).where(pairs.c.stage.is_not(None))


_THEN = _then()
_MANY = (
    _REIGNS.where(_C.c.id.in_(bindparam("champions", expanding=True)))
    .where(or_(_M.c.name != bindparam("name"), _C.c.stage > bindparam("stage")))
    .order_by(_M.c.name, _C.c.stage)
    .limit(bindparam("limit", type_=Integer))
)
_MODELS = (
    select(_M.c.id, _M.c.name)
    .where(_M.c.name >= bindparam("name"))
    .order_by(_M.c.name)
    .limit(bindparam("limit", type_=Integer))
)
_APPROVALS = (
    select(_D)
    .where(_D.c.promotion_id.in_(bindparam("promotions", expanding=True)))
    .where(_D.c.kind == DecisionKind.APPROVAL.value, _D.c.void_at.is_(None))
    .order_by(_D.c.promotion_id, _D.c.id)
)


def champion_at(session: Session, model: str, stage: str, at: datetime) -> Reign | None:
    """Who served the stage at a moment. Raises `NotFound` for the model."""
    if storable(model) and storable(stage):
        for found in _reigns(session, session.execute(_ONE, {"model": model, "stage": stage, "at": at}).all()):
            return found
    model_row(session, model)
    return None


def champions_at(
    session: Session, at: datetime, model: str | None = None, after: tuple[str, str] | None = None, limit: int = 50
) -> list[Reign]:
    """Who served which stage of which model at a moment, by model and stage, after those two names.

    Raises `NotFound` for a model that is named.
    """
    if not all(map(storable, after or ())):
        return []
    name, stage = after or ("", "")
    one = [model_row(session, model).id] if model is not None else None
    rows: list[Any] = []
    start, window = name, limit
    while len(rows) < limit:  # so many models at a time, and more where few of them had a champion
        models = session.execute(_MODELS, {"name": start, "limit": window + 1}).all() if one is None else []
        ids = one or [each.id for each in models[:window]]
        then = [found for found in session.scalars(_THEN, {"at": at, "models": ids}) if found is not None]
        values = {"champions": then, "name": name, "stage": stage, "limit": limit - len(rows)}
        rows += session.execute(_MANY, values).all()
        if len(models) <= window:
            break
        start, window = models[window].name, min(2 * window, WINDOW)
    return _reigns(session, rows)


def _reigns(session: Session, rows: Sequence[Any]) -> list[Reign]:
    approvals: dict[int, list[Decision]] = defaultdict(list)
    overrides = {}
    if any(row.glass for row in rows):
        broken = select(OverrideRow).where(OverrideRow.promotion_id.in_([row.glass for row in rows if row.glass]))
        overrides = {row.promotion_id: to_override(row) for row in session.scalars(broken)}
    if rows:
        promotions = [row.promotion_id for row in rows]
        for row in session.execute(_APPROVALS, {"promotions": promotions}):
            approvals[row.promotion_id].append(to_decision(row))
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
