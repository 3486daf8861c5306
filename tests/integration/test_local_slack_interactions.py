"""Commands, clicks and messages of the local Slack, as an app over signed HTTP sees them."""

from __future__ import annotations

from slack_sdk import WebClient
from slack_sdk.signature import SignatureVerifier

from bot.local_slack import LocalSlack, Person
from tests.integration.test_local_slack_parts import (
    PROMO,
    ROOM,
    Receiver,
    card,
    plain,
)


def test_a_command_arrives_as_a_signed_form(slack: LocalSlack, receiver: Receiver, alice: Person) -> None:
    assert alice.command(ROOM, "/promote fraud 3 because p99 < 50 & fine") == {"ok": True}

    headers, body = receiver.requests[-1]
    assert SignatureVerifier(slack.signing_secret).is_valid_request(body, headers)
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    payload = receiver.payload()
    assert (payload["command"], payload["text"]) == ("/promote", "fraud 3 because p99 &lt; 50 &amp; fine")
    assert (payload["channel_id"], payload["channel_name"], payload["user_id"]) == (PROMO, "ml-promotions", "U01ALICE")


def test_the_answer_to_a_command_is_a_private_note(receiver: Receiver, alice: Person) -> None:
    receiver.answers = [(200, b"just you"), (200, {"response_type": "in_channel", "text": "everybody"})]
    alice.command(ROOM, "/promote help")
    alice.command(ROOM, "/promote loud")

    assert [(m["text"], m["ephemeral"]) for m in alice.messages(ROOM)] == [
        ("just you", True),
        ("/promote loud", False),
        ("everybody", False),
    ]


def test_a_click_carries_what_slack_sends(client: WebClient, receiver: Receiver, alice: Person) -> None:
    posted = client.chat_postMessage(channel=ROOM, text="card", blocks=card())
    message = alice.wait_for_text(ROOM, "Promotion P-1")

    assert alice.click(message, "Approve") == {"ok": True}

    payload = receiver.payload()
    assert payload["type"] == "block_actions"
    assert payload["user"] == {"id": "U01ALICE", "username": "alice", "name": "alice", "team_id": "T0LOCAL"}
    assert payload["container"]["message_ts"] == posted["ts"] == payload["message"]["ts"]
    assert payload["channel"] == {"id": PROMO, "name": "ml-promotions"}
    assert (payload["enterprise"], payload["is_enterprise_install"]) == (None, False)
    action = payload["actions"][0]
    assert action.pop("action_ts")
    text = {"type": "plain_text", "text": "Approve", "emoji": True}
    assert action == {"action_id": "approve", "block_id": "decide", "type": "button", "value": "P-1", "text": text}


def test_a_confirm_dialog_can_be_dismissed_and_then_nothing_is_sent(
    client: WebClient, receiver: Receiver, alice: Person
) -> None:
    confirm = {"title": plain("Sure?"), "text": plain("Really?"), "confirm": plain("Yes"), "deny": plain("No")}
    client.chat_postMessage(channel=ROOM, text="card", blocks=card(confirm=confirm))
    message = alice.wait_for_text(ROOM, "P-1")

    assert alice.click(message, "Approve", accept=False)["confirm"]["title"]["text"] == "Sure?"
    assert receiver.requests == []
    assert alice.click(message, "Approve") == {"ok": True}


def test_a_stale_screen_can_still_be_clicked_but_an_invented_button_cannot(
    client: WebClient, receiver: Receiver, alice: Person
) -> None:
    posted = client.chat_postMessage(channel=ROOM, text="card", blocks=card())
    old = alice.wait_for_text(ROOM, "P-1")
    client.chat_update(channel=PROMO, ts=posted["ts"], text="decided", blocks=card()[:1])

    assert alice.click(old, "Approve") == {"ok": True}
    assert receiver.payload()["message"]["text"] == "decided"
    answer = alice.post("click", channel=PROMO, ts=posted["ts"], block_id="decide", action_id="forged")
    assert answer == {"ok": False, "error": "no_such_action"}


def test_only_members_see_and_click(client: WebClient, alice: Person, slack: LocalSlack) -> None:
    client.chat_postMessage(channel=ROOM, text="card", blocks=card())
    message = alice.wait_for_text(ROOM, "P-1")
    with Person(slack.url, "U07GUEST") as guest, Person(slack.url, "U06GONE") as gone:
        assert guest.click(message, "Approve")["error"] == "not_in_channel"
        assert gone.click(message, "Approve")["error"] == "account_inactive"


def test_the_message_events_reach_the_app_as_json(receiver: Receiver, alice: Person) -> None:
    alice.say(ROOM, "hello @baton")

    receiver.wait(2)
    kinds = {receiver.payload(n)["event"]["type"] for n in range(2)}
    assert kinds == {"message", "app_mention"}
    assert receiver.payload(0)["event"]["text"] == "hello <@U0BATON|baton>"
