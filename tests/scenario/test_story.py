"""The main job, told as it happens: somebody asks, two approve, the hook fires, the champion changes hands."""

from __future__ import annotations

import pytest

from bot.local_slack.person import labels, shown_text
from tests.scenario.world import Baton, wait


@pytest.mark.parametrize("delivery", ["socket", "http"])
def test_one_line_two_approvals_a_hook_and_a_new_champion(baton: Baton) -> None:
    baton.register("7")

    said = baton.command(baton.alice, "/promote fraud-detector 7 to production because it finds 3 % more fraud")
    assert "P-1: *Promote fraud-detector 7 to production?*" in shown_text(said)
    card = baton.card("Promote fraud-detector 7 to production?")
    assert labels(card) == ["Approve", "Reject", "Details"]
    assert "it finds 3 % more fraud" in shown_text(card)
    assert "Approvals 0 of 2" in shown_text(card)

    baton.click(baton.bob, card, "Approve")
    card = baton.card("Approvals 1 of 2")
    assert "Still needed: 1 from risk (<@U03CAROL>, <@U04DAVE>)" in shown_text(card)
    assert not baton.receiver.hooks
    baton.click(baton.carol, card, "Approve")

    [hook] = baton.receiver.await_hooks(1)
    assert hook.data["model"]["version"] == "7"
    assert hook.data["approved_by"] == ["U02BOB", "U03CAROL"]
    card = baton.card("fraud-detector 7 is champion of production")
    assert labels(card) == []
    assert baton.champion() == "7"
    assert baton.reigns() == [("7", True)]
    assert "7 is champion of production" in shown_text(baton.alice.wait_for_text("app", "P-1"))
    assert len(baton.alice.dms()) == 1
    assert len(baton.cards()) == 1
    wait(lambda: "👑" in baton.story(card), "the end of the story")
    story = baton.story(card)
    for part in ("asked for it: it finds", "Gates passed", "<@U02BOB> approved", "<@U03CAROL> approved", "📦"):
        assert part in story, story
    assert [str(who) for who, _ in baton.decisions()] == ["user:U02BOB", "user:U03CAROL"]
