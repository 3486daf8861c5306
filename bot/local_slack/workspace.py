"""The state of the local workspace: accounts, channels, messages, files. Knows nothing of HTTP or of the app."""

from __future__ import annotations

import copy
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from .cast import APP_ID, BOT_ID, BOT_USER, TEAM_ID, ChannelSeed, Manifest, Member, UserGroup

Json = dict[str, Any]


class SlackError(Exception):
    """A refusal with Slack's own error code; `extra` goes into the answer beside it."""

    def __init__(self, code: str, **extra: Any) -> None:
        super().__init__(code)
        self.code = code
        self.extra = extra


@dataclass
class Message:
    """One message, or one ephemeral note when `ephemeral_for` names its only reader."""

    ts: str
    channel: str
    user: str
    text: str
    blocks: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    metadata: Json | None = None
    files: list[Json] = field(default_factory=list)
    thread_ts: str | None = None
    ephemeral_for: str | None = None
    edited: bool = False
    deleted: bool = False
    reactions: dict[str, list[str]] = field(default_factory=dict)
    elements: dict[tuple[str, str], Json] = field(default_factory=dict)
    """Every control that this message ever showed: a person may still click the version that is on the screen."""

    @property
    def by_app(self) -> bool:
        """Whether the app wrote it."""
        return self.user == BOT_USER

    def show(self, blocks: list[Json]) -> None:
        """Replaces the blocks and remembers their controls."""
        self.blocks = blocks
        for block in blocks:
            for element in elements_of(block):
                self.elements[(block["block_id"], element["action_id"])] = element

    def as_slack(self, *, metadata: bool = False) -> Json:
        """The message as the Web API and the payloads carry it, for reading only: nothing of it is copied."""
        body: Json = {"user": self.user, "type": "message", "ts": self.ts, "text": self.text, "team": TEAM_ID}
        if self.by_app:
            body |= {"bot_id": BOT_ID, "app_id": APP_ID}
        if self.blocks:
            body["blocks"] = self.blocks
        if self.attachments:
            body["attachments"] = self.attachments
        if self.files:
            body["files"] = self.files
        if self.thread_ts:
            body["thread_ts"] = self.thread_ts
        if self.edited:
            body["edited"] = {"user": self.user, "ts": self.ts}
        if self.reactions:
            body["reactions"] = [{"name": n, "users": u, "count": len(u)} for n, u in self.reactions.items()]
        if metadata and self.metadata:
            body["metadata"] = self.metadata
        return body


@dataclass
class Channel:
    """A channel, a private channel, or the direct messages of one person with the app."""

    id: str
    name: str
    kind: str = "channel"
    members: set[str] = field(default_factory=set)
    messages: dict[str, Message] = field(default_factory=dict)
    replies: dict[str, list[str]] = field(default_factory=dict)
    read: dict[str, str] = field(default_factory=dict)
    person: str | None = None
    archived: bool = False

    @property
    def payload_name(self) -> str:
        """The name as interaction payloads carry it."""
        return {"im": "directmessage", "private": "privategroup"}.get(self.kind, self.name)

    def thread(self, ts: str) -> list[Message]:
        """The replies to a message, without the deleted ones."""
        found = (self.messages[r] for r in self.replies.get(ts, ()))
        return [m for m in found if not m.deleted and m.ephemeral_for is None]


@dataclass
class File:
    """A file that the app uploaded; its type is known, and it can be shown, once Slack has looked through it."""

    id: str
    name: str
    length: int
    title: str = ""
    content: bytes = b""
    mimetype: str = ""
    complete: bool = False
    known_at: float = 0.0
    alt: str = ""

    def is_known(self, now: float) -> bool:
        """Whether Slack has looked through it."""
        return self.complete and now >= self.known_at


#: What an image block can show.
PICTURES = {"image/png", "image/jpeg", "image/gif"}


def elements_of(block: Json) -> list[Json]:
    """The controls of a block that have an action_id."""
    found = list(block.get("elements") or ()) if block.get("type") in ("actions", "context_actions") else []
    found += [block[key] for key in ("accessory", "element") if isinstance(block.get(key), dict)]
    for card in block.get("elements", ()) if block.get("type") == "carousel" else [block]:
        found += card.get("actions") or ()
    for child in block.get("child_blocks") or ():
        found += elements_of(child)
    return [e for e in found if e.get("action_id")]


def as_stored(blocks: Iterable[Json]) -> list[Json]:
    """The blocks as Slack keeps them: ids given where the app gave none, `emoji` and `verbatim` filled in."""
    stored = copy.deepcopy(list(blocks))
    for block in stored:
        block.setdefault("block_id", secrets.token_urlsafe(4)[:5])
        _fill(block)
    return stored


