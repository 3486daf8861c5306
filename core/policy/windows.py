"""When a stage may be promoted into, and when a person may be bothered. Pure: windows and `now` in, moments out.

Days are days of the wall: a window of 24 h that begins at midnight ends at midnight, also where clocks change and the
day has 23 or 25 hours. A moment that a change of clocks skips or repeats is taken so that a freeze is the longer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from core.policy.rollout import Freeze, QuietHours, rule_of

#: How far ahead the next opening is looked for; farther away it is "not known".
HORIZON = timedelta(days=400)
_STEPS = 2_000


@dataclass(frozen=True)
class Frozen:
    """A stage that is closed: by which window, why, and when it opens (None: no opening is known)."""

    window: str
    reason: str
    opens_at: datetime | None


@dataclass(frozen=True)
class _Span:
    start: datetime
    end: datetime


def frozen(windows: Sequence[Freeze], now: datetime) -> Frozen | None:
    """Whether a stage with these windows is closed at `now`; None when it is open.

    Open means that no window of kind `deny` is active and, where there are windows of kind `allow`, one of them is.
    """
    closing = _closing(windows, now)
    if closing is None:
        return None
    return Frozen(closing.name, closing.reason, _next_opening(windows, now))


def after_quiet(quiet: QuietHours | None, zone: str, now: datetime) -> datetime:
    """The first moment from `now` on at which somebody who lives in `zone` may be written to."""
    if quiet is None:
        return now
    local = now.astimezone(_zone(zone))
    for _ in range(10):
        end = _quiet_until(quiet, local)
        if end is None:
            return local.astimezone(UTC)
        local = end
    return local.astimezone(UTC)


def _quiet_until(quiet: QuietHours, local: datetime) -> datetime | None:
    """The end of the quiet time that holds `local`; None when it is not quiet."""
    if quiet.weekends and local.weekday() >= 5:
        monday = local.date() + timedelta(days=7 - local.weekday())
        return datetime.combine(monday, time(), local.tzinfo)
    at, begins, ends = local.time(), quiet.from_, quiet.until
    if begins == ends:
        return None
    if begins < ends:
        return datetime.combine(local.date(), ends, local.tzinfo) if begins <= at < ends else None
    if at >= begins:
        return datetime.combine(local.date() + timedelta(days=1), ends, local.tzinfo)
    return datetime.combine(local.date(), ends, local.tzinfo) if at < ends else None


def _closing(windows: Sequence[Freeze], at: datetime) -> Freeze | None:
    """The window that closes the stage at `at`: an active `deny`, or, while no `allow` is active, the first of them."""
    for window in windows:
        if window.kind == "deny" and _active(window, at) is not None:
            return window
    allowing = [window for window in windows if window.kind == "allow"]
    if allowing and not any(_active(window, at) for window in allowing):
        return allowing[0]
    return None


def _next_opening(windows: Sequence[Freeze], now: datetime) -> datetime | None:
    at = now
    for _ in range(_STEPS):
        closing = _closing(windows, at)
        if closing is None:
            return at
        following = _after(windows, closing, at)
        if following is None or following > now + HORIZON:
            return None
        at = following if following > at else at + timedelta(minutes=1)  # a repeated hour must not hold us up
    return None


def _after(windows: Sequence[Freeze], closing: Freeze, at: datetime) -> datetime | None:
    """The next moment at which what closes the stage at `at` may have changed."""
    if closing.kind == "deny":
        span = _active(closing, at)
        return span.end if span else None
    starts = [start for window in windows if window.kind == "allow" for start in _first_start(window, at)]
    return min(starts, default=None)


def _active(window: Freeze, at: datetime) -> _Span | None:
    """The span of `window` that holds `at`, the one that ends last."""
    spans = [span for span in _spans(window, at) if span.start <= at < span.end]
    return max(spans, key=lambda span: span.end, default=None)


def _spans(window: Freeze, at: datetime) -> Iterator[_Span]:
    """The spans that may hold `at`."""
    zone = _zone(window.timezone)
    if window.rrule is None:
        if window.from_ is not None and window.until is not None:
            yield _Span(_moment(window.from_, zone, 0), _moment(window.until, zone, 1))
        return
    length = window.duration or timedelta()
    local = at.astimezone(zone).replace(tzinfo=None)
    day = timedelta(days=1)
    for start in _rule(window.rrule).between(local - length - day, local + day, inc=True):
        yield _Span(_at(start, zone, 0), _at(start + length, zone, 1))


def _first_start(window: Freeze, at: datetime) -> Iterator[datetime]:
    zone = _zone(window.timezone)
    if window.rrule is None:
        start = _moment(window.from_, zone, 0) if window.from_ is not None else at
        if start > at:
            yield start
        return
    found = _rule(window.rrule).after(at.astimezone(zone).replace(tzinfo=None), inc=False)
    if found is not None:
        yield _at(found, zone, 0)


def _moment(moment: date | datetime, zone: ZoneInfo, fold: int) -> datetime:
    """A date means its first moment, so that `until: 2027-01-04` lets work begin on the fourth."""
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    return moment.astimezone(UTC) if moment.tzinfo else _at(moment, zone, fold)


def _at(naive: datetime, zone: ZoneInfo, fold: int) -> datetime:
    return naive.replace(tzinfo=zone, fold=fold).astimezone(UTC)


@lru_cache(64)
def _rule(text: str) -> Any:
    return rule_of(text)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")
