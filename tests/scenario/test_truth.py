"""After any fault every card is true again within 5 s of its end, and nobody is told twice; Slack's own parts are real.

How long each recovery takes is measured by `python -m bench e`.
"""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from bot.local_slack.person import Json, Person, labels, shown_text
from core.store import messages
from tests.scenario.test_alerts import firing, policy_with, send
from tests.scenario.world import POLICY, Baton, wait

SECRET, PROMO_ID = "C04SECRET", "C01PROMO"
OWNER = 'channel: "#ml-promotions"\n', 'channel: "#ml-promotions"\n  owner: dave@example.com\n'
OWNED = POLICY.replace(*OWNER)
PRIVATE = OWNED.replace("#ml-promotions", "#secret")
ROUND, REPORT = "Sent to you directly", "🚧"
WITHIN = 5.0


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
    wait(lambda: all_said(baton), "everything to be known as said")
    return baton


@pytest.fixture
def shut_out(baton: Baton) -> Baton:
    """A promotion whose channel Slack shows Baton no more."""
    baton.excused |= {"channel_not_found", "not_in_channel"}
    baton.register("7")
    said = baton.api("POST", "/promotions", model="fraud-detector", version="7", stage="production", reason="")
    assert said.status_code == 201, said.text
    return baton


def direct(person: Person, part: str) -> list[Json]:
    """The direct messages that show `part`."""
    return [m for m in person.dms() if part in shown_text(m)]


def copy(person: Person, part: str = ROUND) -> Json:
    return person.wait_for_message("app", lambda m: ROUND in shown_text(m) and part in shown_text(m), 30.0)


def all_said(baton: Baton) -> bool:
    with baton.server.database.read() as session:
        return messages.backlog(session, baton.clock())[0] == 0


def invite(baton: Baton) -> None:
    baton.local("admin", channel={"id": SECRET, "bot": "add"})


def in_secret(baton: Baton, part: str) -> list[Json]:
    return [m for m in baton.alice.messages("secret") if not m["deleted"] and part in shown_text(m)]


def timed(look: Any, what: str) -> float:
    began = time.monotonic()
    wait(look, what)
    return time.monotonic() - began