def _fill(node: Any) -> None:
    if isinstance(node, list):
        for item in node:
            _fill(item)
    elif isinstance(node, dict):
        kind = node.get("type")
        if kind == "plain_text":
            node.setdefault("emoji", True)
        elif kind == "mrkdwn":
            node.setdefault("verbatim", False)
        elif kind in _NEED_ACTION_ID or str(kind).endswith(("_select", "_input")):
            node.setdefault("action_id", secrets.token_urlsafe(4)[:5])
        for value in node.values():
            _fill(value)


_NEED_ACTION_ID = {
    "button", "checkboxes", "radio_buttons", "overflow", "datepicker", "timepicker", "datetimepicker",
    "workflow_button", "feedback_buttons", "icon_button",
}  # fmt: skip


class Workspace:
    """Everything that Slack would remember. Used from the server's event loop only, hence without locks."""

    def __init__(
        self,
        manifest: Manifest,
        people: Iterable[Member],
        channels: Iterable[ChannelSeed],
        usergroups: Iterable[UserGroup],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.manifest = manifest
        self.clock = clock
        self.people = {p.id: replace(p) for p in people}
        bot = Member(BOT_USER, manifest.bot_name.lower(), manifest.bot_name, None, "e8590c", is_bot=True)
        self.people[BOT_USER] = bot
        self.usergroups = {g.id: replace(g, users=list(g.users)) for g in usergroups}
        self.channels: dict[str, Channel] = {}
        self.files: dict[str, File] = {}
        self._last_ts = 0
        self._ids = 0
        for seed in channels:
            members = set(seed.members) or {p.id for p in self.active_people()}
            members |= {BOT_USER} if seed.bot_is_member else set()
            kind = "private" if seed.private else "channel"
            self.channels[seed.id] = Channel(seed.id, seed.name, kind, members)
        for person in self.active_people():
            self.dm(person.id)

    def active_people(self) -> list[Member]:
        """The accounts of human beings that are not deactivated."""
        return [p for p in self.people.values() if not p.is_bot and not p.deleted]

    def new_ts(self) -> str:
        """A message timestamp: the clock's, and later than every other one."""
        self._last_ts = max(self._last_ts + 1, int(self.clock() * 1_000_000))
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def new_id(self, prefix: str) -> str:
        """An id of Slack's shape, such as V0000000A1."""
        self._ids += 1
        return f"{prefix}{self._ids:09X}"

    def dm(self, user_id: str) -> Channel:
        """The person's direct messages with the app, opened if need be."""
        channel_id = "D" + user_id[1:]
        if channel_id not in self.channels:
            self.channels[channel_id] = Channel(channel_id, "", "im", {user_id, BOT_USER}, person=user_id)
        return self.channels[channel_id]

    def visible_channel(self, channel_id: str, user: str = BOT_USER) -> Channel:
        """The channel, or `channel_not_found` when it is not there or this account cannot see it."""
        channel = self.channels.get(channel_id)
        if channel is None or (channel.kind != "channel" and user not in channel.members):
            raise SlackError("channel_not_found")
        return channel

    def message(self, channel: Channel, ts: str) -> Message:
        """The message, or `message_not_found` (also for ephemeral and deleted ones, as in Slack)."""
        found = channel.messages.get(ts)
        if found is None or found.deleted or found.ephemeral_for is not None:
            raise SlackError("message_not_found")
        return found

    def add(self, channel: Channel, user: str, text: str, blocks: list[Json] | None = None, **more: Any) -> Message:
        """Puts a message at the end of a channel or of the thread that `thread_ts` names."""
        message = Message(self.new_ts(), channel.id, user, text, **more)
        message.show(as_stored(blocks or ()))
        channel.messages[message.ts] = message
        if message.thread_ts:
            channel.replies.setdefault(message.thread_ts, []).append(message.ts)
        return message

    def file_problems(self, blocks: Iterable[Json], at: str = "/blocks") -> list[dict[str, str]]:
        """Image blocks whose file is not there, not looked through yet, or no picture, as the limits name problems."""
        problems = []
        for index, block in enumerate(blocks):
            images = [block, *(block.get("elements") or ()), block.get("accessory")]
            for image in images:
                if not isinstance(image, dict) or image.get("type") != "image" or "slack_file" not in image:
                    continue
                file = self.files.get(image["slack_file"].get("id", ""))
                if file is None or not file.is_known(self.clock()) or file.mimetype not in PICTURES:
                    pointer = f"{at}/{index}/slack_file"
                    problems.append({"pointer": pointer, "code": "invalid_file", "message": "invalid slack file"})
        return problems

    def readers(self, channel: Channel) -> set[str] | None:
        """Who may see this channel: its members, or everybody (None) when it is public."""
        return None if channel.kind == "channel" else set(channel.members)
