"""What every listener has at hand: the services, and the ways to answer a person."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.webhook import WebhookClient

from bot.slack import refusals
from bot.slack.blocks import forms
from bot.slack.blocks.card import Awaited
from bot.slack.blocks.text import escape, link, notice, section
from bot.slack.homes import Homes
from bot.slack.identity import SlackDirectory
from bot.slack.messages import Messages
from core.alerts import Alerts
from core.barriers import Barriers
from core.boards import Boards
from core.bundles import Bundles
from core.certifying import Certifying
from core.decisions import Decisions
from core.delegating import Delegating
from core.domain.errors import Unavailable
from core.domain.model import Actor
from core.domain.views import PromotionView
from core.drifting import Drifts
from core.glass import Glass
from core.policy.schema import Policy
from core.promotions import Promotions
from core.registration import Registration
from core.rollbacks import Rollbacks
from core.rollouts import Rollouts
from core.store.database import Database
from core.store.messages import card_place

log = logging.getLogger(__name__)

#: Seconds before what Slack did not take is tried again, each time.
PAUSES = (1.0, 4.0)


@dataclass
class Desk:
    """The collaborators of the listeners; built once in wiring."""

    promotions: Promotions
    decisions: Decisions
    rollbacks: Rollbacks
    barriers: Barriers
    delegating: Delegating
    glass: Glass
    rollouts: Rollouts
    alerts: Alerts
    boards: Boards
    registration: Registration
    bundles: Bundles
    directory: SlackDirectory
    messages: Messages
    client: WebClient
    #: For what must happen before the answer: gives up before Slack does.
    quick: WebClient
    #: Slack calls that come after the answer run here, so that a click never waits for them.
    after: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8, "after"))
    homes: Homes = field(default_factory=Homes)

    @property
    def policy(self) -> Policy:
        """The policy file."""
        return self.promotions.policy

    @property
    def database(self) -> Database:
        """The registry database."""
        return self.promotions.database

    @property
    def drifts(self) -> Drifts:
        """What was moved in registries past Baton."""
        return Drifts(self.promotions)

    @property
    def certifying(self) -> Certifying:
        """Champions past their review period."""
        return Certifying(self.promotions)

    def actor(self, user: dict[str, Any]) -> Actor:
        """The person behind a payload. Somebody new is asked after in the background, so that they have a name next time."""
        if not self.directory.knows(user["id"]):
            self.later(self.directory.person, user["id"])
        return self.directory.actor(user)

    def awaited(self, view: PromotionView) -> Awaited:
        """Who may still fill the seats."""
        return self.messages.awaited(view)

    def later(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Do something in Slack after the answer. Where Slack falters it is tried again twice; failures are logged."""
        self._begin(partial(work, *args, **kwargs), PAUSES)

    def _begin(self, work: Callable[[], Any], pauses: Sequence[float]) -> None:
        with suppress(RuntimeError):  # Baton stops
            self.after.submit(self._guarded, work, pauses)

    def _guarded(self, work: Callable[[], Any], pauses: Sequence[float]) -> None:
        try:
            work()
        except (SlackClientError, HTTPException, OSError, Unavailable) as error:
            if pauses and refusals.falters(error):
                wait = refusals.retry_after(error) if isinstance(error, SlackApiError) else 0.0
                again = threading.Timer(max(wait, pauses[0]), self._begin, (work, pauses[1:]))
                again.daemon = True
                again.start()
                return
            said = error.response.get("error") if isinstance(error, SlackApiError) else error
            log.warning("Slack could not be told: %s", said)
        except Exception:  # the outermost loop of this thread: it has nobody to raise to
            log.exception("work after an answer failed")

    def tell(self, body: dict[str, Any], text: str, blocks: Sequence[dict[str, Any]] | None = None) -> None:
        """Answer the person of an interaction privately, wherever they clicked."""
        self.later(self._tell, body, notice(text), list(blocks or forms.sentence(text)))

    def tell_with_link(self, command: dict[str, Any], text: str, promotion_id: int) -> None:
        """Answer a command privately, with a link to a promotion's card if Slack gives one. Run it by `later`."""
        its_card = self._card_link(promotion_id)
        blocks = [section(f"{escape(text, 2500)} {its_card}")] if its_card else forms.sentence(text)
        who = {"channel": {"id": command.get("channel_id")}, "user": {"id": command["user_id"]}}
        self._tell({"response_url": command.get("response_url"), **who}, notice(text), blocks)

    def _card_link(self, promotion_id: int) -> str:
        with self.database.read() as session:
            place = card_place(session, promotion_id)
        if place is None:
            return ""
        try:
            found = self.client.chat_getPermalink(channel=place[0], message_ts=place[1])
        except (SlackApiError, OSError):
            return ""  # the sentence names the promotion anyway
        return link(str(found.get("permalink") or ""), "Its card")

    def replace(self, body: dict[str, Any], text: str) -> None:
        """Put `text` where the private message with the button was, so that it cannot be pressed twice."""
        self.later(self._replace, body, text, forms.done("", text)["blocks"])

    def turn(self, body: dict[str, Any], view: dict[str, Any]) -> None:
        """Turn the form that somebody clicked in over to its last page, which tells what came of it."""
        self.later(self._turn, body, view)

    def _turn(self, body: dict[str, Any], view: dict[str, Any]) -> None:
        try:
            self.client.views_update(view_id=body["view"]["id"], view=view)
        except SlackApiError as error:
            if refusals.falters(error):
                raise
            log.info("a form could not be turned over (%s); sent as a direct message", error.response.get("error"))
            self._tell({"user": body["user"]}, view["blocks"][0]["text"]["text"], view["blocks"])

    def _replace(self, body: dict[str, Any], text: str, blocks: list[dict[str, Any]]) -> None:
        if not _respond(body, text=text, blocks=blocks, replace_original=True):
            self._tell(body, text, blocks)

    def _tell(self, body: dict[str, Any], text: str, blocks: list[dict[str, Any]]) -> None:
        if _respond(body, text=text, blocks=blocks, response_type="ephemeral", replace_original=False):
            return
        channel = (body.get("channel") or {}).get("id") or (body.get("container") or {}).get("channel_id")
        user = body["user"]["id"]
        if channel:
            try:
                self.client.chat_postEphemeral(channel=channel, user=user, text=text, blocks=blocks)
            except SlackApiError as error:
                log.info("no ephemeral answer possible (%s); sent as a direct message", error.response.get("error"))
            else:
                return
        self.client.chat_postMessage(channel=user, text=text, blocks=blocks)


def _respond(body: dict[str, Any], **answer: Any) -> bool:
    """Whether Slack took an answer at the address that came with the click; there are other ways where it did not."""
    url = body.get("response_url") or next((each["response_url"] for each in body.get("response_urls") or []), "")
    if not url:
        return False
    try:
        return WebhookClient(url, timeout=10).send(**answer).status_code == 200
    except (SlackClientError, HTTPException, OSError, ValueError) as error:
        log.info("the address of a click does not answer (%s)", type(error).__name__)
        return False
