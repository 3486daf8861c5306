"""Forms and one-line commands: type-ahead, previews, errors under the right input, private answers."""

from __future__ import annotations

import html

import pytest

from bot.local_slack.person import Json, labels, shown_text
from tests.scenario.world import Baton


@pytest.fixture
def delivery(database_url: str) -> str:
    """Socket Mode on one database, HTTP on the other."""
    return "socket" if database_url.startswith("sqlite") else "http"


def open_form(baton: Baton, command: str = "/promote") -> Json:
    assert baton.alice.command("#ml-promotions", command) == {"ok": True}
    return baton.alice.wait_for_view()


def choose(baton: Baton, view: Json, label: str, typed: str, option: str) -> Json:
    """Type into a select that asks Baton, choose, and wait until the form was drawn anew."""
    found = {each["text"]["text"]: each for each in baton.alice.options(view, label, typed)}
    view = baton.alice.fill(view, {label: found[option]})
    baton.click(baton.alice, view, label, selected_option=found[option])
    return baton.alice.wait_for_view(predicate=lambda v: v["hash"] != view["hash"])


def test_the_form_offers_names_shows_the_numbers_and_files_it(baton: Baton) -> None:
    baton.promoted("7")
    baton.register("8", metrics={"auc": 0.9601})
    baton.register("1", model="churn-ranker")
    form = open_form(baton)
    assert [each["text"]["text"] for each in baton.alice.options(form, "Model", "")] == [
        "churn-ranker",
        "fraud-detector",
    ]
    assert [each["text"]["text"] for each in baton.alice.options(form, "Model", "fra")] == ["fraud-detector"]

    form = choose(baton, form, "Model", "fra", "fraud-detector")
    assert [each["text"]["text"] for each in baton.alice.options(form, "Version", "")] == ["8", "7"]
    form = choose(baton, form, "Version", "8", "8")

    shown = shown_text(form)
    assert "*fraud-detector 8* against champion 7" in shown
    assert "auc is 0.9601, at least 0.9 is required." in shown
    assert "0.0101 better than the champion's 0.95" in shown
    assert baton.alice.submit(form, {"Reason": "fewer false alarms"}) == {"ok": True}
    card = baton.card("Promote fraud-detector 8 to production?")
    assert "fewer false alarms" in shown_text(card)
    assert "Champion 7" in shown_text(card)
    assert "0.9601\n+0.01" in shown_text(card)
    assert baton.alice.open_view() is None


def test_another_model_empties_the_version(baton: Baton) -> None:
    baton.register("7")
    baton.register("1", model="churn-ranker")
    form = choose(baton, open_form(baton), "Model", "", "fraud-detector")
    form = choose(baton, form, "Version", "", "7")
    assert "fraud-detector 7" in shown_text(form)

    form = choose(baton, form, "Model", "", "churn-ranker")

    assert "Choose a model and a version" in shown_text(form)
    assert [each["text"]["text"] for each in baton.alice.options(form, "Version", "")] == ["1"]


def test_what_was_written_before_the_form_is_redrawn_stays(baton: Baton) -> None:
    baton.register("7")
    form = baton.alice.fill(open_form(baton), {"Reason": "half a sentence"})

    form = choose(baton, form, "Model", "", "fraud-detector")

    assert {"type": "plain_text_input", "value": "half a sentence"} in [
        element for block in form["state"]["values"].values() for element in block.values()
    ]


def test_a_form_that_is_refused_says_so_under_the_input_it_is_about(baton: Baton) -> None:
    baton.register("7")
    card = baton.ask("7")
    assert card
    form = choose(baton, open_form(baton), "Model", "", "fraud-detector")
    form = choose(baton, form, "Version", "", "7")

    answer = baton.alice.submit(form)

    [(block, sentence)] = answer["errors"].items()
    assert block == "stage"
    assert sentence.startswith("P-1 asks to promote fraud-detector 7 to production already; it awaits approval.")
    assert baton.alice.open_view() is not None
    assert baton.states() == ["awaiting_approval"]


