"""Who Slack says somebody is, where it does not say everything."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk import WebClient

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
