"""The use cases of a promotion: ask, approve, reject, withdraw, explain. Each is one short transaction.

Nothing outside is touched here: whatever must happen outside is left as a row (message) or a workflow (deployment)
that commits together with the decision.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.domain.errors import Conflict, NotAllowed, NotFound
from core.domain.lifecycle import Event
from core.domain.model import Actor, Blocker, DeploymentState, Kind, ModelVersion, Outcome, State, Tally
from core.domain.views import PromotionView
from core.policy import approvals, eligibility, evidence, gates, texts
from core.policy.schema import Policy, Stage
from core.ports import Clock, DeploymentQueue, Directory
from core.store import messages, registry
from core.store import promotions as store
from core.store.database import Database
from core.store.tables import DeploymentRow, PolicyText, PromotionRow, Version
from core.store.transition import record, transition

EXPIRY = Actor.system("expiry")
GATES = Actor.system("gates")


@dataclass(frozen=True)
class Judgement:
    """Everything that decides whether a promotion may be asked for, and how its gates stand."""

    stage: Stage
    version: Version
    candidate: ModelVersion
    champion: ModelVersion | None
    champion_id: int | None
    active: PromotionRow | None


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

    def request(self, actor: Actor, model: str, version: str, stage: str, reason: str = "") -> PromotionView:
        """Ask that `version` of `model` becomes the champion of `stage`.

        Gates are judged at once: the promotion returned is `awaiting_approval`, `approved` (nobody need be asked) or
        `failed`. Another version's promotion that still waits is superseded. Raises `Refused` with its sentence.
        """
        reason = texts.reason(reason, required=False)
        model, version, stage = texts.name(model, "model"), texts.name(version, "version"), texts.name(stage, "stage")
        now = self.clock()
        try:
            with self.database.change() as session:
                facts = self._judgement(session, model, version, stage)
                self._refuse_blocked(session, facts)
                if facts.active is not None:
                    self.supersede(session, facts.active, actor, now, f"{model} {version} was asked for instead")
                promotion = self._open(session, actor, facts, reason, now)
                self._evaluate(session, promotion, facts, now)
                return store.to_view(promotion)
        except IntegrityError as error:
            raise Conflict(
                "already-active", f"Somebody else asked to promote {model} to {stage} just now; look at theirs first."
            ) from error

    def cancel(self, actor: Actor, promotion_id: int, reason: str = "") -> PromotionView:
        """Withdraw a promotion that still waits, or stop a deployment under way (the champion is put back).

        The requester may, and so may an API token; for a deployment under way also whoever may roll back.
        """
        reason = texts.reason(reason, required=False)
        view = self.view(promotion_id)
        may_stop = actor.kind != "user" or str(actor) == str(view.requester)
        if not may_stop and view.state in (State.DEPLOYING, State.VERIFYING):
            may_stop = bool(self.rollback_groups(actor, view.stage))
        if not may_stop:
            raise NotAllowed(
                "not-requester",
                f"Only {view.requester.name or view.requester}, who asked for {view.ref}, may withdraw it; "
                "an approver may reject it.",
            )
        now = self.clock()
        with self.database.change() as session:
            promotion = store.row(session, promotion_id, lock=True)
            state = State(promotion.state)
            if state in (State.DEPLOYING, State.VERIFYING):
                self.abort(session, promotion, actor, now, reason)
            elif state in (State.EVALUATING, State.AWAITING_APPROVAL, State.APPROVED):
                transition(session, promotion, state, Event.CANCELLED, actor, now, reason)
                self._drop_deployments(promotion, now, reason)
            else:
                raise Conflict("not-waiting", store.to_view(promotion).standing)
            session.refresh(promotion)
            return store.to_view(promotion)

    def view(self, promotion_id: int) -> PromotionView:
        """One promotion as it is now. Raises `NotFound`."""
        with self.database.read() as session:
            return store.load(session, promotion_id)

    def why(self, model: str, version: str, stage: str) -> list[Blocker]:
        """Everything that stands, or would stand, between a version and a stage; what is fine is listed too."""
        model, version, stage = texts.name(model, "model"), texts.name(version, "version"), texts.name(stage, "stage")
        with self.database.read() as session:
            facts = self._judgement(session, model, version, stage)
            found = eligibility.check(self._facts(session, facts))
            found += [_gate_blocker(v) for v in gates.evaluate(facts.stage.gates, facts.candidate, facts.champion)]
            return found + self._approval_blockers(facts)

    def preview(
        self, model: str, version: str, stage: str
    ) -> tuple[ModelVersion, ModelVersion | None, tuple[Any, ...]]:
        """(candidate, champion, verdicts) for a form that has not been sent yet. Raises `NotFound`."""
        with self.database.read() as session:
            facts = self._judgement(session, model, version, stage)
            return facts.candidate, facts.champion, gates.evaluate(facts.stage.gates, facts.candidate, facts.champion)

    def expire(self, promotion_id: int) -> bool:
        """End a promotion whose time is up; False when somebody was quicker."""
        now = self.clock()
        with self.database.change() as session:
            promotion = store.row(session, promotion_id, lock=True)
            return self.expire_if_due(session, promotion, now)

    def rollback_groups(self, actor: Actor, stage_name: str) -> frozenset[str]:
        """Which of the groups that may roll `stage_name` back hold this person. Raises `Unavailable`."""
        return self.directory.groups_of(actor.id, self.members(self.rollback_group_names(stage_name)))

    def rollback_group_names(self, stage_name: str) -> list[str]:
        """The groups that may roll `stage_name` back; where the policy names none, those who may approve."""
        stage = self.policy.stage(stage_name)
        if stage is None:
            return []
        if stage.rollback and stage.rollback.allowed:
            return list(stage.rollback.allowed)
        return [rule.group for rule in stage.approvals.from_] if stage.approvals else []

    def members(self, groups: list[str]) -> dict[str, list[str]]:
        """What the policy says of some groups: name -> members, as the directory wants it."""
        return {name: list(self.policy.groups.get(name, [])) for name in groups}

    # -- asking ------------------------------------------------------------------------------------------------

    def _judgement(self, session: Session, model: str, version: str, stage_name: str) -> Judgement:
        stage = self.policy.stage(stage_name)
        if stage is None:
            raise NotFound(
                "unknown-stage", f"There is no stage “{stage_name}”; the policy has {_listed(self.policy.stage_names)}."
            )
        found = registry.version_row(session, model, version)
        serving = store.champion(session, found.model_id, stage_name)
        return Judgement(
            stage=stage,
            version=found,
            candidate=registry.to_model_version(found),
            champion=registry.to_model_version(serving.version) if serving else None,
            champion_id=serving.version_id if serving else None,
            active=store.active(session, found.model_id, stage_name),
        )

    def _facts(self, session: Session, facts: Judgement) -> eligibility.Facts:
        return eligibility.Facts(
            model=facts.candidate.model,
            version=facts.candidate.version,
            stage=facts.stage,
            stage_names=self.policy.stage_names,
            first_stage=self.policy.first_stage.name,
            version_known=True,
            served=store.served(session, facts.version.id),
            champion=facts.champion.version if facts.champion else None,
            active=(f"P-{facts.active.id}", facts.active.version.version, facts.active.state) if facts.active else None,
        )

    def _refuse_blocked(self, session: Session, facts: Judgement) -> None:
        for blocker in eligibility.check(self._facts(session, facts)):
            if blocker.blocking:
                sentence = f"{blocker.sentence} {blocker.clears}".strip()
                raise Conflict(f"blocked-{blocker.kind}", sentence, promotion=facts.active.id if facts.active else None)

    def supersede(self, session: Session, old: PromotionRow, actor: Actor, now: datetime, reason: str) -> None:
        """End a promotion that has not begun to deploy, since another one takes its place; its requester is told."""
        transition(session, old, State(old.state), Event.SUPERSEDED, actor, now, reason)
        self._drop_deployments(old, now, reason)
        session.flush()

    def _open(self, session: Session, actor: Actor, facts: Judgement, reason: str, now: datetime) -> PromotionRow:
        rule = facts.stage.approvals
        promotion = new_promotion(
            Kind.PROMOTION, facts.version, facts.stage, self.policy, actor, reason, now, facts.champion_id
        )
        promotion.expires_at = now + rule.expires if rule and not rule.automatic else None
        promotion.evidence_digest = evidence.digest(facts.candidate, facts.champion, self.policy.digest)
        self._keep_policy(session, now)
        session.add(promotion)
        session.flush()
        messages.open_card(session, promotion, self.policy.channel(promotion.version.model.name, promotion.stage), now)
        record(session, promotion, "requested", actor, now, {"reason": reason, "policy_version": self.policy.digest})
        return promotion

    def _keep_policy(self, session: Session, now: datetime) -> None:
        if session.get(PolicyText, self.policy.digest) is None:
            session.add(PolicyText(version=self.policy.digest, text=self.policy.text, loaded_at=now))

    def _evaluate(self, session: Session, promotion: PromotionRow, facts: Judgement, now: datetime) -> None:
        verdicts = gates.evaluate(facts.stage.gates, facts.candidate, facts.champion)
        promotion.verdicts = [store.verdict_to_json(verdict) for verdict in verdicts]
        session.flush()
        seen = {"evidence_digest": promotion.evidence_digest, "verdicts": promotion.verdicts}
        if gates.overall(verdicts) is not Outcome.PASSED:
            why = " ".join(verdict.sentence for verdict in verdicts if verdict.decides)
            transition(session, promotion, State.EVALUATING, Event.GATES_FAILED, GATES, now, why, seen)
        elif facts.stage.approvals is not None and facts.stage.approvals.automatic:
            transition(session, promotion, State.EVALUATING, Event.AUTO_APPROVED, GATES, now, "", seen)
            start_deployment(session, promotion, facts.stage, self.queue, "deploy", now)
        else:
            transition(session, promotion, State.EVALUATING, Event.GATES_PASSED, GATES, now, "", seen)
        session.flush()
        session.refresh(promotion)

    def expire_if_due(self, session: Session, promotion: PromotionRow, now: datetime) -> bool:
        """End a promotion that still waits though its time is up; False when it is not."""
        waiting = State(promotion.state) in (State.EVALUATING, State.AWAITING_APPROVAL)
        if not waiting or promotion.expires_at is None or promotion.expires_at > now:
            return False
        why = "nobody decided in time" if not promotion.decisions else "not enough people approved in time"
        transition(session, promotion, State(promotion.state), Event.EXPIRED, EXPIRY, now, why)
        return True

    # -- stopping ----------------------------------------------------------------------------------------------

    def abort(self, session: Session, promotion: PromotionRow, actor: Actor, now: datetime, reason: str) -> None:
        """Have the deployment under way stop and the champion put back. Raises `Conflict` when it was asked before."""
        for deployment in promotion.deployments:
            if deployment.state in (DeploymentState.PENDING, DeploymentState.IN_PROGRESS) and not deployment.abort:
                deployment.abort = reason or "stopped by hand"
                record(session, promotion, "stop_asked", actor, now, {"reason": reason}, deployment.id)
                self.queue.wake(session, deployment.id)
                return
        raise Conflict("stopping-already", f"P-{promotion.id} is being stopped already.")

    def _drop_deployments(self, promotion: PromotionRow, now: datetime, reason: str) -> None:
        for deployment in promotion.deployments:
            if deployment.state == DeploymentState.PENDING:
                deployment.state = DeploymentState.CANCELLED.value
                deployment.finished_at = now
                deployment.message = reason

    # -- explaining --------------------------------------------------------------------------------------------

    def _approval_blockers(self, facts: Judgement) -> list[Blocker]:
        rule = facts.stage.approvals
        if rule is None:
            return [
                Blocker(
                    "approvals",
                    "approvals",
                    True,
                    f"The policy names nobody who may approve for {facts.stage.name}.",
                    "Its owner must add approvals.from.",
                )
            ]
        if rule.automatic:
            return [
                Blocker(
                    "approvals", "approvals", False, "Nobody needs to approve: with every gate passed it goes ahead."
                )
            ]
        given = (
            store.to_view(facts.active).decisions
            if facts.active and facts.active.version_id == facts.version.id
            else ()
        )
        counted = approvals.tally(rule, given)
        needed = self.awaited(counted, facts)
        sentence = f"{counted.sentence.partition(';')[0].rstrip('.')}." if needed else counted.sentence
        return [Blocker("approvals", "approvals", not counted.met, sentence, needed)]

    def awaited(self, counted: Tally, facts: Judgement) -> str:
        """Who could still fill the seats, by name, as far as the directory knows."""
        members = {s.group: self.directory.members(list(self.policy.groups.get(s.group, []))) for s in counted.seats}
        asked_by = Actor.parse(facts.active.requester) if facts.active else Actor("", "")
        everybody = [who for people in members.values() for who in people]
        out = approvals.barred(facts.stage.approvals, everybody, asked_by, facts.candidate.lineage.trained_by)
        return approvals.awaited(counted, members, out)


def new_promotion(
    kind: Kind,
    version: Version,
    stage: Stage,
    policy: Policy,
    actor: Actor,
    reason: str,
    now: datetime,
    champion_id: int | None,
) -> PromotionRow:
    """A promotion's row, `evaluating`, with the stage's rules as they are now."""
    return PromotionRow(
        kind=kind.value,
        state=State.EVALUATING.value,
        model_id=version.model_id,
        version=version,
        model=version.model,
        stage=stage.name,
        champion_version_id=champion_id,
        requester=str(actor),
        requester_name=actor.name,
        reason=reason,
        rules=stage.rules(),
        policy_version=policy.digest,
        verdicts=[],
        evidence_digest="",
        created_at=now,
        updated_at=now,
    )


def start_deployment(
    session: Session, promotion: PromotionRow, stage: Stage, queue: DeploymentQueue, action: str, now: datetime
) -> None:
    """The intent to act, in the deciding transaction: a deployment's row and its workflow."""
    deployment = DeploymentRow(
        promotion_id=promotion.id,
        action=action,
        target=stage.deploy.target if stage.deploy else "",
        version_id=promotion.version_id,
        previous_version_id=store.champion_id(session, promotion.model_id, promotion.stage),
        state=DeploymentState.PENDING.value,
        key=f"baton_{secrets.token_hex(16)}",
        timeout_seconds=int(stage.deploy.timeout.total_seconds()) if stage.deploy else 60,
        requested_at=now,
    )
    session.add(deployment)
    session.flush()
    queue.enqueue(session, deployment.id, f"{promotion.model.name}/{promotion.stage}")


def _gate_blocker(verdict: Any) -> Blocker:
    remedy = (
        "" if not verdict.decides else "Register a version that passes, or have the policy's owner change the gate."
    )
    return Blocker("gate", verdict.gate, verdict.decides, verdict.sentence, remedy)


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names)
