"""What happens after the decision: hooks, reports, failures, time-outs, and stages that need nobody."""

from __future__ import annotations

import pytest

from bot.local_slack.person import labels, shown_text
from tests.scenario.world import POLICY, Baton, wait


def test_a_report_by_signed_callback_ends_it(baton: Baton) -> None:
    baton.receiver.reply = lambda _hook: (202, {})
    baton.register("7")
    baton.approve(baton.ask("7"))
    [hook] = baton.receiver.await_hooks(1)
    card = baton.card("Deploying fraud-detector 7 to production")
    assert "D-1 · prod-hook" in shown_text(card)
    assert baton.champion() is None

    assert baton.report(hook, "in_progress", message="half of the pods", url="https://ci.example/9").status_code == 200
    baton.card("half of the pods")
    assert baton.champion() is None
    assert baton.report(hook, "succeeded").status_code == 200

    card = baton.card("fraud-detector 7 is champion of production")
    wait(lambda: "📣 The deploy system reports in progress: half of the pods" in baton.story(card), "the story")
    wait(lambda: "📣 The deploy system reports succeeded\n" in f"{baton.story(card)}\n", "words of its own for the end")
    assert baton.report(hook, "succeeded").status_code == 200  # the same again is harmless
    assert baton.reigns() == [("7", True)]


def test_a_deployment_that_fails_is_shown_and_changes_no_champion(baton: Baton) -> None:
    baton.promoted("6")
    baton.receiver.reply = lambda _hook: (202, {})
    baton.register("7")
    card = baton.ask("7")
    baton.approve(card)
    hook = baton.receiver.await_hooks(2)[1]

    baton.report(hook, "failed", message="<!channel> image not found", url="https://ci.example/run/9")

    ended = baton.card("Not promoted: fraud-detector 7 to production")
    assert ended["ts"] == card["ts"]
    shown = shown_text(ended)
    assert "prod-hook reported that it failed: ‹!channel› image not found." in shown
    assert "<https://ci.example/run/9|log>" in shown
    assert labels(ended) == []
    assert "image not found" in shown_text(baton.alice.wait_for_text("app", "Not promoted"))
    assert baton.reigns() == [("6", True)]


def test_a_target_that_refuses_is_asked_once(baton: Baton) -> None:
    baton.receiver.reply = lambda _hook: (403, {"message": "not on a Friday"})
    baton.register("7")
    baton.approve(baton.ask("7"))

    shown = shown_text(baton.card("Not promoted: fraud-detector 7 to production"))

    assert "prod-hook refused it: it answered 403: not on a Friday." in shown
    assert len(baton.receiver.hooks) == 1


def test_a_target_that_falters_is_asked_again_under_the_same_id(baton: Baton) -> None:
    answers = iter([(503, {}), (429, {"headers": {"retry-after": "0"}}), (200, {"state": "succeeded"})])
    baton.receiver.reply = lambda _hook: next(answers)
    baton.register("7")
    baton.approve(baton.ask("7"))

    baton.card("fraud-detector 7 is champion of production")

    assert len(baton.receiver.hooks) == 3
    assert len(set(baton.receiver.ids)) == 1


@pytest.mark.parametrize("policy", [POLICY.replace("timeout: 5m", "timeout: 1s")], ids=["a second"])
def test_silence_until_the_time_is_up_is_a_no(baton: Baton) -> None:
    baton.receiver.reply = lambda _hook: (202, {})
    baton.register("7")
    baton.approve(baton.ask("7"))

    shown = shown_text(baton.card("Not promoted: fraud-detector 7 to production"))

    assert "prod-hook did not report within 1s." in shown
    assert baton.champion() is None


@pytest.mark.parametrize("policy", [POLICY.replace("timeout: 5m", "timeout: 1s")], ids=["a second"])
def test_a_target_that_cannot_be_reached_leaves_the_outcome_unknown(baton: Baton) -> None:
    baton.receiver.reply = lambda _hook: (500, {})
    baton.register("7")
    baton.approve(baton.ask("7"))

    shown = shown_text(baton.card("Outcome unknown: fraud-detector 7 to production"))

    assert "prod-hook could not be reached within 1s: it answered 500." in shown
    assert "A person must look." in shown
    baton.alice.wait_for_text("app", "Outcome unknown")


