"""The use cases of a promotion: ask, withdraw, expire, explain. Each is one short transaction.

Nothing outside is touched here: whatever must happen outside is left as a row (message) or a workflow (deployment)
that commits together with the decision.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core import rolling
from core.domain.errors import Conflict, NotAllowed
from core.domain.lifecycle import Event
from core.domain.model import Actor, Blocker, DeploymentState, Kind, ModelVersion, State
from core.domain.views import PromotionView
from core.evaluation import Evaluation, drop_deployments
from core.explain import approval_blockers, gate_blocker
from core.judging import Judge, Judgement
from core.permissions import Permissions
from core.policy import texts
from core.policy.schema import Policy
from core.ports import Clock, DeploymentQueue, Directory
from core.store import barriers, registries
from core.store import promotions as store
from core.store.database import Database
from core.store.tables import PromotionRow, RegisteredModel
from core.store.transition import record, transition
from core.sweeps import one_by_one

EXPIRY = Actor.system("expiry")
_WAITING = (
    select(PromotionRow.id, RegisteredModel.name)
    .join(RegisteredModel, RegisteredModel.id == PromotionRow.model_id)
    .where(PromotionRow.state == State.APPROVED.value, PromotionRow.waiting_for != "")
    .order_by(PromotionRow.id)
)
WAITING = (State.EVALUATING, State.AWAITING_APPROVAL, State.APPROVED)


class Promotions:
    """Asking for, judging and withdrawing promotions. Safe to share between threads."""

    def __init__(
        self, database: Database, policy: Policy, directory: Directory, clock: Clock, queue: DeploymentQueue
    ) -> None:
        self.database = database
        self.policy = policy
        self.directory = directory
        self.clock = clock
        self.queue = queue
        self.permissions = Permissions(policy, directory)
        self.evaluation = Evaluation(policy, queue)
        self.judge: Judge = self.evaluation.judge

    def request(self, actor: Actor, model: str, version: str, stage: str, reason: str = "") -> PromotionView:
        """Ask that `version` of `model` becomes the champion of `stage`.

        Gates are judged at once: the promotion returned is `awaiting_approval`, `approved` (nobody need be asked) or
        `failed`. Another version's promotion that still waits is superseded. Raises `Refused` with its sentence.
        """
        reason = texts.reason(reason, required=False)
        now = self.clock()
        try:
            with self.database.change() as session:
                found = self.eligible(session, actor, model, version, stage, now)
                promotion = self.evaluation.open(session, Kind.PROMOTION, found, actor, reason, now)
                asked = {"reason": reason, "policy_version": self.policy.digest}
                record(session, promotion, "requested", actor, now, asked)
                self.evaluation.evaluate(session, promotion, found, now)
                return store.load(session, promotion.id)
        except IntegrityError as error:
            raise Conflict(
                "already-active", f"Somebody else asked to promote {model} to {stage} just now; look at theirs first."
            ) from error

    def eligible(
        self, session: Session, actor: Actor, model: str, version: str, stage: str, now: datetime
    ) -> Judgement:
        """The facts about something that may be asked for now; whatever waits in its place is superseded.

        Raises `Refused` with everything that is in the way.
        """
        found = self.judge.judgement(session, *_named(model, version, stage))
        for blocker in self.judge.blockers(session, found, now, deliberate=actor.kind == "user"):
            if blocker.blocking and not blocker.waits:
                sentence = f"{blocker.sentence} {blocker.clears}".strip()
                about = found.active.id if found.active else None
                raise Conflict(f"blocked-{blocker.kind}", sentence, promotion=about)
        if found.active is not None:
            self.supersede(session, found.active, actor, now, f"{model} {version} was asked for instead")
        return found

    def cancel(self, actor: Actor, promotion_id: int, reason: str = "") -> PromotionView:
        """Withdraw a promotion that still waits, or stop a deployment under way (the champion is put back).

        The requester may, and so may an API token; for a deployment under way also whoever may roll back.
        """
        reason = texts.reason(reason, required=False)
        view = self.view(promotion_id)
        self._refuse_cancel(actor, view)
        now = self.clock()
        with self.database.change() as session:
            promotion = store.row(session, promotion_id, lock=True)
            state = State(promotion.state)
            if state in (State.DEPLOYING, State.VERIFYING):
                self.abort(session, promotion, actor, now, reason)
            elif state in WAITING:
                transition(session, promotion, state, Event.CANCELLED, actor, now, reason)
                drop_deployments(promotion, now, reason)
            else:
                raise Conflict("not-waiting", store.load(session, promotion.id).standing)
            return store.load(session, promotion.id)

    def _refuse_cancel(self, actor: Actor, view: PromotionView) -> None:
        may_stop = actor.kind != "user" or actor.id == view.requester.person
        if not may_stop and view.state in (State.DEPLOYING, State.VERIFYING):
            may_stop = self.permissions.holds(actor, self.permissions.rollback_group_names(view.stage))
        if not may_stop:
            raise NotAllowed(
                "not-requester",
                f"Only {view.requester.name or view.requester}, who asked for {view.ref}, may withdraw it; "
                "an approver may reject it.",
            )

    def view(self, promotion_id: int) -> PromotionView:
        """One promotion as it is now. Raises `NotFound`."""
        with self.database.read() as session:
            return store.load(session, promotion_id)

    def standing(self, view: PromotionView) -> list[Blocker]:
        """What would hold an active promotion up if it were deployed now; empty for one that has ended."""
        if view.kind is Kind.ROLLBACK or view.state not in WAITING:
            return []
        with self.database.read() as session:
            return self.judge.standing(session, store.row(session, view.id), self.clock())

    def notes(self, view: PromotionView) -> tuple[str, str]:
        """The registry that the candidate came from ("" for none), and what was said of it there."""
        with self.database.read() as session:
            return registries.notes(session, view.version.id)

    def why(self, model: str, version: str, stage: str) -> list[Blocker]:
        """Everything that stands, or would stand, between a version and a stage; what is fine is listed too."""
        with self.database.read() as session:
            found = self.judge.judgement(session, *_named(model, version, stage))
            blockers = self.judge.blockers(session, found, self.clock(), deliberate=False)
            blockers += [gate_blocker(verdict) for verdict in found.verdicts()]
            return blockers + approval_blockers(found, self.policy, self.directory)

    def preview(
        self, model: str, version: str, stage: str
    ) -> tuple[ModelVersion, ModelVersion | None, tuple[Any, ...], list[Blocker]]:
        """(candidate, champion, verdicts, what is in the way) for a form that has not been sent. Raises `NotFound`."""
        with self.database.read() as session:
            found = self.judge.judgement(session, *_named(model, version, stage))
            blockers = self.judge.blockers(session, found, self.clock(), deliberate=True)
            return found.candidate, found.champion, found.verdicts(), [each for each in blockers if each.blocking]

    # -- what time brings ----------------------------------------------------------------------------------------

    def expire_due(self, now: datetime) -> list[int]:
        """End every promotion whose time is up; the ids of those that this call ended."""
        with self.database.read() as session:
            due = session.scalars(
                select(PromotionRow.id).where(PromotionRow.state.in_(WAITING), PromotionRow.expires_at <= now)
            ).all()
        return one_by_one(due, self.expire, "P-%s could not be ended, though its time is up")

    def expire(self, promotion_id: int) -> bool:
        """End a promotion whose time is up; False when somebody was quicker."""
        now = self.clock()
        with self.database.change() as session:
            return self.expire_if_due(session, store.row(session, promotion_id, lock=True), now)

    def expire_if_due(self, session: Session, promotion: PromotionRow, now: datetime) -> bool:
        """End a promotion that still waits though its time is up; False when it is not."""
        state = State(promotion.state)
        waiting = state in (State.EVALUATING, State.AWAITING_APPROVAL) or (
            state is State.APPROVED and promotion.waiting_for != ""
        )
        if not waiting or promotion.expires_at is None or promotion.expires_at > now:
            return False
        if state is State.APPROVED:
            why = f"it was approved, but could not be deployed in time: {promotion.waiting_for}"
        else:
            why = "not enough people approved in time" if promotion.decisions else "nobody decided in time"
        transition(session, promotion, state, Event.EXPIRED, EXPIRY, now, why)
        return True

    def start_waiting(self) -> list[int]:
        """Deploy whatever waited for something that may have passed; the ids of those that go ahead.

        Before the time that is known, and while a stop stands, there is nothing to look for: hundreds may wait for a
        Monday.
        """
        now = self.clock()
        with self.database.read() as session:
            stopped = {each.model for each in barriers.stops(session)}
            due = session.execute(
                _WAITING.where(or_(PromotionRow.waiting_until.is_(None), PromotionRow.waiting_until <= now))
            ).all()
        clear = [row.id for row in due if not stopped & {"", row.name}]
        return one_by_one(clear, self.start_if_clear, "P-%s could not be looked at, whether it may go ahead")

    def judge_waiting(self) -> list[int]:
        """As `start_waiting`, of all: what they wait for may have changed, or bar them for good by now."""
        with self.database.read() as session:
            found = [row.id for row in session.execute(_WAITING)]
        return one_by_one(found, self.start_if_clear, "P-%s could not be judged again")

    def start_if_clear(self, promotion_id: int) -> bool:
        """Deploy an approved promotion whose waiting is over; everything is judged once more. False when it is not."""
        now = self.clock()
        with self.database.change() as session:
            promotion = store.row(session, promotion_id, lock=True)
            if promotion.state != State.APPROVED or not promotion.waiting_for:
                return False
            return self.evaluation.recheck(session, promotion, now) and self.evaluation.release(session, promotion, now)

    # -- for the other use cases ---------------------------------------------------------------------------------

    def supersede(self, session: Session, old: PromotionRow, actor: Actor, now: datetime, reason: str) -> None:
        """End a promotion that has not begun to deploy, since another one takes its place; its requester is told."""
        transition(session, old, State(old.state), Event.SUPERSEDED, actor, now, reason)
        drop_deployments(old, now, reason)
        session.flush()

    def abort(self, session: Session, promotion: PromotionRow, actor: Actor, now: datetime, reason: str) -> None:
        """Have the deployment under way stop and the champion put back. Raises `Conflict` when it was asked before.

        Between two steps of a rollout there is nothing to wait for: the way back begins in this transaction.
        """
        why = _stopped(actor, reason)
        for deployment in promotion.deployments:
            if deployment.state in (DeploymentState.PENDING, DeploymentState.IN_PROGRESS) and not deployment.abort:
                deployment.abort = why
                record(session, promotion, "stop_asked", actor, now, {"reason": reason}, deployment.id)
                self.queue.wake(session, deployment.id)
                return
        rollout = promotion.rollout
        if rollout is not None and rollout.phase != "ended":
            rollout.abort = why
            record(session, promotion, "stop_asked", actor, now, {"reason": reason})
            rolling.undo(session, promotion, self.queue, Event.ROLLBACK_REQUESTED, why, now)
            return
        raise Conflict("stopping-already", f"P-{promotion.id} is being stopped already.")


def _stopped(actor: Actor, reason: str) -> str:
    """Who stopped it and why, as a sentence; Baton itself is not named beside its reason."""
    if actor.kind == "system" and reason:
        return texts.ended(reason[:1].upper() + reason[1:])
    return texts.ended(f"{actor.name or actor.id} stopped it{f': {reason}' if reason else ''}")


def _named(model: str, version: str, stage: str) -> tuple[str, str, str]:
    return texts.name(model, "model"), texts.name(version, "version"), texts.name(stage, "stage")
