"""Moments as people type them."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.errors import BadInput
from core.policy import moments

#: 10:30 on a Monday in Berlin, the day after summer time ended there.
NOW = datetime(2026, 10, 26, 9, 30, tzinfo=UTC)
BERLIN = "Europe/Berlin"
MEANT = {
    "now": NOW,
    "NOW": NOW,
    "today": datetime(2026, 10, 25, 23, tzinfo=UTC),
    "yesterday": datetime(2026, 10, 24, 22, tzinfo=UTC),  # summer time
    "2026-05-01": datetime(2026, 4, 30, 22, tzinfo=UTC),
    "2026-05-01T12:00": datetime(2026, 5, 1, 10, tzinfo=UTC),
    "2026-05-01 12:00": datetime(2026, 5, 1, 10, tzinfo=UTC),
    "2026-05-01t12:00z": datetime(2026, 5, 1, 12, tzinfo=UTC),
    "2026-05-01T12:00:30+05:30": datetime(2026, 5, 1, 6, 30, 30, tzinfo=UTC),
    "9:15": datetime(2026, 10, 26, 8, 15, tzinfo=UTC),
    "17:00": datetime(2026, 10, 25, 16, tzinfo=UTC),  # it was so late yesterday
}


@pytest.mark.parametrize(("said", "meant"), MEANT.items())
def test_a_moment_is_the_one_that_whoever_lives_there_means(said: str, meant: datetime) -> None:
    assert moments.at(said, NOW, BERLIN) == meant


def test_who_lives_nowhere_lives_in_utc() -> None:
    for zone in ("", "Nowhere/Land", "../etc"):
        assert moments.at("2026-05-01T12:00", NOW, zone) == datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("said", ["2026-10-27", "2026-10-26T10:32", "9999-12-31", "tomorrow"])
def test_what_is_to_come_is_refused(said: str) -> None:
    with pytest.raises(BadInput, match=r"still to come|not understood"):
        moments.at(said, NOW, BERLIN)


@pytest.mark.parametrize("said", ["", "soon", "25:00", "2026-02-30", "0001-01-01", "2026-05-01T12:00+99:00", "1e9"])
def test_what_is_no_moment_is_refused_with_what_would_be_one(said: str) -> None:
    with pytest.raises(BadInput, match=r"2026-05-01|no calendar"):
        moments.at(said, NOW, BERLIN)


@given(st.text(max_size=30), st.sampled_from(["", BERLIN, "Pacific/Kiritimati"]))
def test_any_text_is_a_moment_that_was_or_refused(said: str, zone: str) -> None:
    try:
        found = moments.at(said, NOW, zone)
    except BadInput:
        return
    assert found <= NOW + moments.SKEW


@pytest.mark.parametrize("said", ["9999-12-31", "9999-12-31T23:59"])
def test_an_end_that_no_calendar_holds_is_refused(said: str) -> None:
    with pytest.raises(BadInput, match=rf"“{said}” is a moment that no calendar holds; write a day such as friday"):
        moments.until(said, NOW, "America/New_York")


@given(st.text(max_size=30), st.sampled_from(["", BERLIN, "Pacific/Kiritimati"]))
def test_any_text_is_an_end_or_refused(said: str, zone: str) -> None:
    with contextlib.suppress(BadInput):
        moments.until(said, NOW, zone)
