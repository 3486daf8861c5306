"""The scalar fields of the policy file: each refuses what it cannot be with what is wrong and what would be right."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from core.policy import durations

NAME_LIMIT = 80
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?", re.ASCII)


class Part(BaseModel):
    """A mapping of the policy file: frozen, unknown keys refused, no value of it repeated in pydantic's errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


def wrong(problem: str, remedy: str, *at: str | int) -> PydanticCustomError:
    """What a validator raises. `at` leads from the checked value to the key that is meant."""
    return PydanticCustomError("policy", "is wrong", {"problem": problem, "remedy": remedy, "at": at})


def shown(value: Any) -> str:
    """A value as a finding repeats it: quoted if it is text, on one line, at most 40 characters of it."""
    if isinstance(value, str):
        text = json.dumps("".join(c if c.isprintable() else "\ufffd" for c in value[:41]), ensure_ascii=False)
        return f"{text[:40]}…{text[-1]}" if len(value) > 40 else text
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    return (repr(value) if abs(value) < 10**15 else f"{value!r:.15}…") if isinstance(value, int) else repr(value)


def unprintable(text: str) -> bool:
    """True for control characters, marks that turn or hide text, and characters that no database can hold."""
    return any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for char in text)


def _text(value: Any, example: str) -> str:
    if value is None:
        raise wrong("is empty", f"write {example}, or remove the line")
    if not isinstance(value, str):
        raise wrong(f"{shown(value)} is not text", f"write {example}")
    return value


def _name(value: Any) -> str:
    if isinstance(value, bool | int | float):
        raise wrong(f"{shown(value)} is not text", "put it in quotes")
    text = _text(value, "a name")
    if not text.strip():
        raise wrong("is empty", "write a name")
    if len(text) > NAME_LIMIT:
        raise wrong(f"has {len(text):,} characters", f"write a name of at most {NAME_LIMIT}")
    if unprintable(text) or text != text.strip():
        raise wrong(f"{shown(text)} has control characters or blanks at its ends", "write only what can be seen")
    return text


def _stage_name(value: Any) -> str:
    name = _name(value)
    if any(char.isspace() or char == "/" for char in name):
        raise wrong(
            f"{shown(name)} has a blank or a slash, and could not be typed in a command",
            "write one word, such as pre-production",
        )
    return name


def _number(value: Any) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        raise wrong(f"{shown(value)} is text, not a number", "write it without quotes")
    if isinstance(value, bool) or not isinstance(value, int | float):
        problem = "is empty" if value is None else f"{shown(value)} is not a number"
        raise wrong(problem, "write a number such as 0.90")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise wrong(f"{shown(value)} is not a finite number", "write a number such as 0.90")
    return number


def _allowance(value: Any) -> float:
    number = _number(value)
    if number < 0:
        raise wrong(f"{shown(value)} is below zero", "write how much worse is still good enough, such as 0.005")
    return number


