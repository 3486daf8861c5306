"""Bringing the last good version back: what would change is shown first, and only the red button acts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from bot.local_slack.person import Json, labels, shown_text
from tests.scenario.world import MODEL, PROMO, Baton, wait


def offered(baton: Baton, line: str = "/rollback fraud-detector because false alarms doubled") -> Json:
    return baton.command(baton.bob, line)


def test_one_line_shows_the_consequence_and_only_the_red_button_acts(baton: Baton) -> None:
    baton.promoted("6")
    baton.promoted("7")

    offer = offered(baton, "/rollback fraud-detector production because *false* alarms <!here> doubled")

    shown = shown_text(offer)
    assert "*production* of *fraud-detector* goes from 7 back to *6*, which served from" in shown
    assert "Nothing happens until you press the button." in shown
    assert labels(offer) == ["Roll back to 6"]
    assert baton.reigns() == [("6", False), ("7", True)]
    baton.click(baton.bob, offer, "Roll back to 6")
    card = baton.card("Rolled back: fraud-detector 6 serves production again")
    assert "*false* alarms ‹!here› doubled" in shown_text(card)  # in a quotation, where nothing is read as markup
    hook = baton.receiver.await_hooks(3)[2]
    assert (hook.data["action"], hook.data["model"]["version"], hook.data["previous"]["version"]) == (
        "rollback",
        "6",
        "7",
    )
    assert baton.champion() == "6"
    wait(lambda: "asked to roll back" in baton.story(card), "the story")
    replaced = baton.bob.wait_for_text(PROMO, "P-3: rolling fraud-detector in production back.")
    assert labels(replaced) == []


def test_the_red_button_acts_once_however_often_it_is_pressed(baton: Baton) -> None:
    baton.promoted("6")
    baton.promoted("7")
    offer = offered(baton)

    with ThreadPoolExecutor(6) as hands:
        answers = list(hands.map(lambda _: baton.bob.click(offer, "Roll back to 6"), range(6)))

    assert all(answer == {"ok": True} for answer in answers)
    baton.card("Rolled back: fraud-detector 6 serves production again")
    assert baton.reigns() == [("6", False), ("7", False), ("6", True)]
    assert len(set(baton.receiver.ids)) == 3
    assert baton.states() == ["succeeded"] * 3


def test_two_who_roll_back_at_once_make_one_rollback(baton: Baton) -> None:
    baton.promoted("6")
    baton.promoted("7")
    baton.receiver.reply = lambda _hook: (202, {})
    first, second = offered(baton), offered(baton)
    baton.click(baton.bob, first, "Roll back to 6")

    said = baton.refused(baton.bob, second, "Roll back to 6")

    assert said == "P-3 is already rolling fraud-detector back to 6; its card shows how far it is."
    baton.report(baton.receiver.await_hooks(3)[2], "succeeded")
    baton.card("Rolled back: fraud-detector 6 serves production again")
    assert len(baton.receiver.hooks) == 3


def test_a_stale_red_button_is_refused_with_what_is_true_now(baton: Baton) -> None:
    baton.promoted("6")
    baton.promoted("7")
    offer = offered(baton)
    baton.promoted("8")

    said = baton.refused(baton.bob, offer, "Roll back to 6")

    assert said == (
        "What serves production has changed since you were asked: it is 8 now, and would go back to 6. "
        "Nothing was done; type /rollback again."
    )
    assert baton.champion() == "8"
    assert len(baton.receiver.hooks) == 3


def test_the_form_shows_the_consequence_before_its_button(baton: Baton) -> None:
    baton.promoted("6")
    baton.promoted("7")
    assert baton.bob.command(PROMO, "/rollback") == {"ok": True}
    form = baton.bob.wait_for_view()
    [option] = baton.bob.options(form, "Model", "fraud")
    form = baton.bob.fill(form, {"Model": option})
    baton.click(baton.bob, form, "Model", selected_option=option)
    form = baton.bob.wait_for_view(predicate=lambda v: "goes from 7 back to *6*" in shown_text(v))

    assert baton.bob.submit(form, {"Reason": "false alarms doubled"}) == {"ok": True}
    page = baton.bob.wait_for_view(predicate=lambda v: "Roll back to 6" in labels(v))
    assert baton.champion() == "7"
    baton.click(baton.bob, page, "Roll back to 6")

    baton.bob.wait_for_view(predicate=lambda v: "Its card tells how far it is." in shown_text(v))
    baton.card("Rolled back: fraud-detector 6 serves production again")


def test_a_rollback_to_a_named_version(baton: Baton) -> None:
    for version in ("5", "6", "7"):
        baton.promoted(version)

    offer = offered(baton, "/rollback fraud-detector production to 5 because 6 has it too")
    baton.click(baton.bob, offer, "Roll back to 5")

    baton.card("Rolled back: fraud-detector 5 serves production again")
    assert baton.champion() == "5"
    said = offered(baton, "/rollback fraud-detector production to 5 because again")
    assert said["text"] == "fraud-detector 5 serves production already; rolling back to it would change nothing."
    said = offered(baton, "/rollback fraud-detector production to 9 because again")
    assert said["text"] == "fraud-detector 9 never served production; earlier versions there: 7, 6, 5."


def test_whoever_names_a_version_that_was_rolled_back_from_gets_it_where_no_other_is_left(baton: Baton) -> None:
    for version in ("6", "7"):
        baton.promoted(version)
    baton.click(baton.bob, offered(baton), "Roll back to 6")
    baton.card("Rolled back: fraud-detector 6 serves production again")

    offer = offered(baton, "/rollback fraud-detector production to 7 because it was the cache")
    assert "7 was itself rolled back from by P-3." in shown_text(offer)
    baton.click(baton.bob, offer, "Roll back to 7")

    baton.card("Rolled back: fraud-detector 7 serves production again")


def test_nothing_to_go_back_to_is_said_and_nothing_done(baton: Baton) -> None:
    baton.promoted("6")

    said = offered(baton)

    assert said["text"] == (
        "There is no earlier good version of fraud-detector in production to go back to; promote another version instead."
    )
    assert baton.champion() == "6"


def test_who_may_not_roll_back_is_told_whom_it_takes(baton: Baton) -> None:
    baton.promoted("6")
    baton.promoted("7")

    said = baton.command(baton.mallory, "/rollback fraud-detector production because I can")

    assert said["text"] == "You may not roll back production: that takes on-call."
    assert baton.champion() == "7"


def test_a_button_that_was_passed_on_is_no_permission(baton: Baton) -> None:
    """What is in a payload is not believed: Mallory presses what Bob was shown."""
    baton.promoted("6")
    baton.promoted("7")
    offer = offered(baton)

    answer = baton.mallory.click(offer, "Roll back to 6")

    assert answer["error"] == "message_not_found"  # Slack shows her no such button
    assert baton.champion() == "7"


def test_a_rollback_drops_the_promotion_that_waits(baton: Baton) -> None:
    baton.promoted("6")
    baton.promoted("7")
    baton.register("8")
    waiting = baton.ask("8")

    offer = offered(baton)
    assert "P-3 still waits and will be dropped." in shown_text(offer)
    baton.click(baton.bob, offer, "Roll back to 6")

    baton.card("Rolled back: fraud-detector 6 serves production again")
    gone = baton.card("Superseded: fraud-detector 8 to production")
    assert gone["ts"] == waiting["ts"]
    assert baton.states() == ["succeeded", "succeeded", "superseded", "succeeded"]


def test_a_rollback_stops_a_deployment_that_is_under_way(baton: Baton) -> None:
    baton.promoted("6")
    baton.receiver.reply = lambda hook: (
        (200, {"state": "succeeded"}) if hook.data["action"] == "rollback" else (202, {})
    )
    baton.register("7")
    baton.approve(baton.ask("7"))
    baton.receiver.await_hooks(2)
    baton.card("Deploying fraud-detector 7 to production")

    offer = offered(baton)
    assert "P-2 is being deployed and will be stopped." in shown_text(offer)
    baton.click(baton.bob, offer, "Roll back to 6")

    baton.card("Stopped and put back: fraud-detector 7 in production")
    assert baton.reigns() == [("6", True)]
    assert baton.receiver.hooks[-1].data["action"] == "rollback"


def test_a_rollback_by_the_api_is_shown_in_slack_like_any_other(baton: Baton) -> None:
    baton.promoted("6")
    baton.promoted("7")

    answer = baton.api("POST", "/rollbacks", model="fraud-detector", stage="production", reason="alert 12")

    assert answer.status_code == 201, answer.text
    card = baton.card("Rolled back: fraud-detector 6 serves production again")
    assert "ci (API)" in shown_text(card)


def test_two_programs_that_roll_back_at_once_mean_one_rollback(baton: Baton) -> None:
    for version in ("5", "6", "7"):
        baton.promoted(version)
    asked = {"model": MODEL, "stage": "production", "reason": "alert 12"}
    assert baton.api("POST", "/rollbacks", **asked).status_code == 201
    baton.card(f"Rolled back: {MODEL} 6 serves production again")

    baton.clock.ahead = timedelta(minutes=-1)  # it was asked for before that ended, and had to wait for its turn
    again = baton.api("POST", "/rollbacks", **asked)

    assert again.status_code == 409
    assert again.json()["detail"] == (
        f"P-4 has just rolled {MODEL} back to 6 in production; to go back further, name the version."
    )
    baton.clock.ahead = timedelta()
    assert baton.champion() == "6"
    assert baton.api("POST", "/rollbacks", **asked).status_code == 201
    baton.card(f"Rolled back: {MODEL} 5 serves production again")
