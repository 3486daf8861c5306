"""What one is answered who asks for what is done already, was never there, or is not theirs: a sentence for each."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import quote

import httpx
import pytest
from slack_sdk.signature import SignatureVerifier

from bot.local_slack.person import Person, labels, shown_text
from tests.scenario.test_alerts import policy_with, post
from tests.scenario.test_bundles import REFUSE, put_together
from tests.scenario.world import BOB, MODEL, POLICY, Baton, wait

GLASS = POLICY.replace("    rollback: {allowed: [on-call]}\n", "    rollback: {allowed: [on-call]}\n    break_glass: {allowed: [on-call]}\n")  # fmt: skip
CANARY = POLICY.replace(
    "    deploy: {target: prod-hook, timeout: 5m}\n",
    "    deploy: {target: prod-hook, timeout: 5m}\n"
    "    rollout: {strategy: canary, steps: [{traffic: 5, hold: 1h}, {traffic: 100}]}\n",
)


def said(baton: Baton, asked: list[tuple[Person, str, str]]) -> list[str]:
    """The commands whose private answer lacks its sentence, with what was answered instead."""
    wrong = []
    for person, line, sentence in asked:
        answer = shown_text(baton.command(person, line))
        if sentence not in answer:
            wrong.append(f"{line}: {answer}")
    return wrong


def problem(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["detail"])


def test_what_is_done_already_or_was_never_there(baton: Baton) -> None:
    baton.register("7")
    veto = f"/promote veto {MODEL} 7 because it leaks"
    assert said(baton, [
        (baton.bob, "/promote stop because of the fire", "stopped"),
        (baton.bob, "/promote stop because of the fire", "stopped already; nothing was changed."),
        (baton.bob, "/promote resume", "no longer stopped"),
        (baton.bob, f"/promote unveto {MODEL} 7", f"{MODEL} 7 is not vetoed."),
        (baton.bob, veto, "vetoed"),
        (baton.bob, veto, f"{MODEL} 7 is vetoed already; nothing was changed."),
        (baton.bob, f"/promote unveto {MODEL} 7", f"{MODEL} 7 is no longer vetoed."),
        (baton.bob, f"/promote veto {MODEL} 7 from nowhere because it leaks", "There is no stage “nowhere”; the policy has"),
        (baton.bob, f"/promote release {MODEL} production", f"Automatic promotions of {MODEL} to production are not held."),
        (baton.carol, "/promote delegate off", "Nobody decides for you now, so there is nothing to take back."),
        (baton.bob, f"/rollback {MODEL} because it is slow", f"Nothing serves any stage of {MODEL} yet, so there is nothing to roll back."),
        (baton.bob, f"/rollback {MODEL} nowhere because it is slow", "There is no stage “nowhere”; the policy has"),
        (baton.bob, f"/rollback {MODEL} because {'x' * 2500}", "The reason has 2,500 characters; for a rollback"),
    ]) == []  # fmt: skip


@pytest.mark.parametrize("policy", [GLASS], ids=["glass"])
def test_a_promotion_that_went_the_usual_way_has_no_glass_to_review(baton: Baton) -> None:
    baton.promoted("8")
    line = "/promote review P-1 because it was right"
    assert said(baton, [(baton.carol, line, "P-1 was not deployed by breaking the glass.")]) == []


@pytest.mark.parametrize("policy", [CANARY], ids=["canary"])
def test_a_rollout_is_steered_by_somebody_else_and_held_once(baton: Baton) -> None:
    baton.register("6")
    first = baton.ask("6")
    baton.approve(first)
    baton.card("*Step 1 of 2*")
    shown = wait(lambda: next((m for m in baton.cards() if "Hold" in labels(m)), None), "the buttons")
    assert baton.refused(baton.mallory, shown, "Hold").startswith("You may not")
    baton.click(baton.bob, shown, "Hold")
    baton.card("Held by bob")
    assert baton.refused(baton.bob, shown, "Hold") == "P-1 is held already, by bob."
    assert baton.api("POST", "/promotions/P-1/cancel", reason="the wrong one").status_code == 200
    ended = shown_text(baton.card(f"Outcome unknown: {MODEL} 6"))
    assert "the wrong one. Nothing served production before it, so there is nothing to put back; " in ended
    assert "A person must look. A person must look." not in " ".join(ended.split())
    assert baton.refused(baton.bob, shown, "Hold").startswith("P-1 is not being rolled out in steps now.")


@pytest.mark.parametrize("policy", [policy_with("ask")], ids=["alerts"])
def test_alerts_that_cannot_be_read(baton: Baton) -> None:
    token = {"authorization": "Bearer an-alert-token"}
    assert problem(post(baton, b"not JSON", **token), 400).startswith("The body is not JSON: expecting value")
    one = {"status": "firing", "labels": {"alertname": "a"}, "startsAt": datetime.now(UTC).isoformat()}
    many = json.dumps({"version": "4", "alerts": [one] * 1001}).encode()
    assert post(baton, many, **token).json()["left_out"] == 1


@pytest.mark.parametrize("policy", [REFUSE], ids=["bundles"])
def test_bundles_are_made_of_members_and_nothing_else(baton: Baton) -> None:
    put_together(baton, "1", "6", "3")
    stray = baton.api("POST", "/models/ranker/versions", version="4", members={"embedder": "6"})
    assert problem(stray, 422).startswith("ranker is no bundle of the policy; its bundles are: search")
    both = baton.api(
        "POST", "/models/search/versions", version="2", members={"embedder": "6", "ranker": "3"},
        metrics=[{"name": "auc", "value": 0.9}],
    )  # fmt: skip
    assert problem(both, 422) == "search is made of its members; register artifact, metrics and lineage with them."


@pytest.mark.parametrize("body", [b'"text"', b"[]", b"3", b"[" * 5_000, b"payload=3", b"payload=%5B%5D", b"payload={"])
def test_what_is_no_request_of_slacks_is_refused_and_breaks_nothing(baton: Baton, body: bytes) -> None:
    kind = "application/x-www-form-urlencoded" if body.startswith(b"payload") else "application/json"
    answer = httpx.post(f"{baton.url}/slack/events", content=body, headers={"content-type": kind})
    assert answer.status_code in (400, 401), answer.text


def test_a_signed_click_on_nothing_breaks_nothing(baton: Baton, caplog: pytest.LogCaptureFixture) -> None:
    body = f"payload={quote(json.dumps({'type': 'block_actions', 'user': {'id': BOB}, 'actions': []}))}"
    stamp = str(int(datetime.now(UTC).timestamp()))
    signature = SignatureVerifier(baton.slack.signing_secret).generate_signature(timestamp=stamp, body=body)
    answer = httpx.post(
        f"{baton.url}/slack/events",
        content=body,
        headers={
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-request-timestamp": stamp,
            "x-slack-signature": str(signature),
        },
    )
    assert (answer.status_code, answer.json()) == (400, {"error": "not a request of Slack"})
    assert not [record for record in caplog.records if record.exc_info]
