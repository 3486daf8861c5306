"""conversations.*, users.conversations."""

from __future__ import annotations

from .cast import BOT_USER
from .web_api import Api, Method, flag, page_of
from .workspace import Channel, Json, Message, SlackError


def channel_body(channel: Channel) -> Json:
    """A channel as the Web API shows it."""
    if channel.kind == "im":
        return {"id": channel.id, "is_im": True, "user": channel.person, "is_archived": False, "is_open": True}
    private = channel.kind == "private"
    return {
        "id": channel.id,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": not private,
        "is_group": private,
        "is_im": False,
        "is_mpim": False,
        "is_private": private,
        "is_archived": channel.archived,
        "is_general": channel.name == "general",
        "is_member": BOT_USER in channel.members,
        "num_members": len(channel.members),
        "topic": {"value": "", "creator": "", "last_set": 0},
        "purpose": {"value": "", "creator": "", "last_set": 0},
    }


def _room(api: Api, args: Json, act: str = "read") -> Channel:
    channel = api.workspace.visible_channel(str(args.get("channel") or ""))
    api.may(channel, act)
    return channel


def open_dm(api: Api, args: Json) -> Json:
    """conversations.open: the direct messages with one person."""
    if args.get("channel"):
        channel = api.workspace.visible_channel(str(args["channel"]))
        return {"channel": {"id": channel.id}}
    users = args.get("users") or ""
    wanted = [u for u in (users if isinstance(users, list) else str(users).split(",")) if u]
    if not wanted:
        raise SlackError("users_list_not_supplied")
    if len(wanted) > 1:
        api.need("mpim:write")
        raise SlackError("method_not_supported_for_channel_type")
    person = api.workspace.people.get(wanted[0].strip())
    if person is None:
        raise SlackError("user_not_found")
    if person.is_bot:
        raise SlackError("cannot_dm_bot")
    if person.deleted:
        raise SlackError("user_disabled")
    channel = api.workspace.dm(person.id)
    body: Json = {"id": channel.id} if not flag(args, "return_im") else channel_body(channel)
    return {"channel": body}


def info(api: Api, args: Json) -> Json:
    """conversations.info."""
    return {"channel": channel_body(_room(api, args))}


def _listed(api: Api, args: Json, user: str | None) -> Json:
    types = str(args.get("types") or "public_channel").replace(" ", "").split(",")
    kinds = {"public_channel": "channel", "private_channel": "private", "im": "im"}
    prefixes = {"public_channel": "channels:read", "private_channel": "groups:read", "im": "im:read"}
    for kind in types:
        if kind not in (*kinds, "mpim"):
            raise SlackError("invalid_types")
        if kind in prefixes:
            api.need(prefixes[kind])
    wanted = {kinds[t] for t in types if t in kinds}
    found = [
        c
        for c in api.workspace.channels.values()
        if c.kind in wanted
        and (c.kind == "channel" or BOT_USER in c.members)
        and (user is None or user in c.members)
        and not (flag(args, "exclude_archived") and c.archived)
    ]
    page, more = page_of(found, args)
    return {"channels": [channel_body(c) for c in page], **more}


def list_rooms(api: Api, args: Json) -> Json:
    """conversations.list."""
    return _listed(api, args, None)


def of_user(api: Api, args: Json) -> Json:
    """users.conversations: the app's own channels, or those of `user` that the app can see."""
    user = str(args.get("user") or BOT_USER)
    if user not in api.workspace.people:
        raise SlackError("user_not_found")
    return _listed(api, args, user)


def members(api: Api, args: Json) -> Json:
    """conversations.members."""
    page, more = page_of(sorted(_room(api, args).members), args)
    return {"members": page, **more}


def join(api: Api, args: Json) -> Json:
    """conversations.join: public channels only."""
    channel = api.workspace.visible_channel(str(args.get("channel") or ""))
    if channel.kind != "channel":
        raise SlackError("method_not_supported_for_channel_type")
    already = BOT_USER in channel.members
    channel.members.add(BOT_USER)
    api.hub.notify("state")
    return {"channel": channel_body(channel)} | ({"warning": "already_in_channel"} if already else {})


def _between(messages: list[Message], args: Json, channel: Channel) -> list[Json]:
    oldest, latest = str(args.get("oldest") or "0"), str(args.get("latest") or "9999999999.999999")
    inclusive = flag(args, "inclusive")
    shown = []
    for message in messages:
        at = float(message.ts)
        inside = float(oldest) < at < float(latest) or (inclusive and at in (float(oldest), float(latest)))
        if message.deleted or message.ephemeral_for is not None or not inside:
            continue
        body = message.as_slack(metadata=flag(args, "include_all_metadata"))
        replies = channel.thread(message.ts)
        if replies:
            people = list(dict.fromkeys(r.user for r in replies))
            body |= {"thread_ts": message.ts, "reply_count": len(replies), "reply_users": people}
            body |= {"reply_users_count": len(people), "latest_reply": replies[-1].ts}
        shown.append(body)
    return shown


def history(api: Api, args: Json) -> Json:
    """conversations.history: newest first, without replies and without ephemeral notes."""
    channel = _room(api, args, "history")
    if BOT_USER not in channel.members:
        raise SlackError("not_in_channel")
    heads = [m for m in reversed(channel.messages.values()) if m.thread_ts is None or m.thread_ts == m.ts]
    page, more = page_of(_between(heads, args, channel), args)
    return {"messages": page, "has_more": bool(more["response_metadata"]["next_cursor"]), **more}


def replies(api: Api, args: Json) -> Json:
    """conversations.replies: the thread's first message and its replies, oldest first."""
    channel = _room(api, args, "history")
    if BOT_USER not in channel.members:
        raise SlackError("not_in_channel")
    parent = channel.messages.get(str(args.get("ts") or ""))
    if parent is None or parent.ephemeral_for is not None:
        raise SlackError("thread_not_found")
    head = channel.messages[parent.thread_ts or parent.ts]
    page, more = page_of(_between([head, *channel.thread(head.ts)], args, channel), args, 1000)
    return {"messages": page, "has_more": bool(more["response_metadata"]["next_cursor"]), **more}


METHODS = {
    "conversations.open": Method(open_dm, ("im:write", "mpim:write"), 3),
    "conversations.info": Method(info, (), 3),
    "conversations.list": Method(list_rooms, (), 2),
    "conversations.members": Method(members, (), 4),
    "conversations.join": Method(join, ("channels:join",), 3),
    "conversations.history": Method(history, (), 3),
    "conversations.replies": Method(replies, (), 3),
    "users.conversations": Method(of_user, (), 3),
}
