"""The local Slack over Socket Mode, with slack_bolt and with bare sockets."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

from bot.local_slack import LocalSlack, Person
from tests.integration.test_local_slack_parts import (
    HTTP,
    PROMO,
    ROOM,
    Json,
    card,
    form,
)

Connect = Callable[[], SocketModeHandler]
# slack_sdk drops the socket of a connection that died without closing it; that is its own affair.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
def patience() -> float:
    """How long the local Slack waits for an answer; some stories wait it out."""
    return 0.5


@pytest.fixture
def socketed(patience: float) -> Iterator[LocalSlack]:
    with LocalSlack(event_retries=(0.1, 0.5, 3), ack_seconds=patience) as server:
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
    sessions = [handler.client.current_session for handler in opened]
    for handler in opened:
        handler.client.auto_reconnect_enabled = False
    # slack_sdk waits up to 3 s for its own reading thread, unless the connection is gone already.
    HTTP.post(f"{slack.url}/_local/socket", json={"action": "kill"})
    while opened:
        opened.pop().close()
    for session in sessions:
        drop(session)


def drop(session: Any) -> None:
    """Closes what slack_sdk leaves open of a connection that died."""
    if session.sock is not None:
        session.sock.close()


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

        def delivered() -> list[Any] | None:  # Home is there before its delivery is acknowledged
            log = HTTP.get(f"{socketed.url}/_local/log").json()["deliveries"]
            home = [each for each in log if each["kind"] == "app_home_opened"]
            return home if home[-1]["error"] is None else None

        home = alice.wait_for(delivered, what="the acknowledgement")
        assert home[0]["error"] == "dispatch_failed"


def test_a_killed_socket_is_opened_again_by_the_app(socketed: LocalSlack, connect: Connect) -> None:
    first = connect().client.current_session
    with Person(socketed.url, "U01ALICE") as alice:
        alice.wait_for(lambda: connected(alice))
        assert HTTP.post(f"{socketed.url}/_local/socket", json={"action": "kill"}).json()["sockets"] == 1
        assert alice.command(ROOM, "/help")["error"] == "dispatch_failed"
        alice.wait_for(lambda: connected(alice), timeout=15)
        assert alice.command(ROOM, "/help") == {"ok": True}
    drop(first)


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


@pytest.mark.parametrize("patience", [30.0], ids=[""])
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
