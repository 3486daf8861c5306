"""`baton check --online`: what Slack itself says of the token, the scopes, the channels and everything that Baton shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx

from bot.check_manifest import SCOPES
from bot.settings import Settings
from bot.slack import specimens
from core.policy.findings import Finding
from core.policy.schema import Policy
from core.wire import trusted

MOST_PAGES = 50


class _Slack:
    """A few read-only calls of Slack's Web API."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=15, verify=trusted()
        )
        self.scopes: frozenset[str] = frozenset()

    def close(self) -> None:
        self._http.close()

    def ask(self, method: str, **arguments: str) -> dict[str, Any]:
        """The answer; one with `ok` false and an `error` when there is none. Raises `httpx.HTTPError`."""
        answer = self._http.post(method, data=arguments)
        header = answer.headers.get("x-oauth-scopes", "")
        self.scopes |= {scope.strip() for scope in header.split(",") if scope.strip()}
        try:
            body = answer.json()
        except ValueError:
            body = {}
        return body if isinstance(body, dict) and body else {"ok": False, "error": f"http_{answer.status_code}"}


def check_online(settings: Settings, policy: Policy) -> list[Finding]:
    """Findings about the token, its scopes, the channels that the policy names, and what Slack would not show."""
    token = settings.slack_bot_token.get_secret_value() if settings.slack_bot_token else ""
    slack = _Slack(settings.slack_api_url, token)
    try:
        return list(_findings(slack, policy))
    except httpx.HTTPError as wrong:
        problem = f"Slack cannot be reached at {settings.slack_api_url} ({type(wrong).__name__})"
        return [_finding(problem, "check the network, or mend SLACK_API_URL")]
    finally:
        slack.close()


def _finding(problem: str, remedy: str) -> Finding:
    return Finding("slack", 1, "", problem, remedy)


def _findings(slack: _Slack, policy: Policy) -> Iterator[Finding]:
    known = slack.ask("auth.test")
    if not known.get("ok"):
        yield _finding(
            f"Slack does not take SLACK_BOT_TOKEN ({known.get('error')})", "copy it anew from “OAuth & Permissions”"
        )
        return
    for scope, why in SCOPES.items():
        if slack.scopes and scope not in slack.scopes:
            yield _finding(
                f"the app has not the scope {scope}", f"add it and install the app again; Baton needs it {why}"
            )
    yield from _channels(slack, policy)
    yield from _views(slack)


def _channels(slack: _Slack, policy: Policy) -> Iterator[Finding]:
    wanted = [policy.slack.channel, *(stage.channel for stage in policy.stages)]
    wanted += [override.channel for override in policy.models.values()]
    names = list(dict.fromkeys(channel for channel in wanted if channel))
    there, error = _all_channels(slack)
    if error:
        yield _finding(f"Slack does not list its channels ({error})", "see to the scopes channels:read and groups:read")
        return
    for name in names:
        channel = there.get(name.removeprefix("#"))
        if channel is None:
            yield _finding(
                f"there is no channel {name} that Baton can see", "make it, or, if it is private, invite @Baton"
            )
        elif channel.get("is_archived"):
            yield _finding(f"the channel {name} is archived", "name another in the policy")
        elif channel.get("is_member") is False and channel.get("is_private"):
            yield _finding(f"Baton is not in the private channel {name}", "invite it there: /invite @Baton")
        elif channel.get("is_member") is False and slack.scopes and "chat:write.public" not in slack.scopes:
            yield _finding(f"Baton is not in the channel {name}", "invite it there: /invite @Baton")


def _all_channels(slack: _Slack) -> tuple[dict[str, dict[str, Any]], str]:
    """Channels by name and by id, and the error that stopped the listing."""
    found: dict[str, dict[str, Any]] = {}
    cursor = ""
    for _ in range(MOST_PAGES):
        answer = slack.ask(
            "conversations.list",
            types="public_channel,private_channel",
            limit="1000",
            **({"cursor": cursor} if cursor else {}),
        )
        if not answer.get("ok"):
            return found, str(answer.get("error"))
        for channel in answer.get("channels", []):
            found[channel["id"]] = found[channel["name"]] = channel
        cursor = answer.get("response_metadata", {}).get("next_cursor", "")
        if not cursor:
            break
    return found, ""


def _views(slack: _Slack) -> Iterator[Finding]:
    """What `blocks.validate` finds wrong with a specimen of each form and message; nothing where it is not to be had."""
    drawn = [(name, {"view": json.dumps(view)}) for name, view in specimens.views()]
    for name, shown in specimens.messages():
        drawn.append((name, {"message": json.dumps({"text": shown.text, "blocks": shown.blocks})}))
    for name, specimen in drawn:
        answer = slack.ask("blocks.validate", **specimen)
        errors = answer.get("errors")
        if not answer.get("ok") and answer.get("error") != "invalid_blocks" and not errors:
            return
        if not answer.get("ok") or errors:
            yield _finding(
                f"Slack would not show {name} ({_first(errors)})", "that is a mistake of Baton's, please report it"
            )


def _first(errors: object) -> str:
    """What Slack says of the first error, and where."""
    first = errors[0] if isinstance(errors, list) and errors else {}
    said = [
        str(first[key])[:200] for key in ("pointer", "message", "code") if isinstance(first, dict) and first.get(key)
    ]
    return ": ".join(said[:2]) or "invalid_blocks"
