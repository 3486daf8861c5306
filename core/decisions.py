"""Deciding: one approval, one rejection. Each is one short transaction, and the database lets one person decide once."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from core.domain.errors import Conflict, Refused
from core.domain.lifecycle import Event
from core.domain.model import Actor, DecisionKind, Person, State
from core.domain.views import PromotionView
from core.policy import approvals, texts
from core.policy.schema import Stage
from core.promotions import Promotions, start_deployment
from core.store import promotions as store
from core.store.tables import DecisionRow, PromotionRow
from core.store.transition import record, transition


class Decisions:
    """Approving and rejecting. Shares its collaborators with `Promotions`; safe to share between threads."""

    def __init__(self, promotions: Promotions) -> None:
        self.promotions = promotions
        self.database = promotions.database
        self.directory = promotions.directory

    def approve(self, actor: Actor, promotion_id: int) -> PromotionView:
        """Record one approval; the one that fills the quorum also starts the deployment.

        The view returned is without measurements.

        Raises `Refused` (not a member, own request, own training, too late, twice) or `Unavailable` (who the person is
        could not be found out).
        """
        return self._decide(actor, promotion_id, DecisionKind.APPROVAL, "")

    def reject(self, actor: Actor, promotion_id: int, reason: str) -> PromotionView:
        """One rejection ends it. Raises as `approve` does, and `BadInput` without a reason."""
        return self._decide(actor, promotion_id, DecisionKind.REJECTION, texts.reason(reason, required=True))

    def may_reject(self, actor: Actor, promotion_id: int) -> PromotionView:
        """The promotion, if this person may decide on it now; asked before a form is opened. Raises as `reject` does."""
        view = self.promotions.view(promotion_id)
        person, groups = self._who(actor, _groups(view))
        self._refuse_decision(view, actor, person, groups, DecisionKind.REJECTION)
        return view

    def could_approve(self, view: PromotionView, user_id: str) -> bool:
        """True when the promotion waits on this person among others. Raises `Unavailable`."""
        actor = Actor.user(user_id)
        try:
            person, groups = self._who(actor, _groups(view))
            self._refuse_decision(view, actor, person, groups)
        except Refused:
            return False
        return True

    def _decide(self, actor: Actor, promotion_id: int, kind: DecisionKind, reason: str) -> PromotionView:
        with self.database.read() as session:
            asked = store.groups_asked(session, promotion_id)
        person, groups = self._who(actor, asked)
        now = self.promotions.clock()
        with self.database.change() as session:
            promotion = store.row(session, promotion_id, lock=True)  # claimed before it is counted
            view = store.to_view(promotion, measured=False)
            expired = self.promotions.expire_if_due(session, promotion, now)
            if not expired:
                self._refuse_decision(view, actor, person, groups, kind)
                self._record_decision(session, promotion, actor, kind, groups, reason, now)
                if kind is DecisionKind.REJECTION:
                    transition(session, promotion, State.AWAITING_APPROVAL, Event.REJECTED, actor, now, reason)
                else:
                    self._count(session, promotion, actor, now)
            session.flush()
            after = store.to_view(promotion, measured=False)
        if expired:  # raised only now, so that the end itself is kept
            raise Conflict("expired", after.standing)
        return after

    def _who(self, actor: Actor, asked: list[str]) -> tuple[Person | None, frozenset[str]]:
        """Asked before the transaction opens: the directory may have to ask Slack."""
        groups = self.directory.groups_of(actor.id, self.promotions.members(asked))
        return self.directory.person(actor.id), groups

    def _refuse_decision(
        self,
        view: PromotionView,
        actor: Actor,
        person: Person | None,
        groups: frozenset[str],
        kind: DecisionKind = DecisionKind.APPROVAL,
    ) -> None:
        mine = next((decision for decision in view.decisions if str(decision.actor) == str(actor)), None)
        if mine is not None and mine.kind is DecisionKind.APPROVAL and view.state is State.AWAITING_APPROVAL:
            raise Conflict(
                "decided-already",
                f"You have approved {view.ref} already; {view.tally.sentence if view.tally else ''}".strip(),
            )
        if view.state is not State.AWAITING_APPROVAL:
            raise Conflict("not-waiting", view.standing)
        rule = Stage.from_rules(view.rules).approvals
        approvals.may_decide(
            rule,
            person or Person(actor.id, actor.name, active=False),
            groups,
            view.requester,
            view.version.lineage.trained_by,
            subject=f"{view.model} {view.version.version}",
            stage=view.stage,
            kind=kind,
        )

    def _record_decision(
        self, session: Session, promotion: PromotionRow, actor: Actor, kind: DecisionKind,
        groups: frozenset[str], reason: str, now: datetime,
    ) -> None:  # fmt: skip
        promotion.decisions.append(
            DecisionRow(
                actor=str(actor),
                actor_name=actor.name,
                kind=kind.value,
                reason=reason,
                groups=sorted(groups),
                evidence_digest=promotion.evidence_digest,
                at=now,
            )
        )
        session.flush()
        if kind is DecisionKind.APPROVAL:
            seen = {"groups": sorted(groups), "evidence_digest": promotion.evidence_digest}
            record(session, promotion, "approved", actor, now, seen)

    def _count(self, session: Session, promotion: PromotionRow, actor: Actor, now: datetime) -> None:
        counted = store.to_view(promotion, measured=False).tally
        if counted is None or not counted.met:
            return
        transition(session, promotion, State.AWAITING_APPROVAL, Event.QUORUM_REACHED, actor, now, counted.sentence)
        start_deployment(session, promotion, Stage.from_rules(promotion.rules), self.promotions.queue, "deploy", now)


def _groups(view: PromotionView) -> list[str]:
    rule = Stage.from_rules(view.rules).approvals
    return [each.group for each in rule.from_] if rule else []