def test_a_form_sent_empty_never_reaches_baton(baton: Baton) -> None:
    answer = baton.alice.submit(open_form(baton))

    assert answer["ok"] is False
    assert set(answer["errors"]) == {"model", "version:"}


def test_opening_a_form_twice_gives_two_forms(baton: Baton) -> None:
    first = open_form(baton)
    baton.alice.close_view(first)

    assert open_form(baton)["id"] != first["id"]


def test_why_names_every_blocker_and_who_can_clear_it(baton: Baton) -> None:
    baton.register("7", metrics={"auc": 0.80, "latency_p99_ms": "NaN"})

    shown = shown_text(baton.command(baton.mallory, "/promote why fraud-detector 7 production"))

    assert "*fraud-detector 7 → production:* 3 things stand in the way" in shown
    assert "⛔ auc is 0.8, at least 0.9 is required." in shown
    assert "⛔ latency_p99_ms" in shown.replace("\u2060", "")
    assert "⛔ 0 of 2 approvals. Still needed: 1 from ml-leads (bob) and 1 from risk (carol, dave)." in shown
    assert "✅ Lineage of data and code is recorded." in shown
    assert baton.states() == []


def test_why_without_a_stage_means_the_next_one(baton: Baton) -> None:
    baton.register("7")

    assert "→ staging:*" in shown_text(baton.command(baton.alice, "/promote why fraud-detector 7"))


def test_status_names_what_is_under_way_and_who_serves(baton: Baton) -> None:
    baton.promoted("7")
    baton.register("8")
    baton.ask("8")

    shown = shown_text(baton.command(baton.mallory, "/promote status"))

    assert "• Promote fraud-detector 8 to production? (P-2)" in shown
    assert "fraud-detector in production: *7*" in shown
    assert shown_text(baton.command(baton.mallory, "/promote status fraud-detector")).count("P-2") == shown.count("P-2")
    assert "“nope”" in shown_text(baton.command(baton.mallory, "/promote status nope"))


def test_a_stage_may_be_written_with_a_capital_and_names_with_quotation_marks(baton: Baton) -> None:
    baton.register("7")
    said = baton.command(baton.alice, "/promote “fraud-detector” `7` To Production, because “it’s better”")
    assert "Promote fraud-detector 7 to production?" in said["text"]
    assert "“it’s better”" in shown_text(baton.card("P-1"))
    why = baton.command(baton.alice, "/promote why fraud-detector 7 PRODUCTION")
    assert "fraud-detector 7 → production" in shown_text(why)


def test_help_shows_all_that_can_be_typed(baton: Baton) -> None:
    shown = shown_text(baton.command(baton.mallory, "/promote help"))

    for usage in ("/promote MODEL VERSION", "/promote why", "/promote status", "/rollback MODEL"):
        assert usage in shown


SAID_BACK = {
    "/promote fraud-detector": "Which version of fraud-detector? Write",
    "/promote fraud-detector 7 to": "To which stage? Write",
    "/promote fraud-detector 7 production": "“production” is not understood after the version. Write",
    "/promote fraud-detector 7 to production now": "“now” is not understood after the stage; a reason starts with",
    "/promote fraud-detector 7 to production because": "There is nothing after “because”. Write",
    "/promote why fraud-detector": "To ask why, name a model and a version, and a stage if you like",
    "/promote nope 7 to production": "There is no model called “nope”",
    "/promote fraud-detector 99 to production": "fraud-detector has no version 99; its only one is 7.",
    "/promote fraud-detector 7 to moon": "There is no stage “moon”; the policy has development, staging, production.",
    "/promote fraud-detector 7 to development": "development is where versions arrive by being registered",
    "/rollback": "",
    "/rollback because it burns": "Which model? Write",
    "/rollback fraud-detector production": "A rollback needs a reason: add “because …”. Write",
    "/rollback fraud-detector to because x": "After “to” comes one version. Write",
    "/rollback fraud-detector production now because x": "“now” is not understood after the stage",
    "/rollback fraud-detector staging because x": "You may not roll back staging: the policy names nobody who may; its owner must add rollback.allowed.",
    "/rollback fraud-detector production because x": "Nothing serves production of fraud-detector yet",
    "/promote <!channel> 7 to production": "There is no model called “<!channel>”",
    "/promote *fraud* `7` to production": "There is no model called “*fraud*”",
    "/promote fraud-detector to production": "Which version of fraud-detector? Write",
    "/promote nope 7 to Production": "There is no model called “nope”",
    "/rollback help": "How to use Baton",
}


