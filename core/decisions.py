"""Deciding: one approval, one rejection. Each is one short transaction, and the database lets one person decide once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from core import members
from core.domain.errors import BadInput, Conflict, NotFound, Refused
from core.domain.lifecycle import Event
from core.domain.model import Actor, Decision, DecisionKind, Limit, Person, State
from core.domain.views import PromotionView
from core.policy import approvals, texts
from core.policy.approvals import Approver, Asked
from core.policy.schema import Stage
from core.promotions import Promotions
from core.store import delegations
from core.store import promotions as store
from core.store.audit import Subject
from core.store.transition import tell, transition


@dataclass(frozen=True)
class _Who:
    """Whoever decides, and those who delegated to them; read from the directory."""

    approver: Approver
    delegators: tuple[Approver, ...]


class Decisions:
    """Approving and rejecting. Shares its collaborators with `Promotions`; safe to share between threads."""

    def __init__(self, promotions: Promotions) -> None:
        self.promotions = promotions
        self.database = promotions.database
        self.directory = promotions.directory
        self.policy = promotions.policy

    def approve(self, actor: Actor, promotion_id: int, seen: str = "", limit: Limit | None = None) -> PromotionView:
        """Record one approval; the one that fills the quorum also starts the deployment.

        `seen` is the beginning of the evidence digest that the person was shown; a `limit` is kept by the rollout. The view returned is the one that was
        decided on, with the decision, without measurements.

        Raises `Refused` (not a member, own request, own training, too late, twice, other evidence) or `Unavailable`
        (who the person is could not be found out).
        """
        if limit is not None:
            self._refuse_limit(promotion_id, limit)
        return self._decide(actor, promotion_id, DecisionKind.APPROVAL, "", seen, limit)

    def reject(self, actor: Actor, promotion_id: int, reason: str) -> PromotionView:
        """One rejection ends it. Raises as `approve` does, and `BadInput` without a reason."""
        return self._decide(actor, promotion_id, DecisionKind.REJECTION, texts.reason(reason, required=True), "")

    def may_reject(self, actor: Actor, promotion_id: int) -> PromotionView:
        """The promotion, if this person may decide on it now; asked before a form is opened. Raises as `reject` does."""
        view = self.promotions.view(promotion_id)
        self._refuse_decision(view, actor, self._who(actor, promotion_id), DecisionKind.REJECTION)
        return view

    def could_approve(self, view: PromotionView, user_id: str) -> bool:
        """True when the promotion waits on this person among others. Raises `Unavailable`."""
        actor = Actor.user(user_id)
        try:
            self._refuse_decision(view, actor, self._who(actor, view.id))
        except Refused:
            return False
        return True

    def withdraw(self, actor: Actor, promotion_id: int) -> PromotionView:
        """Take one's own approval back while the promotion still waits. Raises `Refused`."""
        now = self.promotions.clock()
        with self.database.change() as session:
            view = store.claim(session, promotion_id)
            mine = next((each for each in view.decisions if str(each.actor) == str(actor)), None)
            if view.state is not State.AWAITING_APPROVAL:
                raise Conflict("not-waiting", view.standing)
            if mine is None:
                raise Conflict(
                    "nothing-to-withdraw", f"You have not approved {view.ref}, so there is nothing to take back."
                )
            store.void_decisions(session, promotion_id, "withdrawn", now, actor)
            tell(session, _subject(view), "approval_withdrawn", actor, now)
        return self.promotions.view(promotion_id)

    def _refuse_limit(self, promotion_id: int, limit: Limit) -> None:
        """Only traffic that moves in steps can be limited."""
        rollout = Stage.from_rules(self.promotions.view(promotion_id).rules).rollout
        if rollout.strategy != "canary":
            raise BadInput("percent", "This stage gets all its traffic at once, so a yes cannot be limited here.")
        least = rollout.steps[0].traffic
        if not least <= limit.percent < 100:
            raise BadInput("percent", f"The limit is a whole number from {least}, the first step, to 99.")
        if limit.seconds <= 0:
            raise BadInput("time", "The limit needs a time; choose one.")

    def _decide(
        self, actor: Actor, promotion_id: int, kind: DecisionKind, reason: str, seen: str, limit: Limit | None = None
    ) -> PromotionView:
        who = self._who(actor, promotion_id)
        now = self.promotions.clock()
        with self.database.change() as session:
            view = store.claim(session, promotion_id)  # claimed before it is counted
            too_late = self._overtaken(session, view, now) or self._clashing(session, view, kind)
            if not too_late:
                principal = self._refuse_decision(view, actor, who, kind, seen)
                groups = principal.groups if principal else who.approver.groups
                whose = Actor.user(principal.person.id, principal.person.name) if principal else None
                view = self._record_decision(
                    session,
                    view,
                    Decision(actor, kind, now, tuple(sorted(groups)), reason, view.evidence_digest, whose, limit=limit),
                )
                if kind is DecisionKind.REJECTION or (view.tally is not None and view.tally.met):
                    view = self._decided(session, view, actor, now, reason)
        if too_late:  # raised only now, so that what was found is kept
            raise Conflict("overtaken", too_late)
        return view

    def _overtaken(self, session: Session, view: PromotionView, now: datetime) -> str:
        """The sentence for whoever decides on what is no longer so, once that is written down; "" while it is."""
        if view.state is not State.AWAITING_APPROVAL:
            return ""
        if view.expires_at is not None and view.expires_at <= now:
            if self.promotions.expire_if_due(session, store.row(session, view.id), now):
                return replace(view, state=State.EXPIRED).standing
            return ""
        judge = self.promotions.judge
        judged = {each.model: each.champion for each in view.members}
        if not judge.looks_changed(session, view.id, view.stage, view.rules) and not (
            judged and members.moved(session, view.stage, judged)
        ):
            return ""
        promotion = store.row(session, view.id)
        try:
            changes = judge.changes(session, promotion)
        except NotFound as error:
            changes = [error.sentence]
        if not changes:
            return ""
        self.promotions.evaluation.reevaluate(session, promotion, changes, now)
        return (
            f"{view.ref} is not what you were shown: {'; '.join(changes)}. Nothing was counted, approvals given before are "
            "void, and it was checked anew; look at its card again."
        )

    def _clashing(self, session: Session, view: PromotionView, kind: DecisionKind) -> str:
        """The sentence for whoever approves what could not stand beside what serves now; "" where it could."""
        if kind is not DecisionKind.APPROVAL or view.state is not State.AWAITING_APPROVAL or not self.policy.bundles:
            return ""
        clashes = self.promotions.judge.clashes(session, store.row(session, view.id))
        if not clashes:
            return ""
        return f"{view.ref} cannot go ahead, so nothing was counted: {clashes[0].sentence} {clashes[0].clears}"

    def _who(self, actor: Actor, promotion_id: int) -> _Who:
        """Asked before the transaction opens: the directory may have to ask Slack."""
        with self.database.read() as session:
            asked = store.groups_asked(session, promotion_id)
            delegators = delegations.delegators(session, actor.id, self.promotions.clock())
        members = self.promotions.permissions.members(asked)
        groups = self.directory.groups_of(actor.id, members)
        me = self.directory.person(actor.id) or Person(actor.id, actor.name, active=False)
        others = []
        for other, _ in delegators if not groups else []:
            person = self.directory.person(other)
            if person is not None:
                others.append(Approver(person, self.directory.groups_of(other, members)))
        return _Who(Approver(me, groups), tuple(others))

    def _refuse_decision(
        self, view: PromotionView, actor: Actor, who: _Who, kind: DecisionKind = DecisionKind.APPROVAL, seen: str = ""
    ) -> Approver | None:
        """Whose seat would be filled, None for the person's own. Raises `Refused`."""
        mine = next((decision for decision in view.decisions if str(decision.actor) == str(actor)), None)
        if mine is not None and mine.kind is DecisionKind.APPROVAL and view.state is State.AWAITING_APPROVAL:
            if kind is DecisionKind.REJECTION:
                raise Conflict(
                    "decided-already",
                    f"You have approved {view.ref} already; take your approval back in its Details to reject it.",
                )
            raise Conflict(
                "decided-already",
                f"You have approved {view.ref} already; {view.tally.sentence if view.tally else ''}".strip(),
            )
        if view.state is not State.AWAITING_APPROVAL:
            raise Conflict("not-waiting", view.standing)
        if seen and not view.evidence_digest.startswith(seen):
            raise Conflict(
                "other-evidence",
                f"{view.ref} was checked anew since this was shown to you, and nothing was counted; look at its card again.",
            )
        asked = Asked(
            f"{view.model} {view.version.version}", view.stage, view.requester, view.version.lineage.trained_by, kind
        )
        principal = approvals.may_decide(Stage.from_rules(view.rules).approvals, who.approver, asked, who.delegators)
        self._refuse_taken(view, str(actor), principal)
        return principal

    def _refuse_taken(self, view: PromotionView, actor: str, principal: Approver | None) -> None:
        """One seat a person, whether they sit in it or somebody for them."""
        if principal is None:
            stand_in = next((d for d in view.decisions if d.principal and str(d.principal) == actor), None)
            if stand_in is not None:
                raise Conflict(
                    "decided-already", f"{stand_in.named} has decided on {view.ref} already, so your seat is filled."
                )
        elif any(str(each.actor) == f"user:{principal.person.id}" for each in view.decisions):
            raise Conflict(
                "decided-already",
                f"{principal.person.name}, for whom you would decide, has decided on {view.ref} already.",
            )

    def _record_decision(self, session: Session, view: PromotionView, decision: Decision) -> PromotionView:
        counted = store.add_decision(session, view, decision)
        if decision.kind is DecisionKind.APPROVAL:
            seen: dict[str, object] = {"groups": list(decision.groups), "evidence_digest": view.evidence_digest}
            if decision.limit:
                seen["limit"] = {"percent": decision.limit.percent, "seconds": decision.limit.seconds}
            if decision.principal:
                seen["for"] = str(decision.principal)
                seen["for_name"] = decision.principal.name
            tell(session, _subject(view), "approved", decision.actor, decision.at, seen)
        return counted

    def _decided(
        self, session: Session, view: PromotionView, actor: Actor, now: datetime, reason: str
    ) -> PromotionView:
        """The promotion leaves its waiting: for good unless enough people approved."""
        promotion = store.row(session, view.id)
        counted = view.tally
        if counted is None or not counted.met:
            transition(session, promotion, State.AWAITING_APPROVAL, Event.REJECTED, actor, now, reason)
            return replace(view, state=State.REJECTED)
        transition(session, promotion, State.AWAITING_APPROVAL, Event.QUORUM_REACHED, actor, now, counted.sentence)
        self.promotions.evaluation.release(session, promotion, now)
        return replace(view, state=State.APPROVED)


def _subject(view: PromotionView) -> Subject:
    return Subject(view.model, view.version.version, view.stage, view.id)
