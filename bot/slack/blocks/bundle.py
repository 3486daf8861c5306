"""The members of a bundle on its card: one row each, in a table that Slack takes with all of them. Pure."""

from __future__ import annotations

from typing import Any

from bot.slack.blocks.table import NO_BREAK, by_importance, cells, judged, mark
from bot.slack.blocks.text import escape, plain
from core.domain.model import DeploymentState, Outcome, State, Verdict
from core.domain.views import DeploymentView, MemberView, PromotionView

#: States in which whoever looks wants to know how far each member is.
ON_ITS_WAY = (State.DEPLOYING, State.VERIFYING, State.ROLLING_BACK)


def members(view: PromotionView) -> list[dict[str, Any]]:
    """A table of the members: what stops it first, or, once it is deployed, in the order of deployment."""
    if not view.members:
        return []
    deployed = any(each.target for each in view.deployments)
    head = ["Member", "Now", "Candidate", "Gates", *(["Deployment"] if deployed else [])]
    listed = list(view.members)
    if view.state not in ON_ITS_WAY:
        listed.sort(key=lambda each: _worst(view, each))
    rows = [cells(*head), *(cells(*_row(view, each, deployed)) for each in listed)]
    settings = [{"is_wrapped": True}] * len(head)
    return [{"type": "table", "rows": rows, "column_settings": settings}]


def lines(view: PromotionView) -> list[str]:
    """The members as text, one line each, in the order of deployment; mrkdwn, for where there are no tables."""
    deployed = any(each.target for each in view.deployments)
    found = []
    for each in view.members:
        name, now, candidate, *rest = (escape(part, 200) for part in _row(view, each, deployed))
        found.append(f"*{name}*: {now} → {candidate} · {' · '.join(rest)}")
    return found


def parted(view: PromotionView) -> str:
    """That a stage no longer holds a bundle whole, as mrkdwn; "" while it does."""
    gone = [f"{escape(each.model, 60)} is at {escape(each.parted, 60)}" for each in view.members if each.parted]
    if view.state is not State.SUCCEEDED or not gone:
        return ""
    what = f"{escape(view.model, 60)} {escape(view.version.version, 30)}"
    more = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
    return f"\n⚠️ {escape(view.stage, 40)} no longer holds {what} whole: {', '.join(gone[:3])}{more}."


def _of(view: PromotionView, member: MemberView) -> list[Verdict]:
    return by_importance([each for each in judged(view.verdicts) if each.model == member.model])


def _worst(view: PromotionView, member: MemberView) -> tuple[bool, bool]:
    found = _of(view, member)
    return not any(each.decides for each in found), all(each.outcome is Outcome.PASSED for each in found)


def _row(view: PromotionView, member: MemberView, deployed: bool) -> list[str]:
    found = _of(view, member)
    gates = "no gates"
    if found:
        prefix = f"{member.model} {member.version}: "
        worst = found[0]
        passed = all(each.outcome is Outcome.PASSED for each in found)
        count = sum(not each.advisory for each in found) or len(found)  # as in the head, which counts what decides
        said = f"all {count} passed" if passed else plain(worst.sentence.removeprefix(prefix), 120)
        gates = f"{mark(worst)}{NO_BREAK}{said}"
    row = [
        plain(member.model, 60),
        plain(member.champion, 30) if member.champion else "nobody",
        "unchanged" if member.unchanged else plain(member.version, 30),
        gates,
    ]
    return [*row, _deployment(view, member)] if deployed else row


def _deployment(view: PromotionView, member: MemberView) -> str:
    """Where its latest deployment is, on the way there or back."""
    mine = [each for each in view.deployments if each.model == member.model and each.target]
    if not mine:
        return "unchanged" if member.unchanged else "not yet" if view.active else "–"
    last = mine[-1]
    back = last.version != member.version
    return f"{last.ref} {'put back: ' if back else ''}{_state(last)}"


def _state(found: DeploymentView) -> str:
    words = found.state.value.replace("_", " ")
    traffic = f" at {found.traffic} %" if found.traffic < 100 and found.state is DeploymentState.SUCCEEDED else ""
    return f"{words}{traffic}"
