"""Days and times as people type them: `friday`, `tomorrow`, `2026-12-01`, `3d`, `17:00`. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from core.domain.errors import BadInput
from core.policy import durations

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAYS_BACK = {"today": 0, "yesterday": 1}
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
#: How far another machine's clock may be ahead of ours.
SKEW = timedelta(minutes=1)
_HINT = "write a day such as friday, tomorrow or 2026-12-01, a moment such as 2026-12-01T17:00, or a time such as 3d"


def until(text: str, now: datetime, zone: str) -> datetime:
    """The end of what somebody who lives in `zone` calls so; a day is meant with all its hours.

    A weekday is the next one; today's name means today. Raises `BadInput` with what would be right.
    """
    said = text.strip().strip(".").lower()
    local = now.astimezone(_zone(zone))
    if re.fullmatch(r"[0-9]+[smhd]", said):
        try:
            return now + durations.parse(said)
        except ValueError as error:
            raise BadInput("until", f"“{text[:40]}” {str(error).partition(';')[0]}; {_HINT}.") from None
    day = _day(said, local)
    if day is not None:
        return datetime.combine(day + timedelta(days=1), time(), local.tzinfo).astimezone(UTC)
    moment = _moment(said, local)
    if moment is None:
        raise BadInput("until", f"“{text.strip()[:40]}” is not understood as a day; {_HINT}.")
    return moment.astimezone(UTC)


def at(text: str, now: datetime, zone: str) -> datetime:
    """The moment, now or past, that somebody who lives in `zone` calls so.

    A day is its first moment, a time of day the last time that it was so late. Raises `BadInput`, also for what is still
    to come.
    """
    said, shown = text.strip().lower(), text.strip()[:40]
    local = now.astimezone(_zone(zone))
    if said == "now":
        return now
    if said in _DAYS_BACK:
        found: datetime | None = datetime.combine(local.date() - timedelta(_DAYS_BACK[said]), time(), local.tzinfo)
    else:
        found = _moment(said, local)
    if found is None:
        raise BadInput("at", f"“{shown}” is not understood as a moment; write 2026-05-01 or 2026-05-01T12:00.")
    if _CLOCK.fullmatch(said):
        found -= timedelta(days=1)
    try:
        moment = found.astimezone(UTC)
    except OverflowError:
        raise BadInput("at", f"“{shown}” is a moment that no calendar holds.") from None
    if moment > now + SKEW:
        raise BadInput("at", f"“{shown}” is still to come; nobody knows the champion of then.")
    return moment


def _day(said: str, local: datetime) -> datetime | None:
    """The day's date, as a naive midnight's date."""
    today = local.date()
    if said in ("today", "tonight"):
        return datetime.combine(today, time())
    if said == "tomorrow":
        return datetime.combine(today + timedelta(days=1), time())
    found = next((n for n, name in enumerate(_DAYS) if len(said) >= 3 and name.startswith(said)), None)
    if found is not None:
        return datetime.combine(today + timedelta(days=(found - today.weekday()) % 7), time())
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", said):
        try:
            return datetime.fromisoformat(said)
        except ValueError:
            return None
    return None


def _moment(said: str, local: datetime) -> datetime | None:
    clock = _CLOCK.fullmatch(said)
    if clock is not None:
        today = local.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
        return today if today > local else today + timedelta(days=1)
    try:
        found = datetime.fromisoformat(said.replace(" ", "t").upper() if "t" in said or " " in said else said)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=local.tzinfo)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")
