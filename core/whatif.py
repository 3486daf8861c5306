"""What a changed policy would have made of past promotions: judged by the facts as they were then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.model import Decision, DecisionKind, Kind, Person, State
from core.domain.views import PromotionView
from core.policy import approvals, gates, windows
from core.policy.durations import spoken
from core.policy.schema import Policy, Stage
from core.store import promotions as store
from core.store.database import Database
from core.store.tables import Champion, PromotionRow, RegisteredModel

#: What happened, and what would have: stopped by gates, lacking approvals, waiting, ineligible, rejected, gone ahead.
AHEAD, GATES, APPROVALS, WAIT, REQUIRES, REJECTED, GONE = (
    "ahead",
    "gates",
    "approvals",
    "wait",
    "requires",
    "no",
    "gone",
)
CHUNK = 200


@dataclass(frozen=True)
class Judged:
    """One past promotion under the changed policy. `differs`: its outcome would be another one."""

    ref: str
    title: str
    happened: str
    would: str
    differs: bool


def judge_past(
    database: Database, policy: Policy, since: datetime | None = None, model: str = "", limit: int = 500
) -> Iterator[Judged]:
    """Every past promotion, newest first, judged by `policy`. Rollbacks are not judged by anybody, so they are left out."""
    query = select(PromotionRow.id).where(PromotionRow.kind == Kind.PROMOTION.value)
    if since is not None:
        query = query.where(PromotionRow.created_at >= since)
    if model:
        query = query.join(RegisteredModel, RegisteredModel.id == PromotionRow.model_id).where(
            RegisteredModel.name == model
        )
    with database.read() as session:
        ids = list(session.scalars(query.order_by(PromotionRow.id.desc()).limit(limit)))
    for start in range(0, len(ids), CHUNK):
        with database.read() as session:
            for view in store.several(session, ids[start : start + CHUNK]):
                yield _judged(session, policy, view)


def _judged(session: Session, policy: Policy, view: PromotionView) -> Judged:
    happened, said = _happened(view)
    kind, sentence = _would(session, policy, view)
    return Judged(view.ref, view.title, said, sentence, _differs(view, happened, kind))


def _happened(view: PromotionView) -> tuple[str, str]:
    """(kind, words) of what really became of it."""
    sent = [each.requested_at for each in view.deployments if each.attempts or each.sent_at or not each.target]
    if view.override is not None:
        return AHEAD, "was deployed by breaking the glass"
    if sent:
        return AHEAD, f"was deployed {min(sent):%Y-%m-%d}"
    words = {
        State.FAILED: (GATES, "was stopped by its gates"),
        State.REJECTED: (REJECTED, "was rejected"),
        State.AWAITING_APPROVAL: (APPROVALS, "still waits for approval"),
        State.EXPIRED: (APPROVALS, "expired"),
        State.APPROVED: (WAIT, "is approved, and waits"),
    }
    return words.get(view.state, (APPROVALS, f"was {view.state.value.replace('_', ' ')} before it was decided"))


def _would(session: Session, policy: Policy, view: PromotionView) -> tuple[str, str]:
    stage = policy.stage(view.stage)
    if stage is None:
        return GONE, f"the policy has no stage {view.stage} any more"
    at = min((each.requested_at for each in view.deployments), default=view.ended_at or view.updated_at)
    lacking = _requirements(session, policy, stage, view, at)
    if lacking:
        return REQUIRES, f"would not have been eligible: {lacking}"
    failing = [v for v in gates.evaluate(stage.gates, view.version, view.champion) if v.decides]
    if failing:
        return GATES, f"would have failed its gates: {' '.join(each.sentence for each in failing)}"
    if any(each.kind is DecisionKind.REJECTION for each in view.decisions):
        return REJECTED, "would have been rejected"
    if stage.approvals is None or not stage.approvals.automatic:
        counted = approvals.tally(stage.approvals, _counting(stage, view))
        if not counted.met:
            return APPROVALS, f"would have lacked approvals: {counted.sentence}"
    closed = windows.frozen(stage.freeze, at) if stage.freeze else None
    if closed is not None:
        until = f" until {closed.opens_at:%Y-%m-%d %H:%M} UTC" if closed.opens_at else ""
        return WAIT, f"would have had to wait{until}: {stage.name} was frozen by “{closed.window}”"
    return AHEAD, "would have gone ahead"


def _counting(stage: Stage, view: PromotionView) -> tuple[Decision, ...]:
    """The decisions that the changed policy would let count, as far as the groups are known that people were in."""
    rule = stage.approvals
    exclude = rule.exclude if rule else ()

    def counts(each: Decision) -> bool:
        if "requester" in exclude and str(each.actor) == str(view.requester):
            return False
        who = Person(each.actor.id, each.actor.name)
        return "trainer" not in exclude or not approvals.is_trainer(who, view.version.lineage.trained_by)

    return tuple(each for each in view.decisions if counts(each))


def _requirements(session: Session, policy: Policy, stage: Stage, view: PromotionView, at: datetime) -> str:
    """Which required stage it had not served, or not for long enough, at that moment; "" when none."""
    for required in stage.requires:
        if required == policy.first_stage.name:
            since, until = view.version.registered_at or at, None
        else:
            row = session.scalar(
                select(Champion)
                .where(Champion.version_id == view.version.id, Champion.stage == required, Champion.since <= at)
                .order_by(Champion.since.desc())
                .limit(1)
            )
            if row is None:
                return f"{stage.name} requires {required}, which it had not served."
            since, until = row.since, row.until
        served = min(until or at, at) - since
        if stage.soak is not None and served < stage.soak:
            return (
                f"{stage.name} wants {spoken(stage.soak)} in {required}, and it had served there for {spoken(served)}."
            )
    return ""


def _differs(view: PromotionView, happened: str, would: str) -> bool:
    if view.override is not None:
        return False
    if would == GONE:
        return happened == AHEAD
    if happened == AHEAD:
        return would != AHEAD
    if happened == GATES:
        return would not in (GATES, REQUIRES)
    if happened == REJECTED:
        return would not in (REJECTED, GATES, REQUIRES)
    # It was never decided: what differs is whether anybody would have been asked, or whether it would have been enough.
    return would in (GATES, REQUIRES) or (would == AHEAD and view.state in (State.AWAITING_APPROVAL, State.EXPIRED))
