"""Training is asked for after drift, rollbacks and old age: once a cause, signed, until it was heard. On both databases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from bot.slack.blocks.card import lineage
from bot.slack.blocks.story import line
from core.alerts import Alerts
from core.policy.alerting import Alert
from core.policy.load import PolicyError, load
from core.retraining import Retraining
from core.store import audit, promotions, registry
from core.store.database import Database
from core.targets.standard_webhooks import parse_secrets
from core.targets.webhook import WebhookTarget
from tests.integration.api_world import BODY, POLICY, SECRET, World, client, running
from tests.integration.receiver import Hook, Receiver

RULE = "    retrain: {target: hook, on: [drift, rollback, age], after: 90d, at_most_every: 7d}\n"
ASKING = POLICY.replace("  - name: production\n", f"  - name: production\n{RULE}")


class Office:
    """The API's world, those who train, and what they answer."""

    def __init__(self, world: World, api: httpx.Client, receiver: Receiver) -> None:
        self.world, self.api, self.receiver = world, api, receiver
        self.target = WebhookTarget("hook", receiver.url, parse_secrets(SECRET), lambda: datetime.now(UTC))
        self.retraining = self.process()

    def process(self) -> Retraining:
        world = self.world
        return Retraining(world.database, world.policy, {"hook": self.target}, world.clock, "https://baton.example.com")

    def register(self, version: str, **more: Any) -> httpx.Response:
        return self.api.post("/api/v1/models/fraud/versions", json=BODY | {"version": version} | more)

    def tick(self, **later: float) -> None:
        self.world.later(**later)
        self.retraining.tick(self.world.time)

    def rolled_back(self, to: str, since: datetime) -> int:
        number = self.world.crown("fraud", to, "production", since)
        with self.world.database.note() as session:
            rolled = (
                "UPDATE promotions SET kind = 'rollback', champion_version_id = :old, reason = 'errors' WHERE id = :id"
            )
            session.execute(text(rolled), {"id": number, "old": 2})
        return number

    def alert(self, name: str, **labels: str) -> None:
        told = Alert(name, self.world.time, True, name, "PSI of amount is 0.4", "https://graf.example.com/1",
                     {"model": "fraud", "stage": "production"} | labels)  # fmt: skip
        Alerts(self.world.rollbacks).heard("grafana", [told], self.world.time)

    def events(self) -> list[tuple[str, str]]:
        found = [json.loads(each) for each in self.api.get("/api/v1/audit").text.splitlines()]
        return [(e["kind"], e["data"].get("reason", "")) for e in found if e["kind"].startswith("retraining")]


@pytest.fixture
def office(database: Database) -> Iterator[Office]:
    with (
        Receiver() as receiver,
        running(database, policy=load(ASKING)) as (world, server),
        client(server, world.token()) as api,
    ):
        office = Office(world, api, receiver)
        assert office.register("6").status_code == office.register("7").status_code == 201
        yield office
        office.target.close()
        assert receiver.problems == []


def test_a_rollback_asks_once_with_the_evidence_and_the_new_version_links_back(office: Office) -> None:
    world, now = office.world, office.world.time
    world.crown("fraud", "7", "production", now - timedelta(days=3))
    office.tick()
    assert office.receiver.hooks == [], "nothing happened"
    number = office.rolled_back("6", now - timedelta(hours=1))
    office.tick()
    (hook,) = office.receiver.hooks
    assert (hook.event["type"], hook.event["subject"], hook.event["id"]) == (
        "com.baton.retraining.requested.v1", "fraud", hook.id,
    )  # fmt: skip
    because = f"P-{number} rolled production back from version 7 to 6: errors"
    assert (hook.data["retraining"], hook.data["stage"], hook.data["reason"]) == ("R-1", "production", because)
    assert hook.data["cause"] == {
        "kind": "rollback", "promotion": f"P-{number}", "from_version": "7", "to_version": "6", "reason": "errors",
        "by": "user:U01ALICE",
    }  # fmt: skip
    champion = hook.data["champion"]
    assert (champion["model"]["version"], champion["promotion"]) == ("6", f"P-{number}")
    assert champion["metrics"][0] == {"name": "auc", "value": 0.93, "dataset": "eval"}
    assert champion["lineage"]["code"] == {"repo": "https://github.com/acme/fraud", "commit": "c0ffee"}
    for _ in range(3):
        office.tick(minutes=1)
        office.process().tick(world.time)
    assert len(office.receiver.hooks) == 1, "one cause, one request, whoever looks and however often"

    refused = office.register("8", lineage=BODY["lineage"] | {"retraining": "R-9"})
    assert (refused.status_code, refused.json()["detail"]) == (
        422,
        "lineage.retraining: nobody asked for R-9 of fraud; write the id that the request had, such as R-3.",
    )
    linked = BODY["lineage"] | {"retraining": hook.data["register"]["lineage"]["retraining"]}
    made = office.register("8", lineage=linked)
    assert (made.status_code, made.json()["lineage"]["because"]) == (201, because)
    assert office.register("8", lineage=linked).status_code == 200
    assert office.register("8").json()["detail"].startswith("fraud 8 is already registered with a different retraining")
    assert office.register("9", tags={"baton.retraining": "R-1"}).json()["lineage"]["retraining"] == "R-1"
    assert "retraining" not in office.register("10", tags={"baton.retraining": "R-77"}).json()["lineage"]
    with world.database.read() as session:
        shown = lineage(registry.version(session, "fraud", "8"))
        view = promotions.load(session, number)
        told = [line(each, view) for each in audit.about(session, number)]
    assert shown.startswith(f"Retrained because {because} (R-1) · Trained by dave@example.com")
    assert told == [
        f"🔁 Retraining is asked for (R-1): {because}",
        "📨 hook took R-1",
        "🔁 version 8 was trained for R-1",
        "🔁 version 9 was trained for R-1",
    ]


