"""Days and times as people type them: `friday`, `tomorrow 17:00`, `2026-12-01`, `3d`, `2 weeks`. Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from core.domain.errors import BadInput
from core.policy import durations

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NEAR = {"yesterday": -1, "today": 0, "tonight": 0, "tomorrow": 1}
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_HALF_DAY = re.compile(r"(1[0-2]|0?[1-9])(?::([0-5][0-9]))? ?([ap])m")
_LENGTH = re.compile(r"([0-9]+) ?(s|m|min|minutes?|h|hours?|d|days?|w|weeks?)")
_AT = re.compile(r"(\S+) (?:at )?(\S+(?: [ap]m)?)")
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
#: 31.12. and 12/24/2026: which of them is the month depends on who reads it.
_AMBIGUOUS = re.compile(r"[0-9]{1,4}[./][0-9]{1,2}(?:[./](?:[0-9]{2,4})?)?")
#: How far another machine's clock may be ahead of ours.
SKEW = timedelta(minutes=1)
_HINT = "write a day such as friday, tomorrow or 2026-12-01, a moment such as friday 17:00, or a time such as 3d"
_MOMENT_HINT = "write 2026-05-01 or 2026-05-01T12:00"


def until(text: str, now: datetime, zone: str) -> datetime:
    """The end of what somebody who lives in `zone` calls so; a day is meant with all its hours.

    A weekday is the next one; today's name means today. It may be past, which is for whoever asks to judge. Raises
    `BadInput` with what would be right.
    """
    said, local = _read(text), now.astimezone(_zone(zone))
    length = _LENGTH.fullmatch(said)
    try:
        if length is not None:
            return now + durations.parse(_length(length))
        day = _day(said, local)
        if day is not None:
            return datetime.combine(day + timedelta(days=1), time(), local.tzinfo).astimezone(UTC)
        found = _moment(said, local)
        if found is None:
            raise BadInput("until", _not_understood(text, "a day", _HINT))
        return found.astimezone(UTC)
    except ValueError as error:
        raise BadInput("until", f"“{text.strip()[:40]}” {str(error).partition(';')[0]}; {_HINT}.") from None
    except OverflowError:
        raise BadInput("until", f"“{text.strip()[:40]}” is a moment that no calendar holds; {_HINT}.") from None


def at(text: str, now: datetime, zone: str) -> datetime:
    """The moment, now or past, that somebody who lives in `zone` calls so.

    A day is its first moment, a time of day the last time that it was so late. Raises `BadInput`, also for what is still
    to come.
    """
    said, shown = _read(text), text.strip()[:40]
    local = now.astimezone(_zone(zone))
    if said == "now":
        return now
    try:
        day = local.date() + timedelta(_NEAR[said]) if said in _NEAR else None
        found = datetime.combine(day, time(), local.tzinfo) if day is not None else _moment(said, local)
        if found is None:
            raise BadInput("at", _not_understood(text, "a moment", _MOMENT_HINT))
        if _clock(said) is not None:
            found -= timedelta(days=1)
        moment = found.astimezone(UTC)
    except ValueError as error:
        raise BadInput("at", f"“{shown}” {error}; {_MOMENT_HINT}.") from None
    except OverflowError:
        raise BadInput("at", f"“{shown}” is a moment that no calendar holds.") from None
    if moment > now + SKEW:
        raise BadInput("at", f"“{shown}” is still to come; nobody knows the champion of then.")
    return moment


def _read(text: str) -> str:
    return " ".join(text.lower().split()).strip()


def _not_understood(text: str, what: str, hint: str) -> str:
    shown = text.strip()[:40]
    if _AMBIGUOUS.fullmatch(_read(text)):
        return f"“{shown}” may be read in several ways; write the year, the month and the day, such as 2026-12-01."
    return f"“{shown}” is not understood as {what}; {hint}."


def _length(found: re.Match[str]) -> str:
    """`2 weeks` as the policy would write it."""
    number, unit = found[1], found[2][0]
    return f"{int(number[:13]) * 7}d" if unit == "w" else f"{number}{unit}"


def _day(said: str, local: datetime) -> date | None:
    """The day of that name. Raises `ValueError` for a date that no calendar has."""
    said, today = said.rstrip("."), local.date()
    if said in _NEAR:
        return today + timedelta(days=_NEAR[said])
    found = next((n for n, name in enumerate(_DAYS) if len(said) >= 3 and name.startswith(said)), None)
    if found is not None:
        return today + timedelta(days=(found - today.weekday()) % 7)
    if not _ISO.fullmatch(said):
        return None
    try:
        return date.fromisoformat(said)
    except ValueError:
        raise ValueError("is a day that no calendar holds") from None


def _clock(said: str) -> time | None:
    """`17:00`, `5pm`, `5:30 pm`."""
    if found := _CLOCK.fullmatch(said):
        return time(int(found[1]), int(found[2]))
    if found := _HALF_DAY.fullmatch(said):
        return time(int(found[1]) % 12 + 12 * (found[3] == "p"), int(found[2] or 0))
    return None


def _moment(said: str, local: datetime) -> datetime | None:
    """A time of day (the next one), a day with one, or a moment as computers write it."""
    clock = _clock(said)
    if clock is not None:
        today = local.replace(hour=clock.hour, minute=clock.minute, second=0, microsecond=0)
        return today if today > local else today + timedelta(days=1)
    both = _AT.fullmatch(said)
    day = _day(both[1], local) if both else None
    clock = _clock(both[2]) if both else None
    if day is not None and clock is not None:
        return datetime.combine(day, clock, local.tzinfo)
    if _ISO.fullmatch(said[:10]):
        _day(said[:10], local)  # which says what is wrong with it
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
