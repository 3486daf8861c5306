"""A model service that misbehaves, Prometheus that sees it, Alertmanager that says so, and whoever is on call."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.local_slack.person import labels
from tests.external.prometheus import real_alertmanager, real_prometheus, toy_service
from tests.scenario.test_alerts import TOKEN, policy_with, serving
from tests.scenario.world import MODEL, Baton

RULES = """
groups:
- name: models
  rules:
  - alert: ModelErrorRateHigh
    expr: errors_total > 100
    labels: {model: %s, stage: production}
    annotations: {summary: "{{ $value }} errors"}
"""


@pytest.fixture
def policy() -> str:
    return policy_with("ask")


def test_what_prometheus_sees_and_alertmanager_says_brings_the_last_good_version_back(
    baton: Baton, tmp_path: Path
) -> None:
    serving(baton)
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES % MODEL)
    with (
        toy_service() as toy,
        real_alertmanager(f"{baton.url}/api/v1/alerts/alertmanager", TOKEN, tmp_path) as alertmanager,
    ):
        more = f"rule_files: ['{rules}']\nalerting: {{alertmanagers: [{{static_configs: [{{targets: ['{alertmanager[7:]}']}}]}}]}}\n"
        with real_prometheus(toy.address, tmp_path, "--rules.alert.resend-delay=500ms", more=more):
            toy.errors = {"7": 5}
            toy.errors["7"] = 900
            baton.card("900 errors")
            toy.errors["7"] = 5
            gone = baton.card(f"Resolved: {MODEL} 7 in production")
            assert labels(gone) == []
            toy.errors["7"] = 700
            message = baton.card("700 errors")
            baton.click(baton.bob, message, "Roll back to 6")
            baton.card(f"Rolled back: {MODEL} 6 serves production again")
    assert baton.champion() == "6"
    assert baton.receiver.hooks[-1].data["action"] == "rollback"
