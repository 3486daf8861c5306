"""The steps of a rollout, inside the caller's transaction: the plan, the next step, the end, the way back.

The rollout's row is the truth; nothing here waits. Acts on the deploy target are deployments of their own, each with its
own key, carried out by the durable engine; between two acts there is only a row that is due at some time.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from core.domain.lifecycle import Event
from core.domain.model import Actor, DeploymentState, Kind, State
from core.policy import analysis as watching
from core.policy.schema import Stage
from core.ports import DeploymentQueue
from core.store import barriers, messages
from core.store import promotions as store
from core.store.tables import Champion, DeploymentRow, PromotionRow, RolloutRow
from core.store.transition import record, transition

BATON = Actor.system("rollout")
D = DeploymentState


def plan(promotion: PromotionRow, stage: Stage, now: datetime) -> RolloutRow | None:
    """The rollout of a promotion by its stage's rules; None where everything goes at once and nothing is watched."""
    strategy = stage.rollout.strategy
    if promotion.kind == Kind.ROLLBACK or (strategy == "all_at_once" and stage.verify is None):
        return None
    steps: list[list[int]] = [[100, 0]]
    if strategy == "canary":
        steps = [[each.traffic, int(each.hold.total_seconds()) if each.hold else 0] for each in stage.rollout.steps]
    elif strategy == "blue_green":
        steps = [[0, 0], [100, 0]]
    limits = [
        [each.actor, each.actor_name, each.limit_percent, each.limit_seconds]
        for each in promotion.decisions
        if each.limit_percent is not None and each.void_at is None
    ]
    return RolloutRow(
        promotion_id=promotion.id, strategy=strategy, steps=steps, phase_since=now, limits=limits, phase="acting"
    )


@dataclass(frozen=True)
class Order:
    """One act to be asked of a target: what, of which version, after which one."""

    action: str
    version_id: int
    previous_id: int | None
    target: str
    timeout_seconds: int
    step: int = 0
    traffic: int = 100


def act(
    session: Session, promotion: PromotionRow, queue: DeploymentQueue, order: Order, now: datetime
) -> DeploymentRow:
    """Ask the promotion's target for one act: its row and its workflow, both or neither."""
    deployment = DeploymentRow(
        promotion_id=promotion.id,
        action=order.action,
        step=order.step,
        traffic=order.traffic,
        target=order.target,
        version_id=order.version_id,
        previous_version_id=order.previous_id,
        state=D.PENDING.value,
        key=f"baton_{secrets.token_hex(16)}",
        timeout_seconds=order.timeout_seconds,
        requested_at=now,
    )
    session.add(deployment)
    session.flush()
    queue.enqueue(session, deployment.id, f"{promotion.model.name}/{promotion.stage}")
    return deployment


def start(session: Session, promotion: PromotionRow, queue: DeploymentQueue, action: str, now: datetime) -> None:
    """The first act of an approved promotion."""
    serving = store.champion_id(session, promotion.model_id, promotion.stage)
    stage = Stage.from_rules(promotion.rules)
    rollout = plan(promotion, stage, now)
    traffic = 100
    if rollout is not None:
        traffic = int(rollout.steps[0][0])
        session.merge(rollout)  # there is one already where it was called off before it began
    target = stage.deploy.target if stage.deploy else ""
    timeout = int(stage.deploy.timeout.total_seconds()) if stage.deploy else 60
    act(session, promotion, queue, Order(action, promotion.version_id, serving, target, timeout, 0, traffic), now)


