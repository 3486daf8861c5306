"""Where a version comes from and where a champion leads to: features looked up, a card asked for, training asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from bot.local_slack.person import shown_text
from tests.fakes.feast import FakeFeast
from tests.scenario.world import MODEL, POLICY, Baton, wait

GATES = """      - {lineage: [data, code]}
      - {features: {source: feast, service: "{{model}}_v{{version}}", project: live}}
      - {model_card: [limitations]}
"""


@pytest.fixture(scope="module")
def feast() -> Iterator[FakeFeast]:
    with FakeFeast() as fake:
        yield fake


@pytest.fixture
def policy(feast: FakeFeast) -> str:
    return (
        POLICY.replace("      - {lineage: [data, code]}\n", GATES)
        + f'sources:\n  feast: {{type: feast, url: "{feast.url}"}}\n'
    ).replace("    rollback: {allowed", "    retrain: {target: prod-hook, on: [rollback]}\n    rollback: {allowed")


def promote(baton: Baton, feast: FakeFeast, version: str) -> None:
    feast.serve("live", f"{MODEL}_v{version}", "transactions", until=datetime.now(UTC))
    baton.register(version, card="## Limitations\nCards only.")
    baton.ask(version)
    baton.tick("features")
    message = baton.card(f"Promote {MODEL} {version} to production?")
    assert f"Feature service {MODEL}_v{version} is in Feast's project live" in shown_text(message)
    assert "The model card says limitations." in shown_text(message)
    baton.approve(message)
    baton.card(f"{MODEL} {version} is champion of production")


def test_features_are_looked_up_behind_the_card_and_a_rollback_asks_for_training(
    baton: Baton, feast: FakeFeast
) -> None:
    promote(baton, feast, "6")
    promote(baton, feast, "7")
    said = baton.command(baton.bob, f"/rollback {MODEL} production because errors <!channel>")
    baton.click(baton.bob, said, "Roll back to 6")
    rolled = baton.card(f"Rolled back: {MODEL} 6 serves production again")
    baton.tick("retraining")
    (hook,) = wait(
        lambda: [each for each in baton.receiver.hooks if "retraining" in each.data] or None, "training to be asked for"
    )
    assert hook.data["reason"] == "P-3 rolled production back from version 7 to 6: errors <!channel>"
    baton.register("8", card="## Limitations\nNone.", lineage={"retraining": "R-1"})
    feast.services.clear()
    baton.ask("8")
    baton.tick("features")
    shown = shown_text(baton.card(f"Not promoted: {MODEL} 8 to production"))
    assert f"Feature service {MODEL}_v8 does not exist in Feast's project live." in shown
    assert "Retrained because P-3 rolled production back from version 7 to 6" in shown
    wait(lambda: "📨 prod-hook took R-1" in baton.story(rolled) or None, "the thread to say so")
    baton.check_laws()
