"""Who and what the local workspace starts with: the people, the channels, the user groups and the app's manifest."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

TEAM_ID = "T0LOCAL"
TEAM_NAME = "Local"
TEAM_DOMAIN = "local"
APP_ID = "A0BATON"
BOT_ID = "B0BATON"
BOT_USER = "U0BATON"

ALL_BOT_SCOPES = (
    "app_mentions:read", "channels:history", "channels:join", "channels:read", "chat:write", "chat:write.public",
    "commands", "files:read", "files:write", "groups:history", "groups:read", "im:history", "im:read", "im:write",
    "metadata.message:read", "reactions:write", "usergroups:read", "users:read", "users:read.email",
)  # fmt: skip


@dataclass
class Member:
    """One account of the workspace: a person, a guest, or the app's own bot user."""

    id: str
    name: str
    real_name: str
    email: str | None = None
    color: str = "4f6d7a"
    tz: str = "Europe/Berlin"
    is_bot: bool = False
    deleted: bool = False
    is_guest: bool = False
    team: str = TEAM_ID  #: another one for somebody who is here by Slack Connect


@dataclass(frozen=True)
class ChannelSeed:
    """How a channel looks before anybody writes in it; `members` empty means every active person."""

    id: str
    name: str
    private: bool = False
    bot_is_member: bool = True
    members: tuple[str, ...] = ()


@dataclass
class UserGroup:
    """A user group such as @risk-team."""

    id: str
    handle: str
    name: str
    users: list[str] = field(default_factory=list)
    disabled: bool = False


def _person(user_id: str, name: str, color: str, **more: Any) -> Member:
    return Member(user_id, name, name.capitalize(), f"{name}@example.com", color, **more)


DEFAULT_PEOPLE: tuple[Member, ...] = (
    _person("U01ALICE", "alice", "9f69e7"),
    _person("U02BOB", "bob", "2b8a3e"),
    _person("U03CAROL", "carol", "d9480f"),
    _person("U04DAVE", "dave", "1971c2"),
    _person("U05MALLORY", "mallory", "c2255c"),
    _person("U06GONE", "gone", "868e96", deleted=True),
    _person("U07GUEST", "guest", "0c8599", is_guest=True),
)
_STAFF = ("U01ALICE", "U02BOB", "U03CAROL", "U04DAVE", "U05MALLORY")
DEFAULT_CHANNELS: tuple[ChannelSeed, ...] = (
    ChannelSeed("C01PROMO", "ml-promotions", members=_STAFF),
    ChannelSeed("C02FRAUD", "fraud-ml", members=_STAFF),
    ChannelSeed("C03GENERAL", "general", bot_is_member=False),
    ChannelSeed("C04SECRET", "secret", private=True, bot_is_member=False, members=("U01ALICE", "U02BOB")),
)
DEFAULT_GROUPS: tuple[UserGroup, ...] = (
    UserGroup("S01RISK", "risk-team", "Risk team", ["U03CAROL"]),
    UserGroup("S02LEADS", "ml-leads", "ML leads", ["U02BOB"]),
)


@dataclass(frozen=True)
class Manifest:
    """The parts of an app manifest that decide what the app may do here.

    `events` is None when there is no manifest: then every event is delivered and every scope is granted.
    """

    name: str = "Baton"
    bot_name: str = "Baton"
    commands: tuple[dict[str, Any], ...] = ()
    scopes: tuple[str, ...] = ALL_BOT_SCOPES
    events: frozenset[str] | None = None
    any_command: bool = True

    def subscribes(self, event: str) -> bool:
        """Whether the app asked for this event."""
        return self.events is None or event in self.events

    def command(self, name: str) -> dict[str, Any] | None:
        """The slash command of that name, or None when the app has no such command."""
        for command in self.commands:
            if command["command"] == name:
                return command
        return {"command": name} if self.any_command else None


def read_manifest(source: dict[str, Any] | str | Path | None) -> Manifest:
    """The manifest from a mapping or a YAML file; nothing, or an empty file, gives an app that may do everything.

    Raises OSError when the file is not there, yaml.YAMLError when it is not YAML.
    """
    data = yaml.safe_load(Path(source).read_text("utf-8")) if isinstance(source, str | Path) else source
    if not data:
        return Manifest()
    features = data.get("features", {})
    settings = data.get("settings", {})
    name = data.get("display_information", {}).get("name", "Baton")
    return Manifest(
        name=name,
        bot_name=features.get("bot_user", {}).get("display_name", name),
        commands=tuple(features.get("slash_commands", ())),
        scopes=tuple(data.get("oauth_config", {}).get("scopes", {}).get("bot", ())),
        events=frozenset(settings.get("event_subscriptions", {}).get("bot_events", ())),
        any_command=False,
    )
