"""How far a rollout is, and the buttons that steer it. Pure."""

from __future__ import annotations

from typing import Any

from bot.slack import ids
from bot.slack.blocks.text import button, clip, date, escape, mrkdwn, plain_text
from bot.slack.payloads import OfPromotion
from core.domain.model import State
from core.domain.views import PromotionView, RolloutView

WIDTH = 10


def progress(view: PromotionView) -> str:
    """Step, traffic and what is watched, as mrkdwn; "" for a promotion that goes all at once or has ended."""
    found = _under_way(view)
    return _progress(found, view.deployments[-1].traffic if view.deployments else 100) if found else ""


def buttons(view: PromotionView, details: bool = True) -> list[dict[str, Any]]:
    """What steers a rollout, while it may be steered; and Details, unless that stands beside them anyway."""
    found = _under_way(view)
    return [_buttons(view, found, details)] if found and found.under_way and found.phase != "acting" else []


def in_steps(view: PromotionView) -> bool:
    """True while traffic moves in more than one step."""
    found = _under_way(view)
    return found is not None and len(found.steps) > 1


def standing(view: PromotionView) -> str:
    """How far it is in a few words, as plain text; "" for a promotion that goes all at once or has ended."""
    found = _under_way(view)
    if found is None:
        return ""
    step = f", step {found.step + 1} of {len(found.steps)}" if len(found.steps) > 1 else ""
    asks = " Somebody must say how to go on." if found.phase == "asking" else ""
    return f"It has {found.traffic} % of the traffic{step}.{asks}"


def _under_way(view: PromotionView) -> RolloutView | None:
    return view.rollout if view.state in (State.DEPLOYING, State.VERIFYING) else None


def bar(percent: int) -> str:
    """`▓▓▓░░░░░░░ 25 %`."""
    full = min(WIDTH, max(0, round(percent * WIDTH / 100)))
    if percent > 0:
        full = max(1, full)
    return f"{'▓' * full}{'░' * (WIDTH - full)} {percent} %"


def _progress(found: RolloutView, asked: int) -> str:
    step = f"Step {found.step + 1} of {len(found.steps)}" if len(found.steps) > 1 else "All traffic"
    line = f"*{step}*  {bar(found.traffic)}"
    if found.abort:
        return f"{line}\n↩️ Going back: {escape(found.abort, 400)}"
    following = found.steps[found.step + 1] if found.step + 1 < len(found.steps) else None
    until = f" {date(found.hold_until, '{date_short_pretty} at {time}')}" if found.hold_until else ""
    next_one = f"then {following} %" if following is not None else "then it is the champion"
    held = f" Held by {escape(found.paused_by, 80)}." if found.paused_by else ""
    doing = {
        "acting": f"The deploy target is asked for {asked} % of the traffic.",
        "holding": f"Stays here until{until}, {next_one}.{held}",
        "verifying": f"Watched at full traffic until{until}, then it is the champion.{held}",
        "asking": f"❓ *Somebody must say how to go on:* {escape(found.said, 600)}",
    }.get(found.phase, "")
    watched = f"\n👀 {escape(found.said, 400)}" if found.said and found.phase in ("holding", "verifying") else ""
    return f"{line}\n{doing}{watched}"


def _buttons(view: PromotionView, found: RolloutView, details: bool) -> dict[str, Any]:
    value = OfPromotion(promotion=view.id).dump()
    label = "Continue" if found.phase == "asking" else "Continue now"
    elements = [button(label, ids.ROLLOUT_CONTINUE, value, "primary", confirm=_sure(view, "Continue", "now"))]
    if found.phase == "asking" or found.paused_by:
        elements.append(button("Wait longer", ids.ROLLOUT_EXTEND, value))
    if not found.paused_by and found.phase != "asking":
        elements.append(button("Hold", ids.ROLLOUT_HOLD, value))
    back = _sure(view, "Roll back", "")
    elements.append(button("Roll back", ids.ROLLOUT_BACK, value, "danger", confirm=back))
    if details:
        elements.append(button("Details", ids.DETAILS, value))
    return {"type": "actions", "block_id": ids.ROLLOUT_ACTIONS, "elements": elements}


def _sure(view: PromotionView, what: str, when: str) -> dict[str, Any]:
    champion = (
        f"{escape(view.champion.version, 40)} gets all traffic again." if view.champion else "Nothing served before."
    )
    following = {"Continue": "The next step begins, whatever is left of this one.", "Roll back": champion}[what]
    return {
        "title": plain_text(f"{what} {when}".strip() + "?", 100),
        "text": mrkdwn(
            clip(
                f"{escape(view.model, 80)} {escape(view.version.version, 40)} in {escape(view.stage, 40)}. {following}",
                300,
            )
        ),
        "confirm": plain_text(what, 30),
        "deny": plain_text("Not yet", 30),
        "style": "danger" if what == "Roll back" else "primary",
    }
