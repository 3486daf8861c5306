"""`baton check`: one finding a line, with what would mend it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import yaml

from bot.check import check
from bot.check_manifest import SCOPES, check_manifest
from bot.local_slack.server import LocalSlack
from bot.slack import ids, specimens
from core.policy.schema import EXAMPLE
from tests.fakes.serving import Reply, Request, Server

ROOT = Path(__file__).parents[2]
#: Buttons that look like others in the same place: for whom has approved or may take the evidence, to turn pages, to wait.
ALIKE = {ids.APPROVE_LIMITED, ids.WITHDRAW_APPROVAL, ids.EVIDENCE, ids.HOME_EARLIER, ids.HOME_LATER, ids.ROLLOUT_EXTEND}


@pytest.fixture
def good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> dict[str, str]:
    """An environment, and a folder, in which everything is right."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "baton.yml").write_text(EXAMPLE)
    shutil.copy(ROOT / "manifest.yml", tmp_path)
    return {
        "BATON_DATABASE_URL": database_url,
        "SLACK_BOT_TOKEN": "xoxb-1",
        "SLACK_SIGNING_SECRET": "abcd",
        "HOOK_SECRET": "efgh",
    }


def said(environ: dict[str, str], *, online: bool = False) -> list[str]:
    return [str(finding) for finding in check(online, environ)]


def test_where_all_is_right_nothing_is_said(good: dict[str, str]) -> None:
    assert said(good) == []


def test_each_mistake_is_one_line_with_its_place(good: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "baton.yml").write_text(EXAMPLE.replace("at_least: 0.85", "at_least: high"))
    (tmp_path / "manifest.yml").write_text((tmp_path / "manifest.yml").read_text().replace("/promote", "/promo"))
    found = said(good | {"BATON_PORT": "eighty", "SLACK_BOT_TOKEN": ""})
    assert found[0] == "environment:1: BATON_PORT is “eighty”; write a port number from 1 to 65535, such as 8080." or (
        found[1] == "environment:1: BATON_PORT is “eighty”; write a port number from 1 to 65535, such as 8080."
    )
    assert any(line.startswith("environment:1: SLACK_BOT_TOKEN is not set; ") for line in found)
    assert any(line.startswith("baton.yml:20: stages[1].gates[0].at_least: ") for line in found)
    assert any(line.startswith("manifest.yml:") and "the command /promote is missing" in line for line in found)
    assert all("\n" not in line for line in found)


def test_a_mistake_in_the_env_file_has_its_line(
    good: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BATON_PORT", "BATON_LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in good.items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".env").write_text("# ports\nexport BATON_PORT=x\nBATON_LOG_LEVEL = loud\n")
    found = [str(finding).split(" is ")[0] for finding in check()]
    assert sorted(found) == [".env:2: BATON_PORT", ".env:3: BATON_LOG_LEVEL"]


def test_a_targets_secret_that_is_missing_is_named_with_its_line(good: dict[str, str]) -> None:
    del good["HOOK_SECRET"]
    (found,) = said(good)
    assert found.startswith("baton.yml:")
    assert "HOOK_SECRET is not set" in found


def test_a_database_that_cannot_be_used_is_said(good: dict[str, str], tmp_path: Path) -> None:
    missing = said(good | {"BATON_DATABASE_URL": f"sqlite:///{tmp_path}/none.db"})
    assert missing == ["database:1: there is no database yet; run baton migrate."]
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "empty.db").touch()
    empty = said(good | {"BATON_DATABASE_URL": f"sqlite:///{tmp_path}/empty.db"})
    assert empty == ["database:1: its tables are not those of this release; run baton migrate."]
    away = said(good | {"BATON_DATABASE_URL": "postgresql://u:hunter22@127.0.0.1:9/x"})
    assert away == ["database:1: The database cannot be reached; start the server, or mend BATON_DATABASE_URL."]


# -- the manifest ------------------------------------------------------------------------------------------------


def remove_scope(manifest: dict) -> None:  # type: ignore[type-arg]
    manifest["oauth_config"]["scopes"]["bot"].remove("chat:write")


def add_scope(manifest: dict) -> None:  # type: ignore[type-arg]
    manifest["oauth_config"]["scopes"]["bot"].append("chat:wrote")


def rename_command(manifest: dict) -> None:  # type: ignore[type-arg]
    manifest["features"]["slash_commands"][1]["command"] = "/Roll Back"


def drop_event(manifest: dict) -> None:  # type: ignore[type-arg]
    manifest["settings"]["event_subscriptions"]["bot_events"] = ["app_home_open"]


def http_mode(manifest: dict) -> None:  # type: ignore[type-arg]
    manifest["settings"]["socket_mode_enabled"] = False


def no_bot(manifest: dict) -> None:  # type: ignore[type-arg]
    del manifest["features"]["bot_user"]


def no_buttons(manifest: dict) -> None:  # type: ignore[type-arg]
    manifest["settings"]["interactivity"]["is_enabled"] = False


def blue(manifest: dict) -> None:  # type: ignore[type-arg]
    manifest["display_information"]["background_color"] = "blue"


def long_name(manifest: dict) -> None:  # type: ignore[type-arg]
    manifest["display_information"]["name"] = "B" * 36


def unknown_key(manifest: dict) -> None:  # type: ignore[type-arg]
    manifest["settings"]["socket_mode"] = True


