"""The way back to training: what asks for it is noticed, written down once, and sent until it was heard.

Two clocks wake `notice` and `send`; causes and what is due are read from the database, so any process may run them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.domain.model import Actor, Kind, State
from core.policy.durations import spoken
from core.policy.retraining import Retrain, is_drift
from core.policy.schema import Policy, Stage
from core.ports import Act, Answer, Clock, DeployTarget
from core.store import promotions as store
from core.store import registry
from core.store.alert_tables import AlertRow, ProposalRow
from core.store.database import Database
from core.store.retraining_tables import RetrainingRow
from core.store.tables import Champion, PromotionRow
from core.store.transition import tell
from core.sweeps import one_by_one
from core.targets import retraining_event
from core.targets.retraining_event import moment

BATON = Actor.system("retraining")
#: What happened longer ago asks for nothing any more: the policy may only now have begun to listen.
WINDOW = timedelta(days=1)
LEASE = timedelta(seconds=60)
FIRST_PAUSE, LONGEST_PAUSE = 5, 900
GIVE_UP = timedelta(days=3)
AT_ONCE = 100


@dataclass(frozen=True)
class Cause:
    """What asks for a champion to be trained anew."""

    key: str
    kind: str
    champion: Champion
    reason: str
    evidence: dict[str, Any]


class Retraining:
    """Notices and sends. Safe to share between threads."""

    def __init__(
        self, database: Database, policy: Policy, targets: Mapping[str, DeployTarget], clock: Clock, public_url: str
    ) -> None:
        self.database = database
        self.policy = policy
        self.targets = targets
        self.clock = clock
        self.public_url = public_url.rstrip("/")

    def tick(self, now: datetime) -> None:
        """What a clock does: notice, then send."""
        self.notice(now)
        self.send(now)

    # -- noticing ------------------------------------------------------------------------------------------------

    def notice(self, now: datetime) -> list[str]:
        """Write down whatever asks for training now and has not asked before; `R-n` of each."""
        asked = []
        for stage in self.policy.stages:
            if stage.retrain is None:
                continue
            with self.database.read() as session:
                found = [
                    cause
                    for cause in _causes(session, stage, stage.retrain, now)
                    if not _asked(session, cause, now - stage.retrain.at_most_every)
                ]
            for cause in found:
                try:
                    ref = self._ask(stage, stage.retrain, cause, now)
                except IntegrityError:  # another process was quicker
                    continue
                asked += [ref] if ref else []
        return asked

    def _ask(self, stage: Stage, rule: Retrain, cause: Cause, now: datetime) -> str:
        with self.database.change() as session:
            # Claimed, so that two causes at once do not both find that nothing was asked for lately.
            serves = select(Champion.id).where(Champion.id == cause.champion.id, Champion.until.is_(None))
            if session.scalar(serves.with_for_update()) is None:
                return ""
            champion = session.get_one(Champion, cause.champion.id)
            model = champion.version.model.name
            if _asked(session, cause, now - rule.at_most_every):
                return ""
            row = RetrainingRow(
                cause=cause.key, kind=cause.kind, model=model, stage=stage.name, version=champion.version.version,
                promotion_id=champion.promotion_id, reason=cause.reason, target=rule.target,
                key=f"baton_{secrets.token_hex(16)}", body={}, created_at=now, due_at=now,
            )  # fmt: skip
            session.add(row)
            session.flush()
            serving = retraining_event.Champion(
                registry.to_model_version(champion.version, texts=False), champion.since, f"P-{champion.promotion_id}"
            )
            ref = row.ref
            evidence = {"kind": cause.kind} | cause.evidence
            row.body = retraining_event.requested(
                ref, row.key, serving, stage.name, evidence, cause.reason, now, self.public_url
            )
            data = {"retraining": ref, "target": rule.target, "cause": evidence, "reason": cause.reason}
            tell(session, row.subject, "retraining_requested", BATON, now, data)
            return ref

    # -- sending -------------------------------------------------------------------------------------------------

    def send(self, now: datetime) -> list[int]:
        """Send whatever is due; the ids of those that were tried."""
        with self.database.read() as session:
            due = list(
                session.scalars(
                    select(RetrainingRow.id)
                    .where(RetrainingRow.state == "pending", RetrainingRow.due_at <= now, _unclaimed(now))
                    .order_by(RetrainingRow.due_at)
                    .limit(AT_ONCE)
                )
            )
        one_by_one(due, lambda each: self._send(each, now), "R-%s could not be sent")
        return due

    def _send(self, retraining_id: int, now: datetime) -> None:
        with self.database.note() as session:
            act, name = self._claim(session, retraining_id, now)
        if act is None:
            return
        target = self.targets.get(name)
        if target is None:
            answer = Answer("refused", f"the policy has no target {name} any more")
        else:
            answer = target.send(act)
        with self.database.change() as session:
            row = session.get_one(RetrainingRow, retraining_id, with_for_update=True)
            if row.state == "pending":
                self._heard(session, row, answer, now)

    def _claim(self, session: Session, retraining_id: int, now: datetime) -> tuple[Act | None, str]:
        taken = session.execute(
            update(RetrainingRow)
            .where(RetrainingRow.id == retraining_id, RetrainingRow.state == "pending")
            .where(RetrainingRow.due_at <= now, _unclaimed(now))
            .values(claimed_until=now + LEASE, attempts=RetrainingRow.attempts + 1)
            .returning(RetrainingRow.id)
        ).first()
        if taken is None:
            return None, ""
        row = session.get_one(RetrainingRow, retraining_id)
        since = row.tried_at
        row.tried_at = since or now
        return Act(row.key, dict(row.body), since=since), row.target

    def _heard(self, session: Session, row: RetrainingRow, answer: Answer, now: datetime) -> None:
        row.claimed_until, row.said = None, answer.message[:500]
        late = now - row.created_at >= GIVE_UP
        if answer.state == "unclear" and not late:
            pause = min(FIRST_PAUSE * 2 ** min(row.attempts - 1, 10), LONGEST_PAUSE)
            row.due_at = now + timedelta(seconds=max(pause, answer.retry_after or 0))
            return
        heard = answer.state in ("succeeded", "started")
        row.state, row.ended_at = "sent" if heard else "refused", now
        ref = row.ref
        if heard:
            said = f"{row.target} took {ref}"
        elif late and answer.state == "unclear":
            said = f"{row.target} did not take {ref} in {spoken(GIVE_UP)} ({answer.message}); a person must look"
        else:
            said = f"{row.target} refused {ref} ({answer.message}); a person must look"
        data = {"retraining": ref, "target": row.target, "reason": said, "url": answer.url}
        tell(session, row.subject, f"retraining_{row.state}", BATON, now, data)


def _asked(session: Session, cause: Cause, since: datetime) -> bool:
    """Whether this has asked before, or anything has for this model and stage since then."""
    champion = cause.champion
    lately = (
        (RetrainingRow.model == champion.version.model.name)
        & (RetrainingRow.stage == champion.stage)
        & (RetrainingRow.created_at > since)
    )
    found = select(RetrainingRow.id).where(or_(RetrainingRow.cause == cause.key, lately))
    return session.scalar(found.limit(1)) is not None


def _unclaimed(now: datetime) -> Any:
    return or_(RetrainingRow.claimed_until.is_(None), RetrainingRow.claimed_until <= now)


# -- what asks for it --------------------------------------------------------------------------------------------


def _causes(session: Session, stage: Stage, rule: Retrain, now: datetime) -> Iterator[Cause]:
    """Everything of late that asks for training in a stage, whether it has been written down or not."""
    if "rollback" in rule.on:
        yield from _rollbacks(session, stage.name, now)
    if "drift" in rule.on:
        yield from _drifts(session, stage.name, now)
    if "age" in rule.on and rule.after is not None:
        yield from _aged(session, stage.name, rule.after, now)


def _rollbacks(session: Session, stage: str, now: datetime) -> Iterator[Cause]:
    rows = session.scalars(
        select(PromotionRow)
        .where(PromotionRow.kind == Kind.ROLLBACK.value, PromotionRow.state == State.SUCCEEDED.value)
        .where(PromotionRow.stage == stage, PromotionRow.ended_at > now - WINDOW)
        .order_by(PromotionRow.id)
    )
    for row in rows:
        serving = store.champion(session, row.model_id, stage)
        if serving is None or row.members:
            continue
        gone = row.champion_version.version if row.champion_version else "?"
        said = f"P-{row.id} rolled {stage} back from version {gone} to {row.version.version}"
        evidence = {
            "promotion": f"P-{row.id}",
            "from_version": gone,
            "to_version": row.version.version,
            "reason": row.reason[:500],
            "by": row.requester,
        }
        because = f": {row.reason[:300]}" if row.reason else ""
        yield Cause(f"rollback:{row.id}", "rollback", serving, f"{said}{because}", evidence)


def _drifts(session: Session, stage: str, now: datetime) -> Iterator[Cause]:
    rows = session.execute(
        select(AlertRow, ProposalRow)
        .join(ProposalRow, ProposalRow.id == AlertRow.proposal_id)
        .where(ProposalRow.stage == stage, AlertRow.received_at > now - WINDOW)
        .order_by(AlertRow.id)
    )
    for alert, proposal in rows:
        model = registry.find_model(session, proposal.model) if is_drift(alert.name, alert.labels) else None
        serving = store.champion(session, model.id, stage) if model else None
        if serving is None or proposal.version not in ("", serving.version.version):
            continue  # it is about nobody who serves
        evidence = {
            "alert": alert.name[:200],
            "summary": alert.summary[:500],
            "url": alert.url[:500],
            "labels": {str(key)[:80]: str(value)[:200] for key, value in list(alert.labels.items())[:20]},
            "since": moment(alert.starts_at),
        }
        yield Cause(f"drift:{alert.id}", "drift", serving, f"{alert.name}: {alert.summary}"[:500], evidence)


def _aged(session: Session, stage: str, after: timedelta, now: datetime) -> Iterator[Cause]:
    rows = session.scalars(
        select(Champion)
        .where(Champion.stage == stage, Champion.until.is_(None), Champion.since <= now - after)
        .order_by(Champion.id)
    )
    for serving in rows:
        if serving.version.members:
            continue
        age = now - serving.since
        reason = f"version {serving.version.version} has served {stage} for {spoken(age)}; {spoken(after)} is how old it may get"
        evidence = {"since": moment(serving.since), "after_seconds": int(after.total_seconds())}
        yield Cause(f"age:{serving.id}:{age // after}", "age", serving, reason, evidence)
