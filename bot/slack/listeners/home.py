"""App Home."""

from __future__ import annotations

from typing import Any

from slack_bolt import Ack, App

from bot.slack import ids
from bot.slack.blocks import home as blocks
from bot.slack.desk import Desk
from bot.slack.payloads import OfPage
from core import preferences
from core.domain.errors import Unavailable
from core.domain.views import PromotionView


def register(app: App, desk: Desk) -> None:
    """Listen to people opening the Home tab, turning its pages, and choosing a digest of their own."""

    def opened(event: dict[str, Any]) -> None:
        if event.get("tab", "home") == "home":
            publish_later(desk, event["user"])

    def turned(ack: Ack, body: dict[str, Any], action: dict[str, Any]) -> None:
        publish_later(desk, body["user"]["id"], OfPage.read(action.get("value")).page)
        ack()

    def digest(ack: Ack, body: dict[str, Any]) -> None:
        user_id = body["user"]["id"]
        wanted = not preferences.wants_digest(desk.database, user_id)
        preferences.want_digest(desk.database, user_id, wanted, desk.promotions.clock())
        redraw_home(desk, body)
        ack()

    app.event("app_home_opened")(opened)
    app.action(ids.HOME_EARLIER)(turned)
    app.action(ids.HOME_LATER)(turned)
    app.action(ids.HOME_DIGEST)(digest)


def redraw_home(desk: Desk, body: dict[str, Any]) -> None:
    """After somebody acted in their Home, show there what is so now, on the page that they were on.

    A form does not tell whether it was opened there, so Home is drawn after every form that decided something.
    """
    if view := body.get("view"):
        shown = view.get("private_metadata") if view.get("type") == "home" else ""
        publish_later(desk, body["user"]["id"], OfPage.read(shown).page if shown else 0)


def publish_later(desk: Desk, user_id: str, page: int = 0) -> None:
    """Draw the person's Home anew, after the answer."""
    desk.later(desk.homes.draw, user_id, page, lambda who, wanted: publish(desk, who, wanted))


def publish(desk: Desk, user_id: str, page: int = 0) -> None:
    """Draw the person's Home from the database."""

    def guarded(view: PromotionView) -> bool:
        return desk.policy.guarded(view.stage)

    try:
        drawn = blocks.home(desk.boards.home(user_id, page), guarded)
    except Unavailable as error:
        drawn = {"type": "home", "blocks": blocks.unavailable(str(error))}
    desk.client.views_publish(user_id=user_id, view=drawn)