def test_cancelling_under_way_puts_the_champion_back(baton: Baton) -> None:
    baton.promoted("6")
    baton.receiver.reply = lambda hook: (
        (200, {"state": "succeeded"}) if hook.data["action"] == "rollback" else (202, {})
    )
    baton.register("7")
    baton.approve(baton.ask("7"))
    baton.card("Deploying fraud-detector 7 to production")
    baton.receiver.await_hooks(2)

    assert baton.api("POST", "/promotions/P-2/cancel", reason="wrong one").status_code == 200

    shown = shown_text(baton.card("Stopped and put back: fraud-detector 7 in production"))
    assert "ci stopped it: wrong one. 7 was taken back; 6 serves again." in shown
    last = baton.receiver.await_hooks(3)[2]
    assert (last.data["action"], last.data["model"]["version"]) == ("rollback", "6")
    assert baton.reigns() == [("6", True)]


def test_an_automatic_stage_asks_nobody(baton: Baton) -> None:
    baton.register("7")

    baton.command(baton.alice, "/promote fraud-detector 7 to staging")

    card = baton.card("fraud-detector 7 is champion of staging")
    assert labels(card) == []
    assert "Nobody was asked: every gate passed" in shown_text(card)
    assert baton.champion("staging") == "7"
    assert baton.decisions() == []
    assert not baton.receiver.hooks  # this stage has no target: its champion is only recorded


STOPPED = {
    "worse than is required": ({"auc": 0.899}, "❌", "auc is 0.899, at least 0.9 is required."),
    "too slow": ({"latency_p99_ms": 51}, "❌", "latency_p99_ms is 51, at most 50 is allowed."),
    "worse than the champion": ({"auc": 0.94}, "❌", "0.01 worse than the champion's 0.95; at most 0.005 worse is"),
    "worse on a slice": ({"auc/country=DE": 0.9}, "❌", "0.03 worse than the champion's 0.93; at most 0.02 worse is"),
    "not measured": ({"latency_p99_ms": "left out"}, "❓", "latency_p99_ms"),
    "not a number": ({"auc": "NaN"}, "❓", "“NaN”, which is not a finite number"),
    "infinite": ({"auc": "Infinity"}, "❓", "which is not a finite number"),
}


def test_what_its_gates_stop_bothers_nobody(baton: Baton) -> None:
    baton.promoted("6")
    for name, (metrics, _, sentence) in STOPPED.items():
        baton.register(name.replace(" ", "-"), metrics=metrics)
        said = baton.command(baton.alice, f"/promote fraud-detector {name.replace(' ', '-')} to production")
        assert "*Not promoted: fraud-detector" in shown_text(said)
        assert sentence in shown_text(said)
    for name, (_, icon, sentence) in STOPPED.items():
        card = baton.card(f"Not promoted: fraud-detector {name.replace(' ', '-')[:19]}")
        assert sentence in shown_text(card), name
        assert icon in shown_text(card)
        assert labels(card) == []
    assert set(baton.states()) == {"succeeded", "failed"}
    assert len(baton.receiver.hooks) == 1


def test_an_advisory_gate_is_shown_and_decides_nothing(baton: Baton) -> None:
    baton.register("7", metrics={"fairness_gap": 0.3})

    card = baton.ask("7")

    assert "⚠️ Advisory: fairness_gap is 0.3, at most 0.1 is allowed." in shown_text(card)
    assert labels(card) == ["Approve", "Reject", "Details"]


def test_a_stage_that_requires_another_is_not_reached_past_it(baton: Baton) -> None:
    baton.register("7", metrics={"auc": 0.7})

    said = baton.command(baton.alice, "/promote fraud-detector 7")

    assert "Not promoted: fraud-detector 7 to staging" in shown_text(said)


@pytest.mark.parametrize(
    "policy",
    [POLICY.replace("- name: production\n", "- name: production\n    requires: [staging]\n")],
    ids=["requires"],
)
def test_no_required_stage_is_skipped(baton: Baton) -> None:
    baton.register("7")

    said = baton.command(baton.alice, "/promote fraud-detector 7 to production")

    assert (
        said["text"]
        == "production requires staging, which fraud-detector 7 has never served. Promote it to staging first."
    )
    assert baton.states() == []
    baton.command(baton.alice, "/promote fraud-detector 7")
    baton.card("fraud-detector 7 is champion of staging")
    assert "Promote fraud-detector 7 to production?" in shown_text(baton.ask("7"))
