"""Guests, the deactivated and people of other workspaces: whatever the policy or their profile says, they never count."""

from __future__ import annotations

from typing import Any

import pytest

from bot.local_slack.person import shown_text
from tests.scenario.world import BOB, CAROL, DAVE, MALLORY, MODEL, POLICY, Baton

NO_MEMBERS: list[dict[str, Any]] = [{"is_guest": True}, {"team": "T0OTHER"}]
ACTS = [
    (f"/rollback {MODEL} because I can", "roll back production"),
    ("/promote stop because I can", "stop or resume promotions"),
    ("/promote resume", "stop or resume promotions"),
    (f"/promote veto {MODEL} 7 because I can", "veto versions or lift holds here"),
    (f"/promote break-glass {MODEL} 7 to production because I can", "break the glass for production"),
    ("/promote evidence P-1", "have the evidence of promotions to production"),
]


@pytest.fixture
def policy() -> str:
    """Dave, of risk, may do everything."""
    allowed = "rollback: {allowed: [risk]}\n    break_glass: {allowed: [risk]}"
    return POLICY.replace("rollback: {allowed: [on-call]}", allowed)


def become(baton: Baton, user: str, **changes: Any) -> None:
    baton.local("admin", user={"id": user, **changes})
    baton.server.services.directory.warm()


@pytest.mark.parametrize("changes", NO_MEMBERS, ids=["guest", "another workspace"])
def test_who_is_no_full_member_may_do_nothing_though_the_policy_names_them(
    baton: Baton, changes: dict[str, Any]
) -> None:
    baton.promoted("6")
    baton.register("7")
    card = baton.ask("7")
    become(baton, DAVE, **changes)
    no = "Bots, guests, strangers and deactivated accounts may not {}; a full member must."

    assert baton.refused(baton.dave, card, "Approve") == no.format("decide")
    assert baton.refused(baton.dave, card, "Reject") == no.format("decide")
    for typed, what in ACTS:
        assert shown_text(baton.command(baton.dave, typed)).strip().endswith(no.format(what)), typed
    assert baton.decisions(2) == []
    assert [baton.champion(), baton.states()] == ["6", ["succeeded", "awaiting_approval"]]
    baton.click(baton.bob, card, "Approve")
    assert f"<@{DAVE}>" not in shown_text(baton.card("*Approvals 1 of 2*"))


def test_who_looks_like_carol_in_another_workspace_is_not_carol(baton: Baton) -> None:
    baton.register("7")
    card = baton.ask("7")
    become(baton, MALLORY, team="T0OTHER", real_name="Carol", name="carol", email="carol@example.com")
    said = baton.refused(baton.mallory, card, "Approve")
    assert said == "Bots, guests, strangers and deactivated accounts may not decide; a full member must."
    assert baton.decisions() == []
    baton.approve(card)
    baton.card(f"{MODEL} 7 is champion of production")


@pytest.mark.parametrize(
    ("who", "changes"),
    [("@guest", {}), ("@gone", {}), ("@baton", {}), ("U07GUEST", {}), ("@dave", {"team": "T0OTHER"})],
)
def test_nobody_is_represented_by_an_account_that_does_not_count(
    baton: Baton, who: str, changes: dict[str, Any]
) -> None:
    if changes:
        become(baton, DAVE, **changes)
    said = shown_text(baton.command(baton.carol, f"/promote delegate {who} until friday"))
    assert "Bots, guests, strangers and deactivated accounts may not decide; name a full member." in said


def test_a_delegate_who_becomes_a_guest_decides_nothing(baton: Baton) -> None:
    baton.register("7")
    card = baton.ask("7")
    baton.command(baton.carol, "/promote delegate @mallory until tomorrow")
    baton.server.stop()  # or what Slack said of them counts for some minutes more
    baton.local("admin", user={"id": MALLORY, "is_guest": True})
    baton.start()
    said = baton.refused(baton.mallory, card, "Approve")
    assert said == "Bots, guests, strangers and deactivated accounts may not decide; a full member must."
    assert baton.decisions() == []
    baton.approve(card, baton.bob)
    assert "<@U05MALLORY>" not in shown_text(baton.card("*Approvals 1 of 2*"))


def test_who_leaves_the_group_or_the_company_afterwards_has_approved_all_the_same(baton: Baton) -> None:
    baton.register("7")
    card = baton.ask("7")
    baton.approve(card, baton.bob)
    baton.card("*Approvals 1 of 2*")
    baton.local("admin", usergroup={"id": "S02LEADS", "users": []})
    become(baton, BOB, deleted=True)
    baton.approve(card, baton.carol)
    baton.card(f"{MODEL} 7 is champion of production")
    found = baton.api("GET", "/promotions/P-1").json()["decisions"]
    assert [(each["actor"], each["groups"]) for each in found] == [
        (f"user:{BOB}", ["ml-leads"]), (f"user:{CAROL}", ["risk"]),
    ]  # fmt: skip


def test_a_name_that_two_people_bear_names_nobody(baton: Baton) -> None:
    become(baton, MALLORY, name="dave")
    said = baton.command(baton.carol, "/promote delegate @dave until friday")["text"]
    assert said == "Several people are called @dave; name one by e-mail address."
    assert "decides for you" in baton.command(baton.carol, "/promote delegate dave@example.com until friday")["text"]
