"""`baton policy test`: what a changed policy would have made of what happened."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bot.cli import app
from tests.scenario.world import MODEL, Baton


def policy_test(baton: Baton, text: str, *options: str) -> Result:
    file = Path(baton.folder) / "changed.yml"
    file.write_text(text, encoding="utf-8")
    others: dict[str, str | None] = {name: None for name in os.environ if name.startswith(("BATON_", "SLACK_"))}
    environ = others | baton.environment(baton.database_url)
    return CliRunner().invoke(app, ["policy", "test", str(file), *options], env=environ)


@pytest.fixture
def past(baton: Baton) -> Baton:
    """6 was promoted, 7 was stopped by its gates, 8 waits for the second approval."""
    baton.promoted("6")
    baton.register("7", metrics={"auc": 0.88})
    baton.command(baton.alice, f"/promote {MODEL} 7 to production")
    baton.card(f"Not promoted: {MODEL} 7 to production")
    baton.register("8")
    baton.approve(baton.ask("8"), baton.bob)
    baton.card("*Approvals 1 of 2*")
    return baton


def changed(baton: Baton, old: str, new: str) -> str:
    text = baton.policy.read_text(encoding="utf-8")
    assert old in text
    return text.replace(old, new)


def test_the_same_policy_makes_no_difference(past: Baton) -> None:
    done = policy_test(past, past.policy.read_text(encoding="utf-8"))
    assert (done.exit_code, done.stdout) == (0, "0 of 3 promotions would differ.\n")


def test_a_stricter_gate_names_whom_it_would_have_stopped(past: Baton) -> None:
    done = policy_test(past, changed(past, "{metric: auc, at_least: 0.90}", "{metric: auc, at_least: 0.99}"))
    assert done.exit_code == 1
    first, second, last = done.stdout.splitlines()
    assert first.startswith("P-3 fraud-detector 8 → production: still waits for approval; would now fail its gates: ")
    assert "P-1 fraud-detector 6 → production: was deployed" in second
    assert second.endswith("would have failed its gates: auc is 0.95, at least 0.99 is required.")
    assert last == "2 of 3 promotions would differ."


def test_a_laxer_one_names_whom_it_would_have_let_through(past: Baton) -> None:
    text = changed(past, "{metric: auc, at_least: 0.90}", "{metric: auc, at_least: 0.80}")
    text = text.replace("compared_to: champion, no_worse_by: 0.005", "compared_to: champion, no_worse_by: 0.5")
    done = policy_test(past, text, "--json")
    found = json.loads(done.stdout)
    assert found["judged"] == 3
    assert [(each["promotion"], each["happened"]) for each in found["differ"]] == [("P-2", "was stopped by its gates")]
    assert found["differ"][0]["would"].startswith("would have needed 2 more approvals: 0 of 2 approvals; ")


def test_fewer_or_more_approvals(past: Baton) -> None:
    one = changed(past, "- {group: risk, at_least: 1}", "- {group: risk}").replace("quorum: 2", "quorum: 1")
    assert "P-3 fraud-detector 8 → production: still waits for approval; would now go ahead" in (
        policy_test(past, one).stdout
    )
    three = changed(past, "quorum: 2", "quorum: 3")
    assert "P-1 fraud-detector 6 → production: was deployed" in policy_test(past, three).stdout


def test_a_freeze_names_when_it_would_have_opened(past: Baton) -> None:
    window = "    freeze: [{name: always, from: 2020-01-01, until: 2090-01-01}]\n    deploy: {target"
    done = policy_test(past, changed(past, "    deploy: {target", window))
    assert "would have had to wait: production is frozen by “always”" in done.stdout


def test_a_file_that_is_wrong_is_refused_with_its_line(past: Baton) -> None:
    done = policy_test(past, changed(past, "quorum: 2", "quorum: two"))
    assert done.exit_code == 1
    assert "changed.yml:" in done.stderr
    assert "quorum" in done.stderr
