"""Slack falters, forgets, limits and goes away; Baton stays true, posts nothing twice, and comes back by itself."""

from __future__ import annotations

import time
from urllib.error import URLError

import pytest

from bot.local_slack.person import labels, shown_text
from bot.slack import desk, lost_posts
from core.store import messages
from tests.scenario.world import MODEL, PROMO, Baton, wait


@pytest.fixture
def delivery(database_url: str) -> str:
    """Socket Mode on one database, HTTP on the other."""
    return "socket" if database_url.startswith("sqlite") else "http"


@pytest.fixture
def told(baton: Baton) -> Baton:
    """A promotion that waits, with its card posted and its story told."""
    baton.register("7")
    baton.ask("7")
    wait(lambda: "Gates passed" in baton.story(baton.card("P-1")), "the story so far")
    return baton


def test_nobody_is_believed_while_slack_does_not_say_who_they_are(baton: Baton) -> None:
    baton.register("7")
    card = baton.ask("7")
    directory = baton.server.services.directory
    directory._cache.clear()
    for method in ("usergroups.list", "users.info", "users.lookupByEmail"):
        baton.fault(method, status=503, until_cleared=True)

    said = baton.refused(baton.bob, card, "Approve")

    assert said.startswith("Slack did not say who ")
    assert said.endswith("so nobody is believed; try again in a moment.")
    assert baton.decisions() == []
    baton.local("faults/clear")
    baton.click(baton.bob, card, "Approve")
    baton.card("Approvals 1 of 2")


def test_a_card_that_was_deleted_in_slack_is_posted_anew(told: Baton) -> None:
    card = told.card("P-1")
    told.local("admin", message={"channel": card["channel"], "ts": card["ts"], "delete": True})

    assert told.api("POST", "/promotions/P-1/cancel").status_code == 200

    anew = told.card("Withdrawn: fraud-detector 7 to production")
    assert anew["ts"] != card["ts"]
    assert len(told.cards()) == 1


def test_429_is_obeyed_whoever_wants_the_card_rewritten_meanwhile(told: Baton) -> None:
    card = told.card("P-1")
    told.local("calls/clear")
    told.fault("chat.update", status=429, retry_after=2)
    told.approve(card, told.bob)
    wait(lambda: told.calls("chat.update"), "Slack to refuse")

    told.api("POST", "/promotions/P-1/cancel")

    told.card("Withdrawn: fraud-detector 7 to production")
    first, second, *_ = told.calls("chat.update")
    assert first["status"] == 429
    assert second["at"] - first["at"] >= 2.0


@pytest.mark.parametrize(
    "fault", [{"status": 500, "after_effect": True}, {"after_effect": True}, {"status": 503}], ids=str
)
def test_a_post_whose_answer_was_lost_is_not_repeated(baton: Baton, fault: dict) -> None:
    baton.register("7")
    baton.fault("chat.postMessage", **fault)

    card = baton.ask("7")

    baton.approve(card)
    baton.card("fraud-detector 7 is champion of production")
    wait(lambda: "👑" in baton.story(card), "the whole story")
    assert len(baton.cards()) == 1
    assert baton.story(card).count("asked for it") == 1
    assert baton.story(card).count("approved\n") <= 2


def test_a_post_whose_answer_was_lost_is_found_below_all_that_was_said_since(
    baton: Baton, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lost_posts, "PAGE", 2)
    baton.register("7")
    baton.fault("chat.postMessage", status=500, after_effect=True)
    baton.fault("conversations.history", status=503, until_cleared=True)
    baton.ask("7")
    baton.server.stop()
    for words in ("lunch?", "yes", "where?", "here", "now"):
        baton.alice.say(PROMO, words)
    baton.local("faults/clear")
    baton.start()

    wait(lambda: _nothing_stale(baton), "the card to be known as shown")
    assert len([each for each in baton.cards() if "P-1" in shown_text(each)]) == 1


def test_a_thread_line_and_a_direct_message_are_told_once_though_every_answer_is_lost(told: Baton) -> None:
    card = told.card("P-1")
    told.fault("chat.postMessage", status=500, after_effect=True, times=4)

    told.approve(card)

    told.card("fraud-detector 7 is champion of production")
    wait(lambda: "👑" in told.story(card), "the whole story")
    told.alice.wait_for_text("app", "P-1")
    wait(lambda: _nothing_stale(told), "everything to be known as said")
    for line in ("<@U02BOB> approved", "<@U03CAROL> approved", "👑", "📦"):
        assert told.story(card).count(line) == 1, told.story(card)
    assert len(told.alice.dms()) == 1


def test_a_revoked_token_stops_nothing_but_the_words_and_they_come_later(told: Baton) -> None:
    told.local("admin", token="revoke")
    assert told.api("POST", "/promotions/P-1/cancel", reason="meanwhile").status_code == 200
    told.tick("slack")
    wait(lambda: told.server.services.slack_ready(), "Baton to notice")
    assert "token_revoked" in told.server.services.slack_ready()
    assert labels(told.card("P-1")) != []  # nobody could tell

    told.local("admin", token="restore")
    told.tick("slack")

    told.card("Withdrawn: fraud-detector 7 to production")
    told.alice.wait_for_text("app", "Withdrawn")
    wait(lambda: not told.server.services.slack_ready(), "Baton to be well again")


def test_while_every_call_fails_a_click_still_counts(told: Baton) -> None:
    card = told.card("P-1")
    told.server.services.directory.warm()
    told.fault("*", status=500, until_cleared=True)

    told.click(told.bob, card, "Approve")
    told.click(told.carol, card, "Approve")

    wait(lambda: told.champion() == "7", "the champion")
    told.local("faults/clear")
    told.card("fraud-detector 7 is champion of production", seconds=15.0)


