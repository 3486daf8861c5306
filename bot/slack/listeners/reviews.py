"""The button under a champion past its review period."""

from __future__ import annotations

from typing import Any

from slack_bolt import Ack, App

from bot.slack import ids
from bot.slack.desk import Desk
from bot.slack.payloads import OfCertification


def register(app: App, desk: Desk) -> None:
    """Listen to Re-certify."""

    def certify(ack: Ack, body: dict[str, Any], action: dict[str, Any]) -> None:
        of = OfCertification.read(action.get("value"))
        desk.certifying.certify(desk.actor(body["user"]), of.certification)
        ack()

    app.action(ids.CERTIFY)(certify)
