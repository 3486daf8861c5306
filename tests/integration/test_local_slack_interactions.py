"""Clicks, commands, forms and events of the local Slack, against slack_bolt in Socket Mode and over HTTP."""

from __future__ import annotations

import gc
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier

from bot.local_slack import LocalSlack, Person

Json = dict[str, Any]
PROMO = "C01PROMO"
ROOM = "#ml-promotions"
HTTP = httpx.Client(verify=False)  # building a TLS context costs 100 ms each time


class Clock:
    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class Receiver:
    """An app without a framework: it keeps every request and answers what it is told to."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[tuple[int, Any]] = []
        self.arrived = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {k.lower(): v for k, v in self.headers.items()}
                with outer.arrived:
                    outer.requests.append((headers, body))
                    status, answer = outer.answers.pop(0) if outer.answers else (200, b"")
                    outer.arrived.notify_all()
                answer = answer() if callable(answer) else answer
                raw = json.dumps(answer).encode() if isinstance(answer, dict) else answer
                self.send_response(status)
                kind = "application/json" if isinstance(answer, dict) else "text/plain"
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.url = f"http://127.0.0.1:{self.server.server_port}/slack/events"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def wait(self, count: int, timeout: float = 5) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.requests) >= count, timeout)

    def payload(self, index: int = -1) -> Json:
        headers, body = self.requests[index]
        if "json" in headers["content-type"]:
            return dict(json.loads(body))
        form = {k: v[0] for k, v in parse_qs(body.decode(), keep_blank_values=True).items()}
        return dict(json.loads(form["payload"])) if "payload" in form else form

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    app = Receiver()
    yield app
    app.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slack(receiver: Receiver, clock: Clock) -> Iterator[LocalSlack]:
    """Signed HTTP delivery to the receiver, with quick retries and a short deadline."""
    with LocalSlack(
        delivery="http", request_url=receiver.url, clock=clock, event_retries=(0, 0.05, 0.1), ack_seconds=0.4
    ) as server:
        yield server


@pytest.fixture
def client(slack: LocalSlack) -> WebClient:
    return WebClient(slack.bot_token, base_url=slack.api_url)


@pytest.fixture
def alice(slack: LocalSlack) -> Iterator[Person]:
    with Person(slack.url, "U01ALICE") as person:
        yield person


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def form(callback: str = "f", **more: Any) -> Json:
    element = {"type": "plain_text_input", "action_id": "model", "max_length": 10}
    block = {"type": "input", "block_id": "b", "label": plain("Model"), "element": element}
    return {
        "type": "modal",
        "callback_id": callback,
        "title": plain("Promote"),
        "submit": plain("Go"),
        "blocks": [block],
        **more,
    }


def card(value: str = "P-1", **more: Any) -> list[Json]:
    button = {"type": "button", "action_id": "approve", "text": plain("Approve"), "value": value, **more}
    return [
        {"type": "section", "text": {"type": "mrkdwn", "text": f"Promotion {value}"}},
        {"type": "actions", "block_id": "decide", "elements": [button]},
    ]


def trigger_of(receiver: Receiver, alice: Person) -> str:
    assert alice.command(ROOM, "/promote")["ok"]
    return str(receiver.payload()["trigger_id"])


def refused(call: Any, **arguments: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        call(**arguments)
    return str(caught.value.response["error"])


# --- payloads ---------------------------------------------------------------------------------------------------------


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


# --- triggers and forms -----------------------------------------------------------------------------------------------


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


# --- response_url -----------------------------------------------------------------------------------------------------


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


# --- deadlines and retries --------------------------------------------------------------------------------------------


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


# --- Socket Mode ------------------------------------------------------------------------------------------------------

Connect = Callable[[], SocketModeHandler]
# slack_sdk drops the socket of a connection that died without closing it; that is its own affair.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
def socketed() -> Iterator[LocalSlack]:
    with LocalSlack(event_retries=(0.1, 0.5, 3), ack_seconds=0.5) as server:
        yield server


@pytest.fixture
def connect(socketed: LocalSlack) -> Iterator[Connect]:
    """Opens one connection of a Bolt app with a form, a card and an approval."""
    opened: list[SocketModeHandler] = []

    def one() -> SocketModeHandler:
        web = WebClient(socketed.bot_token, base_url=socketed.api_url)
        pool = ThreadPoolExecutor(16)
        app = App(
            client=web, process_before_response=True, listener_executor=pool, raise_error_for_unhandled_request=True
        )
        _listeners(app)
        xapp = WebClient(socketed.app_token, base_url=socketed.api_url)
        handler = SocketModeHandler(app, socketed.app_token, web_client=xapp, ping_interval=0.5)
        opened.append(handler)
        handler.connect()
        return handler

    yield one
    _close_all(socketed, opened)
    gc.collect()


def _close_all(slack: LocalSlack, opened: list[SocketModeHandler]) -> None:
    for handler in opened:
        handler.client.auto_reconnect_enabled = False
    # slack_sdk waits up to 3 s for its own reading thread, unless the connection is gone already.
    HTTP.post(f"{slack.url}/_local/socket", json={"action": "kill"})
    while opened:
        opened.pop().close()


def _listeners(app: App) -> None:
    @app.command("/promote")
    def open_form(ack: Any, body: Json, client: WebClient) -> None:
        ack()
        client.views_open(trigger_id=body["trigger_id"], view=form())

    @app.command("/help")
    def answer(ack: Any) -> None:
        ack("only words")

    @app.view("f")
    def post_card(ack: Any, view: Json, client: WebClient) -> None:
        model = view["state"]["values"]["b"]["model"]["value"]
        if model == "none":
            ack(response_action="errors", errors={"b": "No such model"})
            return
        ack()
        client.chat_postMessage(channel=ROOM, text="card", blocks=card(model))

    @app.action("approve")
    def approve(ack: Any, body: Json, respond: Any) -> None:
        ack()
        respond(f"approved {body['actions'][0]['value']}")

    @app.event("app_home_opened")
    def home(event: Json, client: WebClient) -> None:
        client.views_publish(user_id=event["user"], view={"type": "home", "blocks": card()})


def connected(person: Person) -> bool | None:
    return True if person.state()["connected"] else None


def test_a_whole_story_through_bolt_in_socket_mode(socketed: LocalSlack, connect: Connect) -> None:
    connect()
    with Person(socketed.url, "U01ALICE") as alice, Person(socketed.url, "U02BOB") as bob:
        alice.wait_for(lambda: connected(alice))
        assert alice.command(ROOM, "/help") == {"ok": True}
        assert alice.ephemerals(ROOM)[-1]["text"] == "only words"
        assert alice.command(ROOM, "/promote") == {"ok": True}
        form_open = alice.wait_for_view()
        assert alice.submit(form_open, {"Model": "none"})["errors"] == {"b": "No such model"}
        assert alice.submit(form_open, {"Model": "fraud"}) == {"ok": True}
        message = bob.wait_for_text(ROOM, "Promotion fraud")
        assert bob.click(message, "Approve") == {"ok": True}
        assert bob.wait_for_text(ROOM, "approved fraud")["ephemeral"]
        alice.open_home()
        assert alice.wait_for(alice.home)["type"] == "home"


def test_without_a_socket_a_command_fails_and_an_event_comes_later(socketed: LocalSlack, connect: Connect) -> None:
    with Person(socketed.url, "U01ALICE") as alice:
        assert alice.command(ROOM, "/promote")["error"] == "dispatch_failed"
        alice.open_home()
        connect()
        assert alice.wait_for(alice.home)["type"] == "home"
        log = HTTP.get(f"{socketed.url}/_local/log").json()["deliveries"]
        home = [e for e in log if e["kind"] == "app_home_opened"]
        assert home[0]["error"] == "dispatch_failed"
        assert home[-1]["error"] is None


def test_a_killed_socket_is_opened_again_by_the_app(socketed: LocalSlack, connect: Connect) -> None:
    connect()
    with Person(socketed.url, "U01ALICE") as alice:
        alice.wait_for(lambda: connected(alice))
        assert HTTP.post(f"{socketed.url}/_local/socket", json={"action": "kill"}).json()["sockets"] == 1
        assert alice.command(ROOM, "/help")["error"] == "dispatch_failed"
        alice.wait_for(lambda: connected(alice), timeout=15)
        assert alice.command(ROOM, "/help") == {"ok": True}


def test_a_ticket_admits_one_socket_only_and_ten_are_the_most(socketed: LocalSlack) -> None:
    import websocket  # websocket-client

    xapp = WebClient(socketed.app_token, base_url=socketed.api_url)
    url = xapp.apps_connections_open(app_token=socketed.app_token)["url"]
    sockets = [websocket.create_connection(url)]
    try:
        hello = json.loads(sockets[0].recv())
        assert (hello["type"], hello["num_connections"]) == ("hello", 1)
        assert hello["debug_info"]["approximate_connection_time"] > 0
        with pytest.raises(websocket.WebSocketBadStatusException):
            websocket.create_connection(url)
        for _ in range(9):
            sockets.append(websocket.create_connection(xapp.apps_connections_open(app_token=socketed.app_token)["url"]))
            sockets[-1].recv()
        extra = websocket.create_connection(xapp.apps_connections_open(app_token=socketed.app_token)["url"])
        sockets.append(extra)
        assert extra.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE
        HTTP.post(f"{socketed.url}/_local/socket", json={"action": "disconnect"})
        assert json.loads(sockets[0].recv())["reason"] == "warning"
    finally:
        for each in sockets:
            each.close()


def test_two_hundred_clicks_at_once_are_all_acknowledged(socketed: LocalSlack) -> None:
    """Against an app that only acknowledges: what is measured is the local Slack."""
    import websocket

    xapp = WebClient(socketed.app_token, base_url=socketed.api_url)
    client = WebClient(socketed.bot_token, base_url=socketed.api_url)
    posted = client.chat_postMessage(channel=PROMO, text="card", blocks=card())
    app = websocket.create_connection(xapp.apps_connections_open(app_token=socketed.app_token)["url"])

    def acknowledge() -> None:
        for _ in range(201):
            frame = json.loads(app.recv())
            if "envelope_id" in frame:
                app.send(json.dumps({"envelope_id": frame["envelope_id"]}))

    thread = threading.Thread(target=acknowledge)
    thread.start()
    body = {"channel": PROMO, "ts": posted["ts"], "block_id": "decide", "action_id": "approve", "user": "U02BOB"}
    with httpx.Client(verify=False) as http, ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: http.post(f"{socketed.url}/_local/click", json=body).json(), range(200)))
    thread.join()
    app.close()

    assert answers == [{"ok": True}] * 200
