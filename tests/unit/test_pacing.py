"""When Slack is asked again, and by whom."""

from __future__ import annotations

import queue
import time

import pytest

from bot.slack.pacing import AHEAD, BURST, EVERYTHING, Alarm, Pace
from bot.slack.refusals import LONGEST_WAIT, RARELY, UNREACHABLE, backoff


class Watch:
    """A clock that stands still until it is put forward."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_after_a_burst_a_channel_takes_one_post_a_second_and_others_are_free(watch: Watch) -> None:
    pace = Pace(watch)

    waits = [pace.wait("#a") for _ in range(int(BURST) + 1)]

    assert waits == [0.0] * int(BURST) + [1.0]
    assert pace.wait("#b") == 0.0
    watch.now += 1.0
    assert pace.wait("#a") == 0.0


def test_whoever_must_wait_is_given_a_second_of_their_own(watch: Watch) -> None:
    pace = Pace(watch)
    for _ in range(int(BURST)):
        pace.wait("#a")

    waits = [pace.wait("#a", 1.0) for _ in range(40)]

    assert waits[:5] == [2.0, 3.0, 4.0, 5.0, 6.0]  # a thread leaves one turn for a card
    assert max(waits) == AHEAD
    assert pace.wait("#a") == 1.0  # which waits for no thread
    watch.now += 2.0
    assert pace.wait("#a", 1.0) == 0.0


def test_what_slack_asked_to_wait_for_is_never_shortened(watch: Watch) -> None:
    pace = Pace(watch)
    pace.hold(EVERYTHING, 9.0)
    pace.hold(EVERYTHING, 2.0)

    watch.now += 8.0

    assert pace.held(EVERYTHING) == 1.0


def test_one_at_a_time_finds_out_whether_there_is_a_way_into_a_channel(watch: Watch) -> None:
    pace = Pace(watch)
    pace.close("#a", False, "is_archived", 4.0)
    assert pace.closed("#a", False) == ("is_archived", 4.0)

    watch.now += 4.0

    assert pace.closed("#a", False) == ("", 0.0)  # this one may
    assert pace.closed("#a", False) == ("is_archived", LONGEST_WAIT)  # and nobody beside it
    assert pace.closed("#a", True) == ("", 0.0)  # edits are another matter


def test_an_edit_that_got_through_opens_no_way_for_posts_but_a_post_opens_both(watch: Watch) -> None:
    pace = Pace(watch)
    pace.close("#a", False, "is_archived", 4.0)
    pace.close("#a", True, "channel_not_found", 4.0)

    assert pace.open("#a", True)
    assert pace.closed("#a", False)[0] == "is_archived"
    assert pace.open("#a", False)
    assert not pace.open("#a", False)
    assert pace.closed("#a", False) == ("", 0.0)


def test_the_alarm_rings_for_each_in_the_order_of_their_times() -> None:
    rung: queue.Queue[tuple[int, float]] = queue.Queue()
    alarm = Alarm(lambda subjects: [rung.put((each, time.monotonic())) for each in subjects])
    began = time.monotonic()
    alarm.set(2, 0.2)
    alarm.start()
    alarm.set(1, 0.05)

    (first, at), (second, later) = rung.get(timeout=10), rung.get(timeout=10)
    alarm.stop()

    assert (first, second) == (1, 2)
    assert at - began >= 0.05
    assert later - began >= 0.2


def test_an_alarm_that_was_never_started_stops() -> None:
    Alarm(lambda _: None).stop()


def test_waits_grow_to_their_bound_and_no_further() -> None:
    assert [backoff(n) for n in range(1, 6)] == [1.0, 2.0, 4.0, LONGEST_WAIT, LONGEST_WAIT]
    assert backoff(1000, RARELY) == RARELY


def test_every_way_of_being_kept_out_has_a_reason_and_an_advice() -> None:
    for code, (why, mend) in UNREACHABLE.items():
        assert why, code
        assert mend.format(key="`slack.channel`").endswith("."), code
