"""The answer to `/promote at`: who served when, and by whose word. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bot.slack.blocks import card, forms
from bot.slack.blocks.text import context, date, escape, section
from core.domain.model import Decision, Kind
from core.store.champions import Reign

#: As many stages are told of; a policy has fewer.
SHOWN = 12


def served(model: str, stage: str, at: datetime, reigns: Sequence[Reign]) -> list[dict[str, Any]]:
    """Every stage's champion at a moment, or one stage's where `stage` is named."""
    where = f" in {escape(stage, 60)}" if stage else ""
    head = section(f"*{escape(model, 100)}{where}, {date(at, '{date_short} at {time_secs}')}*")
    if not reigns:
        return [head, context("Nobody served then.")]
    return [head, *forms.lines(["\n".join(_reign(each)) for each in reigns[:SHOWN]])]


def _reign(found: Reign) -> list[str]:
    reigned = f"from {date(found.since)} until {date(found.until)}" if found.until else f"since {date(found.since)}"
    lines = [
        f"*{escape(found.stage, 60)}: {escape(found.version, 80)}*, {reigned}",
        f"by {found.promotion}, {'a rollback, ' if found.kind is Kind.ROLLBACK else ''}"
        f"asked for by {card.actor(found.requested_by)}; {_word(found)}",
    ]
    if found.override:
        lines.append(f"🚨 Glass broken by {card.actor(found.override.actor)}: {escape(found.override.reason, 300)}")
    if found.ended_by:
        lines.append(f"replaced by {found.ended_by}")
    if found.digest:
        lines.append(f"artifact {escape(found.digest, 100)}")
    return lines


def _word(found: Reign) -> str:
    if not found.approvals:
        return "nobody had to approve" if found.override is None else "nobody had approved"
    return "approved by " + ", ".join(_approval(each) for each in found.approvals[:10])


def _approval(given: Decision) -> str:
    groups = f" ({escape(', '.join(given.groups), 100)})" if given.groups else ""
    return f"{card.decided_by(given)}{groups}"
