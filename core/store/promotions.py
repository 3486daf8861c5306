"""Reading promotions: rows into views."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from core.domain.errors import BadInput, NotFound
from core.domain.lifecycle import ACTIVE
from core.domain.model import (
    Actor,
    Decision,
    Kind,
    ModelVersion,
)
from core.domain.views import PromotionView
from core.policy import occupancy
from core.policy.eligibility import Served
from core.policy.occupancy import Stretch
from core.policy.schema import Stage
from core.store.registry import lineage_from_json
from core.store.tables import (
    Champion,
    DecisionRow,
    PromotionRow,
    RegisteredModel,
    Version,
)
from core.store.views import count, several, to_decision, to_view

ACTIVE_STATES = tuple(state.value for state in ACTIVE)

#: What every click waits for is built once, and reads plain rows, which cost a third of objects.
_P, _D, _V = PromotionRow.__table__, DecisionRow.__table__, Version.__table__
_RULES = select(_P.c.rules).where(_P.c.id == bindparam("id"))
_CLAIMED = (
    select(
        *(column for column in _P.c if column.name != "evidence"), RegisteredModel.__table__.c.name, _V.c.version, _V.c.artifact_uri, _V.c.digest, _V.c.lineage, _V.c.tags,
        _V.c.registered_by, _V.c.registered_at,
    )
    .join_from(_P, _V, _V.c.id == _P.c.version_id)
    .join(RegisteredModel.__table__, RegisteredModel.__table__.c.id == _P.c.model_id)
    .where(_P.c.id == bindparam("id"))
    .with_for_update(of=_P)
)  # fmt: skip
#: What hangs on it is read when it is asked for.
_ROW = select(PromotionRow).where(PromotionRow.id == bindparam("id"))
_LOCKED_ROW = _ROW.with_for_update(of=PromotionRow)
_CHAMPION_ID = select(Champion.__table__.c.version_id).where(
    Champion.__table__.c.model_id == bindparam("model"),
    Champion.__table__.c.stage == bindparam("stage"),
    Champion.__table__.c.until.is_(None),
)
_C = Champion.__table__
_JUDGED_AND_NOW = (
    select(_P.c.champion_version_id.label("judged"), _C.c.version_id.label("now"))
    .select_from(_P.outerjoin(_C, (_C.c.model_id == _P.c.model_id) & (_C.c.stage == _P.c.stage) & _C.c.until.is_(None)))
    .where(_P.c.id == bindparam("id"))
)
_DECISIONS = select(_D).where(_D.c.promotion_id == bindparam("id")).order_by(_D.c.id)
_ADD_DECISION = insert(_D)  # type: ignore[arg-type]
_VOID_DECISION = update(_D).where(_D.c.promotion_id == bindparam("promotion"), _D.c.void_at.is_(None))  # type: ignore[arg-type]


def number(ref: str, letter: str = "P") -> int:
    """`P-12` (or `p-12`, `12`) as 12. Raises `BadInput`."""
    match = re.fullmatch(rf"(?:{letter}-?)?([1-9][0-9]{{0,17}})", ref.strip(), re.IGNORECASE)
    if match is None:
        noun = "promotion" if letter == "P" else "deployment"
        raise BadInput(
            noun, f"“{ref.strip()[:40]}” does not name a {noun}; write {letter}- and its number, such as {letter}-12."
        )
    return int(match[1])


def row(session: Session, promotion_id: int, lock: bool = False) -> PromotionRow:
    """The promotion's row, claimed for this transaction when `lock`. Raises `NotFound`."""
    query = _LOCKED_ROW if lock else _ROW
    found = session.scalar(query, {"id": promotion_id})
    if found is None:
        raise _unknown(promotion_id)
    return found


def _unknown(promotion_id: int) -> NotFound:
    return NotFound("unknown-promotion", f"There is no promotion P-{promotion_id}.")


def groups_asked(session: Session, promotion_id: int) -> list[str]:
    """The groups whose members may decide on a promotion, by the rules it carries. Raises `NotFound`."""
    found = session.execute(_RULES, {"id": promotion_id}).first()
    if found is None:
        raise _unknown(promotion_id)
    approvals = Stage.from_rules(found.rules).approvals
    return [each.group for each in approvals.from_] if approvals else []


def claim(session: Session, promotion_id: int) -> PromotionView:
    """The promotion as a decision needs it, claimed for this transaction: without measurements, champion and
    deployments. Raises `NotFound`.
    """
    found = session.execute(_CLAIMED, {"id": promotion_id}).first()
    if found is None:
        raise _unknown(promotion_id)
    version = ModelVersion(
        found.name, found.version, found.artifact_uri, found.digest, lineage_from_json(found.lineage),
        tags=found.tags, registered_by=found.registered_by, registered_at=found.registered_at, id=found.version_id,
    )  # fmt: skip
    return to_view(found, version, None, tuple(map(to_decision, session.execute(_DECISIONS, {"id": promotion_id}))), ())


