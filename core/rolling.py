"""The steps of a rollout, inside the caller's transaction: the plan, the next step, the end, the way back.

The rollout's row is the truth; nothing here waits. Acts on the deploy target are deployments of their own, each with its
own key, carried out by the durable engine; between two acts there is only a row that is due at some time.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import members
from core.domain.lifecycle import Event
from core.domain.model import Actor, DeploymentState, Kind, State
from core.policy import analysis as watching
from core.policy import texts
from core.policy.schema import Stage
from core.ports import DeploymentQueue
from core.store import barriers, messages
from core.store import promotions as store
from core.store.tables import Champion, DeploymentRow, PromotionRow, RolloutRow, Version
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
    enqueue(session, deployment, queue)
    return deployment


def enqueue(session: Session, row: DeploymentRow, queue: DeploymentQueue) -> None:
    """Acts on one model and stage run one after the other, whether it is promoted alone or as a member."""
    model = session.get_one(Version, row.version_id).model.name
    queue.enqueue(session, row.id, f"{model}/{session.get_one(PromotionRow, row.promotion_id).stage}")


def start(session: Session, promotion: PromotionRow, queue: DeploymentQueue, action: str, now: datetime) -> None:
    """The first act of an approved promotion."""
    first = members.Turn(promotion.version_id, store.champion_id(session, promotion.model_id, promotion.stage))
    stage = Stage.from_rules(promotion.rules)
    target = stage.deploy.target if stage.deploy else ""
    rollout = plan(promotion, stage, now)
    if promotion.members is not None:
        turns = members.take_turns(session, promotion)
        first = turns[0] if turns else first
        if not turns:  # every member serves already: there is nothing to ask of the target
            target, rollout = "", None
    traffic = 100
    if rollout is not None:
        traffic = int(rollout.steps[0][0])
        session.merge(rollout)  # there is one already where it was called off before it began
    timeout = int(stage.deploy.timeout.total_seconds()) if stage.deploy else 60
    act(session, promotion, queue, Order(action, first.version_id, first.previous_id, target, timeout, 0, traffic), now)


def succeeded(session: Session, row: DeploymentRow, queue: DeploymentQueue, now: datetime) -> None:
    """The target did what it was asked for: the next member, or hold, watch, or hand the stage over."""
    promotion = row.promotion
    rollout = promotion.rollout
    turns = members.turns(promotion)
    step, turn = divmod(row.step, len(turns) or 1)
    facts = {"deployment": f"D-{row.id}", "url": row.url, "message": row.message}
    if turns:
        said = {**facts, "member": f"{row.version.model.name} {row.version.version}", "traffic": row.traffic}
        record(
            session, promotion, "member_deployed", BATON, now, {**said, "number": turn + 1, "of": len(turns)}, row.id
        )
    if turn + 1 < len(turns):
        following = turns[turn + 1]
        order = replace(_again(row), version_id=following.version_id, previous_id=following.previous_id)
        act(session, promotion, queue, replace(order, step=row.step + 1, traffic=row.traffic), now)
        return
    if rollout is None:
        transition(session, promotion, State.DEPLOYING, Event.DEPLOYMENT_SUCCEEDED, BATON, now, data=facts)
        finish(session, promotion, now)
        return
    stage = Stage.from_rules(promotion.rules)
    rollout.step, rollout.traffic, rollout.seq = step, row.traffic, rollout.seq + 1
    rollout.phase_since = now
    if stage.rollout.analysis is not None and rollout.progress is None and row.traffic > 0:
        rollout.progress = watching.begin(stage.rollout.analysis, now).to_json()
    session.flush()
    moved = facts | {"traffic": row.traffic, "step": step + 1, "steps": len(rollout.steps)}
    if step + 1 < len(rollout.steps):
        record(session, promotion, "traffic_moved", BATON, now, moved, row.id)
        hold(rollout, "holding", int(rollout.steps[step][1]), now)
        return
    transition(session, promotion, State.DEPLOYING, Event.DEPLOYMENT_SUCCEEDED, BATON, now, data=moved)
    watch = int(stage.verify.for_.total_seconds()) if stage.verify else int(rollout.steps[step][1])
    if not watch and stage.rollout.analysis is None:
        finish(session, promotion, now)
    else:
        hold(rollout, "verifying", watch, now)


def hold(rollout: RolloutRow, phase: str, seconds: int, now: datetime) -> None:
    """Stay as it is for so long; the next look is at once, and sets its own time."""
    rollout.phase, rollout.phase_since = phase, now
    rollout.hold_until, rollout.due_at = now + timedelta(seconds=seconds), now
    rollout.seq += 1


def move_on(session: Session, promotion: PromotionRow, queue: DeploymentQueue, now: datetime, held: str = "") -> None:
    """The step is done: the next one, or the end. Waits at a limit that an approver set, and adds no traffic while
    `held` says why not.
    """
    rollout = promotion.rollout
    if rollout is None or rollout.phase == "verifying" or rollout.step + 1 >= len(rollout.steps):
        finish(session, promotion, now)
        return
    following = rollout.step + 1
    traffic = int(rollout.steps[following][0])
    if _held(session, rollout, held, now) or _limited(session, promotion, rollout, traffic, now):
        return
    rollout.phase, rollout.phase_since, rollout.said = "acting", now, ""
    rollout.hold_until = rollout.due_at = None
    rollout.paused_by, rollout.seq = "", rollout.seq + 1
    order = replace(_again(promotion.deployments[-1]), action="set_traffic", step=following, traffic=traffic)
    if turns := members.turns(promotion):
        first = turns[0]
        order = replace(order, version_id=first.version_id, previous_id=first.previous_id, step=following * len(turns))
    deployment = act(session, promotion, queue, order, now)
    facts = {"traffic": traffic, "step": following + 1, "steps": len(rollout.steps)}
    record(session, promotion, "step_started", BATON, now, facts, deployment.id)


def finish(session: Session, promotion: PromotionRow, now: datetime) -> None:
    """The stage changes hands: the champion, the promotion and its rollout end in one transaction."""
    for each in members.turns(promotion):
        change_champion(session, promotion, each.version_id, now)
    change_champion(session, promotion, promotion.version_id, now)
    end(promotion)
    transition(session, promotion, State.VERIFYING, Event.VERIFICATION_PASSED, BATON, now)
    if promotion.kind == Kind.PROMOTION and promotion.requester.startswith("user:"):
        who = Actor.parse(promotion.requester, promotion.requester_name)
        for name in members.names(promotion):
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
    """Traffic goes back to the champion, which was verified, and still is the champion. Never to nothing.

    A bundle's members go back one after the other, the last that was deployed first.
    """
    end(promotion)
    if not way_back(session, promotion):
        sentence = (
            f"{texts.ended(why)} Nothing served {promotion.stage} before it, so there is nothing to put back; the deploy target still "
            f"holds {promotion.version.version}. A person must look."
        )
        if promotion.state == State.VERIFYING:
            transition(session, promotion, State.VERIFYING, Event.VERIFICATION_FAILED, BATON, now, why)
        transition(session, promotion, State(promotion.state), Event.BROKE, BATON, now, sentence)
        return
    transition(session, promotion, State(promotion.state), event, BATON, now, why)
    next_back(session, promotion, queue, now)


def way_back(session: Session, promotion: PromotionRow) -> list[Champion]:
    """The champions that are still to be asked for again, in order; empty where nothing served before."""
    if promotion.members is None:
        touched = [promotion.model_id]
    else:
        touched = [each.version.model_id for each in reversed(_acts(session, promotion, back=False)) if _moved(each)]
    asked = {each.version.model_id for each in _acts(session, promotion, back=True)}
    found = [store.champion(session, each, promotion.stage) for each in dict.fromkeys(touched) if each not in asked]
    return [each for each in found if each is not None]


def next_back(session: Session, promotion: PromotionRow, queue: DeploymentQueue, now: datetime) -> bool:
    """Have the next champion serve again; False when there is none left to ask for."""
    champion = next(iter(way_back(session, promotion)), None)
    if champion is None or promotion.state != State.ROLLING_BACK:
        return False
    acts = _acts(session, promotion)
    mine = (each for each in acts if each.version.model_id == champion.model_id)
    last, gone = max(acts, key=lambda each: each.step), next(mine, acts[0]).version_id
    order = Order(_back(promotion), champion.version_id, gone, last.target, last.timeout_seconds, last.step + 1)
    deployment = act(session, promotion, queue, order, now)
    facts = {"deployment": f"D-{deployment.id}", "version": champion.version.version}
    if promotion.members is not None:
        facts["member"] = champion.version.model.name
    record(session, promotion, "rollback_started", BATON, now, facts, deployment.id)
    return True


def back_again(session: Session, promotion: PromotionRow, now: datetime) -> None:
    """Every member of a bundle that could be put back was asked for: the promotion ends, and says what came of it."""
    acts, back = _acts(session, promotion, back=False), _acts(session, promotion, back=True)
    done = [_named(each) for each in back if each.state == D.SUCCEEDED]
    lost = [f"{_named(each)} could not be put back: {each.message}" for each in back if each.state != D.SUCCEEDED]
    known = {each.version.model_id for each in back}
    left = {each.version.model_id: each for each in acts if _moved(each) and each.version.model_id not in known}
    lost += [f"Nothing served before {_named(each)}, which the deploy target still holds." for each in left.values()]
    said = f"{' and '.join(done)} {'serves' if len(done) == 1 else 'serve'} again." if done else ""
    event = Event.BROKE if lost else Event.ROLLBACK_SUCCEEDED
    must = "A person must look." if lost else ""
    sentence = " ".join(filter(None, (texts.ended(promotion.end_reason), said, *lost, must)))
    transition(session, promotion, State.ROLLING_BACK, event, BATON, now, sentence)


def _acts(session: Session, promotion: PromotionRow, back: bool | None = None) -> list[DeploymentRow]:
    """What the target was asked for, oldest first; only the way `back`, only the way there, or both."""
    query = select(DeploymentRow).where(DeploymentRow.promotion_id == promotion.id).order_by(DeploymentRow.id)
    found = session.scalars(query)
    return [each for each in found if back is None or (each.action == _back(promotion)) is back]


def _back(promotion: PromotionRow) -> str:
    return "deploy" if promotion.kind == Kind.ROLLBACK else "rollback"


def _moved(row: DeploymentRow) -> bool:
    """Whether the target holds, or may hold, what it was asked for: it did not say no."""
    said_no = row.state == D.FAILED and (row.report == "failed" or row.sent_at is None)
    return row.state == D.SUCCEEDED or (row.attempts > 0 and not said_no)


def _named(row: DeploymentRow) -> str:
    return f"{row.version.model.name} {row.version.version}"


def change_champion(session: Session, promotion: PromotionRow, version_id: int, now: datetime) -> None:
    """The champion of the promotion's stage is this version from now on; it may be a member's."""
    version = session.get_one(Version, version_id)
    serving = store.champion(session, version.model_id, promotion.stage)
    since = now
    if serving is not None:
        since = max(now, serving.since)  # a clock that went back must not make history run backwards
        serving.until, serving.ended_by = since, promotion.id
        session.flush()
    session.add(
        Champion(
            model_id=version.model_id,
            stage=promotion.stage,
            version_id=version_id,
            promotion_id=promotion.id,
            since=since,
        )
    )
    session.flush()
    _part(session, promotion, version, now)


def _part(session: Session, promotion: PromotionRow, version: Version, now: datetime) -> None:
    """A member was replaced alone, or came back: the cards of the bundles that serve say what is so."""
    name = version.model.name
    for held in members.holding(session, name, promotion.stage):
        if held.promotion_id == promotion.id or (promotion.members and promotion.model_id == held.model_id):
            continue
        bundle = held.promotion
        mine = next(each for each in bundle.members or () if each["model"] == name)
        parted = "" if mine["version"] == version.version else f"{version.version} by P-{promotion.id}"
        if parted == mine.get("parted", ""):
            continue
        bundle.members = [each | {"parted": parted} if each is mine else each for each in bundle.members or ()]
        session.flush()
        said = (
            f"{bundle.stage} no longer holds {bundle.model.name} {bundle.version.version} whole: {name} is at {parted}."
        )
        if not parted:
            said = f"{name} is at {version.version} again, by P-{promotion.id}."
        record(session, bundle, "bundle_parted", BATON, now, {"reason": said})


def _again(last: DeploymentRow) -> Order:
    return Order(last.action, last.version_id, last.previous_version_id, last.target, last.timeout_seconds)


def _say(session: Session, rollout: RolloutRow, sentence: str, now: datetime) -> None:
    """Why nothing moves, on the card."""
    if rollout.said != sentence:
        rollout.said = sentence
        session.flush()
        messages.card_stale(session, rollout.promotion_id, now)


def _held(session: Session, rollout: RolloutRow, why: str, now: datetime) -> bool:
    """A stop, or a freeze that began half way, holds a rollout where it is."""
    if not why:
        return False
    _say(session, rollout, why, now)
    rollout.hold_until, rollout.due_at = now, now + timedelta(seconds=5)  # the step is done, whoever lets it go on
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
    if who.startswith("user:"):
        messages.tell_directly(session, promotion, who.removeprefix("user:"), f"limit:{percent}:{rollout.step}", now)
    return True
