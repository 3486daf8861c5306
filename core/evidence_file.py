"""Everything that is known of one promotion, for whoever asks a year later: collected at one moment, frozen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.model import Decision
from core.domain.views import DeploymentView, PromotionView
from core.policy import evidence
from core.store import audit
from core.store import promotions as store
from core.store.people_tables import DelegationRow
from core.store.tables import Champion, DecisionRow, PolicyText, PromotionRow, RolloutRow
from core.store.views import to_decision

Json = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """A decision with what hangs on it: since when it is void, its limit, and how long the delegation was to last."""

    decision: Decision
    void_at: datetime | None
    limit: tuple[int, int] | None  #: at most so much traffic, for so many seconds
    delegated: tuple[datetime, datetime] | None


@dataclass(frozen=True)
class Act:
    """One piece of work asked of a deploy target, with the step it was and the target's own job."""

    view: DeploymentView
    step: int
    run: str
    tried_at: datetime | None
    member: bool = False  #: of a bundle, so that its model is to be named


@dataclass(frozen=True)
class Chain:
    """The audit events of a promotion as they are exported, the chain's head, and what was looked at."""

    events: tuple[Json, ...]
    head: tuple[int, str]
    checks: tuple[tuple[bool, str], ...]  #: whether it is so, and the sentence

    @property
    def sound(self) -> bool:
        """True when everything that was looked at is so."""
        return all(holds for holds, _ in self.checks)


@dataclass(frozen=True)
class EvidenceFile:
    """`facts` is what approvals were bound to: None for a promotion older than that. `policy` is (text, when read)."""

    made_at: datetime
    promotion: PromotionView
    policy: tuple[str, datetime] | None
    facts: Json | None
    decisions: tuple[Said, ...]
    deployments: tuple[Act, ...]
    rollout: Json | None
    served: tuple[tuple[datetime, datetime | None, str | None], ...]  #: since, until, ended by which promotion
    chain: Chain


def collect(session: Session, promotion_id: int, now: datetime) -> EvidenceFile:
    """The evidence of one promotion as it is now. Raises `NotFound`."""
    row, view = store.row(session, promotion_id), store.load(session, promotion_id)
    kept = session.get(PolicyText, row.policy_version)
    mine = (Champion.promotion_id == row.id, Champion.model_id == row.model_id)  # of a bundle not each member
    served = session.scalars(select(Champion).where(*mine).order_by(Champion.id))
    return EvidenceFile(
        made_at=now,
        promotion=view,
        policy=(kept.text, kept.loaded_at) if kept else None,
        facts=row.evidence,
        decisions=tuple(_said(session, each) for each in row.decisions),
        deployments=tuple(
            Act(seen, each.step, each.run, each.tried_at, member=row.members is not None)
            for seen, each in zip(view.deployments, row.deployments, strict=True)
        ),
        rollout=_rollout(row.rollout),
        served=tuple((each.since, each.until, f"P-{each.ended_by}" if each.ended_by else None) for each in served),
        chain=_chain(session, row),
    )


def _said(session: Session, row: DecisionRow) -> Said:
    decision = to_decision(row)
    delegated = None
    if decision.principal is not None:
        delegated = session.execute(
            select(DelegationRow.since, DelegationRow.until)
            .where(
                DelegationRow.principal == decision.principal.id,
                DelegationRow.delegate == decision.actor.id,
                DelegationRow.since <= row.at,
                DelegationRow.until > row.at,
            )
            .order_by(DelegationRow.id.desc())
        ).first()
    limit = (row.limit_percent, row.limit_seconds or 0) if row.limit_percent is not None else None
    return Said(decision, row.void_at, limit, (delegated.since, delegated.until) if delegated else None)


def _rollout(row: RolloutRow | None) -> Json | None:
    if row is None:
        return None
    return {
        "strategy": row.strategy,
        "steps": [{"traffic": int(traffic), "hold_seconds": int(hold)} for traffic, hold in row.steps],
        "step": row.step,
        "traffic": row.traffic,
        "phase": row.phase,
        "said": row.said,
        "paused_by": row.paused_by,
        "abort": row.abort,
        "analysis": row.progress,
    }


def _chain(session: Session, row: PromotionRow) -> Chain:
    events = audit.about(session, row.id)
    seq, head = audit.head(session)
    changed = [each.seq for each in events if audit.digest(each) != each.hash]
    checks = [
        (
            not changed,
            f"Event {changed[0]} was changed after it was written: its hash differs."
            if changed
            else f"All {len(events)} events of this promotion have the hash that their contents give.",
        )
    ]
    if events:
        loose = audit.loose(session, events[0].seq)
        checks.append(
            (
                loose is None,
                f"Event {loose} does not follow on the event before it."
                if loose
                else f"From event {events[0].seq} to the chain's head, event {seq}, each carries the hash of the one before.",
            )
        )
    if row.evidence is not None:
        bound = evidence.digest(row.evidence) == row.evidence_digest
        checks.append((bound, f"The evidence {'has' if bound else 'does not have'} the digest that it is kept under."))
    return Chain(tuple(audit.as_dict(each) for each in events), (seq, head), tuple(checks))
