"""Deadlines, retries and response URLs of the local Slack."""

from __future__ import annotations

import threading

from slack_sdk import WebClient

from bot.local_slack import LocalSlack, Person
from tests.integration.test_local_slack_parts import (
    HTTP,
    ROOM,
    Clock,
    Receiver,
    card,
    trigger_of,
)


def test_a_response_url_works_five_times_for_thirty_minutes(receiver: Receiver, alice: Person, clock: Clock) -> None:
    trigger_of(receiver, alice)
    url = receiver.payload()["response_url"]
    codes = [HTTP.post(url, json={"text": f"note {n}"}).status_code for n in range(6)]
    assert codes == [200] * 5 + [404]
    assert [m["ephemeral"] for m in alice.messages(ROOM)] == [True] * 5

    trigger_of(receiver, alice)
    late = receiver.payload()["response_url"]
    clock.ahead += 30 * 60 + 1
    assert HTTP.post(late, json={"text": "x"}).json()["error"] == "expired_url"


def test_a_response_url_replaces_or_deletes_the_message_that_was_clicked(
    client: WebClient, receiver: Receiver, alice: Person
) -> None:
    client.chat_postMessage(channel=ROOM, text="card", blocks=card())
    alice.click(alice.wait_for_text(ROOM, "P-1"), "Approve")
    url = receiver.payload()["response_url"]

    HTTP.post(url, json={"replace_original": True, "text": "decided"})
    assert [(m["text"], m["blocks"]) for m in alice.messages(ROOM)] == [("decided", [])]
    assert HTTP.post(url, json={"text": ""}).status_code == 400
    HTTP.post(url, json={"delete_original": True})
    assert alice.messages(ROOM) == []


def test_a_slow_or_broken_app_fails_for_the_person_and_is_never_asked_again(
    receiver: Receiver, alice: Person, slack: LocalSlack
) -> None:
    gate = threading.Event()

    def slow() -> bytes:
        gate.wait(5)
        return b""

    receiver.answers = [(200, slow), (500, b"")]
    try:
        late = alice.command(ROOM, "/promote")
        broken = alice.command(ROOM, "/promote")
    finally:
        gate.set()

    assert late["text"] == '/promote failed with the error "operation_timeout"'
    assert broken["text"] == '/promote failed with the error "dispatch_failed"'
    assert len(receiver.requests) == 2
    log = HTTP.get(f"{slack.url}/_local/log").json()["deliveries"]
    assert [(e["error"], e["attempts"]) for e in log] == [("operation_timeout", 1), ("http_error_500", 1)]


def test_an_event_is_sent_four_times_with_the_same_id(receiver: Receiver, alice: Person) -> None:
    receiver.answers = [(500, b"")] * 4
    alice.open_home()

    receiver.wait(4)
    assert [h.get("x-slack-retry-num") for h, _ in receiver.requests] == [None, "1", "2", "3"]
    assert {h.get("x-slack-retry-reason") for h, _ in receiver.requests[1:]} == {"http_error"}
    assert len({receiver.payload(n)["event_id"] for n in range(4)}) == 1


def test_a_revoked_installation_is_told_by_event(receiver: Receiver, slack: LocalSlack) -> None:
    HTTP.post(f"{slack.url}/_local/admin", json={"token": "revoke"})

    receiver.wait(2)
    assert {receiver.payload(n)["event"]["type"] for n in range(2)} == {"tokens_revoked", "app_uninstalled"}


def test_the_request_url_is_verified_by_a_challenge(receiver: Receiver, slack: LocalSlack) -> None:
    receiver.answers = [(200, lambda: receiver.payload()["challenge"].encode()), (200, b"no")]

    assert HTTP.post(f"{slack.url}/_local/admin", json={"verify_url": True}).json() == {"ok": True}
    assert HTTP.post(f"{slack.url}/_local/admin", json={"verify_url": True}).json() == {"ok": False}
