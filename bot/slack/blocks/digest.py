"""The daily digest of one channel. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bot.slack.blocks import card
from bot.slack.blocks.card import Awaited, Message
from bot.slack.blocks.text import clip, context, date, escape, header, section
from core.domain.views import PromotionView
from core.sweeps import Digest

#: Under this, a message stays well inside the 13,200 characters that Slack takes.
BUDGET = 9000


def digest(facts: Digest, awaited: dict[int, Awaited]) -> Message:
    """What waits, oldest first, and who is awaited; what expires soon, rolls out, was rolled back since yesterday."""
    if facts.nothing:
        return Message(text="☀️ Nothing waits for anybody.", blocks=[section("☀️ Nothing waits for anybody.")])
    text = f"{_count(facts.awaiting_count, 'promotion')} waiting for a decision."
    blocks: list[dict[str, Any]] = [header(f"☀️ {text}")]
    now = facts.now or datetime.now().astimezone()
    lines = [_waiting(view, awaited.get(view.id), now) for view in facts.awaiting]
    blocks += _part("Waiting, oldest first", lines, facts.awaiting_count)
    expiring = [f"{_name(view)}: {date(view.expires_at)}" for view in facts.expiring if view.expires_at]
    blocks += _part("Expiring within a day", expiring, len(expiring))
    blocks += _part("Rolling out", [_name(view) for view in facts.rolling_out], len(facts.rolling_out))
    undone = [f"{_name(view)}{f': {escape(view.reason, 200)}' if view.reason else ''}" for view in facts.rolled_back]
    blocks += _part("Rolled back since yesterday", undone, len(undone))
    return Message(text=text, blocks=blocks)


def _part(title: str, lines: Sequence[str], count: int) -> list[dict[str, Any]]:
    if not lines:
        return []
    shown, size = [], 0
    for line in lines:
        size += len(line) + 3
        if size > min(2800, BUDGET // 4):
            break
        shown.append(f"• {line}")
    more = [context(f"… and {count - len(shown)} more; your App Home lists them.")] if count > len(shown) else []
    return [section(f"*{title}*\n" + "\n".join(shown)), *more]


def _name(view: PromotionView) -> str:
    return f"*{escape(card.headline(view), 140)}* ({view.ref})"


def _waiting(view: PromotionView, awaited: Awaited | None, now: datetime) -> str:
    needed = card.still_needed(view, awaited or Awaited({}))
    return (
        f"{_name(view)}, asked {_age(now - view.created_at)} ago by {card.actor(view.requester)}. {clip(needed, 300)}"
    )


def _age(delta: Any) -> str:
    hours = int(delta.total_seconds() // 3600)
    if hours < 1:
        return f"{max(1, int(delta.total_seconds() // 60))} min"
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
