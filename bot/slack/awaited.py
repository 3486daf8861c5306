"""Who may still approve a promotion, as far as Slack says who is who."""

from __future__ import annotations

from bot.slack.blocks.card import Awaited
from bot.slack.identity import SlackDirectory
from core.domain.views import PromotionView
from core.policy import approvals
from core.policy.schema import Policy, Stage


def awaited_by(directory: SlackDirectory, policy: Policy, view: PromotionView) -> Awaited:
    """The members of each group that is asked, without those who may not approve this one."""
    seats = view.tally.seats if view.tally else ()
    members = {seat.group: directory.members(list(policy.groups.get(seat.group, ()))) for seat in seats}
    everybody = [who for people in members.values() for who in people]
    rule = Stage.from_rules(view.rules).approvals
    out = approvals.barred(rule, everybody, view.requester, view.version.lineage.trained_by)
    return Awaited({group: tuple(who.id for who in people if who.id not in out) for group, people in members.items()})
