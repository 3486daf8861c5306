"""App Home: what waits on the person, what they asked for, what is rolling out, and who serves. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.slack import ids
from bot.slack.blocks import card
from bot.slack.blocks.text import button, context, date, escape, header, section
from bot.slack.payloads import OfPromotion
from core.domain.views import PromotionView

#: Promotions listed in each part; the rest is counted. Keeps a view far below Slack's 100 blocks.
LISTED = 10


@dataclass(frozen=True)
class Dashboard:
    """What one person's Home shows; each list with how many there are in all."""

    awaiting: tuple[PromotionView, ...]
    awaiting_count: int
    asked: tuple[PromotionView, ...]
    rolling_out: tuple[PromotionView, ...]
    champions: tuple[tuple[str, str, str], ...]  #: (model, stage, version)


def home(dashboard: Dashboard) -> dict[str, Any]:
    """The Home tab's view."""
    actions = [
        button("Promote a model", ids.HOME_PROMOTE, "new", "primary"),
        button("Roll back", ids.HOME_ROLLBACK, "new", "danger"),
    ]
    blocks: list[dict[str, Any]] = [{"type": "actions", "elements": actions}]
    blocks += [header(f"Waiting on you ({dashboard.awaiting_count})")]
    for number, view in enumerate(dashboard.awaiting[:LISTED]):
        blocks += [section(_line(view)), _buttons(view, number)]
    if dashboard.awaiting_count > LISTED:
        blocks.append(context(f"… and {dashboard.awaiting_count - LISTED} more; decide these first."))
    if not dashboard.awaiting:
        blocks.append(context("Nothing. Enjoy it."))
    blocks += _part("Asked by you", dashboard.asked)
    blocks += _part("Rolling out now", dashboard.rolling_out)
    serving = [
        f"{escape(m, 60)} · {escape(stage, 40)}: *{escape(version, 40)}*"
        for m, stage, version in dashboard.champions[:30]
    ]
    blocks += [header("Champions"), section("\n".join(serving)) if serving else context("None yet.")]
    return {"type": "home", "blocks": blocks}


def _part(title: str, views: Sequence[PromotionView]) -> list[dict[str, Any]]:
    if not views:
        return []
    return [header(title), *(section(_line(view)) for view in views[:LISTED])]


def _line(view: PromotionView) -> str:
    expires = f" · expires {date(view.expires_at)}" if view.expires_at and view.active else ""
    return f"*{escape(card.headline(view), 160)}*\n{card.summary(view)}\n{view.ref} · asked by {card.actor(view.requester)}{expires}"


def _buttons(view: PromotionView, number: int) -> dict[str, Any]:
    value = OfPromotion(promotion=view.id).dump()
    elements = [
        button("Approve", ids.APPROVE, value, "primary"),
        button("Reject", ids.REJECT, value, "danger"),
        button("Details", ids.DETAILS, value),
    ]
    return {"type": "actions", "block_id": f"{ids.CARD_ACTIONS}.{number}", "elements": elements}
