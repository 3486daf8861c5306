"""The buttons of an alert."""

from __future__ import annotations

from typing import Any

from slack_bolt import Ack, App

from bot.slack import ids
from bot.slack.desk import Desk
from bot.slack.payloads import OfProposal


def register(app: App, desk: Desk) -> None:
    """Listen to Roll back and Leave it."""

    def roll_back(ack: Ack, body: dict[str, Any], action: dict[str, Any]) -> None:
        desk.alerts.accept(desk.actor(body["user"]), OfProposal.read(action.get("value")).proposal)
        ack()

    def leave(ack: Ack, body: dict[str, Any], action: dict[str, Any]) -> None:
        desk.alerts.dismiss(desk.actor(body["user"]), OfProposal.read(action.get("value")).proposal)
        ack()

    app.action(ids.ALERT_ROLL_BACK)(roll_back)
    app.action(ids.ALERT_LEAVE)(leave)
