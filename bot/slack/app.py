"""Bolt's app: one list of middleware, one error handler, the same listeners over HTTP and Socket Mode."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from slack_bolt import App, BoltRequest, BoltResponse
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.error import BoltUnhandledRequestError
from slack_sdk.errors import SlackApiError
from sqlalchemy.exc import SQLAlchemyError

from bot.slack import refusals
from bot.slack.blocks import forms
from bot.slack.blocks.text import notice
from bot.slack.desk import Desk
from bot.slack.listeners import actions, alerts, commands, drift, evidence, home, reviews, rollouts
from bot.slack.listeners import forms as form_listeners
from core.domain.errors import BatonError, Refused
from core.store.turns import urgent

log = logging.getLogger(__name__)


def build_app(desk: Desk, signing_secret: str) -> App:
    """The app, with every listener. It asks nothing of Slack while it is built."""
    logging.getLogger("slack_bolt.App").setLevel(
        logging.ERROR
    )  # it warns that `authorize` is preferred, which is meant
    app = App(
        client=desk.client,
        signing_secret=signing_secret,
        authorize=_one_workspace(desk.client.token or ""),
        logger=_logger(),
        # Bolt polls for an answer every 10 ms otherwise; a listener here is one short transaction.
        process_before_response=True,
        ignoring_self_events_enabled=False,  # nothing that Baton says comes back as an event it listens to
        listener_executor=ThreadPoolExecutor(32, "listener"),
        raise_error_for_unhandled_request=True,
    )
    for room in (commands, actions, form_listeners, home, rollouts, alerts, drift, evidence, reviews):
        room.register(app, desk)
    app.error(_ErrorHandler(desk))
    return app


def _logger() -> logging.Logger:
    """Bolt's own, without its warnings that `client` and `authorize` are used instead of a token, which is meant."""
    logger = logging.getLogger("slack_bolt")
    logger.addFilter(lambda record: "`token`" not in record.getMessage())
    return logger


def _one_workspace(token: str) -> Callable[..., AuthorizeResult]:
    """Bolt would ask auth.test before it lets the first click in; Slack's signature, or its socket, is proof enough."""

    def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=enterprise_id, team_id=team_id, bot_token=token)

    return authorize


class _ErrorHandler:
    """Turns whatever a listener raised into one private sentence. A click is never left unanswered."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def __call__(self, error: Exception, body: dict[str, Any], request: BoltRequest) -> BoltResponse:  # noqa: ARG002
        sentence = self._sentence(error)
        if "command" in body:
            return self._answer_command(error, body, sentence)
        if body.get("type") in ("block_actions", "view_submission", "view_closed") and body.get("user"):
            self._tell(body, sentence)
            if isinstance(error, BatonError):
                self._refresh(body)
        if body.get("type") == "block_suggestion":
            return BoltResponse(status=200, body={"options": []})
        return BoltResponse(status=200, body="")

    def _answer_command(self, error: Exception, body: dict[str, Any], sentence: str) -> BoltResponse:
        """In the body of the response itself; or right after it, where Slack must first say how to link to a card."""
        about = error.facts.get("promotion") if isinstance(error, Refused) else None
        if isinstance(about, int):
            self.desk.later(self.desk.tell_with_link, body, sentence, about)
            return BoltResponse(status=200, body="")
        return BoltResponse(
            status=200,
            body={"response_type": "ephemeral", "text": notice(sentence), "blocks": forms.sentence(sentence)},
        )

    def _sentence(self, error: Exception) -> str:
        if isinstance(error, BatonError):
            return str(error)
        if isinstance(error, BoltUnhandledRequestError):
            return "This button or form was not made by this release of Baton; ask anew with /promote or /rollback."
        if isinstance(error, OSError) or (isinstance(error, SlackApiError) and refusals.falters(error)):
            code = refusals.code_of(error) if isinstance(error, SlackApiError) else type(error).__name__
            log.warning("a listener could not reach Slack: %s", code)
            return "Slack did not answer Baton in time, and nothing was done; try again."
        incident = uuid.uuid4().hex[:8]
        log.error("incident %s in a Slack listener", incident, exc_info=error)
        if isinstance(error, SQLAlchemyError):
            return f"Nothing was recorded: the database did not answer. Try again; if it stays, name incident {incident} to whoever runs Baton."
        if isinstance(error, SlackApiError) and error.response.get("error") in (
            "expired_trigger_id",
            "exchanged_trigger_id",
        ):
            return "Slack gave Baton too little time to open the form; try again."
        return f"Something went wrong here, and nothing was done. Try again; if it stays, name incident {incident} to whoever runs Baton."

    def _tell(self, body: dict[str, Any], sentence: str) -> None:
        view = body.get("view") or {}
        if view.get("type") == "modal" and body["type"] == "block_actions":
            self.desk.turn(body, forms.done("Not done", forms.sentence(sentence)[0]["text"]["text"]))
        else:
            self.desk.tell(body, sentence)

    def _refresh(self, body: dict[str, Any]) -> None:
        """Whoever clicked a stale card sees the true one next."""
        if (body.get("view") or {}).get("type") == "home":
            self.desk.later(home.publish, self.desk, body["user"]["id"])


def dispatch(app: App, _method: str, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
    """One HTTP request of Slack through Bolt. Called in a worker thread, never on the event loop."""
    try:
        with urgent():
            response = app.dispatch(BoltRequest(body=body.decode("utf-8", "replace"), headers={**headers}))
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        # What Bolt raises of a body that is none of Slack's; what listeners raise went to the error handler.
        log.warning("A request to Slack's address could not be read (%s).", type(error).__name__)
        return 400, {"content-type": "application/json"}, b'{"error": "not a request of Slack"}'
    sent = {name: values[0] for name, values in response.headers.items()}
    return response.status, sent, response.body.encode()