def add_decision(session: Session, view: PromotionView, decision: Decision) -> PromotionView:
    """Keep a decision; the promotion with it. The database refuses a second one by or for the same person."""
    whose = decision.principal or decision.actor
    row = {
        "promotion_id": view.id,
        "actor": str(decision.actor),
        "actor_name": decision.actor.name,
        "kind": decision.kind.value,
        "reason": decision.reason,
        "groups": list(decision.groups),
        "evidence_digest": decision.evidence_digest,
        "at": decision.at,
        "principal": str(whose),
        "principal_name": whose.name,
        "void_reason": "",
        "limit_percent": decision.limit.percent if decision.limit else None,
        "limit_seconds": decision.limit.seconds if decision.limit else None,
    }
    session.execute(_ADD_DECISION, row)
    decisions = (*view.decisions, decision)
    return replace(view, decisions=decisions, tally=count(view.kind, Stage.from_rules(view.rules), decisions))


def void_decisions(
    session: Session, promotion_id: int, reason: str, now: datetime, actor: Actor | None = None
) -> list[Actor]:
    """Have the decisions on a promotion, or only one person's, count no longer; whose they were."""
    query = _VOID_DECISION.values(void_at=now, void_reason=reason)
    if actor is not None:
        query = query.where(_D.c.actor == str(actor))
    gone = session.execute(query.returning(_D.c.actor, _D.c.actor_name), {"promotion": promotion_id})
    return [Actor.parse(row.actor, row.actor_name) for row in gone]


def load(session: Session, promotion_id: int) -> PromotionView:
    """One promotion. Raises `NotFound`."""
    found = several(session, [promotion_id])
    if not found:
        raise _unknown(promotion_id)
    return found[0]


def page(
    session: Session,
    state: str | None = None,
    model: str | None = None,
    stage: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[PromotionView]:
    """Promotions, newest first, below id `before`. `state` is a state's name or `active`."""
    query = select(PromotionRow.id).order_by(PromotionRow.id.desc()).limit(limit)
    if state == "active":
        query = query.where(PromotionRow.state.in_(ACTIVE_STATES))
    elif state:
        query = query.where(PromotionRow.state == state)
    if model:
        query = query.join(RegisteredModel, RegisteredModel.id == PromotionRow.model_id).where(
            RegisteredModel.name == model
        )
    if stage:
        query = query.where(PromotionRow.stage == stage)
    if before is not None:
        query = query.where(PromotionRow.id < before)
    return list(several(session, list(session.scalars(query))))


def active(session: Session, model_id: int, stage: str) -> PromotionRow | None:
    """The promotion that holds this model and stage now, if any; there is never more than one."""
    return session.scalar(
        select(PromotionRow).where(
            PromotionRow.model_id == model_id, PromotionRow.stage == stage, PromotionRow.state.in_(ACTIVE_STATES)
        )
    )


def champion(session: Session, model_id: int, stage: str) -> Champion | None:
    """The open champion row of a stage."""
    return session.scalar(
        select(Champion).where(Champion.model_id == model_id, Champion.stage == stage, Champion.until.is_(None))
    )


def champion_id(session: Session, model_id: int, stage: str) -> int | None:
    """The version that serves a stage, by its row's id."""
    found: int | None = session.execute(_CHAMPION_ID, {"model": model_id, "stage": stage}).scalar()
    return found


def champion_moved(session: Session, promotion_id: int) -> bool:
    """Whether somebody else serves the stage than when the promotion was judged."""
    found = session.execute(_JUDGED_AND_NOW, {"id": promotion_id}).first()
    return found is not None and found.judged != found.now


def served(session: Session, version_id: int) -> dict[str, Served]:
    """When a version last served which stage, and whether it was rolled back from it."""
    rows = session.execute(
        select(Champion, PromotionRow.kind)
        .outerjoin(PromotionRow, PromotionRow.id == Champion.ended_by)
        .where(Champion.version_id == version_id)
        .order_by(Champion.since, Champion.id)
    )
    return occupancy.served(
        Stretch(row.stage, row.since, row.until, f"P-{row.ended_by}" if ended_by == Kind.ROLLBACK else None)
        for row, ended_by in rows
    )


def champions(session: Session, model: str | None = None, limit: int = 30) -> list[tuple[str, str, str]]:
    """(model, stage, version) of every champion, by model, latest first."""
    query = (
        select(RegisteredModel.name, Champion)
        .join(Champion, Champion.model_id == RegisteredModel.id)
        .where(Champion.until.is_(None))
        .order_by(RegisteredModel.name, Champion.id.desc())
        .limit(limit)
    )
    if model:
        query = query.where(RegisteredModel.name == model)
    return [(name, row.stage, row.version.version) for name, row in session.execute(query)]
