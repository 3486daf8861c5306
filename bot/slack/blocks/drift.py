"""What was moved in a registry past Baton, with two ways to settle it; and what a registry's owner is told. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bot.slack import ids
from bot.slack.blocks.card import Message, actor
from bot.slack.blocks.text import (
    button,
    clip,
    context,
    date,
    escape,
    header,
    mrkdwn,
    notice,
    plain,
    plain_text,
    section,
)
from bot.slack.payloads import OfDrift
from core.drifting import Drift


def drift(found: Drift) -> Message:
    """What moved, in whatever state it is; settled ones have no buttons."""
    where = f"{plain(found.model, 60)} in {plain(found.registry, 30)}"
    head = {
        "open": f"Moved past Baton: {where}",
        "reverting": f"Being put back: {where}",
        "adopted": f"Adopted: {where}",
        "reverted": f"Put back: {where}",
        "gone": f"As it should be again: {where}",
    }[found.state]
    blocks = [header(head), section(_standing(found))]
    if found.state == "open":
        blocks += [context(_told(found)), _buttons(found)]
    return Message(text=notice(f"{head}. {_plain_words(found)}"), blocks=blocks)


def _standing(found: Drift) -> str:
    place, stage, there = escape(found.place, 120), escape(found.stage, 40), escape(found.found, 120)
    by = actor(found.closed_by) if found.closed_by else "Somebody"
    expected = escape(found.expected, 60)
    if found.state == "adopted":
        return (
            f"👑 {by} adopted it: *{there}* is champion of {stage} now (P-{found.promotion_id}). Nothing was deployed."
        )
    if found.state == "reverting":
        return f"⏳ {by} has it put back: {place} is to hold *{expected}* again."
    if found.state == "reverted":
        return f"✅ {by} had it put back: {place} holds *{expected}*, the champion of {stage}."
    if found.state == "gone":
        return f"✅ {place[:1].upper()}{place[1:]} holds *{expected}* again, the champion of {stage}."
    if found.said and not found.found:
        return f"🔀 {escape(found.said, 600)} *{expected}* is Baton's champion of {stage}."
    holds = f"holds *{there}*" if found.found else "holds *nothing*"
    said = f"\n{escape(found.said, 600)}" if found.said else ""
    return f"🔀 {place[:1].upper()}{place[1:]} {holds}, and *{expected}* is Baton's champion of {stage}.{said}"


def _told(found: Drift) -> str:
    adopt = f"*Adopt* makes {escape(found.found, 60)} the champion, deploying nothing; " if found.adoptable else ""
    nobody = "" if found.said else "The registry keeps no record of who moved it. "
    return f"Noticed {date(found.opened_at)}. {nobody}{adopt}*Revert* writes {escape(found.expected, 60)} back."


def _plain_words(found: Drift) -> str:
    return f"{plain(found.place, 120)}: {plain(found.found, 60) if found.found else 'nothing'} instead of {plain(found.expected, 60)}."


def _buttons(found: Drift) -> dict[str, object]:
    value = OfDrift(drift=found.id, found=found.found).dump()
    stage, model = escape(found.stage, 40), escape(found.model, 80)
    elements = []
    if found.adoptable:
        says = f"{escape(found.found, 40)} becomes the champion of {stage} of {model} in Baton, without gates and approvals."
        label = f"Adopt {plain(found.found, 40)}"
        elements.append(button(label, ids.DRIFT_ADOPT, value, confirm=_sure("Adopt it?", says, "Adopt")))
    says = f"{escape(found.place, 80)} of {model} goes back to {escape(found.expected, 40)}."
    label = f"Revert to {plain(found.expected, 40)}"
    elements.append(button(label, ids.DRIFT_REVERT, value, "danger", confirm=_sure("Put it back?", says, "Revert")))
    return {"type": "actions", "block_id": ids.DRIFT_ACTIONS, "elements": elements}


def _sure(title: str, text: str, confirm: str) -> dict[str, Any]:
    return {
        "title": plain_text(title, 100),
        "text": mrkdwn(clip(text, 300)),
        "confirm": plain_text(confirm, 30),
        "deny": plain_text("Not yet", 30),
    }


def notice_to_owner(body: dict[str, Any]) -> Message:
    """What the owner is told directly: a registry that does not answer, or versions that were not taken over."""
    name = escape(body["registry"], 80)
    if body["about"] == "outage":
        since = datetime.fromisoformat(body["since"])
        if settled := body.get("settled"):
            text = f"✅ *The registry {name} answers again* since {date(datetime.fromisoformat(settled))}."
            return Message(notice(f"The registry {plain(body['registry'], 80)} answers again."), [section(text)])
        text = (
            f"🚧 *The registry {name} has not answered since {date(since)}:* {escape(body['sentence'], 600)}\n"
            "Until it does, new versions do not arrive from there and decisions are not written back; nothing is lost, "
            "and nothing is promoted for it."
        )
        return Message(notice(body["sentence"]), [section(text)])
    lines = "\n".join(f"• {escape(each, 400)}" for each in body["sentences"])
    more = f"\n… and {body['more']} more" if body["more"] else ""
    text = f"🚫 *Not taken over from the registry {name}:*\n{lines}{more}"
    return Message(notice(f"Not taken over: {body['sentences'][0]}"), [section(text)])
