"""Who may still approve a promotion, as far as Slack says who is who."""

from __future__ import annotations

from datetime import datetime

from bot.slack.blocks.card import Awaited
from bot.slack.identity import SlackDirectory
from core.domain.model import State
from core.domain.views import PromotionView
from core.policy import approvals
from core.policy.schema import Policy, Stage
from core.store.database import Database
from core.store.delegations import Delegation, standing_in


def awaited_by(
    database: Database, directory: SlackDirectory, policy: Policy, view: PromotionView, now: datetime
) -> Awaited:
    """The members of each group that is asked, without those who may not approve this one, and who decides for whom."""
    seats = view.tally.seats if view.tally else ()
    members = {seat.group: directory.members(list(policy.groups.get(seat.group, ()))) for seat in seats}
    delegated: dict[str, Delegation] = {}
    if view.state is State.AWAITING_APPROVAL:
        with database.read() as session:
            delegated = standing_in(session, now)
    delegates = directory.members([each.delegate for each in delegated.values()])
    everybody = [*delegates, *(who for people in members.values() for who in people)]
    rule = Stage.from_rules(view.rules).approvals
    out = approvals.barred(rule, everybody, view.requester, view.version.lineage.trained_by)
    # Nobody decides in another's place on what they asked for themselves, nor who is no full member any more.
    standing = {who.id for who in delegates} - {view.requester.id, *out}
    return Awaited(
        {group: tuple(who.id for who in people if who.id not in out) for group, people in members.items()},
        {whose: (each.delegate, each.until) for whose, each in delegated.items() if each.delegate in standing},
    )
