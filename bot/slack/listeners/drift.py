"""The buttons under what was moved in a registry past Baton."""

from __future__ import annotations

from typing import Any

from slack_bolt import Ack, App

from bot.slack import ids
from bot.slack.desk import Desk
from bot.slack.payloads import OfDrift


def register(app: App, desk: Desk) -> None:
    """Listen to Adopt and Revert."""

    def adopt(ack: Ack, body: dict[str, Any], action: dict[str, Any]) -> None:
        of = OfDrift.read(action.get("value"))
        desk.drifts.adopt(desk.actor(body["user"]), of.drift, of.found)
        ack()

    def revert(ack: Ack, body: dict[str, Any], action: dict[str, Any]) -> None:
        of = OfDrift.read(action.get("value"))
        desk.drifts.revert(desk.actor(body["user"]), of.drift, of.found)
        ack()

    app.action(ids.DRIFT_ADOPT)(adopt)
    app.action(ids.DRIFT_REVERT)(revert)
