"""From asked for to on its way: judging a promotion's gates, letting it go or wait, and judging it again.

Everything here runs inside the caller's transaction.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from core import members, rolling
from core.domain.errors import NotFound
from core.domain.lifecycle import Event
from core.domain.model import Actor, Blocker, DeploymentState, Kind, Outcome, State, Verdict
from core.judging import Judge, Judgement
from core.policy import evidence, features, gates, reminding
from core.policy.features import FeaturesGate, Looked, Wanted
from core.policy.schema import Policy, Stage
from core.ports import DeploymentQueue
from core.store import feature_tables, messages
from core.store import promotions as store
from core.store.tables import PolicyText, PromotionRow
from core.store.transition import record, transition
from core.store.views import verdict_to_json

GATES = Actor.system("gates")
EVIDENCE = Actor.system("evidence")
#: How long a feature store that does not answer is asked again before it counts as no data.
PATIENCE = timedelta(minutes=10)
#: How old what it said may be when the gates are judged, and when the deployment begins.
LONG_AGO, JUST_NOW = timedelta(minutes=15), timedelta(minutes=2)


class Evaluation:
    """Judges and lets go. Shared by the use cases and by the deployment that is about to begin."""

    def __init__(self, policy: Policy, queue: DeploymentQueue) -> None:
        self.policy = policy
        self.queue = queue
        self.judge = Judge(policy)

    def open(
        self, session: Session, kind: Kind, found: Judgement, actor: Actor, reason: str, now: datetime
    ) -> PromotionRow:
        """A new promotion, `evaluating`, with its card wanted, its rules and its evidence kept."""
        promotion = PromotionRow(
            kind=kind.value,
            state=State.EVALUATING.value,
            model_id=found.version.model_id,
            version=found.version,
            model=found.version.model,
            stage=found.stage.name,
            requester=str(actor),
            requester_name=actor.name,
            requester_owner=actor.owner,
            reason=reason,
            verdicts=[],
            created_at=now,
            updated_at=now,
        )
        self._bind(session, promotion, found, now)
        session.add(promotion)
        session.flush()
        messages.open_card(session, promotion, self.policy.channel(found.version.model.name, found.stage.name), now)
        return promotion

    def evaluate(self, session: Session, promotion: PromotionRow, found: Judgement, now: datetime) -> None:
        """Judge its gates: it then awaits approval, is approved (nobody need be asked), or has failed.

        Where a feature store must be asked first, it stays as it is until `resume` is called.
        """
        if not self._looked_up(session, promotion, found, now):
            return
        verdicts, seen = self.measure(session, promotion, found)
        rule = found.stage.approvals
        if gates.overall(verdicts) is not Outcome.PASSED:
            why = " ".join(verdict.sentence for verdict in verdicts if verdict.decides)
            transition(session, promotion, State.EVALUATING, Event.GATES_FAILED, GATES, now, why, seen)
        elif rule is not None and rule.automatic:
            transition(session, promotion, State.EVALUATING, Event.AUTO_APPROVED, GATES, now, "", seen)
            self.release(session, promotion, now)
        else:
            promotion.expires_at = now + rule.expires if rule else None
            promotion.nudge_at = reminding.first(rule, now)
            transition(session, promotion, State.EVALUATING, Event.GATES_PASSED, GATES, now, "", seen)
        session.flush()
        session.refresh(promotion)

    def resume(self, session: Session, promotion: PromotionRow, now: datetime) -> None:
        """Judge a promotion that waited for a feature store, by the facts as they are now."""
        found = self.judge.again(session, promotion)
        self._bind(session, promotion, found, now)
        self.evaluate(session, promotion, found, now)

    def _looked_up(self, session: Session, promotion: PromotionRow, found: Judgement, now: datetime) -> bool:
        """Whether feature stores have said all that is asked of them; what is missing is asked for."""
        missing = [each for each in found.questions() if not _recent(found.looks.get(each.key), now, LONG_AGO)]
        if missing:
            feature_tables.want(session, promotion.id, missing, now)
        troubles = (found.looks[each.key].trouble for each in missing if each.key in found.looks)
        promotion.waiting_for = " ".join(dict.fromkeys(filter(None, troubles)))
        return not missing

    def measure(
        self, session: Session, promotion: PromotionRow, found: Judgement
    ) -> tuple[tuple[Verdict, ...], dict[str, Any]]:
        """Keep the gates' verdicts; they, and what the audit is to know of them."""
        verdicts = found.verdicts()
        promotion.verdicts = [verdict_to_json(verdict) for verdict in verdicts]
        session.flush()
        return verdicts, {"evidence_digest": promotion.evidence_digest, "verdicts": promotion.verdicts}

    def reevaluate(self, session: Session, promotion: PromotionRow, changes: list[str], now: datetime) -> None:
        """The evidence is not what was approved: the approvals count no longer, and everything is judged anew."""
        why = "; ".join(changes)
        gone = store.void_decisions(session, promotion.id, f"the evidence changed: {why}", now)
        drop_deployments(promotion, now, "the evidence changed")
        data = {"changes": changes, "voided": [str(who) for who in gone]}
        transition(session, promotion, State(promotion.state), Event.EVIDENCE_CHANGED, EVIDENCE, now, why, data)
        for who in gone:
            messages.tell_directly(session, promotion, who.id, f"voided:{int(now.timestamp())}", now)
        promotion.waiting_for, promotion.waiting_until = "", None
        session.flush()
        session.refresh(promotion)
        try:
            found = self.judge.again(session, promotion)
        except NotFound as error:
            transition(session, promotion, State.EVALUATING, Event.GATES_FAILED, EVIDENCE, now, error.sentence)
            return
        self._bind(session, promotion, found, now)
        self.evaluate(session, promotion, found, now)

    def release(self, session: Session, promotion: PromotionRow, now: datetime) -> bool:
        """An approved promotion goes to its deploy target, or waits for what holds it up. False when it does not go."""
        if not self._clear(session, promotion, now):
            return False
        promotion.waiting_for, promotion.waiting_until = "", None
        rolling.start(session, promotion, self.queue, "deploy", now)
        return True

    def recheck(self, session: Session, promotion: PromotionRow, now: datetime) -> bool:
        """At the moment of deployment, everything once more; False when it must not begin (now, or any more).

        A rollback is always let through: a frozen stage is always rolled back from.
        """
        if promotion.kind == Kind.ROLLBACK:
            return True
        if promotion.override is None:  # nobody's approval is bound to the evidence where the glass was broken
            try:
                changes = self.judge.changes(session, promotion)
            except NotFound as error:
                changes = [error.sentence]
            changes += self._features_gone(session, promotion) if not changes else []
            if changes:
                self.reevaluate(session, promotion, changes, now)
                return False
        return self._clear(session, promotion, now)

    def _clear(self, session: Session, promotion: PromotionRow, now: datetime) -> bool:
        blocking = [*self.judge.standing(session, promotion, now), *self._features_awaited(session, promotion, now)]
        final = [each for each in blocking if not each.waits]
        if final:
            why = " ".join(each.sentence for each in final)
            drop_deployments(promotion, now, why)
            transition(session, promotion, State.APPROVED, Event.NO_LONGER_ELIGIBLE, EVIDENCE, now, why)
            return False
        if blocking:
            drop_deployments(promotion, now, "it waits")
            self._wait(session, promotion, blocking, now)
            return False
        return True

    def _asks_features(self, promotion: PromotionRow) -> bool:
        stage = self.policy.stage(promotion.stage)
        asks = stage is not None and any(isinstance(each, FeaturesGate) for each in stage.gates)
        return asks and promotion.override is None

    def _features_gone(self, session: Session, promotion: PromotionRow) -> list[str]:
        """What feature stores say now that would not let it pass."""
        if not self._asks_features(promotion):
            return []
        found = self.judge.again(session, promotion)
        deciding = [each for each in found.stage.gates if isinstance(each, FeaturesGate) and not each.advisory]
        versions = [each.candidate for each in found.members] or [found.candidate]
        verdicts = [features.judge(gate, version, found.looks) for gate in deciding for version in versions]
        return [each.sentence for each in verdicts if each.outcome is not Outcome.PASSED]

    def _features_awaited(self, session: Session, promotion: PromotionRow, now: datetime) -> list[Blocker]:
        """Feature stores are asked once more at the moment of deployment: what was there need not be there still."""
        if not self._asks_features(promotion):
            return []
        found = self.judge.again(session, promotion)
        old = [each for each in found.questions() if not _recent(found.looks.get(each.key), now, JUST_NOW)]
        feature_tables.want(session, promotion.id, old, now)
        return [_awaits(each, found.looks.get(each.key)) for each in old]

    def _wait(self, session: Session, promotion: PromotionRow, blocking: list[Blocker], now: datetime) -> None:
        known = [each.until for each in blocking if each.until is not None]
        until = max(known) if len(known) == len(blocking) else None
        sentence = " ".join(each.sentence for each in blocking)
        if (sentence, until) == (promotion.waiting_for, promotion.waiting_until):
            return
        rule = Stage.from_rules(promotion.rules).approvals
        patience = rule.expires if rule else timedelta(hours=72)
        promotion.waiting_for, promotion.waiting_until = sentence, until
        promotion.expires_at = (until or now) + patience
        session.flush()
        data = {"reason": sentence, "until": until.isoformat() if until else None}
        record(session, promotion, "waits", EVIDENCE, now, data)

    def _bind(self, session: Session, promotion: PromotionRow, found: Judgement, now: datetime) -> None:
        """From now on the promotion is about these facts and these rules."""
        seen = found.evidence()
        promotion.rules = found.stage.rules()
        promotion.policy_version = self.policy.digest
        promotion.champion_version_id = found.champion_id
        promotion.evidence, promotion.evidence_digest = seen, evidence.digest(seen)
        promotion.members = members.entries(found.members, backwards=promotion.kind == Kind.ROLLBACK)
        if session.get(PolicyText, self.policy.digest) is None:
            session.add(PolicyText(version=self.policy.digest, text=self.policy.text, loaded_at=now))


def _recent(look: Looked | None, now: datetime, age: timedelta) -> bool:
    return look is not None and look.at is not None and now - look.at <= age


def _awaits(asked: Wanted, look: Looked | None) -> Blocker:
    trouble = f" {look.trouble}" if look and look.trouble else ""
    sentence = (
        f"Feature service {asked.service} is looked up in {asked.source} once more before it is deployed.{trouble}"
    )
    return Blocker("features", asked.service, True, sentence, waits=True)


def drop_deployments(promotion: PromotionRow, now: datetime, reason: str) -> None:
    """Call off what has not begun yet."""
    for deployment in promotion.deployments:
        if deployment.state == DeploymentState.PENDING:
            deployment.state = DeploymentState.CANCELLED.value
            deployment.finished_at = now
            deployment.message = reason
