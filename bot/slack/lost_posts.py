"""Where a post whose answer was lost ended up, by the metadata that it carries: looked for before it is repeated."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.slack.refusals import CANNOT_LOOK, code_of
from core.store.database import Database
from core.store.messages import last_line
from core.store.writing import Claim

log = logging.getLogger(__name__)

EVENT_TYPE = "baton_message"
#: What was said in a channel since, the newest first: as many at a time, and so often. Much is said in a long outage.
PAGE, PAGES = 200, 20


def metadata(claims: Sequence[Claim]) -> dict[str, Any]:
    """What a post carries so that it is found again."""
    return {"event_type": EVENT_TYPE, "event_payload": {"keys": ",".join(claimed.key for claimed in claims)}}


def find(client: WebClient, claims: Sequence[Claim], channel: str, thread_ts: str = "") -> dict[str, str]:
    """key -> ts of those that did get through. Where Slack does not let us look, nothing: then it is posted again."""
    try:
        return _find(client, claims, channel, thread_ts)
    except SlackApiError as error:
        if code_of(error) not in CANNOT_LOOK:
            raise
        log.warning("messages: %s may be posted twice, since Slack answers %s", claims[0].key, code_of(error))
        return {}


def link_to_story(database: Database, client: WebClient, claimed: Claim) -> str:
    """To the old card's thread, which Slack keeps under what was deleted; "" where nothing is left."""
    with database.read() as session:
        place = last_line(session, claimed.promotion_id or 0) if claimed.kind == "card" else None
    if place is None or place[0] != claimed.posted_channel:
        return ""
    try:
        found = client.chat_getPermalink(channel=place[0], message_ts=place[1])
    except (SlackApiError, OSError):
        return ""
    return str(found.get("permalink") or "")


def channel_id(client: WebClient, channel: str) -> str:
    """The id behind a name, or behind a person; "" where Slack shows none."""
    if channel.startswith(("U", "W")):
        opened = client.conversations_open(users=channel)
        return str((opened.get("channel") or {}).get("id") or "")
    if not channel.startswith("#"):
        return channel
    cursor = ""
    while True:
        listed = client.conversations_list(types="public_channel,private_channel", limit=1000, cursor=cursor)
        for each in listed.get("channels") or []:
            if each.get("name") == channel.removeprefix("#"):
                return str(each["id"])
        cursor = (listed.get("response_metadata") or {}).get("next_cursor") or ""
        if not cursor:
            return ""


def _find(client: WebClient, claims: Sequence[Claim], channel: str, thread_ts: str) -> dict[str, str]:
    since = min(claimed.posting_since for claimed in claims if claimed.posting_since) - timedelta(seconds=60)
    place = channel_id(client, channel)
    if not place:
        return {}
    asked: dict[str, Any] = {
        "channel": place,
        "oldest": f"{since.timestamp():.6f}",
        "include_all_metadata": True,
        "limit": PAGE,
        "cursor": "",
    }
    keys: dict[str, str] = {}
    for _ in range(PAGES):
        if thread_ts:
            found = client.conversations_replies(ts=thread_ts, **asked)
        else:
            found = client.conversations_history(**asked)
        for message in found.get("messages") or []:
            told = message.get("metadata") or {}
            if told.get("event_type") == EVENT_TYPE:
                said = str(told.get("event_payload", {}).get("keys", ""))
                keys |= dict.fromkeys(said.split(","), str(message["ts"]))
        asked["cursor"] = (found.get("response_metadata") or {}).get("next_cursor") or ""
        if not asked["cursor"] or all(claimed.key in keys for claimed in claims):
            break
    return keys
