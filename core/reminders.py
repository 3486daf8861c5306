"""Reminding those who are still awaited, and telling somebody else when nobody decides.

A sweep: what is due stands in the database, and a message's key makes sure that nobody is told twice. Nobody is written
to in their quiet hours; for them it stays due.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.model import Actor, Person, State
from core.domain.views import PromotionView
from core.policy import approvals, durations, reminding, windows
from core.policy.schema import Stage
from core.promotions import Promotions
from core.store import audit, delegations, messages
from core.store import promotions as store
from core.store.database import Database
from core.store.tables import PromotionRow
from core.store.transition import record
from core.sweeps import one_by_one

CLOCK = Actor.system("reminders")
AT_ONCE = 500


def remind(promotions: Promotions, now: datetime) -> list[int]:
    """Tell everybody who is due to be told; the ids of the promotions that were looked at."""
    with promotions.database.read() as session:
        due = session.scalars(
            select(PromotionRow.id)
            .where(PromotionRow.nudge_at <= now)
            .order_by(PromotionRow.nudge_at, PromotionRow.id)
            .limit(AT_ONCE)
        ).all()
    one_by_one(due, lambda each: _remind(promotions, each, now), "nobody could be reminded of P-%s")
    return list(due)


def _remind(promotions: Promotions, promotion_id: int, now: datetime) -> None:
    with promotions.database.read() as session:
        view = store.load(session, promotion_id)
        stand_ins = {whose: each.delegate for whose, each in delegations.standing_in(session, now).items()}
    told = _told(promotions, view, stand_ins, now)
    with promotions.database.change() as session:
        _write(promotions, session, promotion_id, told, now)


def awaited(promotions: Promotions, view: PromotionView) -> list[Person]:
    """Who could still fill a seat, as far as the directory knows: nobody who decided, asked, or trained it."""
    rule = Stage.from_rules(view.rules).approvals
    if rule is None or view.tally is None or view.tally.met:
        return []
    groups = dict.fromkeys(
        group
        for _, names in approvals.needed(view.tally.quorum, len(view.tally.approvals), view.tally.seats)
        for group in names
    )
    members = [who for group in groups for who in _members(promotions, group)]
    out = approvals.barred(rule, members, view.requester, view.version.lineage.trained_by)
    done = {who.id for each in view.decisions for who in (each.actor, each.principal) if who is not None}
    return list({who.id: who for who in members if who.id not in out | done}.values())


def overtaken(database: Database, promotion_id: int, user_id: str) -> bool:
    """Whether it was decided, or this person has decided, while their reminder waited to be sent."""
    with database.read() as session:
        view = store.load(session, promotion_id)
    decided = {who.id for each in view.decisions for who in (each.actor, each.principal) if who is not None}
    return view.state is not State.AWAITING_APPROVAL or user_id in decided


def _told(
    promotions: Promotions, view: PromotionView, stand_ins: dict[str, str], now: datetime
) -> list[tuple[str, Person]]:
    """(mark, person) of everything that is due, quiet hours or not."""
    rule = Stage.from_rules(view.rules).approvals
    if rule is None or view.state is not State.AWAITING_APPROVAL or view.expires_at is None:
        return []
    found: list[tuple[str, Person]] = []
    for mark in reminding.due(rule, view.expires_at - rule.expires, now)[0]:
        people = _members(promotions, mark.group) if mark.group else awaited(promotions, view)
        for who in people:
            found.append((mark.name, who))
            stand_in = promotions.directory.person(stand_ins[who.id]) if who.id in stand_ins else None
            if stand_in is not None:
                found.append((mark.name, stand_in))
    return found


def _write(
    promotions: Promotions, session: Session, promotion_id: int, told: Iterable[tuple[str, Person]], now: datetime
) -> None:
    promotion = store.row(session, promotion_id, lock=True)
    rule = Stage.from_rules(promotion.rules).approvals
    if promotion.state != State.AWAITING_APPROVAL or rule is None or promotion.expires_at is None:
        promotion.nudge_at = None
        return
    asked_at = promotion.expires_at - rule.expires
    marks, following = reminding.due(rule, asked_at, now)
    later = [following] if following else []
    quiet = promotions.policy.slack.quiet_hours
    for name, who in told:
        awake = windows.after_quiet(quiet, who.timezone, now)
        if awake > now:
            later.append(awake)
        else:
            messages.want_reminder(session, promotion.id, who.id, f"{name}-{asked_at:%Y%m%d%H%M%S}", now)
    for mark in marks:
        if mark.group and not audit.happened(session, promotion.id, "escalated", asked_at):
            reason = f"nobody decided within {durations.spoken(mark.after)}, so {mark.group} is told"
            record(session, promotion, "escalated", CLOCK, now, {"reason": reason, "group": mark.group})
    promotion.nudge_at = min(later, default=None)


def _members(promotions: Promotions, group: str) -> list[Person]:
    return promotions.directory.members(list(promotions.policy.groups.get(group, ())))