def succeeded(session: Session, row: DeploymentRow, now: datetime) -> None:
    """The target did what it was asked for: hold, watch, or hand the stage over."""
    promotion = row.promotion
    rollout = promotion.rollout
    facts = {"deployment": f"D-{row.id}", "url": row.url, "message": row.message}
    if rollout is None:
        transition(session, promotion, State.DEPLOYING, Event.DEPLOYMENT_SUCCEEDED, BATON, now, data=facts)
        finish(session, promotion, now)
        return
    stage = Stage.from_rules(promotion.rules)
    rollout.step, rollout.traffic, rollout.seq = row.step, row.traffic, rollout.seq + 1
    rollout.phase_since = now
    if stage.rollout.analysis is not None and rollout.progress is None and row.traffic > 0:
        rollout.progress = watching.begin(stage.rollout.analysis, now).to_json()
    session.flush()
    moved = facts | {"traffic": row.traffic, "step": row.step + 1, "steps": len(rollout.steps)}
    if row.step + 1 < len(rollout.steps):
        record(session, promotion, "traffic_moved", BATON, now, moved, row.id)
        hold(rollout, "holding", int(rollout.steps[row.step][1]), now)
        return
    transition(session, promotion, State.DEPLOYING, Event.DEPLOYMENT_SUCCEEDED, BATON, now, data=moved)
    watch = int(stage.verify.for_.total_seconds()) if stage.verify else int(rollout.steps[row.step][1])
    if not watch and stage.rollout.analysis is None:
        finish(session, promotion, now)
    else:
        hold(rollout, "verifying", watch, now)


def hold(rollout: RolloutRow, phase: str, seconds: int, now: datetime) -> None:
    """Stay as it is for so long; the next look is at once, and sets its own time."""
    rollout.phase, rollout.phase_since = phase, now
    rollout.hold_until, rollout.due_at = now + timedelta(seconds=seconds), now
    rollout.seq += 1


def move_on(session: Session, promotion: PromotionRow, queue: DeploymentQueue, now: datetime) -> None:
    """The step is done: the next one, or the end. Waits at a limit that an approver set, and while all is stopped."""
    rollout = promotion.rollout
    if rollout is None or rollout.phase == "verifying" or rollout.step + 1 >= len(rollout.steps):
        finish(session, promotion, now)
        return
    following = rollout.step + 1
    traffic = int(rollout.steps[following][0])
    if _stopped(session, promotion, rollout, now) or _limited(session, promotion, rollout, traffic, now):
        return
    rollout.phase, rollout.phase_since, rollout.said = "acting", now, ""
    rollout.hold_until = rollout.due_at = None
    rollout.paused_by, rollout.seq = "", rollout.seq + 1
    last = promotion.deployments[-1]
    order = replace(_again(last), action="set_traffic", step=following, traffic=traffic)
    deployment = act(session, promotion, queue, order, now)
    facts = {"traffic": traffic, "step": following + 1, "steps": len(rollout.steps)}
    record(session, promotion, "step_started", BATON, now, facts, deployment.id)


def finish(session: Session, promotion: PromotionRow, now: datetime) -> None:
    """The stage changes hands: the champion, the promotion and its rollout end in one transaction."""
    change_champion(session, promotion, promotion.version_id, now)
    end(promotion)
    transition(session, promotion, State.VERIFYING, Event.VERIFICATION_PASSED, BATON, now)
    if promotion.kind == Kind.PROMOTION and promotion.requester.startswith("user:"):
        who, name = Actor.parse(promotion.requester, promotion.requester_name), promotion.model.name
        barriers.lift(session, "hold", name, "", promotion.stage, who, now, f"P-{promotion.id} succeeded")


def end(promotion: PromotionRow) -> None:
    """The rollout is over; nothing of it is due any more."""
    if promotion.rollout is not None:
        promotion.rollout.phase, promotion.rollout.due_at, promotion.rollout.hold_until = "ended", None, None
        promotion.rollout.seq += 1


def ask(session: Session, promotion: PromotionRow, question: str, now: datetime) -> None:
    """A person must say how to go on: continue, wait longer, or go back."""
    rollout = promotion.rollout
    if rollout is None or (rollout.phase == "asking" and rollout.said == question):
        return
    rollout.phase, rollout.phase_since, rollout.said = "asking", now, question
    rollout.hold_until, rollout.seq = None, rollout.seq + 1
    session.flush()
    record(session, promotion, "rollout_asks", BATON, now, {"reason": question})