def test_drift_of_what_serves_asks_and_not_too_often(office: Office) -> None:
    office.world.crown("fraud", "7", "production", office.world.time - timedelta(days=3))
    office.alert("HighLatency")
    office.alert("DataDrift", version="3")
    office.alert("DriftOfClocks", kind="infrastructure")
    office.tick()
    assert office.receiver.hooks == []
    office.alert("PSI", kind="drift", version="7")
    office.tick()
    (hook,) = office.receiver.hooks
    assert (hook.data["cause"]["kind"], hook.data["reason"]) == ("drift", "PSI: PSI of amount is 0.4")
    assert hook.data["cause"]["labels"]["version"] == "7"
    office.alert("FeatureDriftHigh")
    office.tick(hours=2)
    assert len(office.receiver.hooks) == 1, "at most one in seven days"
    office.tick(days=8)
    assert len(office.receiver.hooks) == 1, "what was days ago asks for nothing any more"
    office.alert("FeatureDriftHigh")
    office.tick()
    assert [each.data["retraining"] for each in office.receiver.hooks] == ["R-1", "R-2"]


def test_an_old_champion_asks_once_in_each_period(office: Office) -> None:
    office.world.crown("fraud", "7", "production", office.world.time)
    office.tick(days=89)
    assert office.receiver.hooks == []
    office.tick(days=1, hours=2)
    (hook,) = office.receiver.hooks
    assert hook.data["reason"] == "version 7 has served production for 90 d 2 h; 90 d is how old it may get"
    office.tick(days=30)
    assert len(office.receiver.hooks) == 1
    office.tick(days=61)
    assert len(office.receiver.hooks) == 2


def test_a_tick_that_has_nothing_new_to_ask_takes_nobodys_turn_to_write(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, now = office.world, office.world.time
    world.crown("fraud", "7", "production", now - timedelta(days=100))
    office.rolled_back("6", now - timedelta(hours=1))
    office.alert("DataDrift")
    office.tick()
    assert len(office.receiver.hooks) == 1
    monkeypatch.setattr(world.database, "change", lambda: pytest.fail("nothing is to be written"))
    office.tick()


def test_it_is_sent_until_it_is_heard_with_one_id_and_one_body(office: Office) -> None:
    answers: list[tuple[int, dict[str, Any]]] = [(503, {}), (500, {}), (202, {})]
    heard: list[dict[str, Any]] = []

    def reply(hook: Hook) -> tuple[int, dict[str, Any]]:
        heard.append(hook.event)
        return answers.pop(0)

    office.receiver.reply = reply
    office.world.crown("fraud", "7", "production", office.world.time - timedelta(days=91))
    office.tick()
    office.tick(seconds=2)
    assert len(heard) == 1, "not before its pause is over"
    office.process().tick(office.world.time + timedelta(seconds=4))
    office.tick(seconds=30)
    office.tick(seconds=30)
    assert len(heard) == 3
    assert heard[0] == heard[1] == heard[2], "the id too"
    assert [kind for kind, _ in office.events()] == ["retraining_requested", "retraining_sent"]


def test_a_refusal_and_a_long_silence_are_told(office: Office) -> None:
    office.receiver.reply = lambda _hook: (410, {"message": "gone"})
    office.world.crown("fraud", "7", "production", office.world.time - timedelta(days=91))
    office.tick()
    assert office.events()[-1] == (
        "retraining_refused", "hook refused R-1 (it answered 410: gone); a person must look",
    )  # fmt: skip
    office.receiver.reply = lambda _hook: (503, {})
    office.tick(days=90)
    office.tick(days=3)
    assert office.events()[-1] == (
        "retraining_refused", "hook did not take R-2 in 3 d (it answered 503); a person must look",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (", after: 90d", "", "stages[2].retrain.on: names age, and not how old; add after, such as after: 90d."),
        (", age]", "]", "stages[2].retrain.after: says nothing where age is no cause; add age to on, or remove it."),
        ("target: hook, on", "target: jobs, on", '"jobs" is of type jenkins; name a target of type webhook.'),
        ("target: hook, on", "target: huk, on", 'there is no target "huk"; define it, or name one of hook.'),
        ("[drift,", "[drft,", '"drft" is not known here; write drift, rollback or age.'),
        ("  - name: development\n", f"  - name: development\n{RULE}", 'versions arrive in "development" by being registered'),
    ],
)  # fmt: skip
def test_a_rule_that_could_not_act_is_refused(old: str, new: str, said: str) -> None:
    jobs = '  jobs: {type: jenkins, url: "https://ci.example.com", job: train, user: baton, token_env: JENKINS_TOKEN}\n'
    assert load(ASKING + jobs)
    with pytest.raises(PolicyError) as refused:
        load((ASKING + jobs).replace(old, new))
    assert said in str(refused.value)
