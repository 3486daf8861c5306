"""App Home: what waits on the person, what they asked for, what is on its way or held up, and who serves. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bot.slack import ids
from bot.slack.blocks import card, rollout
from bot.slack.blocks.text import button, context, date, escape, header, section
from bot.slack.payloads import OfPage, OfPromotion
from core.boards import BRIEF, PAGE, Dashboard
from core.domain.model import State
from core.domain.views import PromotionView
from core.store.boards import Part

#: Champions in one section, so that none is longer than Slack takes.
TOGETHER = 15
#: Stages that are named as frozen, and stops.
STAGES = 6


def home(dashboard: Dashboard, guarded: Callable[[PromotionView], bool] = lambda _: False) -> dict[str, Any]:
    """The Home tab's view. `guarded`: whose Approve asks once more before it counts."""
    actions = [  # without colours: those are kept for what decides
        button("Promote a model", ids.HOME_PROMOTE, "new"),
        button("Roll back", ids.HOME_ROLLBACK, "new"),
        button("Stop my daily digest" if dashboard.digest else "Send me a daily digest", ids.HOME_DIGEST, "toggle"),
    ]
    blocks: list[dict[str, Any]] = [{"type": "actions", "elements": actions}]
    blocks += _waiting(dashboard, guarded)
    blocks += _part("Asked by you", dashboard.asked)
    blocks += _part("Rolling out now", dashboard.rolling_out, steered=True)
    blocks += _frozen(dashboard)
    blocks += _part("Glass broken, and reviewed by nobody yet", dashboard.unreviewed)
    blocks += _champions(dashboard)
    return {"type": "home", "private_metadata": OfPage(page=dashboard.page).dump(), "blocks": blocks}


def unavailable(sentence: str) -> list[dict[str, Any]]:
    """What stands there while Slack does not say who is who."""
    return [section(f"⚠️ {escape(sentence, 500)}")]


def _waiting(dashboard: Dashboard, guarded: Callable[[PromotionView], bool]) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [header(f"Waiting on you ({dashboard.waiting.count:,})")]
    if not dashboard.waiting.shown:
        return [*blocks, context("Nothing. Enjoy it.")]
    for view in dashboard.waiting.shown:
        # The card's own, so that what is approved here is what is shown here.
        buttons = {**card.buttons(view, guarded(view)), "block_id": f"{ids.CARD_ACTIONS}.{view.id}"}
        blocks += [section(_line(view)), buttons]
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


def _part(title: str, part: Part, steered: bool = False) -> list[dict[str, Any]]:
    if not part.count:
        return []
    blocks = [header(f"{title} ({part.count:,})")]
    for view in part.shown[:BRIEF]:
        details = button("Details", ids.DETAILS, OfPromotion(promotion=view.id).dump())
        blocks.append(section(_line(view), accessory=details))
        steering = rollout.buttons(view, details=False) if steered else []
        blocks += [{**each, "block_id": f"{ids.ROLLOUT_ACTIONS}.{view.id}"} for each in steering]
    return [*blocks, context(f"… and {part.count - BRIEF:,} more")] if part.count > BRIEF else blocks


def _frozen(dashboard: Dashboard) -> list[dict[str, Any]]:
    stopped = [
        f"🛑 *{escape(each.model, 60) if each.model else 'Everything'}* was stopped by {escape(each.by, 60)}: "
        f"{escape(each.reason, 200)}"
        for each in dashboard.stops[:STAGES]
    ]
    closed = []
    for stage, window in dashboard.frozen[:STAGES]:
        why = f" ({escape(window.reason, 200)})" if window.reason else ""
        until = f" until {date(window.opens_at)}" if window.opens_at else ""
        closed.append(f"🧊 *{escape(stage, 60)}*{until}: {escape(window.window, 60)}{why}")
    lines = [section("\n".join(each)) for each in (stopped, closed) if each]
    return [*([header("Frozen"), *lines] if lines else []), *_part("Approved, and waiting", dashboard.held_up)]


def _champions(dashboard: Dashboard) -> list[dict[str, Any]]:
    lines = [
        f"{escape(model, 60)} · {escape(stage, 40)}: *{escape(version, 40)}*"
        for model, stage, version in dashboard.champions
    ]
    if not lines:
        return [header("Champions"), context("None yet.")]
    blocks = [header(f"Champions ({max(dashboard.serving, len(lines)):,})")]
    blocks += [section("\n".join(lines[at : at + TOGETHER])) for at in range(0, len(lines), TOGETHER)]
    more = dashboard.serving - len(lines)
    return [*blocks, context(f"… and {more:,} more; `/promote status MODEL` names them.")] if more > 0 else blocks


def _line(view: PromotionView) -> str:
    lasts = view.expires_at if view.state in (State.AWAITING_APPROVAL, State.APPROVED) else None
    expires = f" · expires {date(lasts)}" if lasts else ""
    return f"*{escape(card.headline(view), 160)}*\n{card.summary(view)}\n{view.ref} · asked by {card.actor(view.requester)}{expires}"
