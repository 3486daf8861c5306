"""Champions past their review period: asked about once, certified on fresh measurements by whoever may approve."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.local_slack.person import Json, labels, shown_text
from core.policy.load import PolicyError, load
from tests.scenario.world import MODEL, POLICY, PROMO, Baton, wait

RULE = "    review: {after: 90d}\n"


@pytest.fixture
def policy() -> str:
    return POLICY.replace("    deploy: {target: prod-hook, timeout: 5m}\n", f"    deploy: {{target: prod-hook, timeout: 5m}}\n{RULE}")  # fmt: skip


def measure(baton: Baton, version: str, **metrics: Any) -> Json:
    listed = [{"name": name, "value": value} for name, value in metrics.items()]
    answer = baton.api("POST", f"/models/{MODEL}/versions/{version}/measurements", metrics=listed)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_an_old_champion_is_certified_on_fresh_measurements(baton: Baton) -> None:
    promoted = baton.promoted("7")
    baton.clock.ahead = timedelta(days=89)
    baton.tick("reviews")
    baton.clock.ahead = timedelta(days=90, hours=1)
    baton.tick("reviews")
    asked = baton.card(f"Re-certify {MODEL} 7 in production?")
    assert "It was approved last " in shown_text(asked)
    assert "Nobody can re-certify it until its fresh measurements pass." in shown_text(asked)
    assert "Version 7 has no fresh measurements." in shown_text(asked)
    assert labels(asked) == []
    baton.server.services.boards.want([PROMO], "2026-11-24", baton.clock())
    said = shown_text(baton.card("Champions past their review date (1)"))
    assert f"*{MODEL} 7* serves production and was approved last 90 days ago" in said
    story = wait(
        lambda: baton.story(promoted) if "Recertif" in baton.story(promoted) or "📅" in baton.story(promoted) else None,
        "the thread",
    )
    assert "📅 Re-certification is asked for: version 7 was approved for production 90 d 1 h ago" in story

    measure(baton, "7", auc=0.84, latency_p99_ms=31)
    asked = baton.card("auc is 0.84, at least 0.9 is required.")
    assert labels(asked) == []
    measure(baton, "7", auc=0.93, fairness_gap=0.2)
    asked = baton.card("auc is 0.93, at least 0.9 is required.")
    assert "latency_p99_ms is 31, at most 50 is allowed." in shown_text(asked), "what was measured before still counts"
    assert labels(asked) == ["Re-certify"]
    assert baton.refused(baton.mallory, asked, "Re-certify") == (
        "You may not re-certify champions of production: that takes ml-leads or risk."
    )
    baton.click(baton.bob, asked, "Re-certify")
    done = baton.card(f"Re-certified: {MODEL} 7 in production")
    assert labels(done) == []
    assert "auc is 0.93, at least 0.9 is required." in shown_text(done)
    assert baton.scalar("SELECT actor FROM audit_events WHERE kind = 'recertified'") == "user:U02BOB"
    assert baton.refused(baton.carol, asked, "Re-certify") == "bob has re-certified it already."

    baton.clock.ahead = timedelta(days=170)
    certifying = baton.server.services.desk.certifying
    assert certifying.tick(baton.clock()) == [], "the period begins anew"
    baton.clock.ahead = timedelta(days=181)
    assert certifying.tick(baton.clock()) == [2]
    assert certifying.tick(baton.clock()) == [], "once a period"
    shown = certifying.show(2)
    assert [each.sentence for each in shown.verdicts] == ["Version 7 has no fresh measurements."], (
        "three months old are not"
    )
    kept = baton.api("GET", f"/models/{MODEL}/versions/7").json()
    assert {each["name"]: each["value"] for each in kept["fresh"]} == {
        "auc": 0.93,
        "latency_p99_ms": 31.0,
        "fairness_gap": 0.2,
    }
    assert next(each["value"] for each in kept["metrics"] if each["name"] == "auc") == 0.95, (
        "its own stay what they are"
    )
    baton.check_laws()


def test_a_champion_that_was_replaced_is_asked_about_no_more(baton: Baton) -> None:
    baton.promoted("6")
    baton.clock.ahead = timedelta(days=91)
    baton.tick("reviews")
    asked = baton.card(f"Re-certify {MODEL} 6 in production?")
    measure(baton, "6", auc=0.93, latency_p99_ms=31)
    asked = baton.card("auc is 0.93, at least 0.9 is required.")
    baton.clock.ahead = timedelta()  # a hook from a quarter ahead would not be believed
    baton.promoted("7")
    assert baton.refused(baton.bob, asked, "Re-certify") == f"{MODEL} 6 serves production no longer."
    baton.tick("reviews")
    assert "It serves there no longer" in shown_text(baton.card(f"Replaced: {MODEL} 6 in production"))
    answer = baton.api("POST", f"/models/{MODEL}/versions/6/measurements", metrics=[{"name": "auc", "value": "high"}])
    assert (answer.status_code, answer.json()["detail"]) == (
        422, 'metrics[0].value: "high" is not a number; write one such as 0.93, or NaN.',
    )  # fmt: skip


def test_whoever_was_asked_about_takes_no_turn_to_write_at_each_tick(
    baton: Baton, monkeypatch: pytest.MonkeyPatch
) -> None:
    baton.promoted("6")
    baton.clock.ahead = timedelta(days=91)
    certifying = baton.server.services.desk.certifying
    baton.tick("reviews")
    baton.card(f"Re-certify {MODEL} 6 in production?")
    with monkeypatch.context() as quiet:
        quiet.setattr(certifying.database, "change", lambda: pytest.fail("nothing is to be written"))
        assert certifying.tick(baton.clock()) == []


def test_a_review_that_nobody_could_do_is_refused() -> None:
    automatic = POLICY.replace("    approvals: {automatic: true}\n", f"    approvals: {{automatic: true}}\n{RULE}")
    with pytest.raises(PolicyError) as refused:
        load(automatic.replace("HOOK_URL", "http://hook"))
    assert (
        "stages[1].review: nobody may approve here, so nobody could re-certify; say who in approvals.from, or remove it."
    ) in str(refused.value)