@pytest.mark.parametrize("policy", [PRIVATE], ids=["private"])
class TestAChannelThatCannotBeReached:
    def test_its_owner_is_told_once_how_to_mend_it(self, shut_out: Baton) -> None:
        report = shut_out.dave.wait_for_text("app", REPORT)
        shut_out.register("8", model="other")
        shut_out.api("POST", "/promotions", model="other", version="8", stage="production", reason="")
        copy(shut_out.bob, "other 8")

        said = shown_text(report)
        assert "Baton cannot write into #secret:" in said
        assert "/invite @Baton" in said
        assert "correct `slack.channel` in the policy file" in said
        assert len(direct(shut_out.dave, REPORT)) == 1
        assert [direct(person, REPORT) for person in (shut_out.alice, shut_out.bob, shut_out.carol)] == [[], [], []]

    def test_the_promotion_is_decided_by_direct_message(self, shut_out: Baton) -> None:
        cards = [copy(person) for person in (shut_out.bob, shut_out.carol, shut_out.dave)]

        shut_out.click(shut_out.bob, cards[0], "Approve")
        copy(shut_out.carol, "Approvals 1 of 2")
        shut_out.click(shut_out.carol, cards[1], "Approve")

        for person in (shut_out.bob, shut_out.carol, shut_out.dave):
            assert labels(copy(person, "fraud-detector 7 is champion of production")) == []
            assert len(direct(person, "fraud-detector 7")) == 1
        assert shut_out.mallory.dms() == []

    def test_late_and_double_clicks_there_get_their_sentence(self, shut_out: Baton) -> None:
        card = copy(shut_out.bob)
        shut_out.click(shut_out.bob, card, "Approve")
        copy(shut_out.bob, "Approvals 1 of 2")

        shut_out.click(shut_out.bob, card, "Approve")
        shut_out.bob.wait_for_text("app", "You have approved P-1 already")
        shown = copy(shut_out.carol, "Approvals 1 of 2")
        shut_out.api("POST", "/promotions/P-1/cancel")
        shut_out.click(shut_out.carol, shown, "Approve")
        shut_out.carol.wait_for_text("app", "P-1 was withdrawn")
        assert shut_out.decisions() == [("user:U02BOB", "approval")]

    def test_who_asked_is_told_where_it_went_and_sees_how_it_goes(self, baton: Baton) -> None:
        baton.excused |= {"channel_not_found", "not_in_channel"}
        baton.register("7")
        baton.command(baton.alice, "/promote fraud-detector 7 to production")

        shown = copy(baton.alice, "Promote fraud-detector 7 to production?")
        assert "since Baton cannot write into #secret now" in shown_text(shown)
        baton.click(baton.carol, copy(baton.carol), "Approve")
        copy(baton.alice, "Approvals 1 of 2")

    def test_once_it_can_be_reached_the_card_and_the_whole_story_are_there_within_5_s(self, shut_out: Baton) -> None:
        shut_out.click(shut_out.bob, copy(shut_out.bob), "Approve")
        copy(shut_out.carol, "Approvals 1 of 2")
        shut_out.dave.wait_for_text("app", REPORT)

        invite(shut_out)

        assert timed(lambda: in_secret(shut_out, "Approvals 1 of 2"), "the card") < WITHIN
        card = in_secret(shut_out, "Approvals 1 of 2")[0]
        wait(lambda: "<@U02BOB> approved" in _thread(shut_out, card), "the story")
        copy(shut_out.carol, "It is there too now")
        shut_out.dave.wait_for_text("app", "#secret is settled")
        wait(lambda: all_said(shut_out), "everything to be known as said")
        assert direct(shut_out.dave, REPORT) == []
        assert len(in_secret(shut_out, "P-1")) == 1
        shut_out.click(shut_out.carol, copy(shut_out.carol), "Approve")
        copy(shut_out.bob, "is champion of production")
        wait(lambda: in_secret(shut_out, "is champion of production"), "the card to be true")

    def test_a_later_time_is_reported_anew(self, shut_out: Baton) -> None:
        shut_out.dave.wait_for_text("app", REPORT)
        invite(shut_out)
        shut_out.dave.wait_for_text("app", "#secret is settled")
        wait(lambda: all_said(shut_out), "everything to be known as said")

        shut_out.local("admin", channel={"id": SECRET, "bot": "remove"})

        shut_out.dave.wait_for_text("app", REPORT)  # nobody changed anything: Baton looks for its cards
        assert len(direct(shut_out.dave, "#secret is settled")) == 1
        shut_out.click(shut_out.bob, copy(shut_out.bob), "Approve")
        copy(shut_out.carol, "Approvals 1 of 2")
        assert in_secret(shut_out, "Approvals 0 of 2")  # nobody can tell
        invite(shut_out)
        assert timed(lambda: in_secret(shut_out, "Approvals 1 of 2"), "the card") < WITHIN
        assert len(in_secret(shut_out, "P-1")) == 1

    def test_a_corrected_policy_takes_the_card_to_its_new_channel(self, shut_out: Baton) -> None:
        shut_out.dave.wait_for_text("app", REPORT)
        copy(shut_out.bob)
        shut_out.server.stop()
        shut_out.policy.write_text(shut_out.policy.read_text().replace("#secret", "#fraud-ml"))
        shut_out.start()

        card = shut_out.alice.wait_for_text("fraud-ml", "Promote fraud-detector 7 to production?")

        wait(lambda: "asked for it" in _thread(shut_out, card), "the story")
        shut_out.dave.wait_for_text("app", "#fraud-ml takes its place")
        assert len(direct(shut_out.bob, "fraud-detector 7")) == 1

    def test_slack_is_asked_about_every_4_s_however_much_waits(self, shut_out: Baton) -> None:
        for number in range(5):
            shut_out.register(str(number), model=f"m{number}")
            shut_out.api("POST", "/promotions", model=f"m{number}", version=str(number), stage="production", reason="")
        copy(shut_out.bob, "m4 4")
        shut_out.local("calls/clear")

        wait(lambda: len(_posts(shut_out)) >= 4, "a few more tries")

        times = [call["at"] for call in _posts(shut_out)]
        assert (times[-1] - times[0]) / (len(times) - 1) > 3.0, times


@pytest.mark.parametrize("policy", [policy_with("ask").replace(*OWNER)], ids=["alerts"])
def test_an_alert_that_cannot_be_shown_is_called_one(baton: Baton) -> None:
    baton.excused |= {"channel_not_found", "not_in_channel"}
    for version in ("6", "7"):
        baton.promoted(version)
    wait(lambda: all_said(baton), "everything to be known as said")
    baton.server.stop()
    baton.policy.write_text(baton.policy.read_text().replace("#ml-promotions", "#secret"))
    baton.start()

    send(baton, firing())

    assert "Noticed with an alert" in shown_text(baton.dave.wait_for_text("app", REPORT))


