"""The buttons that steer a rollout, on its card and in App Home."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slack_bolt import Ack, App

from bot.slack import ids
from bot.slack.desk import Desk
from bot.slack.listeners.home import redraw_home
from bot.slack.payloads import OfPromotion
from core.domain.model import Actor
from core.domain.views import PromotionView


def register(app: App, desk: Desk) -> None:
    """Listen to Continue, Hold, Wait longer and Roll back."""

    def on(action_id: str, act: Callable[[Actor, int], PromotionView]) -> None:
        def listener(ack: Ack, body: dict[str, Any], action: dict[str, Any]) -> None:
            act(desk.actor(body["user"]), OfPromotion.read(action.get("value")).promotion)
            redraw_home(desk, body)
            ack()

        app.action(action_id)(listener)

    on(ids.ROLLOUT_CONTINUE, desk.rollouts.proceed)
    on(ids.ROLLOUT_HOLD, desk.rollouts.pause)
    on(ids.ROLLOUT_EXTEND, desk.rollouts.extend)
    on(ids.ROLLOUT_BACK, desk.rollouts.roll_back)
