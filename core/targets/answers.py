"""What a target answers, made fit for a card: one line, a link that is one, a pause that makes sense."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_MESSAGE = 500
LONGEST_URL = 2_000
#: Statuses of a server that may well take the same act later, as do all from 500 on.
TRY_AGAIN = frozenset({408, 425, 429})


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that the other side asks us to wait: a number or a date; None where it asks for nothing sensible."""
    given = headers.get("retry-after", "").strip()
    try:
        if given.isascii() and given.isdigit():
            seconds = float(given)
        else:
            moment = parsedate_to_datetime(given)
            seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(seconds, 86_400.0) if seconds >= 0 and math.isfinite(seconds) else None


def one_line(given: object, limit: int) -> str:
    """Text on one line, without what cannot be seen, cut to `limit`; nothing for what is no text."""
    if not isinstance(given, str):
        return ""
    flat = " ".join("".join(c if c.isprintable() else " " for c in given[: 4 * limit]).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def link(given: object) -> str:
    """An address that can be linked from a card; nothing for what is none."""
    fits = isinstance(given, str) and len(given) <= LONGEST_URL and given.isprintable() and " " not in given
    return str(given) if fits and str(given).startswith(("https://", "http://")) else ""
