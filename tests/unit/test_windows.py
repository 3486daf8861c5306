"""Freeze windows, quiet hours, soak and the digest's hour, also on the days that are 23 and 25 hours long."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.boards import _is_due
from core.policy import eligibility
from core.policy.eligibility import Facts, Served
from core.policy.load import load
from core.policy.rollout import Freeze, QuietHours
from core.policy.schema import DigestPlan
from core.policy.windows import after_quiet, frozen

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
#: In Berlin 2026-10-25 has 25 hours and 2027-03-28 has 23.
LONG, SHORT = date(2026, 10, 25), date(2027, 3, 28)


def local(day: date, hour: float, zone: str = BERLIN, fold: int = 0) -> datetime:
    at = time(int(hour), round(hour % 1 * 60), fold=fold)
    return datetime.combine(day, at, ZoneInfo(zone)).astimezone(UTC)


def window(**given: Any) -> Freeze:
    return Freeze.model_validate({"name": "w", "timezone": BERLIN, **given})


SUNDAYS = window(rrule="FREQ=WEEKLY;BYDAY=SU", duration="24h", reason="rest")
WEEKEND = window(rrule="FREQ=WEEKLY;BYDAY=SA,SU", duration="24h")
NIGHT = window(rrule="FREQ=DAILY;BYHOUR=1;BYMINUTE=30", duration="2h")


@pytest.mark.parametrize(("day", "hours"), [(LONG, 25), (SHORT, 23), (date(2026, 11, 1), 24)])
def test_a_day_is_frozen_with_all_its_hours_and_no_other(day: date, hours: int) -> None:
    begins, ends = local(day, 0), local(day + timedelta(days=1), 0)
    assert ends - begins == timedelta(hours=hours)
    second = timedelta(seconds=1)
    assert frozen([SUNDAYS], begins - second) is None
    for at in (begins, begins + (ends - begins) / 2, ends - second):
        found = frozen([SUNDAYS], at)
        assert found is not None
        assert (found.window, found.reason, found.opens_at) == ("w", "rest", ends)
    assert frozen([SUNDAYS], ends) is None


def test_a_weekend_of_two_days_opens_on_monday_also_when_it_is_49_hours_long() -> None:
    friday, monday = local(LONG - timedelta(days=2), 23.5), local(LONG + timedelta(days=1), 0)
    assert frozen([WEEKEND], friday) is None
    found = frozen([WEEKEND], local(LONG - timedelta(days=1), 0))
    assert found is not None
    assert found.opens_at == monday
    assert monday - local(LONG - timedelta(days=1), 0) == timedelta(hours=49)


def test_an_hour_that_comes_twice_is_frozen_twice() -> None:
    for fold in (0, 1):
        assert frozen([NIGHT], local(LONG, 2.5, fold=fold)) is not None, fold
    found = frozen([NIGHT], local(LONG, 1.75))
    assert found is not None
    assert found.opens_at == local(LONG, 3.5)


def test_an_hour_that_does_not_come_is_frozen_around() -> None:
    assert frozen([NIGHT], local(SHORT, 1.5)) is not None
    found = frozen([NIGHT], local(SHORT, 1.75))
    assert found is not None
    assert found.opens_at == local(SHORT, 3.5)
    assert frozen([NIGHT], local(SHORT, 3.5)) is None


def test_a_date_means_its_first_moment_where_the_window_is() -> None:
    year_end = window(**{"from": date(2026, 12, 20), "until": date(2027, 1, 4)}, reason="the books are closed")
    for zone in (BERLIN, NEW_YORK):
        there = year_end.model_copy(update={"timezone": zone})
        begins, ends = local(date(2026, 12, 20), 0, zone), local(date(2027, 1, 4), 0, zone)
        assert frozen([there], begins - timedelta(seconds=1)) is None
        found = frozen([there], begins)
        assert found is not None
        assert (found.opens_at, found.reason) == (ends, "the books are closed")
        assert frozen([there], ends) is None


def test_outside_of_every_window_that_allows_it_is_frozen_and_a_denial_wins() -> None:
    office = window(kind="allow", rrule="FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;BYHOUR=9", duration="8h")
    monday = date(2026, 10, 26)
    assert frozen([office], local(monday, 9)) is None
    closed = frozen([office], local(LONG, 12))
    assert closed is not None
    assert closed.opens_at == local(monday, 9)
    evening = frozen([office], local(monday, 17))
    assert evening is not None
    assert evening.opens_at == local(monday + timedelta(days=1), 9)
    both = frozen([office, window(**{"from": monday, "until": monday + timedelta(days=2)})], local(monday, 10))
    assert both is not None
    assert both.opens_at == local(monday + timedelta(days=2), 9)


def test_what_never_opens_has_no_opening() -> None:
    found = frozen([window(rrule="FREQ=DAILY", duration="25h")], local(LONG, 12))
    assert found is not None
    assert found.opens_at is None


MOMENTS = st.integers(0, 270 * 86_400).map(
    lambda seconds: datetime(2026, 9, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
RULES = st.sampled_from([[SUNDAYS], [WEEKEND], [NIGHT], [WEEKEND, NIGHT]])


@given(RULES, MOMENTS)
def test_at_the_opening_that_is_named_it_is_open_and_never_before(windows: list[Freeze], at: datetime) -> None:
    found = frozen(windows, at)
    if found is None:
        return
    assert found.opens_at is not None
    assert found.opens_at > at
    assert frozen(windows, found.opens_at) is None
    assert frozen(windows, found.opens_at - timedelta(seconds=1)) is not None


# -- quiet hours -------------------------------------------------------------------------------------------------

QUIET = QuietHours.model_validate({"from": "19:00", "until": "08:00"})


@pytest.mark.parametrize(
    ("day", "hour", "awake"),
    [
        (date(2026, 10, 22), 12.0, None),  # a Thursday noon
        (date(2026, 10, 22), 19.0, (date(2026, 10, 23), 8)),
        (date(2026, 10, 23), 7.75, (date(2026, 10, 23), 8)),
        (date(2026, 10, 23), 20.0, (date(2026, 10, 26), 8)),  # over a weekend of 49 hours
        (LONG, 2.5, (date(2026, 10, 26), 8)),
        (date(2027, 3, 26), 20.0, (date(2027, 3, 29), 8)),  # over one of 47
        (SHORT, 1.5, (date(2027, 3, 29), 8)),
    ],
)
def test_nobody_is_woken_and_the_morning_is_theirs(day: date, hour: float, awake: tuple[date, int] | None) -> None:
    for zone in (BERLIN, NEW_YORK):
        at = local(day, hour, zone)
        expected = local(awake[0], awake[1], zone) if awake else at
        assert after_quiet(QUIET, zone, at) == expected, zone


@given(MOMENTS, st.sampled_from([BERLIN, NEW_YORK, "Pacific/Kiritimati", "", "Nowhere/Land"]), st.booleans())
def test_whoever_is_written_to_is_awake(at: datetime, zone: str, weekends: bool) -> None:
    quiet = QUIET.model_copy(update={"weekends": weekends})
    awake = after_quiet(quiet, zone, at)
    assert at <= awake <= at + timedelta(days=3)
    assert after_quiet(quiet, zone, awake) == awake
    there = awake.astimezone(ZoneInfo(zone if "/" in zone and "Nowhere" not in zone else "UTC"))
    assert time(8) <= there.time() < time(19)
    assert not (weekends and there.weekday() >= 5)


# -- soak, and the digest's hour ---------------------------------------------------------------------------------


@pytest.mark.parametrize("day", [LONG, SHORT])
def test_soak_time_is_time_that_passed_not_what_the_clocks_on_the_wall_say(day: date) -> None:
    policy = load(
        "version: 1\nslack: {channel: '#ml'}\ngroups: {ml: [U01]}\nstages:\n  - name: development\n"
        "  - name: production\n    requires: [development]\n    soak: 24h\n"
        "    approvals: {quorum: 1, from: [{group: ml}]}\n"
    )
    since = local(day, 0)
    facts = Facts(
        model="fraud", version="7", stage=policy.stage("production"), stage_names=policy.stage_names,
        first_stage="development", registered_at=since, served={"development": Served(since)},
    )  # fmt: skip

    def soaked(at: datetime) -> bool:
        return not any(each.kind == "soak" and each.blocking for each in eligibility.waits(replace(facts, now=at)))

    assert not soaked(since + timedelta(hours=24) - timedelta(seconds=1))
    assert soaked(since + timedelta(hours=24))


@pytest.mark.parametrize("day", [LONG, SHORT, date(2026, 11, 3)])
def test_the_digest_comes_at_its_hour_on_the_wall(day: date) -> None:
    plan = DigestPlan.model_validate({"at": "09:00", "days": "mon-sun", "timezone": BERLIN})
    zone = ZoneInfo(BERLIN)
    assert not _is_due(plan, zone, local(day, 9) - timedelta(seconds=1))
    assert _is_due(plan, zone, local(day, 9))
