"""The manifest asks Slack for exactly what Baton uses, and is one that Slack takes."""

from __future__ import annotations

import ast
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from slack_sdk import WebClient

from bot.check_manifest import COMMANDS, EVENTS, SCOPES, check_manifest
from bot.slack import ids

ROOT = Path(__file__).parents[2]
MANIFEST: dict[str, Any] = yaml.safe_load((ROOT / "manifest.yml").read_text("utf-8"))
#: What each method of the Web API asks for (facts: Slack's reference pages), for public and private channels and DMs.
NEEDS = {
    "auth_test": set(),
    "chat_getPermalink": set(),
    "views_open": set(),
    "views_push": set(),
    "views_update": set(),
    "views_publish": set(),
    "chat_postMessage": {"chat:write", "chat:write.public"},
    "chat_postEphemeral": {"chat:write"},
    "chat_update": {"chat:write"},
    "chat_delete": {"chat:write"},
    "conversations_history": {"channels:history", "groups:history", "im:history"},
    "conversations_replies": {"channels:history", "groups:history", "im:history"},
    "conversations_list": {"channels:read", "groups:read"},
    "conversations_open": {"im:write"},
    "files_info": {"files:read"},
    "files_upload_v2": {"files:write"},
    "users_info": {"users:read", "users:read.email"},
    "users_list": {"users:read", "users:read.email"},
    "users_lookupByEmail": {"users:read.email"},
    "usergroups_list": {"usergroups:read"},
    "usergroups_users_list": {"usergroups:read"},
}


def called() -> set[str]:
    """Every method of Slack's client that Baton's Slack side calls, or hands on to be called later."""
    methods = {name for name in dir(WebClient) if "_" in name.strip("_") and not name.startswith("_")}
    return {
        node.attr
        for path in (ROOT / "bot" / "slack").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in methods
    }


def listened(kind: str) -> set[str]:
    """The names that are registered with Bolt by `app.command(…)` or `app.event(…)`."""
    found = set()
    for path in (ROOT / "bot" / "slack" / "listeners").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == f"app.{kind}":
                [name] = node.args
                found.add(name.value if isinstance(name, ast.Constant) else getattr(ids, name.attr))
    return found


def test_slack_takes_it() -> None:
    schema = json.loads((ROOT / "bot" / "slack" / "manifest.schema.json").read_text("utf-8"))

    assert [error.message for error in Draft7Validator(schema).iter_errors(MANIFEST)] == []
    assert check_manifest(ROOT / "manifest.yml") == []


def test_every_method_that_is_called_is_one_whose_scopes_are_known() -> None:
    assert called() - {"api_call"} == set(NEEDS)


def test_the_scopes_are_those_of_the_methods_and_the_commands() -> None:
    needed = {"commands"}.union(*NEEDS.values())

    assert set(MANIFEST["oauth_config"]["scopes"]["bot"]) == needed
    assert set(SCOPES) == needed


def test_the_commands_are_those_that_are_listened_to() -> None:
    assert {each["command"] for each in MANIFEST["features"]["slash_commands"]} == listened("command") == set(COMMANDS)


def test_commands_come_with_names_as_they_were_typed() -> None:
    """`should_escape` would turn @bob into <@U02BOB>, and a model called #1 into a link."""
    assert {each.get("should_escape") for each in MANIFEST["features"]["slash_commands"]} == {False}


def test_the_events_are_those_that_are_listened_to() -> None:
    assert set(MANIFEST["settings"]["event_subscriptions"]["bot_events"]) == listened("event") == set(EVENTS)


SPOILT: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a scope too few": (lambda m: m["oauth_config"]["scopes"]["bot"].remove("chat:write"), "chat:write is missing"),
    "a scope too many": (
        lambda m: m["oauth_config"]["scopes"]["bot"].append("admin"),
        "'admin' is no scope that Baton",
    ),
    "a command too few": (lambda m: m["features"]["slash_commands"].pop(), "the command /rollback is missing"),
    "no event": (lambda m: m["settings"]["event_subscriptions"]["bot_events"].clear(), "app_home_opened is missing"),
    "no buttons": (lambda m: m["settings"]["interactivity"].update(is_enabled=False), "interactivity is off"),
    "no address": (lambda m: m["settings"].update(socket_mode_enabled=False), "request_url is missing"),
    "no colour": (lambda m: m["display_information"].update(background_color="blue!"), "is no colour"),
    "a long name": (lambda m: m["display_information"].update(name="B" * 36), "Slack will not take it"),
    "no home": (lambda m: m["features"]["app_home"].update(home_tab_enabled=False), "the Home tab is off"),
    "a typo": (lambda m: m["features"].update(slash_comands=[]), "Slack will not take it"),
}


@pytest.mark.parametrize("spoil", SPOILT)
def test_what_is_wrong_with_it_is_found_with_its_line(spoil: str, tmp_path: Path) -> None:
    manifest = copy.deepcopy(MANIFEST)
    change, sentence = SPOILT[spoil]
    change(manifest)
    path = tmp_path / "manifest.yml"
    path.write_text(yaml.safe_dump(manifest), "utf-8")

    findings = check_manifest(path)

    assert any(sentence in str(finding) for finding in findings), findings
    assert all(finding.line >= 1 for finding in findings)