def test_every_wrong_line_is_answered_with_what_would_be_right(baton: Baton) -> None:
    baton.register("7")
    for line, sentence in SAID_BACK.items():
        if sentence:
            said = baton.command(baton.bob, line)
            assert sentence in html.unescape(said["text"]), (line, said["text"])
            assert "<!channel>" not in shown_text(said)
    assert baton.states() == []
    assert baton.cards() == []


@pytest.mark.parametrize("characters", [20_000, 60_000])
def test_a_reason_of_any_length_is_kept_or_refused_and_never_breaks_the_card(baton: Baton, characters: int) -> None:
    baton.register("7")
    reason = "<!channel> *why* `not` " * (characters // 23)

    said = baton.command(baton.alice, f"/promote fraud-detector 7 to production because {reason}")

    if characters > 50_000:
        assert said["text"].startswith("The reason has 59,9")
        assert baton.states() == []
    else:
        card = baton.card("P-1")
        assert "‹!channel› *why*" in shown_text(card)  # in a quotation, where nothing is read as markup
        quoted = [block for block in card["blocks"] if block["type"] == "rich_text"]
        assert len(quoted) == 1
        assert labels(card) == ["Approve", "Reject", "Details"]


def test_a_model_called_like_a_mention_mentions_nobody(baton: Baton) -> None:
    name = "<!channel> <@U05MALLORY> *x* `y` \u202efraud"
    path = "/models/" + "%3C!channel%3E%20%3C@U05MALLORY%3E%20*x*%20%60y%60%20%E2%80%AEfraud" + "/versions"
    answer = baton.api("POST", path, version="7", artifact={"uri": "s3://x", "digest": "sha256:aa"})
    if answer.status_code == 422:  # a name that could only harm is refused at the door
        assert "name" in answer.json()["detail"]
        return
    assert answer.status_code == 201, answer.text
    baton.api("POST", "/promotions", model=name, version="7", stage="staging")
    message = baton.card("P-1")
    assert "<!channel>" not in message["text"]
    assert "<!channel>" not in str(message["blocks"])
    assert "<@U05MALLORY>" not in str(message["blocks"])


def test_what_nobody_can_see_is_no_reason_and_a_reason_that_fits_no_button_is_said_under_its_field(
    baton: Baton,
) -> None:
    baton.promoted("6")
    baton.promoted("7")
    assert baton.bob.command("#ml-promotions", "/rollback") == {"ok": True}
    form = baton.bob.wait_for_view()
    [option] = baton.bob.options(form, "Model", "fraud")
    form = baton.bob.fill(form, {"Model": option})
    baton.click(baton.bob, form, "Model", selected_option=option)
    form = baton.bob.wait_for_view(predicate=lambda view: "goes from" in shown_text(view))
    for reason, said in (
        ("\u200b", "The reason is missing; say in a sentence why."),
        ('"' * 1200, "The reason is too long to go with the button; say it in fewer words."),
    ):
        answer = baton.bob.submit(form, {"Reason": reason})
        assert list(answer["errors"].values()) == [said]
    assert baton.champion() == "7"
