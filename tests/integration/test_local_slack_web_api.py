"""The local Slack's Web API, driven with Slack's own client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.local_slack import LocalSlack, Person
from tests.integration.test_local_slack_parts import HTTP

Json = dict[str, Any]
PROMO = "C01PROMO"
MANIFEST: Json = {
    "display_information": {"name": "Baton"},
    "features": {"bot_user": {"display_name": "Baton"}},
    "oauth_config": {
        "scopes": {
            "bot": [
                "chat:write", "channels:read", "channels:history", "channels:join", "groups:read", "groups:history",
                "im:read", "im:write", "im:history", "users:read", "users:read.email", "usergroups:read",
                "files:write", "files:read", "commands", "reactions:write",
            ]
        }
    },
}  # fmt: skip


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def running() -> Iterator[LocalSlack]:
    with LocalSlack(manifest=MANIFEST) as slack:
        yield slack


@pytest.fixture
def slack(running: LocalSlack) -> LocalSlack:
    running.web.faults.clear()
    running.web.api.token_error = None
    running.web.api.scopes = set(MANIFEST["oauth_config"]["scopes"]["bot"])
    running.latency = 0.0
    return running


@pytest.fixture
def client(slack: LocalSlack) -> WebClient:
    return WebClient(slack.bot_token, base_url=slack.api_url)


def refusal(call: Any, **arguments: Any) -> Any:
    with pytest.raises(SlackApiError) as caught:
        call(**arguments)
    return caught.value.response


def admin(slack: LocalSlack, **body: Any) -> Json:
    answer: Json = HTTP.post(f"{slack.url}/_local/admin", json=body).json()
    return answer


def fault(slack: LocalSlack, **body: Any) -> None:
    assert HTTP.post(f"{slack.url}/_local/faults", json=body).json() == {"ok": True}


def section(text: str) -> Json:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def test_the_app_learns_who_it_is_and_what_it_may(client: WebClient) -> None:
    answer = client.auth_test()

    assert (answer["user_id"], answer["bot_id"], answer["team_id"]) == ("U0BATON", "B0BATON", "T0LOCAL")
    assert "chat:write" in answer.headers["x-oauth-scopes"]


@pytest.mark.parametrize(
    ("token", "error"), [("", "not_authed"), ("xoxb-wrong", "invalid_auth"), ("app", "not_allowed_token_type")]
)
def test_a_wrong_token_is_refused(slack: LocalSlack, token: str, error: str) -> None:
    used = slack.app_token if token == "app" else token
    answer = HTTP.post(f"{slack.api_url}auth.test", headers={"Authorization": f"Bearer {used}"} if used else {})
    assert answer.json()["error"] == error


def test_a_token_may_also_come_as_a_form_field_or_in_the_query(slack: LocalSlack) -> None:
    assert HTTP.post(f"{slack.api_url}auth.test", data={"token": slack.bot_token}).json()["ok"]
    assert HTTP.get(f"{slack.api_url}auth.test", params={"token": slack.bot_token}).json()["ok"]


def test_an_unknown_method_is_said_to_be_one(client: WebClient) -> None:
    assert refusal(client.api_call, api_method="chat.shout")["error"] == "unknown_method"


def test_only_the_app_token_opens_sockets(slack: LocalSlack, client: WebClient) -> None:
    assert refusal(client.apps_connections_open, app_token=slack.bot_token)["error"] == "not_allowed_token_type"
    assert WebClient(base_url=slack.api_url).apps_connections_open(app_token=slack.app_token)["url"].startswith("ws://")


def test_a_message_can_be_posted_by_name_and_answers_the_real_id(client: WebClient) -> None:
    answer = client.chat_postMessage(channel="#ml-promotions", text="hello")

    assert answer["channel"] == PROMO
    assert answer["message"]["bot_id"] == "B0BATON"
    assert client.conversations_history(channel=PROMO, limit=1)["messages"][0]["text"] == "hello"


def test_posting_to_a_person_opens_the_direct_messages(client: WebClient) -> None:
    answer = client.chat_postMessage(channel="U01ALICE", text="done")

    assert answer["channel"].startswith("D")
    assert client.conversations_open(users="U01ALICE")["channel"]["id"] == answer["channel"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"channel": PROMO, "text": ""}, "no_text"),
        ({"channel": "C0NONE", "text": "x"}, "channel_not_found"),
        ({"channel": "#secret", "text": "x"}, "channel_not_found"),
        ({"channel": "C04SECRET", "text": "x"}, "channel_not_found"),
        ({"channel": "C03GENERAL", "text": "x"}, "not_in_channel"),
        ({"channel": "U0BATON", "text": "x"}, "channel_not_found"),
        ({"channel": PROMO, "text": "x", "thread_ts": "1.2"}, "thread_not_found"),
        ({"channel": PROMO, "text": "x", "metadata": {"event_type": "t"}}, "invalid_metadata_schema"),
        ({"channel": PROMO, "text": "x", "blocks": [section("x" * 2900)] * 5}, "msg_blocks_too_long"),
        ({"channel": PROMO, "text": "x", "blocks": [section("x")] * 51}, "invalid_blocks"),
    ],
)
@pytest.mark.filterwarnings("ignore:The top-level `text` argument is missing")
def test_a_message_that_slack_would_refuse_is_refused(client: WebClient, arguments: Json, error: str) -> None:
    assert refusal(client.chat_postMessage, **arguments)["error"] == error


def test_a_bad_block_is_named_by_its_pointer(client: WebClient) -> None:
    answer = refusal(client.chat_postMessage, channel=PROMO, text="x", blocks=[section("x" * 3001)])

    wanted = "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]"
    assert answer["response_metadata"]["messages"] == [wanted]


def test_a_public_channel_takes_posts_of_strangers_only_with_the_scope(slack: LocalSlack, client: WebClient) -> None:
    admin(slack, scopes={"add": ["chat:write.public"]})

    assert client.chat_postMessage(channel="#general", text="x")["channel"] == "C03GENERAL"


def test_a_missing_scope_is_named(slack: LocalSlack, client: WebClient) -> None:
    admin(slack, scopes=["users:read"])

    answer = refusal(client.chat_postMessage, channel=PROMO, text="x")

    assert (answer["error"], answer["needed"], answer["provided"]) == ("missing_scope", "chat:write", "users:read")


def test_a_long_text_is_cut_at_40000_characters(client: WebClient) -> None:
    assert len(client.chat_postMessage(channel=PROMO, text="x" * 40_001)["message"]["text"]) == 40_000


def test_an_update_needs_the_channel_id_and_an_own_message(slack: LocalSlack, client: WebClient) -> None:
    mine = client.chat_postMessage(channel=PROMO, text="one", blocks=[section("one")])["ts"]
    with Person(slack.url, "U01ALICE") as alice:
        theirs = alice.say("#ml-promotions", "mine")["ts"]

    assert refusal(client.chat_update, channel="#ml-promotions", ts=mine, text="x")["error"] == "channel_not_found"
    assert refusal(client.chat_update, channel="U01ALICE", ts=mine, text="x")["error"] == "channel_not_found"
    assert refusal(client.chat_update, channel=PROMO, ts="1.2", text="x")["error"] == "message_not_found"
    assert refusal(client.chat_update, channel=PROMO, ts=theirs, text="x")["error"] == "cant_update_message"
    assert refusal(client.chat_update, channel=PROMO, ts=mine, text="x" * 4001)["error"] == "msg_too_long"
    assert refusal(client.api_call, api_method="chat.update", json={"channel": PROMO, "ts": mine})["error"] == "no_text"
    assert "blocks" not in client.chat_update(channel=PROMO, ts=mine, text="two")["message"]


def test_metadata_is_kept_until_it_is_removed(client: WebClient) -> None:
    metadata = {"event_type": "promotion", "event_payload": {"id": "P-1"}}
    ts = client.chat_postMessage(channel=PROMO, text="x", metadata=metadata)["ts"]

    def stored() -> Any:
        page = client.conversations_history(
            channel=PROMO, oldest=ts, inclusive=True, limit=1, include_all_metadata=True
        )
        return page["messages"][0].get("metadata")

    client.chat_update(channel=PROMO, ts=ts, text="y")
    assert stored() == metadata
    client.chat_update(channel=PROMO, ts=ts, text="y", metadata={})
    assert stored() is None


def test_a_deleted_message_is_gone_for_the_app(slack: LocalSlack, client: WebClient) -> None:
    ts = client.chat_postMessage(channel=PROMO, text="x")["ts"]
    admin(slack, message={"channel": PROMO, "ts": ts, "delete": True})

    assert refusal(client.chat_update, channel=PROMO, ts=ts, text="y")["error"] == "message_not_found"
    assert refusal(client.chat_getPermalink, channel=PROMO, message_ts=ts)["error"] == "message_not_found"


def test_a_thread_holds_its_replies_and_history_does_not(client: WebClient) -> None:
    ts = client.chat_postMessage(channel=PROMO, text="head")["ts"]
    client.chat_postMessage(channel=PROMO, text="reply", thread_ts=ts)

    assert [m["text"] for m in client.conversations_replies(channel=PROMO, ts=ts)["messages"]] == ["head", "reply"]
    newest = client.conversations_history(channel=PROMO, limit=1)["messages"][0]
    assert (newest["text"], newest["reply_count"]) == ("head", 1)


def test_an_ephemeral_note_is_seen_by_one_person_only(slack: LocalSlack, client: WebClient) -> None:
    client.chat_postEphemeral(channel=PROMO, user="U01ALICE", text="psst")

    with Person(slack.url, "U01ALICE") as alice, Person(slack.url, "U02BOB") as bob:
        assert alice.ephemerals("#ml-promotions")[-1]["text"] == "psst"
        assert not [m for m in bob.messages("#ml-promotions") if m["text"] == "psst"]
    answer = refusal(client.chat_postEphemeral, channel=PROMO, user="U07GUEST", text="x")
    assert answer["error"] == "user_not_in_channel"


def test_people_are_found_by_address_unless_deactivated(client: WebClient) -> None:
    assert client.users_lookupByEmail(email="Bob@example.com")["user"]["id"] == "U02BOB"
    assert refusal(client.users_lookupByEmail, email="gone@example.com")["error"] == "users_not_found"
    assert client.users_info(user="U06GONE")["user"]["deleted"] is True
    assert refusal(client.users_info, user="U09")["error"] == "user_not_found"


def test_an_address_is_shown_only_with_its_scope(slack: LocalSlack, client: WebClient) -> None:
    admin(slack, scopes={"remove": ["users:read.email"]})

    assert "email" not in client.users_info(user="U02BOB")["user"]["profile"]


def test_user_groups_are_listed_with_their_people(slack: LocalSlack, client: WebClient) -> None:
    groups = {g["handle"]: g["users"] for g in client.usergroups_list(include_users=True)["usergroups"]}
    assert groups == {"risk-team": ["U03CAROL"], "ml-leads": ["U02BOB"]}

    admin(slack, usergroup={"id": "S01RISK", "users": ["U04DAVE"]})
    assert client.usergroups_users_list(usergroup="S01RISK")["users"] == ["U04DAVE"]
    admin(slack, usergroup={"id": "S01RISK", "users": ["U03CAROL"]})


def test_channels_are_listed_in_pages_without_the_hidden_ones(client: WebClient) -> None:
    first = client.conversations_list(types="public_channel,private_channel", limit=2)
    cursor = first["response_metadata"]["next_cursor"]
    second = client.conversations_list(types="public_channel,private_channel", limit=2, cursor=cursor)

    assert [c["id"] for c in [*first["channels"], *second["channels"]]] == ["C01PROMO", "C02FRAUD", "C03GENERAL"]
    assert refusal(client.conversations_info, channel="C04SECRET")["error"] == "channel_not_found"


def test_the_app_can_be_removed_and_can_join_public_channels_again(slack: LocalSlack, client: WebClient) -> None:
    admin(slack, channel={"id": "C02FRAUD", "bot": "remove"})
    assert refusal(client.chat_postMessage, channel="C02FRAUD", text="x")["error"] == "not_in_channel"

    client.conversations_join(channel="C02FRAUD")
    assert client.chat_postMessage(channel="C02FRAUD", text="x")["ok"]


def test_a_file_is_shared_only_where_the_app_is_and_by_the_channels_id(slack: LocalSlack, client: WebClient) -> None:
    room = client.conversations_open(users="U02BOB")["channel"]["id"]
    client.files_upload_v2(channel=room, filename="page.html", content="<p>", title="Page", initial_comment="Here")
    [message] = client.conversations_history(channel=room)["messages"]
    assert (message["text"], message["files"][0]["title"]) == ("Here", "Page")
    for channel, error in (
        ("U02BOB", "channel_not_found"),
        ("#ml-promotions", "channel_not_found"),
        ("C03GENERAL", "not_in_channel"),
    ):
        wrong = refusal(client.files_upload_v2, channel=channel, filename="page.html", content="<p>")
        assert wrong["error"] == error
    again = message["files"][0]["id"]
    assert refusal(client.files_completeUploadExternal, files=[{"id": again}])["error"] == "file_not_found"
    begun = client.files_getUploadURLExternal(filename="page.html", length=3)
    assert refusal(client.files_completeUploadExternal, files=[{"id": begun["file_id"]}])["error"] == "invalid_upload"


def test_blocks_validate_answers_the_errors(client: WebClient) -> None:
    assert client.api_call("blocks.validate", json={"blocks": [section("x")]})["ok"]
    answer = refusal(client.api_call, api_method="blocks.validate", json={"blocks": [section("")]})
    assert answer["errors"][0]["pointer"] == "/blocks/0/text/text"


def test_a_rate_limit_on_demand_says_when_to_come_back(slack: LocalSlack, client: WebClient) -> None:
    fault(slack, method="chat.postMessage", error="ratelimited", retry_after=7)

    response = refusal(client.chat_postMessage, channel=PROMO, text="x")

    assert (response.status_code, response["error"], response.headers["retry-after"]) == (429, "ratelimited", "7")
    assert client.chat_postMessage(channel=PROMO, text="x")["ok"]


def test_a_fault_lasts_as_often_as_asked_or_until_cleared(slack: LocalSlack, client: WebClient) -> None:
    fault(slack, method="*", status=500, until_cleared=True)
    codes = {HTTP.post(f"{slack.api_url}auth.test").status_code for _ in range(3)}
    HTTP.post(f"{slack.url}/_local/faults/clear")

    assert codes == {500}
    assert client.auth_test()["ok"]


def test_an_answer_can_be_lost_after_the_effect(slack: LocalSlack) -> None:
    fault(slack, method="chat.postMessage", after_effect=True)
    headers = {"Authorization": f"Bearer {slack.bot_token}"}

    with pytest.raises(httpx.RemoteProtocolError):
        HTTP.post(f"{slack.api_url}chat.postMessage", json={"channel": PROMO, "text": "only once"}, headers=headers)

    calls = HTTP.get(f"{slack.url}/_local/calls", params={"method": "chat.postMessage"}).json()["calls"]
    assert calls[-1]["args"]["text"] == "only once"
    assert "token" not in calls[-1]["args"]
    with Person(slack.url, "U02BOB") as bob:
        assert bob.messages("#ml-promotions")[-1]["text"] == "only once"


def test_a_revoked_token_says_so_everywhere(slack: LocalSlack, client: WebClient) -> None:
    admin(slack, token="revoke")
    assert refusal(client.auth_test)["error"] == "token_revoked"
    admin(slack, token="deactivate")
    assert refusal(client.chat_postMessage, channel=PROMO, text="x")["error"] == "account_inactive"
    admin(slack, token="restore")
    assert client.auth_test()["ok"]


def test_latency_delays_answers_without_blocking_others(slack: LocalSlack) -> None:
    slack.latency = 0.2
    started = time.monotonic()
    with httpx.Client(verify=False) as one:
        one.get(f"{slack.api_url}api.test")
        assert time.monotonic() - started >= 0.2
        middle = time.monotonic()
        one.get(f"{slack.url}/_local/state", params={"user": "U01ALICE"})
        assert time.monotonic() - middle < 0.2


def test_rate_limits_hold_when_they_are_switched_on() -> None:
    clock = Clock()
    with LocalSlack(clock=clock, enforce_rate_limits=True) as slack:
        client = WebClient(slack.bot_token, base_url=slack.api_url)
        for _ in range(4):
            client.chat_postMessage(channel=PROMO, text="x")
        response = refusal(client.chat_postMessage, channel=PROMO, text="x")
        assert (response.status_code, response.headers["retry-after"]) == (429, "1")
        assert client.chat_postMessage(channel="C02FRAUD", text="another channel")["ok"]
        clock.now += 1
        assert client.chat_postMessage(channel=PROMO, text="x")["ok"]


def test_a_start_and_a_stop_take_half_a_second_at_most() -> None:
    started = time.monotonic()
    with (
        LocalSlack() as slack,
        httpx.Client(verify=False) as one,
        one.stream("GET", f"{slack.url}/_local/stream", params={"user": "U01ALICE"}),
    ):
        stopping = time.monotonic()
    assert stopping - started < 0.5
    assert time.monotonic() - stopping < 0.5
