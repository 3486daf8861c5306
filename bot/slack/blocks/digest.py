"""The daily digest, of a channel or of one person, grouped by what its reader must do. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from bot.slack.blocks import card
from bot.slack.blocks.card import Awaited, Message
from bot.slack.blocks.text import clip, context, date, escape, header, link, said, section
from core.boards import Digest
from core.domain.views import PromotionView
from core.store.boards import Aged, Ageing, Part

#: Under this, a message stays well inside the 13,200 characters that Slack takes.
BUDGET = 10_000


def digest(facts: Digest, awaited: dict[int, Awaited], links: Mapping[int, str] | None = None) -> Message:
    """What to decide (oldest first, with who is awaited), to review, to watch and to know; each number is exact.

    `links` lead from each promotion to its card.
    """
    if facts.nothing:
        return Message(
            text="☀️ Nothing waits for anybody.", blocks=[section("☀️ Nothing waits for anybody."), *_chain(facts)]
        )
    text = _first_line(facts)
    groups = [
        (title, [each for each in lines if each.part.count]) for title, lines in _groups(facts, awaited, links or {})
    ]
    room = min(2800, BUDGET // sum(len(lines) for _, lines in groups))
    blocks: list[dict[str, Any]] = [header(f"☀️ {text}")]
    for title, lines in groups:
        if lines:
            blocks += [{"type": "divider"}, context(f"*{title}*")]
            blocks += [block for each in lines for block in _part(each, room)]
    return Message(text=text, blocks=[*blocks, *_chain(facts)])


def _first_line(facts: Digest) -> str:
    count = facts.awaiting.count
    if facts.person:
        many = f"{_count(count, 'promotion')} {'waits' if count == 1 else 'wait'}" if count else "Nothing waits"
        return f"{many} for your decision."
    return f"{_count(count, 'promotion') if count else 'Nothing is'} waiting for a decision."


@dataclass(frozen=True)
class _Lines:
    title: str
    part: Part | Ageing
    line: Callable[[Any], str]


def _groups(facts: Digest, awaited: dict[int, Awaited], links: Mapping[int, str]) -> list[tuple[str, list[_Lines]]]:
    """By what the reader must do."""

    def waiting(view: PromotionView) -> str:
        return _waiting(view, awaited.get(view.id), facts.now)

    def named(line: Callable[[PromotionView], str]) -> Callable[[PromotionView], str]:
        """The line, with what the promotion is called before it."""
        return lambda view: f"{_name(view, links.get(view.id, ''))}{line(view)}"

    order = "What expires first" if facts.person else "Oldest first"
    return [
        (
            "DECIDE",
            [
                _Lines(order, facts.awaiting, named(waiting)),
                _Lines("Expiring within a day", facts.expiring, named(_expiring)),
            ],
        ),
        (
            "REVIEW",
            [
                _Lines("Glass broken, and reviewed by nobody yet", facts.unreviewed, named(_broken)),
                _Lines("Champions past their review date", facts.aged, partial(_aged, facts.now)),
            ],
        ),
        (
            "WATCH",
            [
                _Lines("Rolling out", facts.rolling_out, named(_rolling)),
                _Lines("Approved, and waiting", facts.held_up, named(_held)),
                _Lines("Asked by you", facts.asked, named(_standing)),
            ],
        ),
        ("KNOW", [_Lines("Rolled back since yesterday", facts.rolled_back, named(_undone))]),
    ]


def _part(lines: _Lines, room: int) -> list[dict[str, Any]]:
    shown, size = _fitting([lines.line(view) for view in lines.part.shown], room)
    left = lines.part.count - size
    more = [context(f"… and {left:,} more; App Home lists what waits on you.")] if left else []
    return [section(f"*{lines.title} ({lines.part.count:,})*\n{shown}"), *more]


def _fitting(lines: Sequence[str], room: int) -> tuple[str, int]:
    kept: list[str] = []
    size = 0
    for each in lines:
        size += len(each) + 3
        if size > room and kept:
            break
        kept.append(f"• {each}")
    return "\n".join(kept), len(kept)


def _chain(facts: Digest) -> list[dict[str, Any]]:
    """What `verify_evidence.py` is given as EVENT:HASH."""
    if facts.head is None:
        return []
    event, head = facts.head
    return [context(f"Audit log: event {event}, head {head[:24]}")]


def _name(view: PromotionView, to_card: str) -> str:
    return f"*{escape(card.headline(view), 140)}* ({link(to_card, view.ref)})"


def _waiting(view: PromotionView, awaited: Awaited | None, now: datetime) -> str:
    needed = card.still_needed(view, awaited or Awaited({}))
    return f", asked {_age(now - view.created_at)} ago by {card.actor(view.requester)}. {clip(needed, 300)}"


def _expiring(view: PromotionView) -> str:
    return f": {date(view.expires_at)}" if view.expires_at else ""


def _rolling(view: PromotionView) -> str:
    asks = " · ❓ somebody must say how to go on" if view.rollout and view.rollout.phase == "asking" else ""
    at = f" at {view.rollout.traffic} %" if view.rollout else ""
    return f"{at}{asks}"


def _held(view: PromotionView) -> str:
    until = f" until {date(view.waiting_until)}" if view.waiting_until else ""
    return f"{until}: {said(view.waiting_for, 200)}"


def _broken(view: PromotionView) -> str:
    if view.override is None:
        return ""
    return f" by {card.actor(view.override.actor)}: {escape(view.override.reason, 200)} · `/promote review {view.ref}`"


def _aged(now: datetime, champion: Aged) -> str:
    since = f"and was approved last {_age(now - champion.since)} ago"
    return f"*{escape(champion.model, 100)} {escape(champion.version, 60)}* serves {escape(champion.stage, 60)} {since}"


def _undone(view: PromotionView) -> str:
    return f": {escape(view.reason, 200)}" if view.reason else ""


def _standing(view: PromotionView) -> str:
    return f": {escape(card.first_sentence(view), 200)}"


def _age(delta: timedelta) -> str:
    hours = int(delta.total_seconds() // 3600)
    if hours < 1:
        return f"{max(1, int(delta.total_seconds() // 60))} min"
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
