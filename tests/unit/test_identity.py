"""Who Slack says somebody is, where it does not say everything."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from bot.slack.identity import SlackDirectory
from core.domain.errors import Unavailable

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


class Somewhere(Terse):
    """A workspace of an organisation, and who Slack says is in it."""

    asked = 0
    enterprise = "E1"

    def auth_test(self, **_given: Any) -> Any:
        self.asked += 1
        data = {"ok": True, "team_id": "T1", "enterprise_id": self.enterprise, "url": "https://acme.slack.com/"}
        return SlackResponse(
            client=self, http_verb="GET", api_url="", req_args={}, data=data, headers={}, status_code=200
        )

    def users_info(self, **given: Any) -> Any:
        team, _, enterprise = given["user"].removeprefix("U").partition("x")
        return {
            "ok": True,
            "user": {"id": given["user"], "team_id": team, "enterprise_user": {"enterprise_id": enterprise}},
        }


@pytest.mark.parametrize(
    ("who", "enterprise", "counts"),
    [("UT1", "", True), ("UT2", "", False), ("UT2xE1", "E1", True), ("UT2xE2", "E1", False), ("UT2x", "", False)],
)
def test_only_who_is_of_our_workspace_or_organisation_counts(who: str, enterprise: str, counts: bool) -> None:
    slack = Somewhere()
    slack.enterprise = enterprise
    directory = SlackDirectory(slack, {})
    person = directory.person(who)
    assert person is not None
    assert person.active is counts
    assert directory.groups_of(who, {"leads": [who]}) == ({"leads"} if counts else set())
    assert slack.asked == 1


def test_the_address_of_a_message_is_spelled_as_slack_spells_it_or_left_out() -> None:
    assert SlackDirectory(Somewhere(), {}).permalink("C1", "1700000000.000100") == (
        "https://acme.slack.com/archives/C1/p1700000000000100"
    )
    assert SlackDirectory(Somewhere(), {}).permalink("C1", "") == ""

    class Silent(Somewhere):
        def auth_test(self, **_given: Any) -> Any:
            raise SlackApiError("no", SlackResponse(client=self, http_verb="GET", api_url="", req_args={},
                data={"ok": False, "error": "token_revoked"}, headers={}, status_code=200))  # fmt: skip

    assert SlackDirectory(Silent(), {}).permalink("C1", "1700000000.000100") == ""
    with pytest.raises(Unavailable, match="nobody is believed"):
        SlackDirectory(Silent(), {}).person("UT1")
