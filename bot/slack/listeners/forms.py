"""Forms: type-ahead, live previews, and what happens when they are sent."""

from __future__ import annotations

from typing import Any

from slack_bolt import Ack, App

from bot.slack import ids
from bot.slack.blocks import forms
from bot.slack.desk import Desk
from bot.slack.listeners.commands import targets
from bot.slack.listeners.home import redraw_home
from bot.slack.payloads import OfPromotion, selected
from core.domain.errors import BadInput, BatonError, NotFound
from core.domain.model import Limit
from core.policy import texts
from core.store import registry

#: Slack takes 100 options.
OPTIONS = 100


def register(app: App, desk: Desk) -> None:
    """Listen to inputs, options and submissions of every form."""
    _inputs(app, desk)
    _submissions(app, desk)


def _inputs(app: App, desk: Desk) -> None:

    def models(ack: Ack, payload: dict[str, Any]) -> None:
        with desk.database.read() as session:
            found = [line.name for line in registry.models(session, payload.get("value") or "", limit=OPTIONS)]
        ack(options=[forms.option(name, name) for name in found if len(name) <= 150])

    def versions(ack: Ack, body: dict[str, Any], payload: dict[str, Any]) -> None:
        model = selected(body["view"]["state"]["values"], ids.MODEL) or payload["block_id"].partition(":")[2]
        with desk.database.read() as session:
            known = bool(model) and registry.find_model(session, model) is not None
            lines = registry.versions(session, model, payload.get("value") or "", limit=OPTIONS) if known else []
        ack(options=[forms.option(line.version, line.version) for line in lines])

    def chosen(ack: Ack, body: dict[str, Any]) -> None:
        view = body["view"]
        draw = {ids.PROMOTE_FORM: _promote_again, ids.ROLLBACK_FORM: _rollback_again}[view["callback_id"]]
        drawn = draw(desk, body)
        desk.later(desk.client.views_update, view_id=view["id"], hash=view["hash"], view=drawn)
        ack()

    app.options(ids.MODEL)(models)
    app.options(ids.VERSION)(versions)
    for action in (ids.MODEL, ids.VERSION, ids.STAGE):
        app.action(action)(chosen)


def _submissions(app: App, desk: Desk) -> None:
    def promote(ack: Ack, body: dict[str, Any]) -> None:
        values = body["view"]["state"]["values"]
        model, version, stage = (selected(values, action) for action in (ids.MODEL, ids.VERSION, ids.STAGE))
        try:
            desk.promotions.request(desk.actor(body["user"]), model, version, stage, selected(values, ids.REASON))
        except BatonError as error:
            ack(response_action="errors", errors={_block_of(error, values): _short(error)})
            return
        ack()

    def rollback(ack: Ack, body: dict[str, Any]) -> None:
        values = body["view"]["state"]["values"]
        model, version, stage = (selected(values, action) for action in (ids.MODEL, ids.VERSION, ids.STAGE))
        try:
            reason = texts.reason(selected(values, ids.REASON), required=True)
            plan = desk.rollbacks.plan(desk.actor(body["user"]), model, stage, version or None)
            asked = forms.confirm_rollback(plan, reason)
        except BatonError as error:
            ack(response_action="errors", errors={_block_of(error, values): _short(error)})
            return
        ack(response_action="update", view=asked)

    app.view(ids.PROMOTE_FORM)(promote)
    app.view(ids.ROLLBACK_FORM)(rollback)
    _decisions(app, desk)


def _decisions(app: App, desk: Desk) -> None:
    def limited(ack: Ack, body: dict[str, Any]) -> None:
        wanted = OfPromotion.read(body["view"]["private_metadata"])
        values = body["view"]["state"]["values"]
        percent, seconds = selected(values, ids.PERCENT).strip().removesuffix("%").strip(), selected(values, ids.TIME)
        try:
            if not (percent.isascii() and percent.isdigit()):
                raise BadInput(ids.PERCENT, "Write a whole number of per cent, such as 10.")
            given = Limit(int(percent), int(seconds or 0))
            desk.decisions.approve(desk.actor(body["user"]), wanted.promotion, wanted.seen, given)
        except BatonError as error:
            ack(response_action="errors", errors={_block_of(error, values): _short(error)})
            return
        redraw_home(desk, body)
        ack(response_action="clear")

    def reject(ack: Ack, body: dict[str, Any]) -> None:
        wanted = OfPromotion.read(body["view"]["private_metadata"])
        reason = selected(body["view"]["state"]["values"], ids.REASON)
        try:
            desk.decisions.reject(desk.actor(body["user"]), wanted.promotion, reason)
        except BatonError as error:
            ack(response_action="errors", errors={ids.REASON: _short(error)})
            return
        redraw_home(desk, body)
        ack()

    app.view(ids.LIMIT_FORM)(limited)
    app.view(ids.REJECT_FORM)(reject)


def _promote_again(desk: Desk, body: dict[str, Any]) -> dict[str, Any]:
    model, version, stage = _chosen(body)
    preview = None
    if model and version and stage:
        try:
            preview = forms.preview(*desk.promotions.preview(model, version, stage))
        except NotFound as error:
            preview = forms.unknown(error.sentence)
    return forms.promote(targets(desk), model, stage, preview)


def _rollback_again(desk: Desk, body: dict[str, Any]) -> dict[str, Any]:
    model, version, stage = _chosen(body)
    consequence = None
    if model and stage:
        try:
            consequence = forms.consequence(
                desk.rollbacks.plan(desk.actor(body["user"]), model, stage, version or None)
            )
        except BatonError as error:
            consequence = forms.unknown(str(error))
    return forms.rollback(targets(desk), model, stage, consequence)


def _chosen(body: dict[str, Any]) -> tuple[str, str, str]:
    """Model, version and stage as chosen so far; a version belongs to the model that its block names."""
    values = body["view"]["state"]["values"]
    model = selected(values, ids.MODEL)
    version = selected({k: v for k, v in values.items() if k == forms.version_block(model)}, ids.VERSION)
    return model, version, selected(values, ids.STAGE)


def _block_of(error: BatonError, values: dict[str, Any]) -> str:
    """The input under which an error is shown: the one it is about, else the stage."""
    fields = {"unknown-model": ids.MODEL, "unknown-version": ids.VERSION, "blocked-version": ids.VERSION}
    name = getattr(error, "field", "") or fields.get(getattr(error, "slug", ""), ids.STAGE)
    return next((block for block in values if block.partition(":")[0] == name), next(iter(values), ids.STAGE))


def _short(error: BatonError) -> str:
    """Slack shows errors of forms as plain text, whose length it does not promise beyond 2,000."""
    return str(error)[:1900]
