"""Three in the morning: the stage is frozen, everything is stopped, Slack is down and whoever asked is gone. Rolled back all
the same, from wherever somebody can reach Baton.
"""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from bot.cli import app
from bot.local_slack.person import shown_text
from tests.scenario.test_barriers import LATER, with_freeze
from tests.scenario.world import ALICE, MODEL, Baton, wait


@pytest.fixture
def policy() -> str:
    return with_freeze(3, 60)


def test_a_rollback_needs_neither_slack_nor_leave(baton: Baton, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("5", "6", "7"):
        baton.promoted(version)
    baton.command(baton.bob, "/promote stop because we look into something")
    baton.clock.ahead = LATER
    baton.local("admin", user={"id": ALICE, "deleted": True})
    baton.fault("*", status=500, until_cleared=True)

    answer = baton.api("POST", "/rollbacks", model=MODEL, stage="production", reason="false alarms doubled")
    assert answer.status_code == 201, answer.text
    wait(lambda: baton.champion() == "6", "the champion by the API")

    monkeypatch.setenv("BATON_URL", baton.url)
    monkeypatch.setenv("BATON_TOKEN", baton.token)
    done = CliRunner().invoke(app, ["rollback", MODEL, "production", "--reason", "6 has it too"])
    assert done.exit_code == 0, done.output
    wait(lambda: baton.champion() == "5", "the champion by the command line")
    twice = CliRunner().invoke(app, ["rollback", MODEL, "production", "--reason", "again"])
    assert (twice.exit_code, "There is no earlier good version" in twice.output) == (1, True)

    baton.local("faults/clear")
    baton.local("admin", user={"id": ALICE, "deleted": False})  # she reads it in the morning
    baton.card(f"Rolled back: {MODEL} 6 serves production again")
    card = baton.card(f"Rolled back: {MODEL} 5 serves production again")
    assert "5 took over from 6." in shown_text(card)
    assert "6 has it too" in shown_text(card)
    offer = baton.command(baton.bob, f"/rollback {MODEL} production to 7 because it was not the model")
    assert "7 was itself rolled back from by P-4." in shown_text(offer)
    baton.click(baton.bob, offer, "Roll back to 7")
    baton.card(f"Rolled back: {MODEL} 7 serves production again")
    assert [hook.data["action"] for hook in baton.receiver.hooks[3:]] == ["rollback"] * 3
    assert len(set(baton.receiver.ids)) == 6