@pytest.mark.parametrize(
    "policy",
    [PRIVATE.replace('"#secret"\n', '"#secret"\n  digest: {at: "00:00", days: mon-sun, timezone: UTC}\n')],
    ids=["daily"],
)
def test_a_digest_waits_for_its_channel_and_is_sent_once(baton: Baton) -> None:
    baton.excused |= {"channel_not_found", "not_in_channel"}
    baton.server.services.send_digest()
    assert "Noticed with the digest" in shown_text(baton.dave.wait_for_text("app", REPORT))

    invite(baton)

    wait(lambda: in_secret(baton, "Nothing waits"), "the digest")
    wait(lambda: all_said(baton), "everything to be known as said")
    assert len(in_secret(baton, "Nothing waits")) == 1
    assert len(baton.dave.dms()) == 1


@pytest.mark.parametrize(
    ("error", "advice"),
    [("is_archived", "Unarchive it"), ("restricted_action", "posting permissions"), ("not_in_channel", "Invite it")],
)
@pytest.mark.parametrize("policy", [OWNED], ids=["owned"])
def test_each_reason_comes_with_its_own_advice(baton: Baton, error: str, advice: str) -> None:
    baton.excused.add(error)
    baton.local("admin", channel={"id": PROMO_ID, "archived": error == "is_archived"})
    if error != "is_archived":
        baton.fault("chat.postMessage", error=error)

    baton.register("7")
    baton.command(baton.alice, "/promote fraud-detector 7 to production")

    assert advice in shown_text(baton.dave.wait_for_text("app", "#ml-promotions"))
    baton.local("admin", channel={"id": PROMO_ID, "archived": False})
    assert timed(lambda: baton.card("Promote fraud-detector 7 to production?"), "the card") < WITHIN
    baton.dave.wait_for_text("app", "#ml-promotions is settled")


def test_without_an_owner_the_requester_is_told(baton: Baton) -> None:
    baton.excused.add("channel_not_found")
    baton.local("admin", channel={"id": PROMO_ID, "name": "renamed"})
    baton.register("7")
    baton.alice.command("#general", "/promote fraud-detector 7 to production")

    baton.alice.wait_for_text("app", REPORT)
    copy(baton.bob)

    assert len(direct(baton.alice, REPORT)) == 1
    assert direct(baton.bob, REPORT) == []


def test_in_a_renamed_channel_the_cards_that_stand_there_stay_true(told: Baton) -> None:
    told.excused.add("channel_not_found")
    card = told.card("P-1")
    told.local("admin", channel={"id": PROMO_ID, "name": "renamed"})

    told.approve(card, told.bob)

    told.alice.wait_for_text("renamed", "Approvals 1 of 2")
    wait(lambda: "<@U02BOB> approved" in _thread(told, card), "its line")
    assert told.bob.dms() == []


class TestACardThatIsGone:
    def test_it_is_posted_anew_within_5_s_though_nothing_else_happens(self, told: Baton) -> None:
        card = told.card("P-1")

        told.local("admin", message={"channel": card["channel"], "ts": card["ts"], "delete": True})

        took = timed(lambda: [m for m in told.cards() if m["ts"] != card["ts"]], "the new card")
        assert took < WITHIN + 1.0  # it has to be missed first
        anew = told.cards()[0]
        assert "This replaces its card, which was deleted" in shown_text(anew)
        assert f"thread_ts={card['ts']}" in str(anew["blocks"])  # the story until then is a click away
        told.approve(anew, told.bob)
        wait(lambda: "<@U02BOB> approved" in told.story(anew), "the line under the new card")
        assert "<@U02BOB> approved" not in told.story(card)
        assert len(told.cards()) == 1

    def test_a_thread_that_lost_its_card_goes_on_under_the_new_one(self, told: Baton) -> None:
        card = told.card("P-1")
        told.excused.add("thread_not_found")
        told.fault("chat.postMessage", error="thread_not_found")
        told.local("admin", message={"channel": card["channel"], "ts": card["ts"], "delete": True})

        assert told.api("POST", "/promotions/P-1/cancel").status_code == 200

        anew = told.card("Withdrawn: fraud-detector 7 to production")
        wait(lambda: "withdrew it" in told.story(anew), "the line under the new card")
        assert len(told.cards()) == 1

    @pytest.mark.parametrize("error", ["edit_window_closed", "cant_update_message"])
    def test_one_that_slack_lets_nobody_edit_is_replaced(self, told: Baton, error: str) -> None:
        card = told.card("P-1")
        told.excused.add(error)
        told.fault("chat.update", error=error)

        told.approve(card, told.bob)

        anew = told.card("Approvals 1 of 2")
        assert anew["ts"] != card["ts"]
        assert "Slack lets nobody edit any more" in shown_text(anew)
        assert len(told.cards()) == 1  # the one that says what is no longer so is taken away


