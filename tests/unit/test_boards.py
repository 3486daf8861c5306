"""Home and the digest at their fullest, within Slack's limits; and who draws a Home when."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.local_slack.limits import validate, validate_view
from bot.local_slack.person import shown_text
from bot.slack.blocks.digest import digest
from bot.slack.blocks.home import home
from bot.slack.homes import Homes
from core.boards import BRIEF, CHAMPIONS, PAGE, Dashboard, Digest
from core.domain.model import Actor, Barrier, State
from core.domain.views import RolloutView
from core.policy.windows import Frozen
from core.store.boards import Part
from tests.unit.test_cards import NOW, view

WIDE = "<&*_" * 200
ASKING = RolloutView("canary", (5, 25, 100), 0, 5, "asking", NOW, None, "No data.")


def part(count: int, shown: int, state: State = State.AWAITING_APPROVAL, first: int = 1, **more: Any) -> Part:
    return Part(tuple(view(state, id=first + number, **more) for number in range(shown)), count)


def labels(drawn: dict[str, Any]) -> list[str]:
    controls = [each for block in drawn["blocks"] for each in block.get("elements", [block.get("accessory", {})])]
    return [each["text"]["text"] for each in controls if each.get("type") == "button"]


def full() -> Dashboard:
    """Nothing in it is short, and everything that may be there is."""
    stop = Barrier("stop", WIDE, "", "", WIDE, Actor.user("U02BOB", WIDE), NOW)
    return Dashboard(
        waiting=part(12_345, PAGE, reason=WIDE, model=WIDE),
        page=3,
        asked=part(700, BRIEF, model=WIDE),
        rolling_out=part(80, BRIEF, State.DEPLOYING, 50, rollout=ASKING, model=WIDE),
        held_up=part(9, BRIEF, State.APPROVED, 70, waiting_for=WIDE),
        frozen=((WIDE, Frozen(WIDE, WIDE, NOW)),) * 20,
        unreviewed=part(7, BRIEF, State.SUCCEEDED, 90),
        champions=((WIDE, WIDE, WIDE),) * CHAMPIONS,
        digest=True,
        stops=(stop,) * 20,
        serving=4_000,
    )


class TestHome:
    def test_the_fullest_is_within_slacks_limits(self) -> None:
        drawn = home(full(), lambda _: True)

        assert validate_view(drawn) == []
        assert len(drawn["blocks"]) <= 100
        assert len(json.dumps(drawn)) < 250_000

    def test_it_says_exactly_how_many_there_are_of_what_it_does_not_show(self) -> None:
        shown = shown_text(home(full()))

        for said in (
            "Waiting on you (12,345)", "31 to 40 of 12,345", "Asked by you (700)", "… and 694 more", "Rolling out now (80)",
            "Approved, and waiting (9)", "… and 3 more", "Champions (4,000)", "… and 3,970 more",
        ):  # fmt: skip
            assert said in shown

    def test_its_buttons_are_those_of_the_cards(self) -> None:
        offered = labels(home(full()))

        assert [offered.count(each) for each in ("Approve", "Reject")] == [PAGE, PAGE]
        assert [offered.count(each) for each in ("Continue", "Wait longer")] == [BRIEF, BRIEF]
        assert offered.count("Details") == PAGE + 4 * BRIEF
        assert {"Earlier", "Later", "Stop my daily digest"} <= set(offered)

    def test_the_first_page_has_no_earlier_one_and_the_last_no_later_one(self) -> None:
        first = home(Dashboard(waiting=part(PAGE + 1, PAGE)))
        last = home(Dashboard(waiting=part(PAGE + 1, 1), page=1))

        assert [each for each in labels(first) if each in ("Earlier", "Later")] == ["Later"]
        assert [each for each in labels(last) if each in ("Earlier", "Later")] == ["Earlier"]
        assert "11 to 11 of 11" in shown_text(last)

    def test_what_is_stopped_and_what_is_closed_are_told_apart(self) -> None:
        stop = Barrier("stop", "", "", "", "data is late", Actor.user("U02BOB", "bob"), NOW)
        shown = shown_text(
            home(Dashboard(stops=(stop,), frozen=(("production", Frozen("weekend", "nobody is there", None)),)))
        )

        assert "🛑 *Everything* was stopped by bob: data is late" in shown
        assert "🧊 *production*: weekend (nobody is there)" in shown

    def test_one_promotion_in_two_parts_is_steered_in_one(self) -> None:
        rolling = part(1, 1, State.DEPLOYING, rollout=ASKING)
        drawn = home(Dashboard(asked=rolling, rolling_out=rolling))

        assert validate_view(drawn) == []
        assert labels(drawn).count("Continue") == 1


class TestDigest:
    def test_parts_stand_under_what_their_reader_must_do(self) -> None:
        one = part(1, 1)
        broken = part(1, 1, State.SUCCEEDED)
        said = shown_text(
            {"blocks": digest(Digest("#x", "2026-11-23", NOW, one, one, one, one, one, broken), {}).blocks}
        )

        titles = (
            "*DECIDE*", "*Oldest first (1)*", "*Expiring within a day (1)*", "*REVIEW*", "*Glass broken", "*WATCH*",
            "*Rolling out (1)*", "*Approved, and waiting (1)*", "*KNOW*", "*Rolled back since yesterday (1)*",
        )  # fmt: skip
        assert [said.index(title) for title in titles] == sorted(said.index(title) for title in titles)

    def test_what_is_empty_has_no_title(self) -> None:
        said = shown_text({"blocks": digest(Digest("#x", "2026-11-23", NOW, rolled_back=part(1, 1)), {}).blocks})

        assert "KNOW" in said
        assert not [title for title in ("DECIDE", "REVIEW", "WATCH") if title in said]

    def test_the_rest_is_counted_exactly(self) -> None:
        made = digest(Digest("#x", "2026-11-23", NOW, part(10_000, 20), part(400, 20)), {})
        said = shown_text({"blocks": made.blocks})
        named = said.count("asked ")

        assert validate(made.blocks) == []
        assert "*Oldest first (10,000)*" in said
        assert f"… and {10_000 - named:,} more" in said

    @pytest.mark.parametrize(
        ("count", "line"),
        [
            (0, "Nothing waits for your decision."),
            (1, "1 promotion waits for your decision."),
            (2_000, "2,000 promotions wait for your decision."),
        ],
    )
    def test_a_persons_own_says_that_it_is_theirs(self, count: int, line: str) -> None:
        facts = Digest("U02BOB", "2026-11-23", NOW, part(count, min(count, 3)), asked=part(1, 1), person="U02BOB")

        assert digest(facts, {}).text == line

    def test_who_waits_for_how_long(self) -> None:
        asked = replace(view(), created_at=NOW - timedelta(hours=30))
        said = shown_text({"blocks": digest(Digest("#x", "2026-11-23", NOW, Part((asked,), 1)), {}).blocks})

        assert "asked 30 h ago by <@U01ALICE>. Still needed: 1 from leads; 1 from risk" in said


class TestHomes:
    def test_who_clicks_while_it_is_drawn_sees_it_drawn_once_more_at_the_last_page(self) -> None:
        homes, drawn = Homes(), []
        begun, clicked = threading.Event(), threading.Event()

        def publish(user_id: str, page: int) -> None:
            drawn.append((user_id, page))
            begun.set()
            assert clicked.wait(30)

        first = threading.Thread(target=homes.draw, args=("U02BOB", 0, publish))
        first.start()
        assert begun.wait(30)
        for page in (1, 2, 3):
            homes.draw("U02BOB", page, publish)
        clicked.set()
        first.join()

        assert drawn == [("U02BOB", 0), ("U02BOB", 3)]
        homes.draw("U02BOB", 4, publish)
        assert drawn[-1] == ("U02BOB", 4)

    def test_a_failure_leaves_the_next_one_free(self) -> None:
        homes, drawn = Homes(), []

        def broken(_user_id: str, _page: int) -> None:
            raise TimeoutError

        with pytest.raises(TimeoutError):
            homes.draw("U02BOB", 0, broken)
        homes.draw("U02BOB", 1, lambda *wanted: drawn.append(wanted))

        assert drawn == [("U02BOB", 1)]
