"""What alerts propose: what fires, what a rollback would do, and one red button. Pure."""

from __future__ import annotations

from bot.slack import ids
from bot.slack.blocks.card import Message, actor
from bot.slack.blocks.text import (
    button,
    clip,
    context,
    date,
    escape,
    header,
    link,
    mrkdwn,
    notice,
    plain,
    plain_text,
    section,
)
from bot.slack.payloads import OfProposal
from core.alerts import Proposal


def alert(found: Proposal) -> Message:
    """The proposal in whatever state it is; decided ones have no buttons."""
    what = f"{plain(found.model, 50)} {plain(found.version, 20)}" if found.version else plain(found.model, 60)
    head = {
        "open": f"Alert: {what} in {plain(found.stage, 30)}",
        "accepted": f"Rolled back for an alert: {what} in {plain(found.stage, 30)}",
        "dismissed": f"Left as it is: {what} in {plain(found.stage, 30)}",
        "withdrawn": f"{'Overtaken' if found.said else 'Resolved'}: {what} in {plain(found.stage, 30)}",
    }[found.state]
    blocks = [header(head), section(_standing(found))]
    lines = [
        f"{'🔥' if each.firing else '✅'} *{escape(each.name, 120)}*: {escape(each.summary, 300)} · since {date(each.starts_at)}"
        + (f" · {link(each.url, 'source')}" if each.url else "")
        for each in found.alerts[:8]
    ]
    if lines:
        blocks.append(section("\n".join(lines)))
    if found.more or len(found.alerts) > 8:
        blocks.append(context(f"… and {found.more + max(0, len(found.alerts) - 8)} more"))
    if found.state == "open" and found.target and found.mode != "notify":
        blocks.append(_buttons(found))
    return Message(text=notice(f"{head}. {found.alerts[0].summary if found.alerts else ''}"), blocks=blocks)


def _standing(found: Proposal) -> str:
    if found.state == "accepted":
        by = actor(found.closed_by) if found.closed_by else "Baton"
        return f"↩️ {by} rolled it back: P-{found.promotion_id}. Its card tells how far it is."
    if found.state == "dismissed":
        return f"▫️ {actor(found.closed_by) if found.closed_by else 'Somebody'} decided to leave it as it is."
    if found.state == "withdrawn":
        return f"▫️ {escape(found.said, 400)}" if found.said else "✅ Nothing fires any more; nothing was changed."
    if not found.target:
        return f"🚨 {escape(found.said or 'Nothing can be rolled back to.', 600)}"
    stops = f" {escape(found.aborts, 20)} is stopped half way." if found.aborts else ""
    to = f"A rollback brings *{escape(found.target, 60)}* back.{stops}"
    if found.mode == "notify":
        return (
            f"🚨 {to} Type `/rollback {escape(found.model, 80)} {escape(found.stage, 40)} because …` if it is needed."
        )
    said = f"\n{escape(found.said, 400)}" if found.said else ""
    return f"🚨 {to}{said}"


def _buttons(found: Proposal) -> dict[str, object]:
    value = OfProposal(proposal=found.id).dump()
    sure = {
        "title": plain_text("Roll back?", 100),
        "text": mrkdwn(
            clip(
                f"{escape(found.stage, 40)} of {escape(found.model, 80)} goes back to {escape(found.target, 40)}.", 300
            )
        ),
        "confirm": plain_text("Roll back", 30),
        "deny": plain_text("Not yet", 30),
        "style": "danger",
    }
    back = button(f"Roll back to {plain(found.target, 40)}", ids.ALERT_ROLL_BACK, value, "danger", confirm=sure)
    leave = button("Leave it", ids.ALERT_LEAVE, value)
    return {"type": "actions", "block_id": ids.ALERT_ACTIONS, "elements": [back, leave]}
