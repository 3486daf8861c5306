"""A champion past its review period: what was measured of it of late, and one button. Pure."""

from __future__ import annotations

from bot.slack import ids
from bot.slack.blocks.card import Message, actor
from bot.slack.blocks.table import mark
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
from bot.slack.payloads import OfCertification
from core.certifying import Certification


def review(found: Certification) -> Message:
    """The question in whatever state it is; answered ones have no button."""
    what = f"{plain(found.model, 50)} {plain(found.version, 20)} in {plain(found.stage, 30)}"
    head = {
        "open": f"Re-certify {what}?",
        "certified": f"Re-certified: {what}",
        "gone": f"Replaced: {what}",
    }[found.state]
    blocks = [header(head), section(_standing(found))]
    if found.state != "gone":
        lines = [f"{mark(each)} {escape(each.sentence, 300)}" for each in found.verdicts[:20]]
        blocks.append(section("\n".join(lines)))
    if found.state == "open":
        what = f"{escape(found.model, 80)} {escape(found.version, 40)}"
        blocks.append(
            context(f"Fresh measurements: `baton measure {what} --metric NAME=NUMBER` · came by {found.promotion}")
        )
    if found.ready:
        blocks.append(_buttons(found))
    return Message(
        text=notice(f"{head} {'' if found.state != 'open' else f'It was approved {found.late} ago.'}"),
        blocks=blocks,
    )


def _standing(found: Certification) -> str:
    if found.state == "certified":
        by = actor(found.closed_by) if found.closed_by else "Somebody"
        when = f" {date(found.closed_at)}" if found.closed_at else ""
        return f"✅ {by} re-certified it{when}, by these measurements:"
    if found.state == "gone":
        return "▫️ It serves there no longer, so nobody need certify it."
    safe = (
        "✅ *Its fresh measurements pass.*"
        if found.ready
        else "❓ *Nobody can re-certify it until its fresh measurements pass.*"
    )
    return f"{safe}\nIt was approved last {date(found.since)}, {escape(found.late, 40)} ago."


def _buttons(found: Certification) -> dict[str, object]:
    says = f"{escape(found.model, 80)} {escape(found.version, 40)} serves {escape(found.stage, 40)} for another period."
    sure = {
        "title": plain_text("Re-certify it?", 100),
        "text": mrkdwn(clip(says, 300)),
        "confirm": plain_text("Re-certify", 30),
        "deny": plain_text("Not yet", 30),
    }
    value = OfCertification(certification=found.id).dump()
    certify = button("Re-certify", ids.CERTIFY, value, "primary", confirm=sure)
    return {"type": "actions", "block_id": ids.CERTIFY_ACTIONS, "elements": [certify]}
