"""App Home: what waits on the person, what they asked for, what is on its way or held up, and who serves. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bot.slack import ids
from bot.slack.blocks import card
from bot.slack.blocks.text import button, context, date, escape, header, section
from bot.slack.payloads import OfPage
from core.boards import PAGE, Dashboard
from core.domain.views import PromotionView
from core.store.boards import Part

#: Promotions listed in each other part; the rest is counted. Keeps a view far below Slack's 100 blocks.
LISTED = 6


def home(dashboard: Dashboard, guarded: Callable[[PromotionView], bool] = lambda _: False) -> dict[str, Any]:
    """The Home tab's view. `guarded`: whose Approve asks once more before it counts."""
    actions = [
        button("Promote a model", ids.HOME_PROMOTE, "new", "primary"),
        button("Roll back", ids.HOME_ROLLBACK, "new", "danger"),
        button("Stop my daily digest" if dashboard.digest else "Send me a daily digest", ids.HOME_DIGEST, "toggle"),
    ]
    blocks: list[dict[str, Any]] = [{"type": "actions", "elements": actions}]
    blocks += _waiting(dashboard, guarded)
    blocks += _part("Asked by you", dashboard.asked)
    blocks += _part("Rolling out now", dashboard.rolling_out)
    blocks += _frozen(dashboard)
    blocks += _part("Glass broken, and reviewed by nobody yet", dashboard.unreviewed)
    serving = [
        f"{escape(m, 60)} · {escape(stage, 40)}: *{escape(version, 40)}*"
        for m, stage, version in dashboard.champions[:30]
    ]
    blocks += [header("Champions"), section("\n".join(serving)) if serving else context("None yet.")]
    return {"type": "home", "blocks": blocks}


def unavailable(sentence: str) -> list[dict[str, Any]]:
    """What stands there while Slack does not say who is who."""
    return [section(f"⚠️ {escape(sentence, 500)}")]


def _waiting(dashboard: Dashboard, guarded: Callable[[PromotionView], bool]) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [header(f"Waiting on you ({dashboard.waiting.count:,})")]
    if not dashboard.waiting.shown:
        return [*blocks, context("Nothing. Enjoy it.")]
    for number, view in enumerate(dashboard.waiting.shown):
        blocks += [section(_line(view)), _buttons(view, number, guarded(view))]
    if dashboard.pages > 1:
        first = dashboard.page * PAGE + 1
        last = first + len(dashboard.waiting.shown) - 1
        turns = []
        if dashboard.page:
            turns.append(button("Earlier", ids.HOME_EARLIER, OfPage(page=dashboard.page - 1).dump()))
        if dashboard.page + 1 < dashboard.pages:
            turns.append(button("Later", ids.HOME_LATER, OfPage(page=dashboard.page + 1).dump()))
        blocks.append(context(f"{first:,} to {last:,} of {dashboard.waiting.count:,}, those that expire first"))
        blocks.append({"type": "actions", "elements": turns})
    return blocks


def _part(title: str, part: Part) -> list[dict[str, Any]]:
    if not part.count:
        return []
    more = [context(f"… and {part.count - LISTED:,} more")] if part.count > LISTED else []
    return [header(f"{title} ({part.count:,})"), *(section(_line(view)) for view in part.shown[:LISTED]), *more]


def _frozen(dashboard: Dashboard) -> list[dict[str, Any]]:
    if not dashboard.frozen and not dashboard.held_up.count:
        return []
    lines = []
    for stage, closed in dashboard.frozen[:10]:
        why = f" ({escape(closed.reason, 200)})" if closed.reason else ""
        until = f" until {date(closed.opens_at)}" if closed.opens_at else ""
        lines.append(f"🧊 *{escape(stage, 60)}*{until}: {escape(closed.window, 80)}{why}")
    blocks = [header("Frozen"), *([section("\n".join(lines))] if lines else [])]
    return blocks + _part("Approved, and waiting", dashboard.held_up)


def _line(view: PromotionView) -> str:
    expires = f" · expires {date(view.expires_at)}" if view.expires_at and view.active else ""
    return f"*{escape(card.headline(view), 160)}*\n{card.summary(view)}\n{view.ref} · asked by {card.actor(view.requester)}{expires}"


def _buttons(view: PromotionView, number: int, guarded: bool) -> dict[str, Any]:
    """The card's own, so that what is approved here is what is shown here."""
    return {**card.buttons(view, guarded), "block_id": f"{ids.CARD_ACTIONS}.{number}"}