def whole(least: int, most: int) -> BeforeValidator:
    """Lets whole numbers from `least` to `most` through."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            problem = "is empty" if value is None else f"{shown(value)} is not a whole number from {least} to {most}"
            raise wrong(problem, f"write a number such as {max(least, 1)}")
        return value

    return BeforeValidator(check, json_schema_input_type=int)


def _channel(value: Any) -> str:
    if value is None:
        raise wrong(
            "is empty", 'write a channel in quotes, such as "#ml-promotions" (without them, # begins a comment)'
        )
    text = _text(value, 'a channel in quotes, such as "#ml-promotions"')
    if re.fullmatch(r"[CG][A-Z0-9]{1,30}", text, re.ASCII):
        return text
    name = text.removeprefix("#")
    if not name or len(name) > NAME_LIMIT or name != name.lower() or not re.fullmatch(r"[\w-]+", name):
        raise wrong(
            f"{shown(text)} is not the name or id of a channel", 'write one such as "#ml-promotions" or C0123456789'
        )
    return f"#{name}"


def _member(value: Any) -> str:
    example = 'an id such as U01ALICE, an e-mail address, or a user group in quotes such as "@risk-team"'
    text = _text(value, example)
    patterns = (r"[UW][A-Z0-9]{1,30}", r"[^\s@<>,;]{1,64}@[^\s@<>,;]{1,190}", r"@[^\s@<>,;]{1,80}")
    if unprintable(text) or not any(re.fullmatch(pattern, text) for pattern in patterns):
        raise wrong(f"{shown(text)} is nobody's id, e-mail address or user group", f"write {example}")
    return text


def _url(value: Any) -> str:
    text = _text(value, "an address such as https://deploy.example.com/hook")
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good, parts = False, urlsplit("")
    if not good or len(text) > 2_000 or unprintable(text) or any(char.isspace() for char in text) or parts.fragment:
        raise wrong("is not an http or https address", "write one such as https://deploy.example.com/hook")
    if "@" in parts.netloc:  # never repeated: there is a password in it
        raise wrong("holds a user name or password", "remove it; secrets belong into environment variables")
    return text


def _env_name(value: Any) -> str:
    text = _text(value, "the name of an environment variable, such as HOOK_SECRET")
    # The value is never repeated: whoever misreads this key writes the secret itself.
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", text, re.ASCII) or text.startswith(("whsec_", "ghp_", "xox")):
        raise wrong(
            "is not the name of an environment variable",
            "write the variable's name, such as HOOK_SECRET, and never the secret itself",
        )
    return text


def _timezone(value: Any) -> str:
    text = _text(value, "a time zone such as Europe/Berlin")
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        same = [zone for zone in sorted(available_timezones()) if zone.casefold().endswith(text.casefold())]
        raise wrong(
            f"{shown(text)} is not a time zone", f"write one such as {same[0] if same and text else 'Europe/Berlin'}"
        ) from None
    return text


def _duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        raise wrong(f"{shown(value)} has no unit", f"write s, m, h or d behind it, such as {abs(value) or 15}m")
    text = _text(value, "a duration such as 30s, 15m, 24h or 3d")
    try:
        return durations.parse(text)
    except ValueError as error:
        problem, remedy = str(error).split("; ", 1)
        raise wrong(f"{shown(text)} {problem}", remedy) from None


def _time_of_day(value: Any) -> time:
    if isinstance(value, time):
        return value
    match = re.fullmatch(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", value, re.ASCII) if isinstance(value, str) else None
    if match is None:
        problem = "is empty" if value is None else f"{shown(value)} is not a time of day"
        raise wrong(problem, 'write one such as "09:00"')
    return time(int(match[1]), int(match[2]))


def _days(value: Any) -> tuple[str, ...]:
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or not given:
        problem = "is empty" if not value else f"{shown(value)} names no days"
        raise wrong(problem, "write days such as mon-fri, or [mon, thu]")
    found: set[int] = set()
    for each in given:
        first, dash, last = str(each).strip().lower().partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise wrong(f"{shown(each)} names no days", "write days such as mon-fri, or [mon, thu]")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    return tuple(DAYS[day] for day in sorted(found))


def _moment(value: Any) -> date | datetime:
    if isinstance(value, date):
        return value
    text = _text(value, "a date such as 2026-12-20")
    try:
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        raise wrong(f"{shown(text)} is not a date", "write one such as 2026-12-20 or 2026-12-20T18:00") from None


def _string(description: str, **more: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "description": description, **more})


Name = Annotated[str, BeforeValidator(_name), _string("A name.", minLength=1, maxLength=NAME_LIMIT)]
StageName = Annotated[str, BeforeValidator(_stage_name), _string("A stage, in one word.", pattern=r"^[^\s/]{1,80}$")]
Number = Annotated[float, BeforeValidator(_number)]
Allowance = Annotated[float, BeforeValidator(_allowance), WithJsonSchema({"type": "number", "minimum": 0})]
Channel = Annotated[str, BeforeValidator(_channel), _string('A Slack channel: "#name" or its id.')]
Member = Annotated[str, BeforeValidator(_member), _string('A Slack user id, an e-mail address, or "@user-group".')]
Url = Annotated[str, BeforeValidator(_url), _string("An http or https address.", pattern="^https?://")]
EnvName = Annotated[
    str,
    BeforeValidator(_env_name),
    _string("The name of the environment variable that holds the secret.", pattern="^[A-Za-z_][A-Za-z0-9_]*$"),
]
TimeZone = Annotated[str, BeforeValidator(_timezone), _string("A time zone such as Europe/Berlin.")]
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(durations.text, return_type=str, when_used="json"),
    _string("A duration: 30s, 15m, 24h, 3d.", pattern="^[0-9]+[smhd]$"),
]
TimeOfDay = Annotated[
    time,
    BeforeValidator(_time_of_day),
    PlainSerializer(lambda at: at.strftime("%H:%M"), return_type=str, when_used="json"),
    _string("A time of day: 09:00.", pattern="^[0-9]{1,2}:[0-9]{2}$"),
]
Days = Annotated[
    tuple[str, ...],
    BeforeValidator(_days),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}], "description": "mon-fri"}
    ),
]
Moment = Annotated[
    date | datetime,
    BeforeValidator(_moment),
    PlainSerializer(lambda at: at.isoformat(), return_type=str, when_used="json"),
    _string("A date or a date and time."),
]
