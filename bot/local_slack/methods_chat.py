"""chat.*, reactions.add and blocks.validate."""

from __future__ import annotations

import json
from typing import Any

from . import limits, payloads
from .cast import BOT_USER
from .web_api import Api, Method
from .workspace import Channel, Json, Message, SlackError, as_stored

TEXT_KEPT = 40_000
UPDATE_TEXT_LIMIT = 4_000
MARKDOWN_LIMIT = 12_000
METADATA_BYTES = 8_000
BLOCKS_ONLY = "This content can't be displayed."


def post_message(api: Api, args: Json) -> Json:
    """chat.postMessage."""
    channel = destination(api, args.get("channel"))
    _may_write(api, channel)
    content = _content(api, args)
    message = api.workspace.add(channel, BOT_USER, thread_ts=thread_of(channel, args), **content)
    told(api, channel, message)
    body = message.as_slack(metadata=True) | {"bot_profile": payloads.bot_profile(api.workspace.manifest.bot_name)}
    return {"channel": channel.id, "ts": message.ts, "message": body}


def destination(api: Api, wanted: object) -> Channel:
    """The channel for an id, a #name or a person's id (which opens the direct messages). Raises channel_not_found."""
    name = str(wanted or "")
    space = api.workspace
    if name in space.people:
        person = space.people[name]
        if person.is_bot:
            raise SlackError("cannot_dm_bot" if name != BOT_USER else "channel_not_found")
        if person.deleted:
            raise SlackError("channel_not_found")
        return space.dm(name)
    if name in space.channels:
        return space.visible_channel(name)
    for channel in space.channels.values():
        if channel.kind != "im" and channel.name == name.removeprefix("#"):
            return space.visible_channel(channel.id)
    raise SlackError("channel_not_found")


def _may_write(api: Api, channel: Channel) -> None:
    if channel.archived:
        raise SlackError("is_archived")
    if BOT_USER not in channel.members and "chat:write.public" not in api.scopes:
        raise SlackError("not_in_channel")


def _content(api: Api, args: Json) -> Json:
    text, blocks, attachments = args.get("text"), args.get("blocks"), args.get("attachments")
    markdown = args.get("markdown_text")
    if markdown is not None:
        if text or blocks:
            raise SlackError("markdown_text_conflict")
        if len(str(markdown)) > MARKDOWN_LIMIT:
            raise SlackError("msg_too_long")
        text, blocks = str(markdown), [{"type": "markdown", "text": str(markdown)}]
    if not text and not blocks and not attachments:
        raise SlackError("no_text")
    if isinstance(attachments, list) and len(attachments) > 100:
        raise SlackError("too_many_attachments")
    checked_blocks(api, blocks)
    return {
        "text": str(text)[:TEXT_KEPT] if text else (BLOCKS_ONLY if blocks else ""),
        "blocks": blocks or [],
        "attachments": _attachments(api, attachments),
        "metadata": _metadata(args.get("metadata")),
    }


def checked_blocks(api: Api, blocks: Any) -> None:
    """Raises SlackError invalid_blocks_format, invalid_blocks or msg_blocks_too_long for blocks Slack would refuse."""
    if blocks is None or blocks == "":
        return
    if not isinstance(blocks, list):
        raise SlackError("invalid_blocks_format")
    problems = limits.validate(blocks, "message") or api.workspace.file_problems(blocks)
    if problems:
        only_table = any(p["code"] == "only_one_table_allowed" for p in problems)
        code = "only_one_table_allowed" if only_table else "invalid_blocks"
        messages = limits.as_messages(problems)
        raise SlackError(code, errors=messages, response_metadata={"messages": messages})
    if limits.message_length(blocks) > limits.MESSAGE_BLOCKS_CHARS:
        raise SlackError("msg_blocks_too_long")


def _attachments(api: Api, attachments: Any) -> list[Json]:
    if not attachments:
        return []
    if not isinstance(attachments, list) or not all(isinstance(a, dict) for a in attachments):
        raise SlackError("invalid_attachments")
    for attachment in attachments:
        checked_blocks(api, attachment.get("blocks"))
    return [a | ({"blocks": as_stored(a["blocks"])} if a.get("blocks") else {}) for a in attachments]


def _metadata(metadata: Any) -> Json | None:
    if not metadata:
        return None
    if not isinstance(metadata, dict):
        raise SlackError("invalid_metadata_format")
    payload = metadata.get("event_payload")
    if not isinstance(metadata.get("event_type"), str) or not isinstance(payload, dict):
        raise SlackError("invalid_metadata_schema")
    if len(json.dumps(payload)) > METADATA_BYTES:
        raise SlackError("metadata_too_large")
    return {"event_type": metadata["event_type"], "event_payload": payload}


def thread_of(channel: Channel, args: Json) -> str | None:
    """The head of the thread that `thread_ts` names. Raises thread_not_found."""
    ts = args.get("thread_ts")
    if not ts:
        return None
    parent = channel.messages.get(str(ts))
    if parent is None or parent.ephemeral_for is not None or (parent.deleted and not channel.thread(parent.ts)):
        raise SlackError("thread_not_found")
    return parent.thread_ts or parent.ts


