"""The payloads that Slack sends to an app, key by key. Pure."""

from __future__ import annotations

import copy
from typing import Any

from .cast import APP_ID, BOT_ID, BOT_USER, TEAM_DOMAIN, TEAM_ID, Member
from .workspace import Channel, Json, Message

VERIFICATION_TOKEN = "local-verification-token"  # noqa: S105 - the deprecated token, which proves nothing


def _common(kind: str, user: Member, trigger_id: str | None) -> Json:
    body: Json = {
        "type": kind,
        "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": user.team},
        "api_app_id": APP_ID,
        "token": VERIFICATION_TOKEN,
        "team": {"id": TEAM_ID, "domain": TEAM_DOMAIN},
        "enterprise": None,
        "is_enterprise_install": False,
    }
    if trigger_id is not None:
        body["trigger_id"] = trigger_id
    return body


def message_source(channel: Channel, message: Message) -> Json:
    """The keys that say in which message something happened; an ephemeral one is not repeated, as in Slack."""
    private = message.ephemeral_for is not None
    container = {"type": "message", "message_ts": message.ts, "channel_id": channel.id, "is_ephemeral": private}
    if message.thread_ts:
        container["thread_ts"] = message.thread_ts
    body: Json = {"container": container, "channel": {"id": channel.id, "name": channel.payload_name}}
    return body if private else {**body, "message": message.as_slack()}


def view_source(view: Json) -> Json:
    """The keys that say in which view something happened."""
    return {"container": {"type": "view", "view_id": view["id"]}, "view": copy.deepcopy(view)}


def block_actions(user: Member, trigger_id: str, source: Json, action: Json, response_url: str | None) -> Json:
    """A click on a control of a message, a modal or the Home tab."""
    body = _common("block_actions", user, trigger_id) | source | {"actions": [action]}
    if response_url is not None:
        body |= {"state": {"values": {}}, "response_url": response_url}
    return body


def action_of(block_id: str, element: Json, choice: Json, action_ts: str) -> Json:
    """One entry of `actions`: what the app put into the control, and what the person chose."""
    action: Json = {"action_id": element["action_id"], "block_id": block_id, "type": element["type"]}
    for key in ("text", "value", "style", "placeholder", "confirm", "url"):
        if element["type"] in _BUTTONS and key in element:
            action[key] = copy.deepcopy(element[key])
    if element["type"] not in _BUTTONS:
        action |= {k: v for k, v in choice.items() if k in CHOICE_KEYS}
    return action | {"action_ts": action_ts}


_BUTTONS = {"button", "workflow_button", "icon_button"}
CHOICE_KEYS = (
    "value", "selected_option", "selected_options", "selected_date", "selected_time", "selected_date_time",
    "selected_user", "selected_users", "selected_channel", "selected_channels", "selected_conversation",
    "selected_conversations", "rich_text_value", "files",
)  # fmt: skip


def block_suggestion(user: Member, source: Json, block_id: str, action_id: str, value: str) -> Json:
    """What a person typed into an external select."""
    return _common("block_suggestion", user, None) | source | {
        "action_id": action_id, "block_id": block_id, "value": value,
    }  # fmt: skip


def view_submission(user: Member, trigger_id: str, view: Json) -> Json:
    """A form that was sent."""
    return _common("view_submission", user, trigger_id) | {"view": copy.deepcopy(view), "response_urls": []}


def view_closed(user: Member, view: Json, *, is_cleared: bool) -> Json:
    """A form that was dismissed."""
    return _common("view_closed", user, None) | {"view": copy.deepcopy(view), "is_cleared": is_cleared}


def slash_command(user: Member, channel: Channel, command: str, text: str, trigger_id: str, response_url: str) -> Json:
    """A slash command, as the form fields that Slack posts."""
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": TEAM_ID,
        "team_domain": TEAM_DOMAIN,
        "channel_id": channel.id,
        "channel_name": channel.payload_name,
        "user_id": user.id,
        "user_name": user.name,
        "command": command,
        "text": text,
        "api_app_id": APP_ID,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": trigger_id,
    }


def event_callback(event: Json, event_id: str, event_time: int) -> Json:
    """An event in the envelope of the Events API."""
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": TEAM_ID,
        "context_team_id": TEAM_ID,
        "context_enterprise_id": None,
        "api_app_id": APP_ID,
        "event": event,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": event_time,
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": TEAM_ID,
                "user_id": BOT_USER,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
        "event_context": f"4-{event_id}",
    }


def app_home_opened(user: str, channel: str, tab: str, view: Json | None, event_ts: str) -> Json:
    """A person opened the app's Home or Messages tab."""
    event: Json = {"type": "app_home_opened", "user": user, "channel": channel, "tab": tab, "event_ts": event_ts}
    return event | ({"view": copy.deepcopy(view)} if view is not None else {})


def message_event(channel: Channel, message: Message) -> Json:
    """A person's message, as the `message` event."""
    kind = {"im": "im", "private": "group"}.get(channel.kind, "channel")
    more = {"channel": channel.id, "channel_type": kind, "event_ts": message.ts, "client_msg_id": message.ts}
    return message.as_slack() | more


def hello(connections: int, lifetime: int) -> Json:
    """The first frame of a socket."""
    debug = {"host": "applink-local", "build_number": 1, "approximate_connection_time": lifetime}
    return {
        "type": "hello",
        "num_connections": connections,
        "debug_info": debug,
        "connection_info": {"app_id": APP_ID},
    }


def disconnect(reason: str) -> Json:
    """The polite frame before Slack closes a socket: warning, refresh_requested or link_disabled."""
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-local"}}


def envelope(kind: str, envelope_id: str, payload: Json, *, answerable: bool, attempt: int, reason: str) -> Json:
    """A payload in Socket Mode's envelope; only events carry the retry fields."""
    body: Json = {
        "envelope_id": envelope_id,
        "type": kind,
        "payload": payload,
        "accepts_response_payload": answerable,
    }
    return body | ({"retry_attempt": attempt, "retry_reason": reason} if kind == "events_api" else {})


def bot_profile(name: str) -> Json:
    """The profile that rides on the app's own messages."""
    fields: dict[str, Any] = {"id": BOT_ID, "app_id": APP_ID, "name": name, "team_id": TEAM_ID, "deleted": False}
    return fields