def test_slow_answers_of_slack_hold_up_no_click(told: Baton) -> None:
    told.slack.latency = 6.0
    card = told.card("P-1")

    began = time.monotonic()
    told.approve(card)

    assert time.monotonic() - began < 6.0  # both are acknowledged before the first call is answered
    told.slack.latency = 0.0
    told.card("fraud-detector 7 is champion of production")


class TestPace:
    """As fast as in life, at a Slack that counts."""

    @pytest.fixture
    def posts_a_second(self) -> float:
        return 1.0

    def test_a_burst_of_requests_never_meets_slacks_limit(self, baton: Baton) -> None:
        baton.slack.web._enforce = True
        for number in range(7):
            baton.register(str(number), model=f"model-{number}")
            baton.command(baton.alice, f"/promote model-{number} {number} to production")

        wait(lambda: len(baton.cards()) == 7, "every card")

        assert [call["method"] for call in baton.calls() if call["status"] == 429] == []


class TestSockets:
    """Socket Mode only."""

    @pytest.fixture
    def delivery(self) -> str:
        return "socket"

    @pytest.fixture
    def patience(self) -> float:
        """What was sent into a socket that was closed just then is never answered."""
        return 3.0

    @pytest.mark.parametrize(
        "act",
        [{"action": "kill"}, {"action": "disconnect", "reason": "refresh_requested"}],
        ids=lambda act: act["action"],
    )
    def test_a_lost_socket_is_replaced_within_seconds(self, told: Baton, act: dict) -> None:
        told.local("socket", **act)

        began = time.monotonic()
        wait(lambda: told.alice.command("#ml-promotions", "/promote status") == {"ok": True}, "a command to be taken")

        assert time.monotonic() - began < 12.0
        told.approve(told.card("P-1"))
        told.card("fraud-detector 7 is champion of production")

    def test_a_socket_that_fell_silent_is_noticed_and_replaced(self, told: Baton) -> None:
        told.local("calls/clear")
        told.local("socket", action="freeze")

        wait(lambda: told.calls("apps.connections.open"), "Baton to ask for another socket", 15.0)
        wait(lambda: len(told.slack.delivery.sockets) == 2, "Baton to open it")
        del told.slack.delivery.sockets[0]  # Slack notices too, since its own pings go unanswered
        told.approve(told.card("P-1"))

        told.card("fraud-detector 7 is champion of production")

    def test_a_slack_that_refuses_sockets_for_a_while_is_asked_again(self, told: Baton) -> None:
        told.local("socket", action="refuse", n=2)
        told.local("socket", action="kill")
        wait(lambda: told.server.services.slack_ready(), "Baton to notice")

        wait(lambda: told.alice.command("#ml-promotions", "/promote status") == {"ok": True}, "a command to be taken")

        wait(lambda: not told.server.services.slack_ready(), "Baton to be well again")


def _nothing_stale(baton: Baton) -> bool:
    with baton.server.database.read() as session:
        return messages.backlog(session, baton.clock())[0] == 0


@pytest.fixture
def mute(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address that comes with a click does not answer, as behind a proxy that lets only the Web API through."""

    def dead(*_: object, **__: object) -> None:
        raise URLError("unreachable")

    monkeypatch.setattr(desk.WebhookClient, "send", dead)


@pytest.mark.usefixtures("mute")
def test_a_click_is_answered_where_its_own_address_is_dead(told: Baton) -> None:
    assert told.refused(told.mallory, told.card("P-1"), "Approve").startswith("You are not among those")


@pytest.mark.usefixtures("mute")
@pytest.mark.parametrize("fault", [{"status": 503}, {"error": "ratelimited", "retry_after": 1}])
def test_a_click_is_answered_a_moment_later_where_slack_falters(told: Baton, fault: dict[str, object]) -> None:
    for method in ("chat.postEphemeral", "chat.postMessage"):
        told.fault(method, **fault)
    assert told.refused(told.mallory, told.card("P-1"), "Approve").startswith("You are not among those")


@pytest.mark.usefixtures("mute")
def test_a_red_button_whose_message_cannot_be_replaced_is_answered_all_the_same(baton: Baton) -> None:
    baton.promoted("6")
    baton.promoted("7")
    offer = baton.command(baton.bob, f"/rollback {MODEL} because it burns")
    assert "rolling fraud-detector in production back" in baton.refused(baton.bob, offer, "Roll back to 6")
    assert baton.refused(baton.bob, offer, "Roll back to 6")


def test_a_form_that_cannot_be_turned_over_tells_by_direct_message(told: Baton) -> None:
    told.click(told.alice, told.card("P-1"), "Details")
    form = told.alice.wait_for_view()
    told.fault("views.update", error="not_found")
    told.excused.add("views.update")
    told.click(told.alice, form, "Withdraw this request")
    told.alice.wait_for_text("app", "P-1 is withdrawn.")


@pytest.mark.parametrize("fault", [{"status": 503}, {"error": "ratelimited"}, {"error": "internal_error"}])
def test_a_form_that_slack_does_not_open_is_answered_with_what_to_do(
    told: Baton, fault: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    told.fault("views.open", **fault)
    said = told.refused(told.bob, told.card("P-1"), "Reject")
    assert said == "Slack did not answer Baton in time, and nothing was done; try again."
    assert not [record for record in caplog.records if record.exc_info]
