"""Is `manifest.yml` one that Slack takes, and does it ask for exactly what Baton uses?

Slack's schema misses most of what goes wrong between the parts of a manifest (facts: unknown scopes and events, a
command without the scope for it, events without a bot user), so that is checked here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

from core.policy.document import Document, read
from core.policy.findings import Finding, PolicyError
from core.policy.findings import Path as Place

#: Scopes that Baton uses, and what for.
SCOPES = {
    "channels:history": "to find a card again whose post was not answered",
    "channels:read": "to find a channel by its name",
    "chat:write": "to write cards, threads and answers",
    "chat:write.public": "to post in public channels without being invited",
    "commands": "for /promote and /rollback",
    "files:read": "to know when a picture can be shown",
    "files:write": "to send the evidence of a promotion, and pictures of its numbers",
    "groups:history": "to find a card again in a private channel",
    "groups:read": "to find a private channel by its name",
    "im:history": "to find a direct message again",
    "im:write": "to tell requesters of the end",
    "usergroups:read": "to know the members of the policy's user groups",
    "users:read": "to know names, and who counts",
    "users:read.email": "to know the policy's members by e-mail address",
}
#: Commands and events that Baton listens to.
COMMANDS = ("/promote", "/rollback")
EVENTS = ("app_home_opened",)

Wrong = tuple[Place, str, str]


def manifest_path() -> Path | None:
    """The manifest of this folder, else that of this release."""
    here = Path(__file__).parent
    candidates = (Path("manifest.yml"), here.parent / "manifest.yml", here / "slack" / "manifest.yml")
    return next((path for path in candidates if path.is_file()), None)


def check_manifest(path: Path | None = None) -> list[Finding]:
    """Findings, each with its line."""
    path = path or manifest_path()
    if path is None:
        return [Finding("manifest.yml", 1, "", "the file is missing", "take it from Baton's repository")]
    try:
        document = read(path.read_text("utf-8-sig"), path.name)
    except PolicyError as wrong:
        return wrong.findings
    except (OSError, UnicodeDecodeError):
        return [Finding(path.name, 1, "", "the file cannot be read", "make it readable, and save it as UTF-8")]
    if not isinstance(document.value, dict):
        return [Finding(path.name, 1, "", "the file is not a mapping", "take it from Baton's repository")]
    return [document.finding(each) for each in _wrong(document)]


def _wrong(document: Document) -> Iterator[Wrong]:
    schema = json.loads(files("bot.slack").joinpath("manifest.schema.json").read_text("utf-8"))
    errors = sorted(Draft7Validator(schema).iter_errors(document.value), key=lambda error: list(map(str, error.path)))
    for error in errors:
        yield (
            tuple(error.absolute_path),
            f"Slack will not take it: {error.message[:200]}",
            "mend it as Slack's schema says",
        )
    if errors:
        return  # what follows relies on the shape
    manifest: dict[str, Any] = document.value
    yield from _scopes(manifest)
    yield from _commands(manifest)
    yield from _events(manifest)
    yield from _reachable(manifest)
    colour = manifest["display_information"].get("background_color")
    if colour is not None and not re.fullmatch(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})", colour):
        yield ("display_information", "background_color"), f"{colour!r} is no colour", 'write one such as "#1f3a5f"'


def _scopes(manifest: dict[str, Any]) -> Iterator[Wrong]:
    place = ("oauth_config", "scopes", "bot")
    given = manifest.get("oauth_config", {}).get("scopes", {}).get("bot", [])
    for scope, why in SCOPES.items():
        if scope not in given:
            yield place, f"the scope {scope} is missing", f"add it; Baton needs it {why}"
    for number, scope in enumerate(given):
        if scope not in SCOPES:
            yield (*place, number), f"{scope!r} is no scope that Baton uses", "remove it, or mend its spelling"


def _commands(manifest: dict[str, Any]) -> Iterator[Wrong]:
    place = ("features", "slash_commands")
    given = [each["command"] for each in manifest.get("features", {}).get("slash_commands", [])]
    for command in COMMANDS:
        if command not in given:
            yield place, f"the command {command} is missing", "add it; Baton answers to it"
    for number, command in enumerate(given):
        if command not in COMMANDS:
            yield (*place, number, "command"), f"Baton has no command {command!r}", "remove it, or mend its spelling"


def _events(manifest: dict[str, Any]) -> Iterator[Wrong]:
    place = ("settings", "event_subscriptions", "bot_events")
    given = manifest.get("settings", {}).get("event_subscriptions", {}).get("bot_events", [])
    features = manifest.get("features", {})
    for event in EVENTS:
        if event not in given:
            yield place, f"the event {event} is missing", "add it; App Home stays empty without it"
    for number, event in enumerate(given):
        if event not in EVENTS:
            yield (*place, number), f"{event!r} is no event that Baton listens to", "remove it, or mend its spelling"
    if given and "bot_user" not in features:
        yield ("features",), "there are events, but no bot_user to get them", "add bot_user with a display_name"
    if not features.get("app_home", {}).get("home_tab_enabled"):
        yield ("features", "app_home"), "the Home tab is off", "set home_tab_enabled: true"
    if not features.get("app_home", {}).get("messages_tab_enabled"):
        yield (
            ("features", "app_home"),
            "the Messages tab is off, so nobody can be told anything",
            ("set messages_tab_enabled: true"),
        )


def _reachable(manifest: dict[str, Any]) -> Iterator[Wrong]:
    settings = manifest.get("settings", {})
    interactivity = settings.get("interactivity", {})
    if not interactivity.get("is_enabled"):
        yield ("settings", "interactivity"), "interactivity is off, so no button works", "set is_enabled: true"
    if settings.get("socket_mode_enabled"):
        return
    remedy = "write https://YOUR-HOST/slack/events, or set socket_mode_enabled: true"
    for place, part, key in (
        (("settings", "event_subscriptions"), settings.get("event_subscriptions", {}), "request_url"),
        (("settings", "interactivity"), interactivity, "request_url"),
        (("settings", "interactivity"), interactivity, "message_menu_options_url"),
    ):
        if not part.get(key):
            yield place, f"{key} is missing, and Socket Mode is off", remedy
    for number, command in enumerate(manifest.get("features", {}).get("slash_commands", [])):
        if not command.get("url"):
            where = ("features", "slash_commands", number)
            yield where, f"{command['command']} has no url, and Socket Mode is off", remedy
