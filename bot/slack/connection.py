"""How Baton hears Slack: over HTTP (nothing to do here but to check the token) or Socket Mode (a connection to keep)."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from functools import partial

from slack_bolt import App
from slack_bolt.adapter.socket_mode.internals import run_bolt_app, send_response
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.websocket_client import SocketModeClient

from core.store.turns import urgent

log = logging.getLogger(__name__)

#: How often the socket is tried: one that died without a word is noticed, and replaced, within a few of these.
PING_SECONDS = 2.0
#: How long an answer may take. Also how long the SDK sits on a socket that it has closed before it opens the next one.
PONG_SECONDS = 1.5
#: Clicks at once; the rest waits for its turn.
CONCURRENCY = 32


class QuickSocket(SocketModeClient):
    """The SDK's client, which by itself waits for no pong, and ten seconds before it lets go of a socket it closed."""

    def _run_current_session(self) -> None:
        session = self.current_session
        if session is None:
            return
        try:
            session.run_forever(ping_interval=PING_SECONDS, ping_timeout=PONG_SECONDS)
        except Exception:  # as in the SDK: the thread must go on, and sees the closed session next
            log.exception("the socket to Slack broke")
            session.close()

    def disconnect(self) -> None:
        """Close the socket, and wake the threads that wait for its bytes and its messages; they would look up late."""
        session, reading = self.current_session, self.current_session_runner
        if session is not None and session.sock is not None and session.sock.sock is not None:
            session.keep_running = False
            reading.event.set()
            with contextlib.suppress(OSError):  # gone already
                # Not TLS's own, which would forget the keys that the closing words still need.
                socket.socket.shutdown(session.sock.sock, socket.SHUT_RD)
            reading.thread.join(PONG_SECONDS)  # whoever reads closes: a socket closed by another thread wakes nobody
        super().disconnect()
        self.message_queue.put(None)


class SlackConnection:
    """Keeps in touch with Slack, and says why if it cannot. Starting never fails: Slack may be down just now."""

    def __init__(self, app: App, client: WebClient, app_token: str | None) -> None:
        self._client = client
        self._app_token = app_token
        self._problem = "Slack was not asked yet"
        self._socket: QuickSocket | None = None
        self._stopping = threading.Event()
        self._app = app
        self._thread = threading.Thread(target=self._run, name="slack-connection", daemon=True)

    def start(self) -> None:
        """Check the token, and connect the socket if there is one; both go on trying in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more clicks."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()  # or a socket that is being opened just now would be left open
        if self._socket is not None:
            self._socket.close()

    def problem(self) -> str:
        """Why clicks may not arrive now; "" when all is well."""
        if self._problem:
            return self._problem
        if self._app_token is not None and (self._socket is None or not self._socket.is_connected()):
            return "the socket to Slack is not connected"
        return ""

    def check(self) -> None:
        """Ask Slack whether it still knows us; called now and then by the scheduler. Never raises."""
        try:
            self._client.auth_test()
        except SlackApiError as error:
            self._note(f"Slack answers {error.response.get('error')} to auth.test")
        except OSError as error:
            self._note(f"Slack cannot be reached ({type(error).__name__})")
        else:
            self._note("")

    def _note(self, problem: str) -> None:
        if problem and problem != self._problem:
            log.warning("%s", problem)
        self._problem = problem

    def _run(self) -> None:
        wait = 0.5
        while not self._stopping.is_set():
            self.check()
            if not self._problem and self._connect():
                return
            self._stopping.wait(wait)
            wait = min(wait * 2, 5.0)

    def _connect(self) -> bool:
        """True when there is nothing more to do here: the client keeps its socket alive by itself from now on."""
        if self._app_token is None:
            return True
        opened = QuickSocket(
            self._app_token, web_client=self._client, ping_interval=PING_SECONDS, concurrency=CONCURRENCY
        )
        opened.socket_mode_request_listeners.append(partial(_answer, self._app))
        try:
            opened.connect()
        except (SlackApiError, OSError) as error:
            self._note(f"the socket to Slack could not be opened ({type(error).__name__})")
            opened.close()
            return False
        self._socket = opened
        log.info("Connected to Slack by Socket Mode")
        return True


def _answer(app: App, client: BaseSocketModeClient, request: SocketModeRequest) -> None:
    started = time.time()
    with urgent():
        answer = run_bolt_app(app, request)
    send_response(client, request, answer, started)
