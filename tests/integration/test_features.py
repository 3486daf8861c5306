"""Gates on features: looked up in Feast outside of any transaction, kept, and once more before a deployment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from core.decisions import Decisions
from core.features import FeatureLooks
from core.policy.load import PolicyError, load
from core.sources.feast import FeastSource
from core.store.database import Database
from tests.fakes.feast import FakeFeast
from tests.fakes.serving import says
from tests.integration.api_world import BOB, BODY, POLICY, World, client, running

GATE = '{features: {source: feast, service: "{{model}}_v{{version}}", project: live}}'
GATED = (
    POLICY.replace(
        "    approvals: {automatic: true}\n    deploy: {target: hook}\n", "    approvals: {automatic: true}\n"
    )
    .replace("requires: [staging]\n    gates:\n", f"gates:\n      - {GATE}\n")
    .replace("{quorum: 2,", "{quorum: 1,")
    + 'sources:\n  feast: {type: feast, url: "URL", token_env: FEAST_TOKEN}\n'
)


@pytest.fixture
def feast() -> Iterator[FakeFeast]:
    with FakeFeast(token="a-token") as fake:
        yield fake
        assert fake.problems == []


class Office:
    """The API's world with a feature store."""

    def __init__(self, world: World, api: httpx.Client, feast: FakeFeast) -> None:
        self.world, self.api, self.feast = world, api, feast
        self.looks = FeatureLooks(world.promotions, {"feast": FeastSource(feast.url, "a-token", timeout=5)})

    def ask(self, version: str) -> int:
        body = BODY | {"version": version}
        assert self.api.post("/api/v1/models/churn/versions", json=body).status_code == 201
        asked = self.api.post("/api/v1/promotions", json={"model": "churn", "version": version, "stage": "production"})
        assert asked.status_code == 201, asked.text
        return int(asked.json()["id"][2:])

    def look(self, **later: float) -> None:
        self.world.later(**later)
        self.looks.tick(self.world.time)

    def promotion(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"/api/v1/promotions/P-{number}").json()
        return found

    def found(self, number: int) -> tuple[str, str, str]:
        """(state, what the gate found, its sentence without the moment)."""
        kept = self.promotion(number)
        gate = next(each for each in kept["gates"] if each["gate"].startswith("feature service"))
        return kept["state"], gate["outcome"], gate["sentence"].partition(" (Looked")[0]

    def waiting(self, number: int) -> str:
        with self.world.database.read() as session:
            query = text("SELECT waiting_for FROM promotions WHERE id = :id")
            return str(session.execute(query, {"id": number}).scalar())


@pytest.fixture
def office(database: Database, feast: FakeFeast) -> Iterator[Office]:
    policy = load(GATED.replace("URL", feast.url))
    with running(database, policy=policy) as (world, server), client(server, world.token()) as api:
        office = Office(world, api, feast)
        yield office
        office.looks.stores["feast"].close()


def test_a_promotion_is_judged_when_feast_has_answered_and_asked_again_before_it_is_deployed(office: Office) -> None:
    now = office.world.time
    office.feast.serve("live", "churn_v7", "customer_stats", until=now - timedelta(hours=2))
    number = office.ask("7")
    assert (office.promotion(number)["state"], office.feast.requests) == ("evaluating", []), "nobody waited for Feast"
    office.look()
    until = (now - timedelta(hours=2)).astimezone(UTC)
    good = (
        "Feature service churn_v7 is in Feast's project live: 2 features of 1 view, all served, "
        f"materialised until {until:%Y-%m-%d %H:%M} UTC or later."
    )
    assert office.found(number) == ("awaiting_approval", "passed", good)
    (gate,) = [each for each in office.promotion(number)["gates"] if each["gate"].startswith("feature")]
    assert gate["sentence"] == f"{good} (Looked up {office.world.time:%Y-%m-%d %H:%M} UTC.)"
    assert gate["gate"] == "feature service churn_v7 of live served and fresh"

    office.world.later(hours=1)
    Decisions(office.world.promotions).approve(BOB, number)
    assert office.promotion(number)["state"] == "approved"
    assert office.waiting(number) == "Feature service churn_v7 is looked up in feast once more before it is deployed."
    assert office.world.promotions.start_waiting() == []
    office.look()
    assert office.world.promotions.start_waiting() == [number]
    assert office.waiting(number) == ""


def test_what_is_gone_before_the_deployment_stops_it(office: Office) -> None:
    office.feast.serve("live", "churn_v7", "customer_stats", until=office.world.time)
    number = office.ask("7")
    office.look()
    office.world.later(hours=1)
    Decisions(office.world.promotions).approve(BOB, number)
    office.feast.services.clear()
    office.look()
    assert office.world.promotions.start_waiting() == []
    gone = "Feature service churn_v7 does not exist in Feast's project live."
    assert office.found(number) == ("failed", "failed", gone)
    kept = office.api.get("/api/v1/audit").text
    assert '"evidence_changed"' in kept


