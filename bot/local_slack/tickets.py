"""Short-lived permissions that Slack hands out: trigger ids, response URLs and Socket Mode tickets."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from .workspace import Message, SlackError

TRIGGER_SECONDS = 3.0
RESPONSE_URL_SECONDS = 30 * 60.0
RESPONSE_URL_USES = 5
TICKET_SECONDS = 30.0


@dataclass
class Trigger:
    """The right to open one modal for one person."""

    user: str
    issued: float
    view_id: str | None = None
    used: bool = False


@dataclass
class ResponseUrl:
    """The right to answer one interaction up to five times; `message` is the one that was clicked, if any."""

    user: str
    channel: str
    issued: float
    message: Message | None = None
    uses: int = 0


class Tickets:
    """Issues and redeems them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._triggers: dict[str, Trigger] = {}
        self._urls: dict[str, ResponseUrl] = {}
        self._sockets: dict[str, float] = {}

    def trigger(self, user: str, view_id: str | None = None) -> str:
        """A new trigger_id."""
        trigger_id = f"{secrets.randbelow(10**12)}.{secrets.randbelow(10**9)}.{secrets.token_hex(16)}"
        self._triggers[trigger_id] = Trigger(user, self._clock(), view_id)
        return trigger_id

    def redeem_trigger(self, trigger_id: object) -> Trigger:
        """Uses a trigger_id up.

        Raises SlackError: invalid_trigger_id, exchanged_trigger_id (used before) or expired_trigger_id (3 s).
        """
        trigger = self._triggers.get(trigger_id) if isinstance(trigger_id, str) else None
        if trigger is None:
            raise SlackError("invalid_trigger_id")
        if trigger.used:
            raise SlackError("exchanged_trigger_id")
        if self._clock() - trigger.issued > TRIGGER_SECONDS:
            raise SlackError("expired_trigger_id")
        trigger.used = True
        return trigger

    def response_path(self, kind: str, user: str, channel: str, message: Message | None = None) -> str:
        """The path of a new response_url."""
        token = secrets.token_urlsafe(18)
        self._urls[token] = ResponseUrl(user, channel, self._clock(), message)
        return f"/{kind}/T0LOCAL/{secrets.randbelow(10**12)}/{token}"

    def use_response_url(self, token: str) -> ResponseUrl:
        """Counts one use. Raises SlackError: invalid_token, expired_url (30 min) or used_url (5 uses)."""
        url = self._urls.get(token)
        if url is None:
            raise SlackError("invalid_token")
        if self._clock() - url.issued > RESPONSE_URL_SECONDS:
            raise SlackError("expired_url")
        if url.uses >= RESPONSE_URL_USES:
            raise SlackError("used_url")
        url.uses += 1
        return url

    def socket_ticket(self) -> str:
        """A ticket for one WebSocket connection."""
        ticket = secrets.token_urlsafe(24)
        self._sockets[ticket] = self._clock()
        return ticket

    def redeem_socket(self, ticket: str) -> bool:
        """Whether this ticket was good; it is not afterwards."""
        issued = self._sockets.pop(ticket, None)
        return issued is not None and self._clock() - issued <= TICKET_SECONDS
