"""Buttons: on cards, in forms, in App Home. Each is answered: done, or one private sentence that says why not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slack_bolt import Ack, App
from slack_sdk.errors import SlackApiError

from bot.slack import ids
from bot.slack.blocks import forms
from bot.slack.blocks.picture import behind
from bot.slack.blocks.text import escape
from bot.slack.desk import Desk
from bot.slack.listeners import evidence
from bot.slack.listeners.commands import targets
from bot.slack.listeners.home import redraw_home
from bot.slack.payloads import OfGlass, OfPromotion, OfRollback
from bot.slack.refusals import OUR_MISTAKE, code_of
from core.domain.views import PromotionView


def register(app: App, desk: Desk) -> None:
    """Listen to every button."""
    for action_id, listener in (
        _on_promotions(desk) | _in_details(desk) | _on_rollbacks(desk) | _on_glass(desk)
    ).items():
        app.action(action_id)(listener)


def _on_promotions(desk: Desk) -> dict[str, Callable[..., None]]:

    def approve(ack: Ack, body: dict[str, Any], action: dict[str, Any]) -> None:
        wanted = OfPromotion.read(action.get("value"))
        try:
            desk.decisions.approve(desk.actor(body["user"]), wanted.promotion, wanted.seen)
        finally:  # who comes too late looks at what is no longer so
            redraw_home(desk, body)
        ack()

    def reject(ack: Ack, body: dict[str, Any], action: dict[str, Any]) -> None:
        view = desk.decisions.may_reject(desk.actor(body["user"]), OfPromotion.read(action.get("value")).promotion)
        desk.quick.views_open(trigger_id=body["trigger_id"], view=forms.reject(view))
        ack()

    def details(ack: Ack, body: dict[str, Any], action: dict[str, Any]) -> None:
        actor = desk.actor(body["user"])
        view = desk.promotions.view(OfPromotion.read(action.get("value")).promotion)
        standing, notes = desk.promotions.standing(view), desk.promotions.notes(view)
        shown = forms.details(view, desk.awaited(view), str(actor), standing, notes)
        shown = evidence.offered(desk, actor, view, shown)
        open_with_pictures(desk, body["trigger_id"], view, shown)
        ack()

    return {ids.APPROVE: approve, ids.REJECT: reject, ids.DETAILS: details}


def open_with_pictures(desk: Desk, trigger: str, view: PromotionView, shown: dict[str, Any]) -> None:
    """A promotion's details with its pictures, or without where Slack shows those no more."""
    pictures = desk.messages.pictures
    files, running = pictures.ready(view.id), pictures.running(view)
    try:
        desk.quick.views_open(trigger_id=trigger, view=behind(shown, files, running))
    except SlackApiError as error:
        if not files or code_of(error) not in OUR_MISTAKE:
            raise
        pictures.forget(view.id)
        desk.quick.views_open(trigger_id=trigger, view=shown)


def _in_details(desk: Desk) -> dict[str, Callable[..., None]]:
    def approve_limited(ack: Ack, body: dict[str, Any], action: dict[str, Any]) -> None:
        view = desk.promotions.view(OfPromotion.read(action.get("value")).promotion)
        desk.quick.views_push(trigger_id=body["trigger_id"], view=forms.limit(view))
        ack()

    def withdraw_approval(ack: Ack, body: dict[str, Any], action: dict[str, Any]) -> None:
        actor = desk.actor(body["user"])
        view = desk.decisions.withdraw(actor, OfPromotion.read(action.get("value")).promotion)
        if body.get("view"):
            answer = forms.done(view.ref, f"Your approval of {view.ref} counts no longer; you may approve it again.")
            desk.turn(body, answer)
            redraw_home(desk, body)
        ack()

    def withdraw(ack: Ack, body: dict[str, Any], action: dict[str, Any]) -> None:
        view = desk.promotions.cancel(desk.actor(body["user"]), OfPromotion.read(action.get("value")).promotion)
        if body.get("view"):
            answer = forms.done(
                view.ref, f"{view.ref} is being stopped." if view.active else f"{view.ref} is withdrawn."
            )
            desk.turn(body, answer)
            redraw_home(desk, body)
        ack()

    return {
        ids.WITHDRAW: withdraw,
        ids.WITHDRAW_APPROVAL: withdraw_approval,
        ids.APPROVE_LIMITED: approve_limited,
    }


def _on_rollbacks(desk: Desk) -> dict[str, Callable[..., None]]:
    def roll_back(ack: Ack, body: dict[str, Any], action: dict[str, Any]) -> None:
        shown, actor = OfRollback.read(action.get("value")), desk.actor(body["user"])
        both = (shown.current, shown.target)
        view = desk.rollbacks.request(actor, shown.model, shown.stage, shown.target, shown.reason, shown=both)
        text = f"↩️ {view.ref}: rolling {escape(view.model, 80)} in {escape(view.stage, 40)} back. Its card tells how far it is."
        if body.get("view"):
            desk.turn(body, forms.done("Rolling back", text))
        else:
            desk.replace(body, text)
        ack()

    def open_promote(ack: Ack, body: dict[str, Any]) -> None:
        desk.quick.views_open(trigger_id=body["trigger_id"], view=forms.promote(targets(desk)))
        ack()

    def open_rollback(ack: Ack, body: dict[str, Any]) -> None:
        desk.quick.views_open(trigger_id=body["trigger_id"], view=forms.rollback(targets(desk)))
        ack()

    return {ids.ROLL_BACK: roll_back, ids.HOME_PROMOTE: open_promote, ids.HOME_ROLLBACK: open_rollback}


def _on_glass(desk: Desk) -> dict[str, Callable[..., None]]:
    def break_glass(ack: Ack, body: dict[str, Any], action: dict[str, Any]) -> None:
        shown, actor = OfGlass.read(action.get("value")), desk.actor(body["user"])
        view = desk.glass.use(actor, shown.model, shown.version, shown.stage, shown.reason, shown.seen)
        text = f"🚨 {view.ref}: {escape(view.model, 80)} {escape(view.version.version, 40)} goes to {escape(view.stage, 40)}. Its card tells how far it is."
        desk.replace(body, text)
        ack()

    return {ids.BREAK_GLASS: break_glass}
