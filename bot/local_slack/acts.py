"""What people do, and what Slack makes of it: commands, clicks, forms, the Home tab, messages."""

from __future__ import annotations

import html
import re
from typing import Any

from . import payloads
from .cast import BOT_USER, Member
from .delivery import Ack, Delivery
from .form_rules import form_errors
from .methods_chat import checked_blocks
from .tickets import ResponseUrl
from .views import OpenView, complete_state
from .web_api import Api
from .workspace import Channel, Json, Message, SlackError, as_stored, elements_of

TROUBLE = "We had some trouble connecting. Try again?"
_EVENT_OF = {"im": "message.im", "private": "message.groups", "channel": "message.channels"}


class Acts:
    """Carries out what the page asks in the name of a person."""

    def __init__(self, api: Api, delivery: Delivery) -> None:
        self._api = api
        self._space = api.workspace
        self._delivery = delivery

    def person(self, user: object) -> Member:
        """The active person of that id. Raises SlackError user_not_found or account_inactive."""
        found = self._space.people.get(str(user))
        if found is None or found.is_bot:
            raise SlackError("user_not_found")
        if found.deleted:
            raise SlackError("account_inactive")
        return found

    def room(self, person: Member, channel_id: object) -> Channel:
        """The channel, which this person must be in."""
        channel = self._space.visible_channel(str(channel_id), person.id)
        if person.id not in channel.members:
            raise SlackError("not_in_channel")
        return channel

    def _response_url(self, kind: str, person: Member, channel: Channel, message: Message | None = None) -> str:
        return self._api.base_url + self._api.tickets.response_path(kind, person.id, channel.id, message)

    def _failed(self, person: Member, ack: Ack, what: str, channel: str | None = None) -> Json:
        error = ack.error if ack.error == "operation_timeout" else "dispatch_failed"
        text = f'{what} failed with the error "{error}"'
        self._api.hub.notify("delivery", {person.id}, ok=False, error=error, text=text, channel=channel)
        return {"ok": False, "error": error, "text": text}

    async def command(self, user: object, channel_id: object, line: str) -> Json:
        """A slash command; the body of its acknowledgement is shown to the person, or to all with in_channel."""
        person = self.person(user)
        channel = self.room(person, channel_id)
        name, _, text = line.strip().partition(" ")
        spec = self._space.manifest.command(name)
        if spec is None or not name.startswith("/"):
            raise SlackError("invalid_command", text=f"{name} is not a valid command.")
        escaped = html.escape(text.strip(), quote=False)
        if spec.get("should_escape"):
            escaped = self._mentions(escaped)
        trigger = self._api.tickets.trigger(person.id)
        url = self._response_url("commands", person, channel)
        body = payloads.slash_command(person, channel, name, escaped, trigger, url)
        ack = await self._delivery.interact("slash_commands", body, answerable=True)
        if not ack.ok:
            return self._failed(person, ack, name, channel.id)
        if ack.body.get("text") or ack.body.get("blocks"):
            if ack.body.get("response_type") == "in_channel":
                self._space.add(channel, person.id, line)
            self._answer(ResponseUrl(person.id, channel.id, 0.0), ack.body)
        return {"ok": True}

    def _mentions(self, text: str) -> str:
        people = {p.name: f"<@{p.id}|{p.name}>" for p in self._space.people.values()}
        rooms = {c.name: f"<#{c.id}|{c.name}>" for c in self._space.channels.values() if c.kind == "channel"}
        text = re.sub(r"(?<!\S)@([\w.-]+)", lambda m: people.get(m[1], m[0]), text)
        return re.sub(r"(?<!\S)#([\w-]+)", lambda m: rooms.get(m[1], m[0]), text)

    def message(self, user: object, channel_id: object, text: str, thread_ts: str | None) -> Json:
        """A person's message; the app hears of it when it is in the channel and subscribed."""
        person = self.person(user)
        channel = self.room(person, channel_id)
        if not text.strip():
            raise SlackError("no_text")
        escaped = self._mentions(html.escape(text, quote=False))
        if thread_ts and thread_ts not in channel.messages:
            raise SlackError("thread_not_found")
        message = self._space.add(channel, person.id, escaped, thread_ts=thread_ts)
        self._api.hub.notify("message", self._space.readers(channel), channel=channel.id, thread_ts=thread_ts)
        if BOT_USER in channel.members:
            if self._space.manifest.subscribes(_EVENT_OF[channel.kind]):
                self._delivery.event(payloads.message_event(channel, message))
            if f"<@{BOT_USER}" in escaped and self._space.manifest.subscribes("app_mention"):
                self._delivery.event(payloads.message_event(channel, message) | {"type": "app_mention"})
        return {"ok": True, "ts": message.ts}

    def home_opened(self, user: object, tab: str = "home") -> Json:
        """The person opens the app's Home or Messages tab."""
        person = self.person(user)
        home = self._api.views.homes.get(person.id)
        view = home.body if home and tab == "home" else None
        if self._space.manifest.subscribes("app_home_opened"):
            channel, ts = self._space.dm(person.id), self._space.new_ts()
            self._delivery.event(payloads.app_home_opened(person.id, channel.id, tab, view, ts))
        return {"ok": True}

    def _control(self, person: Member, act: Json) -> tuple[Json, Json, Channel | None, Message | None, OpenView | None]:
        """The source keys and the element that an act points at."""
        key = (str(act.get("block_id")), str(act.get("action_id")))
        if act.get("view_id"):
            view = self._view(person, act["view_id"])
            elements = {(b["block_id"], e["action_id"]): e for b in view.body["blocks"] for e in elements_of(b)}
            values = (act.get("state") or {}).get("values") or {}
            kept = complete_state(view.body["blocks"], values, view.body["state"]["values"])
            view.body["state"] = {"values": kept}
            source, channel, message = payloads.view_source(view.body), None, None
        else:
            view = None
            channel = self.room(person, act.get("channel"))
            message = channel.messages.get(str(act.get("ts")))
            if message is None or message.deleted or message.ephemeral_for not in (None, person.id):
                raise SlackError("message_not_found")
            elements, source = message.elements, payloads.message_source(channel, message)
        if key not in elements:
            raise SlackError("no_such_action")
        return source, elements[key], channel, message, view

    def _view(self, person: Member, view_id: object) -> OpenView:
        view = self._api.views.get(str(view_id))
        if view.user != person.id:
            raise SlackError("not_found")
        return view

    async def click(self, act: Json) -> Json:
        """A click or a choice in a message, a modal or the Home tab: a block_actions payload, delivered once."""
        person = self.person(act.get("user"))
        source, element, channel, message, view = self._control(person, act)
        _allowed(element, act)
        action = payloads.action_of(str(act["block_id"]), element, act, self._space.new_ts())
        trigger = self._api.tickets.trigger(person.id, view.id if view and view.body["type"] == "modal" else None)
        url = self._response_url("actions", person, channel, message) if channel else None
        body = payloads.block_actions(person, trigger, source, action, url)
        ack = await self._delivery.interact("interactive", body)
        return {"ok": True} if ack.ok else self._failed(person, ack, "This action", channel.id if channel else None)

    async def options(self, act: Json) -> Json:
        """What the app offers for the text typed into an external select, checked as Slack checks it."""
        person = self.person(act.get("user"))
        source, element, *_ = self._control(person, act)
        if not element["type"].endswith("external_select"):
            raise SlackError("no_such_action")
        typed = str(act.get("value") or "")
        if len(typed) < element.get("min_query_length", 3):
            return {"options": []}
        body = payloads.block_suggestion(person, source, str(act["block_id"]), str(act["action_id"]), typed)
        ack = await self._delivery.interact("interactive", body, answerable=True)
        if not ack.ok:
            return self._failed(person, ack, "The list") | {"options": []}
        found = {k: v for k, v in ack.body.items() if k in ("options", "option_groups")}
        probe = {"type": "static_select", "action_id": "a", "placeholder": {"type": "plain_text", "text": "p"}, **found}
        if any(found.values()):
            checked_blocks(self._api, [{"type": "actions", "elements": [probe]}])
        return found or {"options": []}

    async def submit(self, user: object, view_id: object, values: Json) -> Json:
        """Sends a form: the client's own checks first, then view_submission and what the app answers to it."""
        person = self.person(user)
        view = self._view(person, view_id)
        if view.body["type"] != "modal" or view.body["submit"] is None or view.busy:
            raise SlackError("busy" if view.busy else "no_submit")
        kept = complete_state(view.body["blocks"], values, view.body["state"]["values"])
        view.body["state"] = {"values": kept}
        view.errors = form_errors(view.body["blocks"], kept) or None
        if view.errors is None:
            return await self._send_form(person, view)
        self._api.hub.notify("views", {person.id})
        return {"ok": False, "errors": view.errors}

    async def _send_form(self, person: Member, view: OpenView) -> Json:
        view.busy = True
        self._api.hub.notify("views", {person.id})
        try:
            trigger = self._api.tickets.trigger(person.id, view.id)
            body = payloads.view_submission(person, trigger, view.body)
            ack = await self._delivery.interact("interactive", body, answerable=True)
        finally:
            view.busy = False
        trouble = None if ack.ok else SlackError(str(ack.error))
        if trouble is None:
            try:
                self._api.views.respond(view, ack.body)
            except SlackError as error:
                trouble = error
        if trouble is None:
            return {"ok": False, "errors": view.errors} if view.errors else {"ok": True}
        self._api.hub.notify("views", {person.id})
        self._api.hub.notify("delivery", {person.id}, ok=False, error=trouble.code, text=TROUBLE)
        return {"ok": False, "error": trouble.code, "text": TROUBLE, **trouble.extra}

    async def close(self, user: object, view_id: object) -> Json:
        """Closes a form; the app hears of it when it asked to (notify_on_close)."""
        person = self.person(user)
        view = self._view(person, view_id)
        cleared = bool(view.body["clear_on_close"])
        for gone in self._api.views.close(view):
            if gone.body["notify_on_close"]:
                body = payloads.view_closed(person, gone.body, is_cleared=cleared)
                await self._delivery.interact("interactive", body)
        return {"ok": True}

    def respond(self, token: str, body: Json) -> None:
        """A post of the app to a response_url. Raises SlackError for a dead URL or a bad message."""
        url = self._api.tickets.use_response_url(token)
        self._answer(url, body)

    def _answer(self, url: ResponseUrl, body: Json) -> None:
        channel = self._space.channels[url.channel]
        readers = self._space.readers(channel)
        source = url.message
        if body.get("delete_original"):
            if source is not None:
                source.deleted = True
                self._api.hub.notify("message", readers, channel=channel.id, thread_ts=source.thread_ts)
            return
        text, blocks = body.get("text"), body.get("blocks")
        if not text and not blocks and not body.get("attachments"):
            raise SlackError("no_text")
        checked_blocks(self._api, blocks)
        if body.get("replace_original") and source is not None and not source.deleted:
            source.text = str(text or source.text)
            source.show(as_stored(blocks or []))
            self._api.hub.notify("message", readers, channel=channel.id, thread_ts=source.thread_ts)
            return
        public = body.get("response_type") == "in_channel"
        thread = body.get("thread_ts") if public and body.get("replace_original") is False else None
        private_to = None if public else url.user
        more: Json = {"thread_ts": thread, "ephemeral_for": private_to}
        self._space.add(channel, BOT_USER, str(text or ""), blocks or [], **more)
        self._api.hub.notify("message", {url.user} if private_to else readers, channel=channel.id, thread_ts=thread)


def _allowed(element: Json, act: Json) -> None:
    """Raises no_such_option for a choice that the control does not offer."""
    offered: list[Any] = list(element.get("options") or ())
    for group in element.get("option_groups") or ():
        offered += group["options"]
    if not offered:
        return
    chosen = act.get("selected_options") or ([act["selected_option"]] if act.get("selected_option") else [])
    if any(option.get("value") not in {o.get("value") for o in offered} for option in chosen):
        raise SlackError("no_such_option")