def test_what_is_wrong_in_itself_is_not_sent_again_and_again(told: Baton) -> None:
    told.excused.add("invalid_blocks")
    told.local("calls/clear")
    told.fault("chat.update", error="invalid_blocks", until_cleared=True)

    told.approve(told.card("P-1"), told.bob)

    wait(lambda: len(told.calls("chat.update")) == 3, "three tries")
    first, second, third = (call["at"] for call in told.calls("chat.update"))
    assert third - second > 1.5 * (second - first)
    metrics = httpx.get(f"{told.url}/metrics").text
    assert 'baton_slack_errors_total{method="chat.update",error="invalid_blocks"} 3' in metrics.replace(
        'error="invalid_blocks",method="chat.update"', 'method="chat.update",error="invalid_blocks"'
    )
    told.local("faults/clear")
    told.approve(told.card("P-1"), told.carol)  # a change makes another card of it
    told.card("is champion of production")


@pytest.mark.parametrize("how", ["revoke", "deactivate"])
def test_while_slack_does_not_know_baton_it_says_so_and_then_shows_everything_within_5_s(told: Baton, how: str) -> None:
    told.excused.add("account_inactive")
    told.server.services.directory.warm()
    card = told.card("P-1")
    told.local("admin", token=how)
    told.approve(card)
    wait(lambda: told.champion() == "7", "the champion")
    wait(lambda: _ready(told).status_code == 503, "Baton to say that it is not ready")
    assert ("token_revoked" if how == "revoke" else "account_inactive") in _ready(told).text
    told.local("calls/clear")
    wait(lambda: len(told.calls("chat.update")) + len(told.calls("chat.postMessage")) >= 2, "a few tries")

    told.local("admin", token="restore")

    shown = timed(lambda: "is champion of production" in shown_text(told.cards()[0]), "the truth")
    assert shown < WITHIN
    wait(lambda: "👑" in told.story(card), "the story")
    told.alice.wait_for_text("app", "P-1")
    wait(lambda: _ready(told).status_code == 200, "Baton to be ready")
    assert told.story(card).count("<@U02BOB> approved") == 1
    assert len(told.alice.dms()) == 1


@pytest.mark.parametrize(
    "fault",
    [{"status": 500}, {"status": 429, "retry_after": 2}, {"error": "internal_error"}, {"status": 503}],
    ids=lambda fault: str(next(iter(fault.values()))),
)
def test_a_fault_that_lasts_leaves_the_card_untrue_for_less_than_5_s(told: Baton, fault: dict[str, Any]) -> None:
    card = told.card("P-1")
    told.server.services.directory.warm()
    for method in ("chat.update", "chat.postMessage"):
        told.fault(method, **fault, until_cleared=True)
    told.approve(card, told.bob)
    wait(lambda: len([c for c in told.calls("chat.update") if not c["response"].get("ok")]) >= 3, "a few tries")

    told.local("faults/clear")

    assert timed(lambda: "Approvals 1 of 2" in shown_text(told.cards()[0]), "the truth") < WITHIN
    wait(lambda: "<@U02BOB> approved" in told.story(card), "the story")
    assert told.story(card).count("<@U02BOB> approved") == 1


def test_what_was_left_when_baton_stopped_is_shown_when_it_starts(told: Baton) -> None:
    card = told.card("P-1")
    told.excused.add("invalid_blocks")
    told.fault("*", error="invalid_blocks", until_cleared=True)
    told.approve(card, told.bob)
    wait(lambda: told.decisions() != [] and not all_said(told), "the approval")
    wait(lambda: len([c for c in told.calls("chat.update") if not c["response"].get("ok")]) >= 2, "Slack to refuse")
    told.server.stop()
    told.local("faults/clear")

    told.start()

    assert timed(lambda: "Approvals 1 of 2" in shown_text(told.cards()[0]), "the truth") < WITHIN


def _thread(baton: Baton, card: Json) -> str:
    replies = baton.alice.messages(card["channel"], card["ts"])
    return "\n".join(shown_text(m) for m in replies if m["ts"] != card["ts"])


def _posts(baton: Baton) -> list[Json]:
    return [call for call in baton.calls("chat.postMessage") if call["args"]["channel"] == "#secret"]


def _ready(baton: Baton) -> httpx.Response:
    return httpx.get(f"{baton.url}/readyz")