@pytest.mark.parametrize(
    ("view", "sentence"),
    [
        ({"until": timedelta(days=2)}, "Feature view stats was materialised until {until} UTC, 2 d ago; its time to live is 1 d."),
        ({}, "Feature view stats was never materialised."),
        ({"until": timedelta(), "online": False}, "Feature view stats is not served online."),
    ],
)  # fmt: skip
def test_features_that_are_not_served_fresh_fail(office: Office, view: dict[str, Any], sentence: str) -> None:
    until = office.world.time - view["until"] if "until" in view else None
    office.feast.serve("live", "churn_v7", "stats", **view | {"until": until})
    number = office.ask("7")
    office.look()
    said = sentence.replace("{until}", f"{until:%Y-%m-%d %H:%M}" if until else "")
    assert office.found(number) == ("failed", "failed", said)


def test_feast_away_is_asked_again_and_in_the_end_no_data_is_a_no(office: Office) -> None:
    office.feast.serve("staging", "churn_v7", "stats", until=office.world.time)
    number = office.ask("7")
    office.feast.misbehave(says(503))
    office.look()
    assert office.promotion(number)["state"] == "evaluating"
    assert office.waiting(number) == "Feast answered 503; it is asked again."
    why = office.api.get("/api/v1/why", params={"model": "churn", "version": "7", "stage": "production"}).json()
    assert "Feature service churn_v7 was not looked up in feast yet. Feast answered 503; it is asked again." in str(why)
    office.feast.misbehave(says(404, {"message": "no such page"}))
    office.look(seconds=6)
    assert office.waiting(number) == "Feast answered 404, it is not at this url; it is asked again."
    asked = len(office.feast.requests)
    office.look(seconds=5)
    assert len(office.feast.requests) == asked, "not before its pause is over"
    office.feast.token = "another"
    office.look(minutes=11)
    assert office.found(number) == (
        "failed",
        "inconclusive",
        "Feature service churn_v7 could not be looked up: Feast answered 401, it wants to know who asks, 3 times.",
    )


def test_a_look_survives_a_withdrawn_promotion_and_a_dead_process(office: Office) -> None:
    office.feast.serve("live", "churn_v7", "stats", until=office.world.time)
    number = office.ask("7")
    with office.world.database.note() as session:  # somebody took it, and died
        session.execute(
            text("UPDATE feature_looks SET claimed_until = :until"),
            {"until": (office.world.time + timedelta(seconds=60)).strftime("%Y-%m-%d %H:%M:%S.%f+00:00")},
        )
    office.look()
    assert office.promotion(number)["state"] == "evaluating"
    office.look(seconds=61)
    assert office.promotion(number)["state"] == "awaiting_approval"
    other = office.ask("8")  # takes the place of the first
    assert office.api.post(f"/api/v1/promotions/P-{other}/cancel", json={}).status_code == 200
    office.look()
    assert (office.promotion(number)["state"], office.promotion(other)["state"]) == ("superseded", "cancelled")
    assert office.looks.tick(office.world.time) == [], "nobody waits for it any more"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("source: feast,", "source: prom,", '"prom" is of type prometheus; name a source of type feast.'),
        ("source: feast,", "source: fest,", 'there is no source "fest"; write feast, or define it.'),
        ("{{version}}", "{{stage}}", "asks for {{stage}}, which nobody fills in; write {{model}} or {{version}}."),
        ("{{version}}", "{{version", "has {{ that is not closed; write it like {{model}}_v{{version}}."),
        ("type: feast", "type: feats", '"feats" is not a known type; write one of prometheus, feast.'),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(old: str, new: str, said: str) -> None:
    written = GATED.replace("URL", "http://feast") + '  prom: {type: prometheus, url: "http://prom"}\n'
    assert load(written)
    with pytest.raises(PolicyError) as refused:
        load(written.replace(old, new))
    assert said in str(refused.value)


def test_an_on_demand_view_holds_nothing_and_a_service_need_only_be_there(feast: FakeFeast) -> None:
    from core.policy.features import Wanted

    source, now = FeastSource(feast.url, "a-token"), datetime(2026, 11, 23, 12, tzinfo=UTC)
    feast.serve("live", "churn_v7", "ratios", online=False, featureTransformation={})
    feast.views["live", "ratios"] = {"onDemandFeatureView": feast.views["live", "ratios"]}
    said = "Feature service churn_v7 is in Feast's project live: 2 features of 1 view"
    assert source.look(Wanted("feast", "churn_v7", "live", True), now).sentence == (
        f"{said}, all served, computed when asked for."
    )
    feast.views.clear()
    assert source.look(Wanted("feast", "churn_v7", "live", False), now).sentence == f"{said}."
    assert source.look(Wanted("feast", "churn_v7", "live", True), now).sentence == (
        "Feature view ratios does not exist in Feast's project live."
    )
    source.close()
