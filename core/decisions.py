"""Deciding: one approval, one rejection. Each is one short transaction, and the database lets one person decide once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from core.domain.errors import Conflict, Refused
from core.domain.lifecycle import Event
from core.domain.model import Actor, Decision, DecisionKind, Person, State, Tally
from core.domain.views import PromotionView
from core.policy import approvals, texts
from core.policy.schema import Stage
from core.promotions import Promotions, start_deployment
from core.store import promotions as store
from core.store.audit import Subject
from core.store.tables import PromotionRow
from core.store.transition import tell, transition


class Decisions:
    """Approving and rejecting. Shares its collaborators with `Promotions`; safe to share between threads."""

    def __init__(self, promotions: Promotions) -> None:
        self.promotions = promotions
        self.database = promotions.database
        self.directory = promotions.directory

    def approve(self, actor: Actor, promotion_id: int) -> PromotionView:
        """Record one approval; the one that fills the quorum also starts the deployment.

        The view returned is the one that was decided on, with the decision, without measurements.

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
            view = store.claim(session, promotion_id)  # claimed before it is counted
            expired = self._expired(session, view, now)
            if not expired:
                self._refuse_decision(view, actor, person, groups, kind)
                view = self._record_decision(session, view, actor, kind, groups, reason, now)
                if kind is DecisionKind.REJECTION or (view.tally is not None and view.tally.met):
                    promotion = store.row(session, promotion_id, bare=True)
                    view = replace(view, state=self._decided(session, promotion, view.tally, actor, now, reason))
        if expired:  # raised only now, so that the end itself is kept
            raise Conflict("expired", expired)
        return view

    def _expired(self, session: Session, view: PromotionView, now: datetime) -> str:
        """The sentence for whoever decides too late, once the promotion's end is written down; "" while there is time."""
        if view.expires_at is None or view.expires_at > now:
            return ""
        if not self.promotions.expire_if_due(session, store.row(session, view.id), now):
            return ""
        return replace(view, state=State.EXPIRED).standing

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
        self, session: Session, view: PromotionView, actor: Actor, kind: DecisionKind,
        groups: frozenset[str], reason: str, now: datetime,
    ) -> PromotionView:  # fmt: skip
        decision = Decision(actor, kind, now, tuple(sorted(groups)), reason, view.evidence_digest)
        counted = store.add_decision(session, view, decision)
        if kind is DecisionKind.APPROVAL:
            seen = {"groups": sorted(groups), "evidence_digest": view.evidence_digest}
            about = Subject(view.model, view.version.version, view.stage, view.id)
            tell(session, about, "approved", actor, now, seen)
        return counted

    def _decided(
        self, session: Session, promotion: PromotionRow, counted: Tally | None, actor: Actor, now: datetime, reason: str
    ) -> State:
        """The promotion leaves its waiting: for good unless enough people approved. Where to."""
        if counted is None or not counted.met:
            transition(session, promotion, State.AWAITING_APPROVAL, Event.REJECTED, actor, now, reason)
            return State.REJECTED
        transition(session, promotion, State.AWAITING_APPROVAL, Event.QUORUM_REACHED, actor, now, counted.sentence)
        start_deployment(session, promotion, Stage.from_rules(promotion.rules), self.promotions.queue, "deploy", now)
        return State.APPROVED


def _groups(view: PromotionView) -> list[str]:
    rule = Stage.from_rules(view.rules).approvals
    return [each.group for each in rule.from_] if rule else []
