"""Who Slack says somebody is, where it does not say everything."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from bot.slack.identity import SlackDirectory

GROUPS = {"leads": ["carol@example.com"]}


class Terse(WebClient):
    """A workspace that names people and, asked for an address, says whose it is, but never shows one."""

    def users_info(self, **given: Any) -> Any:
        return {"ok": True, "user": {"id": given["user"], "name": given["user"].lower()}}

    def users_lookupByEmail(self, **given: Any) -> Any:  # noqa: N802  Slack's own name
        return {"ok": True, "user": {"id": "U03CAROL", "name": "carol"}}


@pytest.mark.parametrize(("who", "groups"), [("U03CAROL", {"leads"}), ("U04MALLORY", set())])
def test_whoever_slack_finds_by_the_address_is_the_member_even_where_it_shows_no_address(
    who: str, groups: set[str]
) -> None:
    directory = SlackDirectory(Terse(), GROUPS)
    directory.warm()
    assert directory.groups_of(who, GROUPS) == groups


class Curt(Terse):
    """A workspace in which Baton lacks the scope to look addresses up."""

    def users_lookupByEmail(self, **_given: Any) -> Any:  # noqa: N802  Slack's own name
        raise SlackApiError("no", SlackResponse(client=self, http_verb="GET", api_url="", req_args={},
            data={"ok": False, "error": "missing_scope"}, headers={}, status_code=200))  # fmt: skip


def test_who_is_named_by_id_counts_where_addresses_cannot_be_looked_up() -> None:
    directory = SlackDirectory(Curt(), GROUPS)
    assert directory.groups_of("U03CAROL", GROUPS | {"risk": ["U03CAROL"]}) == {"risk"}
