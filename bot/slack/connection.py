"""How Baton hears Slack: over HTTP (nothing to do here but to check the token) or Socket Mode (a connection to keep)."""

from __future__ import annotations

import logging
import threading

from slack_bolt import App
from slack_bolt.adapter.socket_mode.websocket_client import SocketModeHandler
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

log = logging.getLogger(__name__)

#: With this adapter a socket that died without a word is noticed, and replaced, within about two seconds.
PING_SECONDS = 2.0


class SlackConnection:
    """Keeps in touch with Slack, and says why if it cannot. Starting never fails: Slack may be down just now."""

    def __init__(self, app: App, client: WebClient, app_token: str | None) -> None:
        self._client = client
        self._app_token = app_token
        self._problem = "Slack was not asked yet"
        self._handler: SocketModeHandler | None = None
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
        if self._handler is not None:
            self._handler.close()  # type: ignore[no-untyped-call]

    def problem(self) -> str:
        """Why clicks may not arrive now; "" when all is well."""
        if self._problem:
            return self._problem
        if self._app_token is not None and (self._handler is None or not self._handler.client.is_connected()):
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
        handler = SocketModeHandler(self._app, self._app_token, ping_interval=PING_SECONDS, concurrency=32)
        try:
            handler.connect()  # type: ignore[no-untyped-call]
        except (SlackApiError, OSError) as error:
            self._note(f"the socket to Slack could not be opened ({type(error).__name__})")
            handler.close()  # type: ignore[no-untyped-call]
            return False
        self._handler = handler
        log.info("Connected to Slack by Socket Mode")
        return True