def undo(
    session: Session, promotion: PromotionRow, queue: DeploymentQueue, event: Event, why: str, now: datetime
) -> None:
    """Traffic goes back to the champion, which was verified, and still is the champion. Never to nothing."""
    champion = store.champion(session, promotion.model_id, promotion.stage)
    end(promotion)
    if champion is None:
        sentence = (
            f"{why} Nothing served {promotion.stage} before it, so there is nothing to put back; the deploy target still "
            f"holds {promotion.version.version}. A person must look."
        )
        if promotion.state == State.VERIFYING:
            transition(session, promotion, State.VERIFYING, Event.VERIFICATION_FAILED, BATON, now, why)
        transition(session, promotion, State(promotion.state), Event.BROKE, BATON, now, sentence)
        return
    transition(session, promotion, State(promotion.state), event, BATON, now, why)
    action = "deploy" if promotion.kind == Kind.ROLLBACK else "rollback"
    last = max(promotion.deployments, key=lambda each: each.step)
    order = Order(action, champion.version_id, promotion.version_id, last.target, last.timeout_seconds, last.step + 1)
    deployment = act(session, promotion, queue, order, now)
    facts = {"deployment": f"D-{deployment.id}", "version": champion.version.version}
    record(session, promotion, "rollback_started", BATON, now, facts, deployment.id)


def change_champion(session: Session, promotion: PromotionRow, version_id: int, now: datetime) -> None:
    """The champion of the promotion's stage is this version from now on."""
    serving = store.champion(session, promotion.model_id, promotion.stage)
    since = now
    if serving is not None:
        since = max(now, serving.since)  # a clock that went back must not make history run backwards
        serving.until, serving.ended_by = since, promotion.id
        session.flush()
    session.add(
        Champion(
            model_id=promotion.model_id,
            stage=promotion.stage,
            version_id=version_id,
            promotion_id=promotion.id,
            since=since,
        )
    )
    session.flush()


def _again(last: DeploymentRow) -> Order:
    return Order(last.action, last.version_id, last.previous_version_id, last.target, last.timeout_seconds)


def _say(session: Session, rollout: RolloutRow, sentence: str, now: datetime) -> None:
    """Why nothing moves, on the card."""
    if rollout.said != sentence:
        rollout.said = sentence
        session.flush()
        messages.card_stale(session, rollout.promotion_id, now)


def _stopped(session: Session, promotion: PromotionRow, rollout: RolloutRow, now: datetime) -> bool:
    """An emergency stop holds rollouts where they are."""
    found = next((b for b in barriers.standing(session, promotion.model.name) if b.kind == "stop"), None)
    if found is None:
        return False
    _say(session, rollout, f"Stopped by {found.by}: {found.reason}", now)
    rollout.hold_until, rollout.due_at = now, now + timedelta(seconds=5)  # the step is done, whoever resumes
    return True


def _limited(session: Session, promotion: PromotionRow, rollout: RolloutRow, traffic: int, now: datetime) -> bool:
    """An approver said: at most so much for so long, then ask me again."""
    limits: list[list[Any]] = [each for each in rollout.limits if int(each[2]) < traffic]
    if not limits:
        return False
    who, name, percent, seconds = min(limits, key=lambda each: int(each[2]))
    free_at = rollout.phase_since + timedelta(seconds=int(seconds))
    if now < free_at:
        _say(
            session,
            rollout,
            f"{name or who} approved at most {percent} % until then; after that they are asked again.",
            now,
        )
        rollout.hold_until = rollout.due_at = free_at
        return True
    rollout.due_at = None
    ask(session, promotion, f"{name or who} approved at most {percent} % and wanted to be asked again.", now)
    return True
