"""The evidence of a promotion, as a file by direct message, for those who may approve or roll back."""

from __future__ import annotations

import logging
from typing import Any

from slack_bolt import Ack, App
from slack_sdk.errors import SlackApiError, SlackClientError

from bot import evidence_html
from bot.evidence import document
from bot.slack import ids
from bot.slack.blocks import forms
from bot.slack.blocks.text import button, escape
from bot.slack.desk import Desk
from bot.slack.payloads import OfPromotion
from bot.slack.refusals import code_of
from core.domain.errors import BatonError
from core.domain.model import Actor
from core.domain.views import PromotionView
from core.evidence_file import collect

log = logging.getLogger(__name__)


def register(app: App, desk: Desk) -> None:
    """Listen to the button."""

    def wanted(ack: Ack, body: dict[str, Any], action: dict[str, Any]) -> None:
        number = OfPromotion.read(action.get("value")).promotion
        said = order(desk, desk.actor(body["user"]), number)
        if body.get("view"):
            desk.turn(body, forms.done(f"P-{number}", said))
        ack()

    app.action(ids.EVIDENCE)(wanted)


def order(desk: Desk, actor: Actor, promotion_id: int) -> str:
    """Have a promotion's evidence sent to somebody; what they are told meanwhile. Raises `Refused`, `Unavailable`."""
    view = desk.promotions.view(promotion_id)
    desk.promotions.permissions.refuse_evidence(actor, view.stage)
    desk.later(_send, desk, actor.id, view)
    return f"The evidence of {view.ref} is on its way to you, as a direct message."


def offered(desk: Desk, actor: Actor, view: PromotionView, details: dict[str, Any]) -> dict[str, Any]:
    """A promotion's details, with the button for those who may have its evidence."""
    try:
        desk.promotions.permissions.refuse_evidence(actor, view.stage)
    except BatonError:
        return details
    offer = button("Evidence", ids.EVIDENCE, OfPromotion(promotion=view.id).dump())
    return details | {"blocks": [*details["blocks"][:99], {"type": "actions", "elements": [offer]}]}


def _send(desk: Desk, user: str, view: PromotionView) -> None:
    """The page, to whoever asked; or one sentence why not."""
    with desk.database.read() as session:
        made = document(collect(session, view.id, desk.promotions.clock()))
    about = f"The evidence of {view.ref}: {escape(view.title, 300)}. Open it in a browser; it says how to verify it."
    try:
        channel = desk.client.conversations_open(users=user)["channel"]["id"]
        desk.client.files_upload_v2(
            channel=channel,
            filename=f"baton-{view.ref}.html",
            title=f"Evidence of {view.ref}",
            content=evidence_html.page(made),
            initial_comment=about,
        )
    except (SlackClientError, OSError) as error:
        code = code_of(error) if isinstance(error, SlackApiError) else type(error).__name__
        log.warning("the evidence of %s could not be sent: %s", view.ref, code)
        desk.tell({"user": {"id": user}}, _not_sent(view, code))


def _not_sent(view: PromotionView, code: str) -> str:
    if code == "missing_scope":
        return (
            "Slack does not let Baton send files yet: whoever runs Baton adds the scope files:write to the Slack app, as "
            f"in manifest.yml, and installs it again. Until then, `baton evidence {view.ref}` writes it."
        )
    return f"Slack did not take the evidence of {view.ref} ({code}); try again, or use `baton evidence {view.ref}`."