@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        (remove_scope, ["the scope chat:write is missing"]),
        (add_scope, ["'chat:wrote' is no scope that Baton uses"]),
        (rename_command, ["the command /rollback is missing", "Baton has no command '/Roll Back'"]),
        (drop_event, ["the event app_home_opened is missing", "'app_home_open' is no event"]),
        (http_mode, ["request_url is missing", "message_menu_options_url is missing", "/promote has no url"]),
        (no_bot, ["no bot_user"]),
        (no_buttons, ["interactivity is off"]),
        (blue, ["'blue' is no colour"]),
        (long_name, ["Slack will not take it"]),
        (unknown_key, ["Slack will not take it"]),
    ],
)
def test_what_slack_or_baton_would_stumble_over_is_found(
    tmp_path: Path,
    spoil: Callable[[dict], None],  # type: ignore[type-arg]
    parts: list[str],
) -> None:
    manifest = yaml.safe_load((ROOT / "manifest.yml").read_text())
    spoil(manifest)
    path = tmp_path / "manifest.yml"
    path.write_text(yaml.safe_dump(manifest))
    found = "\n".join(str(finding) for finding in check_manifest(path))
    for part in parts:
        assert part in found


def test_the_manifest_that_comes_with_baton_is_right() -> None:
    assert check_manifest(ROOT / "manifest.yml") == []


def test_a_manifest_that_is_no_yaml_is_said(tmp_path: Path) -> None:
    path = tmp_path / "manifest.yml"
    for content in (b"a: [", b"\xff\xff", b"- 1", b""):
        path.write_bytes(content)
        assert str(check_manifest(path)[0]).startswith("manifest.yml:")


# -- online ------------------------------------------------------------------------------------------------------


@pytest.fixture
def slack(good: dict[str, str]) -> LocalSlack:
    running = LocalSlack(manifest=ROOT / "manifest.yml", port=0)
    running.start()
    good["SLACK_API_URL"] = running.api_url
    good["SLACK_BOT_TOKEN"] = running.bot_token
    yield running  # type: ignore[misc]
    running.stop()


def test_slack_itself_is_asked_for_scopes_and_channels(good: dict[str, str], slack: LocalSlack, tmp_path: Path) -> None:
    assert said(good, online=True) == []
    policy = EXAMPLE.replace('channel: "#ml-promotions"      #', 'channel: "#nowhere"      #')
    assert policy != EXAMPLE
    (tmp_path / "baton.yml").write_text(policy)
    (found,) = said(good, online=True)
    assert (
        found
        == "slack:1: there is no channel #nowhere that Baton can see; make it, or, if it is private, invite @Baton."
    )


def test_what_slack_does_not_say_is_no_finding(good: dict[str, str]) -> None:
    """A stand-in may say little: no scopes, no membership, no validator."""
    answers = {
        "auth.test": {"ok": True},
        "conversations.list": {"ok": True, "channels": [{"id": "C1", "name": "ml-promotions"}]},
    }

    class Terse(Server):
        def obey(self, request: Request) -> Reply:
            return Reply(200, answers.get(request.path.rpartition("/")[2], {"ok": False, "error": "unknown_method"}))

    with Terse() as terse:
        assert said(good | {"SLACK_API_URL": f"{terse.url}/api"}, online=True) == []


def test_a_token_that_slack_does_not_know_is_said(good: dict[str, str], slack: LocalSlack) -> None:
    (found,) = said(good | {"SLACK_BOT_TOKEN": "xoxb-wrong"}, online=True)
    assert "Slack does not take SLACK_BOT_TOKEN (invalid_auth)" in found


def test_a_slack_that_is_away_is_said(good: dict[str, str]) -> None:
    (found,) = said(good | {"SLACK_API_URL": "http://127.0.0.1:9/api"}, online=True)
    assert found.startswith("slack:1: Slack cannot be reached at http://127.0.0.1:9/api/ (ConnectError)")


def test_every_form_and_message_is_shown_to_slacks_own_validator(
    good: dict[str, str], slack: LocalSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said(good, online=True) == []
    calls = httpx.get(f"{slack.url}/_local/calls", params={"method": "blocks.validate"}).json()["calls"]
    assert len(calls) == len([*specimens.views(), *specimens.messages()])
    broken = {"type": "modal", "title": {"type": "plain_text", "text": "x" * 25}, "blocks": []}
    monkeypatch.setattr(specimens, "views", lambda: iter([("the form of /promote", broken)]))
    (found,) = said(good, online=True)
    assert found.startswith("slack:1: Slack would not show the form of /promote (/view/title/text: ")
    assert found.endswith("); that is a mistake of Baton's, please report it.")


@pytest.mark.parametrize("error", ["unknown_method", "ratelimited", "internal_error"])
def test_where_slacks_validator_is_not_to_be_had_nothing_is_found(
    good: dict[str, str], slack: LocalSlack, error: str
) -> None:
    fault = {"method": "blocks.validate", "error": error, "until_cleared": True}
    assert httpx.post(f"{slack.url}/_local/faults", json=fault).status_code == 200
    assert said(good, online=True) == []
    calls = httpx.get(f"{slack.url}/_local/calls", params={"method": "blocks.validate"}).json()["calls"]
    assert len(calls) == 1, "it is asked no more"


def test_there_is_a_specimen_of_every_form_and_every_button() -> None:
    drawn = [view for _, view in specimens.views()] + [message.blocks for _, message in specimens.messages()]
    forms = {view["callback_id"] for _, view in specimens.views() if view["type"] == "modal"}
    assert forms == {value for name, value in vars(ids).items() if name.endswith(("_FORM", "_VIEW"))}
    buttons = set(re.findall(r'"action_id": "([a-z_.]+)', json.dumps(drawn)))
    known = {value for name, value in vars(ids).items() if name.isupper() and "." in value and "ACTIONS" not in name}
    assert known - buttons - forms == ALIKE


def test_every_scope_has_its_reason() -> None:
    manifest = yaml.safe_load((ROOT / "manifest.yml").read_text())
    assert set(manifest["oauth_config"]["scopes"]["bot"]) == set(SCOPES)
