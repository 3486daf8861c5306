"""Forms and the Home tab of the local Slack: triggers, stacks, hashes, what the app may answer."""

from __future__ import annotations

from slack_sdk import WebClient

from bot.local_slack import Person
from tests.integration.test_local_slack_parts import (
    Clock,
    Receiver,
    card,
    form,
    plain,
    refused,
    trigger_of,
)


def test_a_trigger_opens_one_form_within_three_seconds(
    client: WebClient, receiver: Receiver, alice: Person, clock: Clock
) -> None:
    trigger = trigger_of(receiver, alice)
    assert client.views_open(trigger_id=trigger, view=form())["view"]["callback_id"] == "f"
    assert refused(client.views_open, trigger_id=trigger, view=form()) == "exchanged_trigger_id"
    late = trigger_of(receiver, alice)
    clock.ahead += 3.1
    assert refused(client.views_open, trigger_id=late, view=form()) == "expired_trigger_id"
    assert refused(client.views_open, trigger_id="1.2.3", view=form()) == "invalid_trigger_id"


def test_a_bad_or_huge_view_is_refused(client: WebClient, receiver: Receiver, alice: Person) -> None:
    trigger = trigger_of(receiver, alice)
    assert refused(client.views_open, trigger_id=trigger, view=form(submit=None)) == "invalid_arguments"
    huge = form(private_metadata="x" * 250_001)
    assert refused(client.views_open, trigger_id=trigger, view=huge) == "view_too_large"


def test_three_forms_can_be_stacked_and_a_fourth_cannot(client: WebClient, receiver: Receiver, alice: Person) -> None:
    button = {"type": "button", "action_id": "more", "text": plain("More")}
    view = form(blocks=[{"type": "actions", "elements": [button]}])
    client.views_open(trigger_id=trigger_of(receiver, alice), view=view)
    for _ in range(2):
        alice.click(alice.wait_for_view(), "More")
        client.views_push(trigger_id=receiver.payload()["trigger_id"], view=view)
    alice.click(alice.wait_for_view(), "More")
    trigger = receiver.payload()["trigger_id"]

    assert refused(client.views_push, trigger_id=trigger, view=view) == "push_limit_reached"
    stack = alice.get("views")["stack"]
    assert [v["previous_view_id"] for v in stack] == [None, stack[0]["id"], stack[1]["id"]]


def test_a_stale_hash_is_a_conflict(client: WebClient, receiver: Receiver, alice: Person) -> None:
    view = client.views_open(trigger_id=trigger_of(receiver, alice), view=form())["view"]
    fresh = client.views_update(view_id=view["id"], hash=view["hash"], view=form())["view"]

    assert fresh["hash"] != view["hash"]
    assert refused(client.views_update, view_id=view["id"], hash=view["hash"], view=form()) == "hash_conflict"
    assert refused(client.views_update, view_id="V0", view=form()) == "not_found"


def test_the_client_checks_a_form_before_it_is_sent(client: WebClient, receiver: Receiver, alice: Person) -> None:
    client.views_open(trigger_id=trigger_of(receiver, alice), view=form())
    view = alice.wait_for_view()
    sent = len(receiver.requests)

    assert alice.submit(view)["errors"] == {"b": "Please complete this required field."}
    assert alice.submit(view, {"Model": "x" * 11})["errors"] == {"b": "Please enter at most 10 characters."}
    assert len(receiver.requests) == sent


