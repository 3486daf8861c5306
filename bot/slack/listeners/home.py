"""App Home."""

from __future__ import annotations

from typing import Any

from slack_bolt import App

from bot.slack.blocks import home as blocks
from bot.slack.desk import Desk
from core.domain.errors import Unavailable
from core.domain.views import PromotionView
from core.store import promotions as store

#: How many waiting promotions are looked at to find those that wait on one person.
LOOKED_AT = 200


def register(app: App, desk: Desk) -> None:
    """Listen to people opening the Home tab."""

    def opened(event: dict[str, Any]) -> None:
        if event.get("tab", "home") == "home":
            publish_later(desk, event["user"])

    app.event("app_home_opened")(opened)


def publish_later(desk: Desk, user_id: str) -> None:
    """Draw the person's Home anew, after the answer."""
    desk.later(publish, desk, user_id)


def publish(desk: Desk, user_id: str) -> None:
    """Draw the person's Home from the database."""
    desk.client.views_publish(user_id=user_id, view=blocks.home(dashboard(desk, user_id)))


def dashboard(desk: Desk, user_id: str) -> blocks.Dashboard:
    """What one person's Home shows."""
    with desk.database.read() as session:
        waiting = store.page(session, state="awaiting_approval", limit=LOOKED_AT)
        active = store.page(session, state="active", limit=LOOKED_AT)
        champions = store.champions(session, limit=30)
    mine = [view for view in reversed(waiting) if _waits_on(desk, view, user_id)]
    return blocks.Dashboard(
        awaiting=tuple(mine),
        awaiting_count=len(mine),
        asked=tuple(view for view in active if view.requester.id == user_id),
        rolling_out=tuple(view for view in active if view.deployments),
        champions=tuple(champions),
    )


def _waits_on(desk: Desk, view: PromotionView, user_id: str) -> bool:
    try:
        return desk.decisions.could_approve(view, user_id)
    except Unavailable:
        return False
