"""Who may decide, who may not, and what each is told: every sentence word for word."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.local_slack.person import labels, shown_text
from core.domain.model import Actor
from tests.scenario.world import CAROL, DAVE, MODEL, Baton, wait

MAY_NOT = "You are not among those who may approve fraud-detector 7 for production: that takes ml-leads or risk."


def test_the_requester_cannot_approve_their_own_promotion(baton: Baton) -> None:
    baton.register("7")
    card = baton.ask("7", person=baton.bob)

    said = baton.refused(baton.bob, card, "Approve")

    assert said == "You asked for this promotion, so someone else must approve it."
    assert "<@U02BOB>" not in shown_text(card).partition("Still needed")[2]
    assert baton.decisions() == []


def test_nobody_approves_what_their_own_token_asked_for(baton: Baton) -> None:
    baton.register("7")
    made = baton.server.services.tokens.create(Actor.system("test"), "bobs-laptop", ["request"], owner="U02BOB")
    baton.token, admin = made[1], baton.token
    asked = baton.api("POST", "/promotions", model=MODEL, version="7", stage="production", reason="better")
    assert asked.json()["requester"] == {"actor": "token:bobs-laptop", "name": "bobs-laptop", "owner": "user:U02BOB"}
    baton.token = admin
    card = baton.card("P-1")
    assert "Asked by bobs-laptop (API, of <@U02BOB>)" in shown_text(card)
    assert "<@U02BOB>" not in shown_text(card).partition("Still needed")[2]

    said = baton.refused(baton.bob, card, "Approve")

    assert said == "Your token bobs-laptop asked for this promotion, so someone else must approve it."
    boards = baton.server.services.boards
    assert (boards.home("U02BOB").waiting.count, boards.home("U03CAROL").waiting.count) == (0, 1)
    assert boards.home("U02BOB").asked.count == 1
    assert baton.decisions() == []
    baton.server.services.promotions.cancel(Actor.user("U02BOB", "bob"), 1)
    baton.bob.wait_for_message("app", lambda m: "withdrawn" in shown_text(m).lower())


@pytest.mark.parametrize("trained_by", ["carol@example.com", "U03CAROL", "Carol <carol@corp.example>"])
def test_the_trainer_cannot_approve_their_own_training_run(baton: Baton, trained_by: str) -> None:
    baton.register("7", lineage={"trained_by": trained_by, **LINEAGE})
    card = baton.ask("7")

    said = baton.refused(baton.carol, card, "Approve")

    assert said == "You trained this version, so someone else must approve it."
    assert baton.decisions() == []


def test_whoever_is_in_no_group_is_told_which_it_takes(baton: Baton) -> None:
    baton.register("7")
    card = baton.ask("7")

    assert baton.refused(baton.mallory, card, "Approve") == MAY_NOT
    assert baton.refused(baton.mallory, card, "Reject") == MAY_NOT
    assert baton.mallory.open_view() is None
    assert baton.states() == ["awaiting_approval"]


def test_the_second_click_of_one_person_counts_for_nothing(baton: Baton) -> None:
    baton.register("7")
    card = baton.ask("7")
    baton.click(baton.bob, card, "Approve")

    said = baton.refused(baton.bob, card, "Approve")

    assert said == "You have approved P-1 already; 1 of 2 approvals; still needed: 1 from risk."
    assert baton.decisions() == [("user:U02BOB", "approval")]


def test_whoever_comes_late_is_told_what_became_of_it(baton: Baton) -> None:
    baton.register("7")
    card = baton.ask("7")
    baton.approve(card)
    baton.card("fraud-detector 7 is champion of production")

    assert baton.refused(baton.dave, card, "Approve") == "P-1 was approved and deployed already."
    assert baton.refused(baton.dave, card, "Reject") == "P-1 was approved and deployed already."


def test_one_rejection_with_its_reason_ends_it_for_all_to_see(baton: Baton) -> None:
    baton.register("7")
    card = baton.ask("7")
    baton.click(baton.bob, card, "Approve")

    baton.click(baton.carol, card, "Reject")
    form = baton.carol.wait_for_view()
    assert form["title"]["text"] == "Reject P-1"
    assert baton.carol.submit(form, {"Reason": "worse for new customers"}) == {"ok": True}

    ended = baton.card("Rejected: fraud-detector 7 to production")
    assert ended["ts"] == card["ts"]
    assert "Rejected by carol: worse for new customers" in shown_text(ended)
    assert labels(ended) == []
    assert baton.carol.open_view() is None
    assert "worse for new customers" in shown_text(baton.alice.wait_for_text("app", "Rejected"))
    wait(lambda: "<@U03CAROL> rejected it: worse for new customers" in baton.story(card), "the story")
    assert baton.refused(baton.dave, card, "Approve") == "P-1 was rejected by carol; it takes a new request."
    assert baton.decisions() == [("user:U02BOB", "approval"), ("user:U03CAROL", "rejection")]
    assert not baton.receiver.hooks


def test_a_rejection_without_words_is_refused_under_its_input(baton: Baton) -> None:
    baton.register("7")
    baton.click(baton.carol, baton.ask("7"), "Reject")
    form = baton.carol.wait_for_view()

    answer = baton.carol.submit(form, {"Reason": " \u200b\n "})

    assert answer["errors"] == {"reason": "The reason is missing; say in a sentence why."}
    assert baton.states() == ["awaiting_approval"]


def test_a_rejection_that_comes_too_late_is_answered_in_its_form(baton: Baton) -> None:
    baton.register("7")
    card = baton.ask("7")
    baton.click(baton.carol, card, "Reject")
    form = baton.carol.wait_for_view()
    baton.approve(card, baton.bob, baton.dave)
    baton.card("fraud-detector 7 is champion of production")

    answer = baton.carol.submit(form, {"Reason": "wait!"})

    assert answer["errors"] == {"reason": "P-1 was approved and deployed already."}
    assert baton.reigns() == [("7", True)]


TWO_HATS = [("ml-leads: [U02BOB, U03CAROL]", "risk: [U03CAROL, U04DAVE]")]


@pytest.mark.parametrize("hats", TWO_HATS, ids=["Carol is a lead and of risk"])
def test_a_person_in_two_groups_fills_one_seat(baton: Baton, hats: tuple[str, str]) -> None:
    baton.register("7")
    card = baton.ask("7")

    baton.click(baton.carol, card, "Approve")

    card = baton.card("Approvals 1 of 2")
    assert baton.states() == ["awaiting_approval"]
    assert not baton.receiver.hooks
    baton.click(baton.bob, card, "Approve")  # Carol moves over to risk for him
    baton.card("fraud-detector 7 is champion of production")
    assert len(baton.receiver.hooks) == 1


@pytest.fixture
def policy(request: pytest.FixtureRequest, policy: str) -> str:
    """With other people in the groups, where a story names them."""
    hats = getattr(request.node, "callspec", None) and request.node.callspec.params.get("hats")
    for line, old in zip(hats or (), ('ml-leads: ["@ml-leads"]', "risk: [carol@example.com, U04DAVE]"), strict=False):
        assert old in policy
        policy = policy.replace(old, line)
    return policy


def test_an_empty_user_group_means_nobody(baton: Baton) -> None:
    baton.local("admin", usergroup={"id": "S02LEADS", "users": []})
    baton.server.services.directory.warm()
    baton.register("7")
    card = baton.ask("7")
    assert "1 from ml-leads;" in shown_text(card)

    baton.click(baton.carol, card, "Approve")

    baton.card("Approvals 1 of 2")
    assert baton.refused(baton.bob, card, "Approve") == MAY_NOT
    assert baton.states() == ["awaiting_approval"]


def test_a_member_who_was_deactivated_does_not_count(baton: Baton) -> None:
    baton.register("7")
    card = baton.ask("7")
    baton.local("admin", user={"id": DAVE, "is_guest": True})
    baton.server.services.directory.warm()

    said = baton.refused(baton.dave, card, "Approve")

    assert said == "Bots, guests, strangers and deactivated accounts may not decide; a full member must."


def test_who_left_the_user_group_may_not_approve_any_more(baton: Baton) -> None:
    baton.register("7")
    card = baton.ask("7")
    baton.local("admin", usergroup={"id": "S02LEADS", "users": [CAROL]})
    baton.server.services.directory.warm()

    said = baton.refused(baton.bob, card, "Approve")

    assert said == MAY_NOT
    baton.approve(card, baton.carol, baton.dave)
    baton.card("fraud-detector 7 is champion of production")


def test_another_version_supersedes_and_the_first_requester_is_told(baton: Baton) -> None:
    baton.register("7")
    baton.register("8")
    first = baton.ask("7")
    baton.click(baton.bob, first, "Approve")

    second = baton.ask("8", person=baton.dave)

    gone = baton.card("Superseded: fraud-detector 7 to production")
    assert gone["ts"] == first["ts"]
    assert labels(gone) == []
    told = shown_text(baton.alice.wait_for_text("app", "Superseded"))
    assert "fraud-detector 8 was asked for instead." in told
    assert baton.states() == ["superseded", "awaiting_approval"]
    said = baton.refused(baton.carol, first, "Approve")
    assert said == "P-1 was superseded: fraud-detector 8 was asked for instead."
    baton.approve(second)
    baton.card("fraud-detector 8 is champion of production")
    assert baton.reigns() == [("8", True)]


def test_the_same_version_again_is_refused_with_a_link_to_the_first(baton: Baton) -> None:
    baton.register("7")
    card = baton.ask("7")

    said = baton.command(baton.dave, "/promote fraud-detector 7 to production")

    shown = shown_text(said)
    assert "P-1 asks to promote fraud-detector 7 to production already; it awaits approval." in shown
    assert "Follow P-1, or withdraw it and ask anew." in shown
    assert f"/archives/{card['channel']}/p{card['ts'].replace('.', '')}" in shown
    assert baton.states() == ["awaiting_approval"]


def test_cancelling_by_the_api_edits_the_card(baton: Baton) -> None:
    baton.register("7")
    card = baton.ask("7")

    answer = baton.api("POST", "/promotions/P-1/cancel", reason="the data was wrong")

    assert answer.status_code == 200
    after = baton.card("Withdrawn: fraud-detector 7 to production")
    assert after["ts"] == card["ts"]
    assert labels(after) == []
    assert "the data was wrong" in shown_text(after)
    baton.alice.wait_for_text("app", "Withdrawn")
    assert "withdrawn" in baton.refused(baton.bob, card, "Approve")


def test_the_requester_withdraws_it_from_the_details(baton: Baton) -> None:
    baton.register("7")
    card = baton.ask("7")
    baton.click(baton.bob, card, "Details")
    assert "Withdraw this request" not in labels(baton.bob.wait_for_view())

    baton.click(baton.alice, card, "Details")
    view = baton.alice.wait_for_view()
    baton.click(baton.alice, view, "Withdraw this request")

    baton.alice.wait_for_view(predicate=lambda v: "P-1 is withdrawn." in shown_text(v))
    assert "Withdrawn by alice" in shown_text(baton.card("Withdrawn: fraud-detector 7 to production"))


def test_what_nobody_decides_expires_and_its_card_says_so(baton: Baton) -> None:
    baton.register("7")
    card = baton.ask("7")
    baton.click(baton.bob, card, "Approve")
    baton.card("Approvals 1 of 2")

    baton.clock.ahead = timedelta(hours=72, minutes=1)
    baton.tick("expiry")

    after = baton.card("Expired: fraud-detector 7 to production")
    assert after["ts"] == card["ts"]
    assert labels(after) == []
    assert "Not enough people approved in time." in shown_text(after)
    baton.alice.wait_for_text("app", "Expired")
    assert baton.states() == ["expired"]


def test_a_click_after_the_hour_expires_it_before_any_clock_does(baton: Baton) -> None:
    baton.register("7")
    card = baton.ask("7")
    baton.click(baton.bob, card, "Approve")
    baton.clock.ahead = timedelta(hours=73)

    said = baton.refused(baton.carol, card, "Approve")

    assert said == "P-1 expired before it was decided; it takes a new request."
    assert baton.states() == ["expired"]
    assert not baton.receiver.hooks
    baton.card("Expired: fraud-detector 7 to production")


def test_approve_asks_once_more_for_production_only(baton: Baton) -> None:
    baton.register("7")
    card = baton.ask("7")

    dialog = baton.bob.confirm_of(card, "Approve")

    assert dialog is not None
    assert dialog["title"]["text"] == "Approve for production?"
    assert "fraud-detector 7 → production. It would be the first champion." in dialog["text"]["text"]
    assert baton.bob.click(card, "Approve", accept=False)["error"] == "dismissed"
    assert baton.decisions() == []


def test_everything_works_in_app_home_too(baton: Baton) -> None:
    baton.register("7")
    baton.ask("7")

    assert baton.bob.open_home() == {"ok": True}
    home = baton.bob.wait_for(lambda: _with(baton.bob.home(), "Waiting on you (1)"), what="Bob's Home")
    baton.click(baton.bob, home, "Approve")
    baton.bob.wait_for(lambda: _with(baton.bob.home(), "Waiting on you (0)"), what="Bob's Home to be redrawn")
    baton.alice.open_home()
    baton.alice.wait_for(lambda: _with(baton.alice.home(), "Asked by you"), what="Alice's Home")
    baton.mallory.open_home()
    baton.mallory.wait_for(lambda: _with(baton.mallory.home(), "Waiting on you (0)"), what="Mallory's Home")

    assert baton.decisions() == [("user:U02BOB", "approval")]
    baton.card("Approvals 1 of 2")


def _with(view: dict | None, part: str) -> dict | None:
    return view if view and part in shown_text(view) else None


LINEAGE = {
    "data": [{"name": "transactions", "digest": "sha256:aa"}],
    "code": {"repo": "https://git.example.com/fraud", "commit": "0123abcd"},
}
