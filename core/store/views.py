"""Promotions as frozen values, with all that hangs on them: read as plain rows, which cost a third of objects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, bindparam, exists, select
from sqlalchemy.orm import Session

from core.domain.model import (
    Actor,
    Decision,
    DecisionKind,
    DeploymentState,
    Kind,
    Limit,
    Measurement,
    ModelVersion,
    Outcome,
    Override,
    State,
    Tally,
    Verdict,
)
from core.domain.views import DeploymentView, MemberView, PromotionView, RolloutView
from core.policy.approvals import tally
from core.policy.schema import Stage
from core.store.registry import lineage_from_json
from core.store.tables import (
    DecisionRow,
    DeploymentRow,
    MeasurementRow,
    OverrideRow,
    PromotionRow,
    RegisteredModel,
    RolloutRow,
    Version,
)

_P, _M = PromotionRow.__table__, RegisteredModel.__table__
_V, _C = Version.__table__.alias("candidate"), Version.__table__.alias("champion")
_O, _R = OverrideRow.__table__, RolloutRow.__table__
_VERSION = ("id", "version", "artifact_uri", "digest", "lineage", "tags", "registered_by", "registered_at", "members")
_IDS: Any = bindparam("ids", expanding=True)
_PROMOTIONS = (
    select(
        *(column for column in _P.c if column.name != "evidence"),
        _M.c.name.label("model"),
        *(_V.c[name].label(f"candidate_{name}") for name in _VERSION),
        *(_C.c[name].label(f"champion_{name}") for name in _VERSION),
        exists().where(_O.c.promotion_id == _P.c.id).label("is_overridden"),
        exists().where(_R.c.promotion_id == _P.c.id).label("is_rolled_out"),
    )
    .join_from(_P, _M, _M.c.id == _P.c.model_id)
    .join(_V, _V.c.id == _P.c.version_id)
    .outerjoin(_C, _C.c.id == _P.c.champion_version_id)
    .where(_P.c.id.in_(_IDS))
)
_B = MeasurementRow.__table__
_MEASUREMENTS = select(_B).where(_B.c.version_id.in_(_IDS)).order_by(_B.c.id)
_D = DecisionRow.__table__
_DECISIONS = select(_D).where(_D.c.promotion_id.in_(_IDS)).order_by(_D.c.id)
_W = DeploymentRow.__table__
_DEPLOYED = (
    select(_W, _V.c.version, _C.c.version.label("previous_version"), _M.c.name.label("model"))
    .join_from(_W, _V, _V.c.id == _W.c.version_id)
    .join(_M, _M.c.id == _V.c.model_id)
    .outerjoin(_C, _C.c.id == _W.c.previous_version_id)
)
_DEPLOYMENTS = _DEPLOYED.where(_W.c.promotion_id.in_(_IDS)).order_by(_W.c.id)
_DEPLOYMENT = _DEPLOYED.where(_W.c.id == bindparam("id"))
_OVERRIDES = select(_O).where(_O.c.promotion_id.in_(_IDS))
_ROLLOUTS = select(_R).where(_R.c.promotion_id.in_(_IDS))


def several(session: Session, ids: Sequence[int]) -> tuple[PromotionView, ...]:
    """Promotions by their ids, in that order; those that there are not are left out."""
    session.flush()  # plain statements do not see what the session has not written yet
    found = {row.id: row for row in session.execute(_PROMOTIONS, {"ids": list(ids)})} if ids else {}
    if not found:
        return ()
    mine = {"ids": list(found)}
    versions = {row.version_id for row in found.values()} | {row.champion_version_id or 0 for row in found.values()}
    measurements = _by("version_id", session.execute(_MEASUREMENTS, {"ids": sorted(versions)}))
    decisions = _by("promotion_id", session.execute(_DECISIONS, mine))
    deployments = _by("promotion_id", session.execute(_DEPLOYMENTS, mine))
    overrides, rollouts = (
        {row.promotion_id: row for row in session.execute(query, mine)} if any(flags) else {}
        for query, flags in (
            (_OVERRIDES, [row.is_overridden for row in found.values()]),
            (_ROLLOUTS, [row.is_rolled_out for row in found.values()]),
        )
    )
    return tuple(
        to_view(
            row,
            _version(row, "candidate", measurements[row.version_id]),
            _version(row, "champion", measurements[row.champion_version_id]) if row.champion_version_id else None,
            tuple(map(to_decision, decisions[row.id])),
            tuple(map(to_deployment, deployments[row.id])),
            to_override(overrides.get(row.id)),
            _rollout(rollouts.get(row.id)),
        )
        for row in (found[each] for each in ids if each in found)
    )


def deployment(session: Session, deployment_id: int) -> DeploymentView:
    """One deployment, which there must be."""
    session.flush()
    return to_deployment(session.execute(_DEPLOYMENT, {"id": deployment_id}).one())


def _by(column: str, rows: Any) -> dict[int, list[Row[Any]]]:
    found: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        found[getattr(row, column)].append(row)
    return found


def _version(row: Any, which: str, measured: Sequence[Any]) -> ModelVersion:
    """A version without its signature and its card."""
    given = {name: getattr(row, f"{which}_{name}") for name in _VERSION}
    return ModelVersion(
        **given
        | {
            "model": row.model,
            "lineage": lineage_from_json(given["lineage"]),
            "papers": dict(given["lineage"].get("papers", {})),
            "members": tuple((given["members"] or {}).items()),
            "measurements": tuple(
                Measurement(m.name, m.value, m.raw, m.slice, m.dataset, m.dataset_digest, m.samples) for m in measured
            ),
        }
    )


def to_view(
    found: Any, version: ModelVersion, champion: ModelVersion | None,
    said: tuple[Decision, ...], deployments: tuple[DeploymentView, ...], override: Override | None = None,
    rollout: RolloutView | None = None,
) -> PromotionView:  # fmt: skip
    """One promotion: `found` has its columns."""
    decisions = tuple(each for each in said if not each.void)
    return PromotionView(
        id=found.id,
        kind=Kind(found.kind),
        state=State(found.state),
        model=version.model,
        version=version,
        champion=champion,
        stage=found.stage,
        requester=Actor.parse(found.requester, found.requester_name, found.requester_owner),
        reason=found.reason,
        verdicts=tuple(verdict_from_json(each) for each in found.verdicts),
        decisions=decisions,
        tally=count(Kind(found.kind), Stage.from_rules(found.rules), decisions),
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


def count(kind: Kind, rules: Stage, decisions: tuple[Decision, ...]) -> Tally | None:
    """How far the approvals have come; None where nobody is asked."""
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


def given_on(found: PromotionRow) -> tuple[Decision, ...]:
    """The decisions on a promotion that count."""
    return tuple(each for each in map(to_decision, found.decisions) if not each.void)


def to_override(found: Any) -> Override | None:
    """A broken glass as one frozen value."""
    if found is None:
        return None
    by = Actor.parse(found.reviewed_by, found.reviewed_by_name) if found.reviewed_by else None
    return Override(
        Actor.parse(found.actor, found.actor_name), found.reason, tuple(found.bypassed), found.at, by, found.review
    )


def _rollout(found: Any) -> RolloutView | None:
    if found is None:
        return None
    return RolloutView(
        found.strategy, tuple(int(traffic) for traffic, _ in found.steps), found.step, found.traffic, found.phase,
        found.phase_since, found.hold_until, found.said, found.paused_by, found.abort,
    )  # fmt: skip


def to_deployment(found: Any) -> DeploymentView:
    """A row of `_DEPLOYED` as a frozen value."""
    return DeploymentView(
        id=found.id,
        promotion_id=found.promotion_id,
        action=found.action,
        target=found.target,
        state=DeploymentState(found.state),
        version=found.version,
        previous_version=found.previous_version,
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
        model=found.model,
    )


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict as it is stored with its promotion."""
    said = {**verdict.__dict__, "outcome": verdict.outcome.value}
    return said if verdict.model else {key: value for key, value in said.items() if key != "model"}


def verdict_from_json(stored: dict[str, Any]) -> Verdict:
    """Back from the store."""
    return Verdict(**{**stored, "outcome": Outcome(stored["outcome"])})