def told(api: Api, channel: Channel, message: Message) -> None:
    """Whoever may read it is shown it."""
    readers = {message.ephemeral_for} if message.ephemeral_for else api.workspace.readers(channel)
    api.hub.notify("message", readers, channel=channel.id, thread_ts=message.thread_ts)


def post_ephemeral(api: Api, args: Json) -> Json:
    """chat.postEphemeral."""
    channel = destination(api, args.get("channel"))
    if BOT_USER not in channel.members:
        raise SlackError("not_in_channel")
    user = str(args.get("user") or "")
    if user not in api.workspace.people:
        raise SlackError("user_not_found")
    if user not in channel.members:
        raise SlackError("user_not_in_channel")
    content = _content(api, args) | {"metadata": None}
    thread_ts = thread_of(channel, args)
    message = api.workspace.add(channel, BOT_USER, thread_ts=thread_ts, ephemeral_for=user, **content)
    told(api, channel, message)
    return {"message_ts": message.ts}


def by_id(api: Api, args: Json) -> Channel:
    """Only a channel's id will do here: neither a name nor a person's id."""
    wanted = str(args.get("channel") or "")
    if wanted not in api.workspace.channels:
        raise SlackError("channel_not_found")
    return api.workspace.visible_channel(wanted)


def update(api: Api, args: Json) -> Json:
    """chat.update: only its own messages, only by channel id; text without blocks removes the blocks."""
    channel = by_id(api, args)
    message = api.workspace.message(channel, str(args.get("ts") or ""))
    if not message.by_app:
        raise SlackError("cant_update_message")
    text, blocks = args.get("text"), args.get("blocks")
    if text is None and blocks is None and args.get("attachments") is None and args.get("markdown_text") is None:
        raise SlackError("no_text")
    if text is not None and len(str(text)) > UPDATE_TEXT_LIMIT:
        raise SlackError("msg_too_long")
    was_rich = any(b["type"] == "rich_text" for b in message.blocks)
    if was_rich and blocks and not any(isinstance(b, dict) and b.get("type") == "rich_text" for b in blocks):
        raise SlackError("block_mismatch")
    content = _content(api, args)
    message.text = content["text"]
    message.show(as_stored(content["blocks"]))
    message.edited = message.edited or not content["blocks"]
    if args.get("attachments") is not None:
        message.attachments = content["attachments"]
    if args.get("metadata") is not None:
        message.metadata = content["metadata"]
    told(api, channel, message)
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": message.as_slack(metadata=True)}


def delete(api: Api, args: Json) -> Json:
    """chat.delete: only its own messages."""
    channel = by_id(api, args)
    message = api.workspace.message(channel, str(args.get("ts") or ""))
    if not message.by_app:
        raise SlackError("cant_delete_message")
    message.deleted = True
    told(api, channel, message)
    return {"channel": channel.id, "ts": message.ts}


def get_permalink(api: Api, args: Json) -> Json:
    """chat.getPermalink."""
    channel = by_id(api, args)
    message = api.workspace.message(channel, str(args.get("message_ts") or ""))
    link = f"{api.base_url}/archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.thread_ts and message.thread_ts != message.ts:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


def add_reaction(api: Api, args: Json) -> Json:
    """reactions.add."""
    channel = by_id(api, args)
    message = api.workspace.message(channel, str(args.get("timestamp") or ""))
    users = message.reactions.setdefault(str(args.get("name") or "").strip(":"), [])
    if BOT_USER in users:
        raise SlackError("already_reacted")
    users.append(BOT_USER)
    told(api, channel, message)
    return {}


def blocks_validate(_api: Api, args: Json) -> Json:
    """blocks.validate: blocks, a view or a message; answers the errors, never invalid_blocks."""
    blocks, view, message = args.get("blocks"), args.get("view"), args.get("message")
    if isinstance(message, dict):
        blocks = message.get("blocks")
    if view is None and not isinstance(blocks, list):
        raise SlackError("invalid_arguments")
    problems = limits.validate_view(view) if view is not None else limits.validate(blocks, "message")
    return {"valid": not problems, "errors": problems} if not problems else _invalid(problems)


def _invalid(problems: list[dict[str, str]]) -> Json:
    raise SlackError("invalid_blocks", valid=False, errors=problems)


METHODS = {
    "chat.postMessage": Method(post_message, ("chat:write",), 5),
    "chat.postEphemeral": Method(post_ephemeral, ("chat:write",), 4),
    "chat.update": Method(update, ("chat:write",), 3),
    "chat.delete": Method(delete, ("chat:write",), 3),
    "chat.getPermalink": Method(get_permalink, (), 5),
    "reactions.add": Method(add_reaction, ("reactions:write",), 3),
    "blocks.validate": Method(blocks_validate, (), 4, "none"),
}
