"""When those who are awaited are reminded, and when somebody else is told that nobody decides. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from core.policy import durations
from core.policy.stages import Approvals


@dataclass(frozen=True)
class Mark:
    """One point in the time of waiting. `group` is whom to tell beside or instead of those awaited; "" for a reminder."""

    after: timedelta
    group: str = ""

    @property
    def name(self) -> str:
        """`remind-24h`, `escalate-48h`: part of the key of every message that it brings."""
        return f"{'escalate' if self.group else 'remind'}-{durations.text(self.after)}"


def marks(rule: Approvals) -> list[Mark]:
    """All of them, in order of time."""
    found = [Mark(after) for after in rule.remind]
    if rule.escalate is not None:
        found.append(Mark(rule.escalate.after, rule.escalate.to))
    return sorted(found, key=lambda mark: (mark.after, mark.group))


def first(rule: Approvals | None, asked_at: datetime) -> datetime | None:
    """When the first of them is due; None where there is none."""
    found = marks(rule) if rule else []
    return asked_at + found[0].after if found else None


def due(rule: Approvals, asked_at: datetime, now: datetime) -> tuple[list[Mark], datetime | None]:
    """What is due now and when the next one will be. Of several reminders that are due at once, only the last."""
    found = marks(rule)
    past = [mark for mark in found if asked_at + mark.after <= now]
    reminders = [mark for mark in past if not mark.group]
    told = reminders[-1:] + [mark for mark in past if mark.group]
    coming = [asked_at + mark.after for mark in found if asked_at + mark.after > now]
    return told, min(coming, default=None)
