"""Durations as the policy writes them: `30s`, `15m`, `24h`, `3d`."""

from __future__ import annotations

import re
from datetime import timedelta

_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_LONGEST = timedelta(days=3_650)


def parse(text: str) -> timedelta:
    """`90m` as a timedelta. Raises `ValueError` with what is wrong and what would be right, joined by "; "."""
    match = re.fullmatch(r"([0-9]{1,12})([smhd])", text.strip(), re.ASCII)
    if match is None:
        raise ValueError("is not a duration; write a number with s, m, h or d, such as 30s, 15m, 24h or 3d")
    seconds = int(match[1]) * _SECONDS[match[2]]
    if seconds == 0:
        raise ValueError("is no time at all; write a longer duration, such as 15m")
    if seconds > _LONGEST.total_seconds():
        raise ValueError("is longer than ten years; write a shorter duration, such as 3d")
    return timedelta(seconds=seconds)


def text(duration: timedelta) -> str:
    """The shortest way to write a duration that `parse` reads back as the same."""
    seconds = int(duration.total_seconds())
    return next(f"{seconds // size}{unit}" for unit, size in _SECONDS.items() if seconds % size == 0)


def spoken(duration: timedelta) -> str:
    """How long, for people: the two largest units that matter, `1 d 3 h`, `50 min`, `40 s`."""
    seconds = max(0, int(duration.total_seconds()))
    names = {"d": "d", "h": "h", "m": "min", "s": "s"}
    parts: list[tuple[int, str]] = []
    for unit, size in _SECONDS.items():
        count, seconds = divmod(seconds, size)
        if count or (parts and unit != "s"):
            parts.append((count, names[unit]))
    said = [f"{count} {name}" for count, name in parts[:2] if count]
    return " ".join(said) or "0 s"
