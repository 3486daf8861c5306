"""Alerts: proposed, carried out by one click or by themselves, collapsed, withdrawn; and who may send them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from bot.local_slack.person import Json, labels, shown_text
from core.alerts import Alerts
from core.domain.errors import Conflict
from core.domain.model import Actor
from tests.scenario.world import BOB, MODEL, POLICY, Baton, wait

TOKEN = "an-alert-token"


def policy_with(mode: str) -> str:
    text = POLICY.replace("rollback: {allowed: [on-call]}", f"rollback: {{allowed: [on-call], on_alert: {mode}}}")
    return f"{text}alerts:\n  alertmanager: {{type: alertmanager, token_env: ALERT_TOKEN}}\n"


@pytest.fixture
def policy() -> str:
    return policy_with("ask")


def firing(version: str = "7", name: str = "ModelErrorRateHigh", **more: Any) -> Json:
    labels = {"alertname": name, "model": MODEL, "version": version, "stage": "production"} | more.pop("labels", {})
    return {
        "status": "firing",
        "labels": {key: value for key, value in labels.items() if value},
        "annotations": {"summary": "error rate 9.864 %"},
        "startsAt": datetime.now(UTC).isoformat(),
        "generatorURL": "http://prometheus.example.com/graph?g0.expr=errors",
        "fingerprint": hashlib.sha256(json.dumps(labels).encode()).hexdigest()[:16],
    } | more


def resolved(alert: Json) -> Json:
    return alert | {"status": "resolved", "endsAt": datetime.now(UTC).isoformat()}


def send(baton: Baton, *alerts: Json, token: str = TOKEN, **headers: str) -> httpx.Response:
    body = json.dumps({"version": "4", "status": "firing", "alerts": list(alerts)}).encode()
    return post(baton, body, **(headers or {"authorization": f"Bearer {token}"}))


def post(baton: Baton, body: bytes, source: str = "alertmanager", **headers: str) -> httpx.Response:
    given = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(f"{baton.url}/api/v1/alerts/{source}", content=body, headers=given, timeout=90)


def serving(baton: Baton) -> None:
    baton.promoted("6")
    baton.promoted("7")


class TestAsk:
    def test_one_click_brings_the_last_good_version_back(self, baton: Baton) -> None:
        serving(baton)
        assert send(baton, firing()).json() == {"alerts": 1, "news": 1, "left_out": 0}
        message = baton.card(f"Alert: {MODEL} 7 in production")
        assert "A rollback brings *6* back." in shown_text(message)
        assert "🔥 *ModelErrorRateHigh*: error rate 9.864 %" in shown_text(message)
        baton.click(baton.bob, message, "Roll back to 6")
        baton.card(f"Rolled back: {MODEL} 6 serves production again")
        done = baton.card(f"Rolled back for an alert: {MODEL} 7 in production")
        assert f"<@{BOB}> rolled it back: P-3." in shown_text(done)
        assert labels(done) == []

    def test_a_storm_and_its_repetitions_are_one_proposal(self, baton: Baton) -> None:
        serving(baton)
        storm = [firing(name=f"Alert{number}") for number in range(30)]
        for _ in range(3):
            send(baton, *storm)
        message = baton.card(f"Alert: {MODEL} 7 in production")
        wait(lambda: "… and 22 more" in shown_text(baton.card("Alert: ")), "all of them")
        assert len([m for m in baton.cards() if "Alert: " in shown_text(m)]) == 1
        assert baton.scalar("SELECT count(*) FROM proposals") == 1
        assert labels(message)

    def test_of_a_storm_that_is_too_large_enough_is_taken_to_act_on(self, baton: Baton) -> None:
        serving(baton)
        long = {"annotations": {"summary": "error rate 9.864 %", "description": "x" * 1_000}}
        storm = [firing(name=f"Alert{number}", **long) for number in range(1_200)]
        assert send(baton, *storm).json() == {"alerts": 1_000, "news": 1_000, "left_out": 200}
        assert labels(baton.card(f"Alert: {MODEL} 7 in production")) == ["Roll back to 6", "Leave it"]

    @pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
    def test_what_cannot_be_kept_now_is_answered_so_that_it_is_sent_again(self, baton: Baton) -> None:
        """Alertmanager tries again after a 503, and after nothing else."""
        serving(baton)
        alert = firing()
        holder = sqlite3.connect(baton.server.database.engine.url.database, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")  # as if the database had far too much to do
        try:
            answer = send(baton, alert)
        finally:
            holder.execute("ROLLBACK")
            holder.close()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert send(baton, alert).json()["news"] == 1
        baton.card(f"Alert: {MODEL} 7 in production")

    def test_resolved_alerts_withdraw_it(self, baton: Baton) -> None:
        serving(baton)
        one, other = firing(name="One"), firing(name="Other")
        send(baton, one, other)
        baton.card("Alert: ")
        send(baton, resolved(one))
        assert baton.scalar("SELECT state FROM proposals") == "open"
        message = baton.card("Alert: ")
        send(baton, resolved(other))
        gone = baton.card(f"Resolved: {MODEL} 7 in production")
        assert labels(gone) == []
        said = baton.refused(baton.bob, message, "Roll back to 6")
        assert said == "The alerts are resolved, so there is nothing to roll back for."

    def test_somebody_may_leave_it_and_nobody_else_may(self, baton: Baton) -> None:
        serving(baton)
        send(baton, firing())
        message = baton.card("Alert: ")
        assert "that takes on-call" in baton.refused(baton.mallory, message, "Leave it")
        assert "that takes on-call" in baton.refused(baton.mallory, message, "Roll back to 6")
        baton.click(baton.bob, message, "Leave it")
        baton.card(f"Left as it is: {MODEL} 7 in production")
        assert baton.champion() == "7"

    def test_with_nothing_to_go_back_to_it_says_so(self, baton: Baton) -> None:
        baton.promoted("7")
        send(baton, firing())
        message = baton.card("Alert: ")
        assert "There is no earlier good version" in shown_text(message)
        assert labels(message) == []

    def test_a_button_that_was_overtaken_by_a_rollback_takes_nothing_else_back(self, baton: Baton) -> None:
        for version in "567":
            baton.promoted(version)
        send(baton, firing())
        message = baton.card(f"Alert: {MODEL} 7 in production")
        answer = baton.api("POST", "/rollbacks", model=MODEL, stage="production", reason="it drifts")
        assert answer.status_code == 201, answer.text
        baton.card(f"Rolled back: {MODEL} 6 serves production again")
        said = baton.refused(baton.bob, message, "Roll back to 6")
        assert said == "7 serves production no longer, so there is nothing to roll back for."
        assert baton.champion() == "6"

    def test_a_rollback_and_the_answer_to_its_proposal_commit_together(
        self, baton: Baton, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for version in "567":
            baton.promoted(version)
        send(baton, firing())
        message = baton.card(f"Alert: {MODEL} 7 in production")
        with monkeypatch.context() as dying:
            dying.setattr(Alerts, "_close", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                baton.server.services.alerts.accept(Actor.user(BOB, "Bob"), 1)
        assert baton.states() == ["succeeded"] * 3
        baton.click(baton.bob, message, "Roll back to 6")
        baton.card(f"Rolled back: {MODEL} 6 serves production again")
        assert baton.reigns() == [("5", False), ("6", False), ("7", False), ("6", True)]

    def test_an_alert_about_the_champion_stops_no_other_version_on_its_way(self, baton: Baton) -> None:
        """To stop it would bring the very version back that fires."""
        serving(baton)
        baton.receiver.reply = lambda _hook: (202, {})
        baton.register("8")
        baton.approve(baton.ask("8"))
        hook = baton.receiver.await_hooks(3)[-1]
        send(baton, firing())
        why = "P-3 has 8 on its way to production, and to stop it would bring 7 back; let it end first."
        assert labels(baton.card(why)) == []
        send(baton, firing("8", "CanaryErrorRateHigh"))
        mine = baton.card(f"Alert: {MODEL} 8 in production")
        assert "A rollback brings *7* back. P-3 is stopped half way." in shown_text(mine)
        assert labels(mine) == ["Roll back to 7", "Leave it"]
        with pytest.raises(Conflict, match=why):
            baton.server.services.alerts.accept(Actor.user(BOB, "Bob"), 1)
        baton.report(hook, "succeeded")
        gone = baton.card(f"Overtaken: {MODEL} 7 in production")
        assert "7 serves production no longer, so there is nothing to roll back for." in shown_text(gone)

    def test_an_alert_about_nothing_of_ours_is_kept_and_shown_nowhere(self, baton: Baton) -> None:
        serving(baton)
        for other in (firing(labels={"model": "unheard-of"}), firing("5"), firing(labels={"model": ""})):
            assert send(baton, other).status_code == 200
        assert baton.scalar("SELECT count(*) FROM proposals") == 0

    def test_an_alert_that_names_no_version_is_only_shown(self, baton: Baton) -> None:
        serving(baton)
        send(baton, firing(labels={"version": ""}))
        message = baton.card(f"Alert: {MODEL} in production")
        assert "Type ˋ/rollback" not in shown_text(message)
        assert "/rollback fraud-detector production because" in shown_text(message)
        assert labels(message) == []


class TestAuto:
    @pytest.fixture
    def policy(self) -> str:
        return policy_with("auto")

    def test_nobody_need_be_awake(self, baton: Baton) -> None:
        serving(baton)
        send(baton, firing(), firing(name="AndAnother"))
        baton.card(f"Rolled back: {MODEL} 6 serves production again")
        baton.card(f"Rolled back for an alert: {MODEL} 7 in production")
        send(baton, firing(name="AThird"))
        assert baton.champion() == "6"
        assert baton.states() == ["succeeded", "succeeded", "succeeded"]

    def test_what_began_long_ago_is_left_to_a_person(self, baton: Baton) -> None:
        serving(baton)
        began = datetime.now(UTC) - timedelta(hours=3)
        send(baton, firing(startsAt=began.isoformat()))
        message = baton.card("too long ago to be rolled back by itself")
        assert (
            f"This began at {began:%Y-%m-%d %H:%M} UTC, too long ago to be rolled back by itself: a person must look, "
            "and press the button or leave it."
        ) in shown_text(message)
        assert labels(message) == ["Roll back to 6", "Leave it"]
        assert baton.champion() == "7"
        send(baton, firing(name="OneThatBeganNow"))
        baton.card(f"Rolled back: {MODEL} 6 serves production again")
        assert baton.scalar("SELECT count(*) FROM proposals") == 1

    def test_with_nothing_to_go_back_to_a_person_is_told(self, baton: Baton) -> None:
        baton.promoted("7")
        send(baton, firing())
        told = shown_text(baton.card("It could not be rolled back by itself"))
        assert "There is no earlier good version" in told


class TestNotify:
    @pytest.fixture
    def policy(self) -> str:
        return policy_with("notify")

    def test_it_is_told_without_a_button(self, baton: Baton) -> None:
        serving(baton)
        send(baton, firing())
        message = baton.card("Alert: ")
        assert labels(message) == []


class TestSenders:
    def test_only_who_holds_the_token_is_heard(self, baton: Baton) -> None:
        for headers in ({"authorization": "Bearer wrong"}, {"x_none": "1"}, {"authorization": "Basic !!!"}):
            answer = send(baton, firing(), **headers)
            assert answer.status_code == 401
            assert "is not known" in answer.json()["detail"]

    def test_a_key_gives_the_first_answer_again_to_who_holds_the_token(self, baton: Baton) -> None:
        key = {"authorization": f"Bearer {TOKEN}", "idempotency_key": "page-1"}
        alert = firing(name="Once")
        assert send(baton, alert, **key).json()["news"] == 1
        again = send(baton, alert, **key)
        assert (again.json()["news"], again.headers["idempotent-replayed"]) == (1, "true")
        assert send(baton, alert, **key | {"authorization": "Bearer wrong"}).status_code == 401
        assert send(baton, firing(name="Other"), **key).status_code == 422

    def test_grafanas_signature_and_basic_authentication_will_do(self, baton: Baton) -> None:
        body = json.dumps({"alerts": [firing()]}).encode()
        signature = hmac.new(TOKEN.encode(), body, hashlib.sha256).hexdigest()
        assert post(baton, body, x_grafana_alerting_signature=signature).status_code == 200
        timed = hmac.new(TOKEN.encode(), b"1700000000:" + body, hashlib.sha256).hexdigest()
        headers = {"x_grafana_alerting_signature": timed, "x_grafana_alerting_timestamp": "1700000000"}
        assert post(baton, body, **headers).status_code == 200
        basic = base64.b64encode(f"anybody:{TOKEN}".encode()).decode()
        assert post(baton, body, authorization=f"Basic {basic}").status_code == 200
        assert post(baton, body + b" ", **headers).status_code == 401

    @pytest.mark.parametrize(
        ("body", "sentence"),
        [
            (b"[]", "has no list of alerts"),
            (b'{"alerts": [7]}', "alerts[0] is not an alert"),
            (b'{"alerts": [{"status": "maybe"}]}', "alerts[0].status is “maybe”"),
            (b'{"alerts": [{"status": "firing", "startsAt": "yesterday"}]}', "alerts[0].startsAt is “yesterday”"),
        ],
    )
    def test_what_is_wrong_with_a_body_is_said_in_one_sentence(self, baton: Baton, body: bytes, sentence: str) -> None:
        answer = post(baton, body, authorization=f"Bearer {TOKEN}")
        assert answer.status_code == 422
        assert sentence in answer.json()["detail"]

    def test_there_is_no_other_source(self, baton: Baton) -> None:
        answer = post(baton, b"{}", "grafana")
        assert answer.status_code == 404
