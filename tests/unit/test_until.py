"""The ends that people type: days, times of day, lengths; on days that are 23 or 25 hours long, and where nobody meant one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.errors import BadInput
from core.policy import moments

BERLIN = "Europe/Berlin"
#: 11:30 in Berlin, on the Friday before summer time ends there: that Sunday has 25 hours.
FRIDAY = datetime(2026, 10, 23, 9, 30, tzinfo=UTC)
#: 10:30 in Berlin, on the Friday before it begins: that Sunday has 23.
SPRING = datetime(2027, 3, 26, 9, 30, tzinfo=UTC)
MEANT = {
    "friday": datetime(2026, 10, 23, 22, tzinfo=UTC),  # a Friday's own name means today, with all its hours
    "Fri": datetime(2026, 10, 23, 22, tzinfo=UTC),
    "today": datetime(2026, 10, 23, 22, tzinfo=UTC),
    "tonight": datetime(2026, 10, 23, 22, tzinfo=UTC),
    "tomorrow": datetime(2026, 10, 24, 22, tzinfo=UTC),
    "sunday": datetime(2026, 10, 25, 23, tzinfo=UTC),  # 25 hours after it began
    "monday.": datetime(2026, 10, 26, 23, tzinfo=UTC),
    "thursday": datetime(2026, 10, 29, 23, tzinfo=UTC),
    "2026-10-25": datetime(2026, 10, 25, 23, tzinfo=UTC),
    "17:00": datetime(2026, 10, 23, 15, tzinfo=UTC),
    "9:00": datetime(2026, 10, 24, 7, tzinfo=UTC),  # it was so late already
    "5pm": datetime(2026, 10, 23, 15, tzinfo=UTC),
    "5:30 PM": datetime(2026, 10, 23, 15, 30, tzinfo=UTC),
    "12am": datetime(2026, 10, 23, 22, tzinfo=UTC),
    "monday 9:00": datetime(2026, 10, 26, 8, tzinfo=UTC),
    "monday at 9:00": datetime(2026, 10, 26, 8, tzinfo=UTC),
    "tomorrow  5 pm": datetime(2026, 10, 24, 15, tzinfo=UTC),
    "2026-10-26 17:00": datetime(2026, 10, 26, 16, tzinfo=UTC),
    "2026-10-26T17:00": datetime(2026, 10, 26, 16, tzinfo=UTC),
    "2026-10-26t17:00z": datetime(2026, 10, 26, 17, tzinfo=UTC),
    "2026-10-26T17:00+14:00": datetime(2026, 10, 26, 3, tzinfo=UTC),
    "3d": FRIDAY + timedelta(days=3),
    "3 days": FRIDAY + timedelta(days=3),
    "2w": FRIDAY + timedelta(days=14),
    "2 weeks": FRIDAY + timedelta(days=14),
    "90min": FRIDAY + timedelta(minutes=90),
    "yesterday": datetime(2026, 10, 22, 22, tzinfo=UTC),  # it is for whoever asks to say that this is past
    "2020-01-01": datetime(2020, 1, 1, 23, tzinfo=UTC),
}
HINT = "write a day such as friday, tomorrow or 2026-12-01, a moment such as friday 17:00, or a time such as 3d."
REFUSED = {
    "31.12.": "“31.12.” may be read in several ways; write the year, the month and the day, such as 2026-12-01.",
    "12/24/2026": "“12/24/2026” may be read in several ways; write the year, the month and the day, such as 2026-12-01.",
    "2026-02-30": f"“2026-02-30” is a day that no calendar holds; {HINT}",
    "2026-02-30T12:00": f"“2026-02-30T12:00” is a day that no calendar holds; {HINT}",
    "2026-12-24T25:00": f"“2026-12-24T25:00” is not understood as a day; {HINT}",
    "next friday": f"“next friday” is not understood as a day; {HINT}",
    "fr": f"“fr” is not understood as a day; {HINT}",
    "ever": f"“ever” is not understood as a day; {HINT}",
    "-3d": f"“-3d” is not understood as a day; {HINT}",
    "0d": f"“0d” is no time at all; {HINT}",
    "0 weeks": f"“0 weeks” is no time at all; {HINT}",
    "999999999999d": f"“999999999999d” is longer than ten years; {HINT}",
    "99999999999999999999w": f"“99999999999999999999w” is not a duration; {HINT}",
    "9999-12-31": f"“9999-12-31” is a moment that no calendar holds; {HINT}",
    "": f"“” is not understood as a day; {HINT}",
}


@pytest.mark.parametrize(("said", "meant"), MEANT.items())
def test_an_end_is_the_one_that_whoever_lives_there_means(said: str, meant: datetime) -> None:
    assert moments.until(said, FRIDAY, BERLIN) == meant


def test_a_day_of_23_hours_ends_with_its_last() -> None:
    saturday, sunday = (moments.until(day, SPRING, BERLIN) for day in ("saturday", "sunday"))
    assert sunday - saturday == timedelta(hours=23)
    assert moments.until("sunday 2:30", SPRING, BERLIN) - moments.until("sunday 1:30", SPRING, BERLIN) <= timedelta(
        hours=1
    )


def test_friday_ends_where_the_person_lives() -> None:
    ends = {zone: moments.until("friday", FRIDAY, zone) for zone in ("Pacific/Kiritimati", BERLIN, "Pacific/Honolulu")}
    assert ends["Pacific/Kiritimati"] == datetime(2026, 10, 23, 10, tzinfo=UTC)  # it is Friday evening there
    assert ends["Pacific/Honolulu"] == datetime(2026, 10, 24, 10, tzinfo=UTC)  # it is Thursday evening there
    assert ends[BERLIN] == datetime(2026, 10, 23, 22, tzinfo=UTC)


@pytest.mark.parametrize(("said", "sentence"), REFUSED.items())
def test_what_is_no_end_is_refused_with_what_would_be_one(said: str, sentence: str) -> None:
    with pytest.raises(BadInput) as refused:
        moments.until(said, FRIDAY, BERLIN)
    assert refused.value.sentence == sentence


@given(st.text(max_size=30), st.sampled_from(["", BERLIN, "Pacific/Kiritimati", "Nowhere/Land"]))
def test_any_text_is_a_moment_or_refused(said: str, zone: str) -> None:
    try:
        found = moments.until(said, FRIDAY, zone)
    except BadInput:
        return
    assert found.tzinfo is UTC