def test_a_form_is_sent_and_the_apps_answer_is_carried_out(
    client: WebClient, receiver: Receiver, alice: Person
) -> None:
    client.views_open(trigger_id=trigger_of(receiver, alice), view=form(private_metadata="P-1"))
    view = alice.wait_for_view()
    receiver.answers = [
        (200, {"response_action": "errors", "errors": {"b": "No such model"}}),
        (200, {"response_action": "errors", "errors": {"nowhere": "x"}}),
        (200, {"response_action": "push", "view": form("second")}),
        (200, {"response_action": "update", "view": form("third")}),
        (200, {"response_action": "clear"}),
    ]

    assert alice.submit(view, {"Model": "fraud"})["errors"] == {"b": "No such model"}
    payload = receiver.payload()
    assert (payload["type"], payload["view"]["private_metadata"]) == ("view_submission", "P-1")
    assert payload["view"]["state"]["values"] == {"b": {"model": {"type": "plain_text_input", "value": "fraud"}}}
    assert alice.submit(view, {"Model": "fraud"})["error"] == "invalid_error_blocks"
    assert alice.submit(view, {"Model": "fraud"}) == {"ok": True}
    second = alice.wait_for_view(predicate=lambda v: v["callback_id"] == "second")
    assert alice.submit(second, {"Model": "a"}) == {"ok": True}
    third = alice.wait_for_view(predicate=lambda v: v["callback_id"] == "third")
    assert alice.submit(third, {"Model": "b"}) == {"ok": True}
    assert alice.open_view() is None


def test_an_empty_answer_closes_the_form_and_a_failed_one_keeps_it(
    client: WebClient, receiver: Receiver, alice: Person
) -> None:
    client.views_open(trigger_id=trigger_of(receiver, alice), view=form())
    receiver.answers = [(500, b""), (200, b"")]

    assert alice.submit(alice.wait_for_view(), {"Model": "a"})["text"] == "We had some trouble connecting. Try again?"
    assert alice.submit(alice.wait_for_view(), {"Model": "a"}) == {"ok": True}
    assert alice.open_view() is None


def test_closing_a_form_is_told_when_asked_for(client: WebClient, receiver: Receiver, alice: Person) -> None:
    client.views_open(trigger_id=trigger_of(receiver, alice), view=form(notify_on_close=True))
    alice.close_view(alice.wait_for_view())

    assert receiver.payload()["type"] == "view_closed"
    assert alice.open_view() is None


def test_an_external_select_asks_the_app_for_its_options(client: WebClient, receiver: Receiver, alice: Person) -> None:
    element = {"type": "external_select", "action_id": "m", "min_query_length": 2}
    block = {"type": "input", "block_id": "b", "label": plain("Model"), "element": element}
    client.views_open(trigger_id=trigger_of(receiver, alice), view=form(blocks=[block]))
    view = alice.wait_for_view()
    option = {"text": plain("fraud"), "value": "fraud"}
    receiver.answers = [(200, {"options": [option]}), (200, {"options": [option] * 101}), (200, b"")]

    assert alice.options(view, "Model", "f") == []
    assert alice.options(view, "Model", "fr") == [option]
    assert receiver.payload()["value"] == "fr"
    alice.options(view, "Model", "fra")
    assert alice.last["error"] == "invalid_blocks"
    assert alice.submit(view, {"Model": option}) == {"ok": True}
    assert receiver.payload()["view"]["state"]["values"]["b"]["m"]["selected_option"] == option


def test_the_home_tab_is_published_and_clicked(client: WebClient, receiver: Receiver, alice: Person) -> None:
    assert alice.home() is None
    alice.open_home()
    receiver.wait(1)
    assert receiver.payload()["event"] | {"event_ts": ""} == {
        "type": "app_home_opened",
        "user": "U01ALICE",
        "channel": "D01ALICE",
        "tab": "home",
        "event_ts": "",
    }
    view = client.views_publish(user_id="U01ALICE", view={"type": "home", "blocks": card()})["view"]
    stale = {"type": "home", "blocks": card()}
    assert refused(client.views_publish, user_id="U01ALICE", view=stale, hash="1.old") == "hash_conflict"

    home = alice.home()
    assert home is not None
    assert alice.click(home, "Approve") == {"ok": True}
    assert receiver.payload()["container"] == {"type": "view", "view_id": view["id"]}
