"""Reading promotions: rows into views."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session, defaultload, lazyload

from core.domain.errors import BadInput, NotFound
from core.domain.lifecycle import ACTIVE
from core.domain.model import (
    Actor,
    Decision,
    DecisionKind,
    DeploymentState,
    Kind,
    Limit,
    ModelVersion,
    Outcome,
    Override,
    State,
    Tally,
    Verdict,
)
from core.domain.views import DeploymentView, MemberView, PromotionView, RolloutView
from core.policy import occupancy
from core.policy.approvals import tally
from core.policy.eligibility import Served
from core.policy.occupancy import Stretch
from core.policy.schema import Stage
from core.store.registry import lineage_from_json, to_model_version
from core.store.tables import (
    Champion,
    DecisionRow,
    DeploymentRow,
    OverrideRow,
    PromotionRow,
    RegisteredModel,
    RolloutRow,
    Version,
)

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
_BARE = (
    lazyload(PromotionRow.decisions),
    lazyload(PromotionRow.deployments),
    lazyload(PromotionRow.override),
    lazyload(PromotionRow.rollout),
    defaultload(PromotionRow.version).lazyload(Version.measurements),
)
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


def row(session: Session, promotion_id: int, lock: bool = False, bare: bool = False) -> PromotionRow:
    """The promotion's row, claimed for this transaction when `lock`; what hangs on it only when asked for where `bare`.

    Raises `NotFound`.
    """
    query = select(PromotionRow).where(PromotionRow.id == promotion_id)
    if bare:
        query = query.options(*_BARE)
    if lock:
        query = query.with_for_update(of=PromotionRow)
    found = session.scalar(query)
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
    return _view(found, version, None, tuple(map(to_decision, session.execute(_DECISIONS, {"id": promotion_id}))), ())


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
    return replace(view, decisions=decisions, tally=_tally(view.kind, Stage.from_rules(view.rules), decisions))


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
    return to_view(row(session, promotion_id))


def several(session: Session, ids: Sequence[int]) -> tuple[PromotionView, ...]:
    """Promotions by their ids, in that order."""
    rows = {each.id: each for each in session.scalars(select(PromotionRow).where(PromotionRow.id.in_(list(ids))))}
    return tuple(to_view(rows[each]) for each in ids if each in rows)


def page(
    session: Session,
    state: str | None = None,
    model: str | None = None,
    stage: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[PromotionView]:
    """Promotions, newest first, below id `before`. `state` is a state's name or `active`."""
    query = select(PromotionRow).order_by(PromotionRow.id.desc()).limit(limit)
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
    return [to_view(found) for found in session.scalars(query)]


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


def to_view(found: PromotionRow) -> PromotionView:
    """A row and what hangs on it, as one frozen value."""
    return _view(
        found,
        to_model_version(found.version, texts=False),
        to_model_version(found.champion_version, texts=False) if found.champion_version else None,
        tuple(to_decision(decision) for decision in found.decisions),
        tuple(deployment_view(each) for each in found.deployments),
        to_override(found.override),
        _rollout(found.rollout),
    )


def _view(
    found: Any, version: ModelVersion, champion: ModelVersion | None,
    said: tuple[Decision, ...], deployments: tuple[DeploymentView, ...], override: Override | None = None,
    rollout: RolloutView | None = None,
) -> PromotionView:  # fmt: skip
    """`found` has the columns of a promotion: its row, or what `_CLAIMED` selects."""
    decisions = tuple(each for each in said if not each.void)
    return PromotionView(
        id=found.id,
        kind=Kind(found.kind),
        state=State(found.state),
        model=version.model,
        version=version,
        champion=champion,
        stage=found.stage,
        requester=Actor.parse(found.requester, found.requester_name),
        reason=found.reason,
        verdicts=tuple(verdict_from_json(each) for each in found.verdicts),
        decisions=decisions,
        tally=_tally(Kind(found.kind), Stage.from_rules(found.rules), decisions),
        rules=found.rules,
        policy_version=found.policy_version,
        evidence_digest=found.evidence_digest,
        created_at=found.created_at,
        updated_at=found.updated_at,
        expires_at=found.expires_at,
        ended_at=found.ended_at,
        end_reason=found.end_reason,
        ended_by=Actor.parse(found.ended_by, found.ended_by_name) if found.ended_by else None,
        deployments=deployments,
        voided=tuple(each for each in said if each.void),
        waiting_for=found.waiting_for,
        waiting_until=found.waiting_until,
        override=override,
        rollout=rollout,
        members=tuple(map(_member, found.members or ())),
    )


def _member(stored: dict[str, Any]) -> MemberView:
    return MemberView(
        stored["model"], stored["version"], stored["champion"], stored.get("turn"), stored.get("parted", "")
    )


def _tally(kind: Kind, rules: Stage, decisions: tuple[Decision, ...]) -> Tally | None:
    counted = kind is Kind.PROMOTION and rules.approvals is not None and not rules.approvals.automatic
    return tally(rules.approvals, decisions) if counted else None


def to_decision(found: Any) -> Decision:
    """A decision's row, or whatever has its columns, as one frozen value."""
    return Decision(
        actor=Actor.parse(found.actor, found.actor_name),
        kind=DecisionKind(found.kind),
        at=found.at,
        groups=tuple(found.groups),
        reason=found.reason,
        evidence_digest=found.evidence_digest,
        principal=Actor.parse(found.principal, found.principal_name) if found.principal != found.actor else None,
        void=found.void_reason if found.void_at else "",
        limit=Limit(found.limit_percent, found.limit_seconds or 0) if found.limit_percent is not None else None,
    )


def to_override(found: OverrideRow | None) -> Override | None:
    """A broken glass as one frozen value."""
    if found is None:
        return None
    by = Actor.parse(found.reviewed_by, found.reviewed_by_name) if found.reviewed_by else None
    return Override(
        Actor.parse(found.actor, found.actor_name), found.reason, tuple(found.bypassed), found.at, by, found.review
    )


def _rollout(found: RolloutRow | None) -> RolloutView | None:
    if found is None:
        return None
    return RolloutView(
        found.strategy, tuple(int(traffic) for traffic, _ in found.steps), found.step, found.traffic, found.phase,
        found.phase_since, found.hold_until, found.said, found.paused_by, found.abort,
    )  # fmt: skip


def deployment_view(found: DeploymentRow) -> DeploymentView:
    """A deployment's row as a frozen value."""
    return DeploymentView(
        id=found.id,
        promotion_id=found.promotion_id,
        action=found.action,
        target=found.target,
        state=DeploymentState(found.state),
        version=found.version.version,
        previous_version=found.previous_version.version if found.previous_version else None,
        key=found.key,
        requested_at=found.requested_at,
        sent_at=found.sent_at,
        deadline=found.deadline,
        finished_at=found.finished_at,
        report=found.report,
        url=found.url,
        message=found.message,
        attempts=found.attempts,
        abort=found.abort,
        traffic=found.traffic,
        model=found.version.model.name,
    )


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict as it is stored with its promotion."""
    said = {**verdict.__dict__, "outcome": verdict.outcome.value}
    return said if verdict.model else {key: value for key, value in said.items() if key != "model"}


def verdict_from_json(stored: dict[str, Any]) -> Verdict:
    """Back from the store."""
    return Verdict(**{**stored, "outcome": Outcome(stored["outcome"])})
