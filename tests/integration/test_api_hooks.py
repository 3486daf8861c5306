"""What other systems call: signed deployment reports; alerts and registry events that nobody configured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from standardwebhooks import Webhook

from bot.http.server import HttpServer
from core.store.database import Database
from core.store.report_tables import IdempotencyKey
from core.store.tables import DeploymentRow
from tests.integration.api_world import ALICE, SECRET, World, client, running
from tests.integration.test_api import problem, register

OTHER_SECRET = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


@pytest.fixture
def served(database: Database) -> Iterator[tuple[World, HttpServer]]:
    with running(database) as both:
        world, server = both
        with client(server, world.token()) as api:
            register(api, "7")
            register(api, "7", model="other")
        yield both


@pytest.fixture
def world(served: tuple[World, HttpServer]) -> World:
    return served[0]


@pytest.fixture
def target(served: tuple[World, HttpServer]) -> Iterator[httpx.Client]:
    with client(served[1]) as opened:
        yield opened


def deploying(world: World, model: str = "fraud") -> int:
    """A deployment that its target was asked for."""
    view = world.promotions.request(ALICE, model, "7", "staging")
    deployment = view.deployments[0].id
    assert world.deployments.begin(deployment)
    return deployment


def report(
    target: httpx.Client,
    deployment: object,
    body: dict[str, Any] | bytes,
    *,
    key: str = "msg_1",
    secret: str = SECRET,
    at: datetime | None = None,
    **changed: str,
) -> httpx.Response:
    """Signed by the reference library of Standard Webhooks."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    at = at or datetime.now(UTC)
    headers = {
        "webhook-id": key,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(key, at, raw.decode("utf-8", "replace")),
        "content-type": "application/json",
    } | changed
    return target.post(f"/api/v1/deployments/{deployment}/status", content=raw, headers=headers)


def state(world: World, deployment: int) -> str:
    with world.database.read() as session:
        return session.get_one(DeploymentRow, deployment).report


def test_a_signed_report_is_taken_and_twice_is_harmless(target: httpx.Client, world: World) -> None:
    deployment = deploying(world)
    answer = report(target, f"D-{deployment}", {"state": "in_progress", "url": "https://ci.example.com/1"})
    assert (answer.status_code, answer.json()["state"], answer.json()["taken"]) == (200, "in_progress", True)
    done = {"state": "succeeded", "message": "live"}
    assert report(target, f"D-{deployment}", done, key="msg_2").json()["taken"] is True
    again = report(target, f"D-{deployment}", done, key="msg_2")
    assert (again.status_code, again.json()["taken"]) == (200, False)
    assert "already" in again.json()["detail"]
    assert state(world, deployment) == "succeeded"
    assert "already" in problem(report(target, f"D-{deployment}", {"state": "failed"}, key="msg_3"), 409)
    assert state(world, deployment) == "succeeded"


def test_a_report_that_nobody_proves_is_refused_before_it_is_read(target: httpx.Client, world: World) -> None:
    deployment = f"D-{deploying(world)}"
    good = {"state": "succeeded"}
    unsigned = target.post(f"/api/v1/deployments/{deployment}/status", json=good)
    assert problem(unsigned, 401) == "The header webhook-id is missing; sign as Standard Webhooks does."
    assert "None of the signatures" in problem(report(target, deployment, good, secret=OTHER_SECRET), 401)
    old = datetime.now(UTC) - timedelta(minutes=6)
    assert "sign every attempt anew" in problem(report(target, deployment, good, at=old), 401)
    assert "sign every attempt anew" in problem(report(target, deployment, good, at=old + timedelta(minutes=12)), 401)
    changed = report(target, deployment, good, **{"webhook-id": "msg_other"})
    problem(changed, 401)
    problem(report(target, deployment, good, **{"webhook-timestamp": "soon"}), 401)
    problem(report(target, deployment, {"state": "nonsense"}, secret=OTHER_SECRET), 401)
    assert state(world, int(deployment[2:])) == ""


def test_a_report_for_one_deployment_says_nothing_of_another(target: httpx.Client, world: World) -> None:
    first, second = deploying(world), deploying(world, "other")
    body = {"state": "succeeded"}
    assert report(target, f"D-{first}", body).status_code == 200
    replayed = report(target, f"D-{second}", body)
    assert f"was used for a report of D-{first}" in problem(replayed, 409, "other-deployment")
    named = report(target, f"D-{second}", {"state": "succeeded", "deployment": f"D-{first}"}, key="msg_9")
    assert problem(named, 409) == f"This report is of D-{first}, but was sent to D-{second}."
    assert state(world, second) == ""
    right = report(target, f"D-{second}", {"state": "succeeded", "deployment": f"D-{second}"}, key="msg_10")
    assert right.status_code == 200


WRONG: list[tuple[Any, int, str]] = [
    ({"state": "done"}, 422, "state is “done”; write 'in_progress', 'succeeded' or 'failed'."),
    ({}, 422, "state is missing; give it."),
    ({"state": "failed", "message": 7}, 422, "message is 7; write text in quotes."),
    ({"state": "failed", "log": "x"}, 422, "log is not known here"),
    ({"state": "failed", "message": "x" * 10_001}, 422, "10000 characters at most"),
    ([], 422, "The body is not a JSON object"),
    (b"", 422, "The body is not a JSON object"),
    (b"{", 400, "not JSON"),
    (b'{"state": "failed", "message": "' + b"x" * 64_000 + b'"}', 413, "larger than 64 kB"),
    (b'{"state": "failed", "message": "\\u0000"}', 422, "message holds a character"),
]


def test_a_wrong_report_is_answered_with_one_sentence(target: httpx.Client, world: World) -> None:
    deployment = deploying(world)
    for body, status, part in WRONG:
        assert part in problem(report(target, f"D-{deployment}", body), status), body
    assert state(world, deployment) == ""


def test_a_deployment_that_there_is_not_takes_no_report(target: httpx.Client, world: World) -> None:
    body = {"state": "succeeded"}
    assert problem(report(target, "D-99", body), 404) == "There is no deployment D-99."
    for wrong in ("D-0", "D-abc", "P-1", "D-" + "9" * 30):
        assert "does not name a deployment" in problem(report(target, wrong, body), 422)
    view = world.promotions.request(ALICE, "fraud", "7", "staging")
    pending = view.deployments[0].ref
    assert "has not been asked for yet" in problem(report(target, pending, body), 409)


def test_alerts_and_registry_events_that_the_policy_does_not_name_are_refused(target: httpx.Client) -> None:
    alert = target.post("/api/v1/alerts/pager", json={})
    assert problem(alert, 404) == "This policy names no alert source called “pager”."
    event = target.post("/api/v1/registries/mlflow/events", json={})
    assert problem(event, 404) == "This policy names no registry called “mlflow”."


def test_a_report_may_carry_a_key_and_is_answered_once(target: httpx.Client, world: World) -> None:
    deployment = f"D-{deploying(world)}"
    key = {"idempotency-key": "ci-41"}
    first = report(target, deployment, {"state": "in_progress"}, **key)
    assert (first.status_code, first.json()["taken"]) == (200, True)
    again = report(target, deployment, {"state": "in_progress"}, key="msg_2", **key)
    assert (again.status_code, again.json()) == (200, first.json()), "with its own signature and time"
    assert again.headers["idempotent-replayed"] == "true"
    other = report(target, deployment, {"state": "succeeded"}, key="msg_3", **key)
    assert "used for another request" in problem(other, 422)
    assert "printable characters" in problem(
        report(target, deployment, {"state": "succeeded"}, **{"idempotency-key": "x" * 256}), 422
    )
    assert state(world, int(deployment[2:])) == "in_progress"


def test_a_key_opens_no_answer_to_whoever_proves_nothing(target: httpx.Client, world: World) -> None:
    deployment, body = f"D-{deploying(world)}", {"state": "in_progress"}
    key = {"idempotency-key": "k"}
    problem(report(target, deployment, body, secret=OTHER_SECRET, **key), 401)
    problem(report(target, "D-99", body, **key), 404)
    with world.database.read() as session:
        assert session.scalars(select(IdempotencyKey)).all() == [], "nobody unknown fills the database"
    assert report(target, deployment, body, **key).json()["taken"] is True, "nor takes a key away"
    problem(report(target, deployment, body, secret=OTHER_SECRET, **key), 401)


def test_keys_of_a_target_and_of_a_token_have_nothing_to_do_with_each_other(
    served: tuple[World, HttpServer], target: httpx.Client, world: World
) -> None:
    deployment, key = f"D-{deploying(world)}", {"idempotency-key": "k"}
    assert report(target, deployment, {"state": "in_progress"}, **key).status_code == 200
    with client(served[1], world.token(name="b")) as api:
        answer = api.post("/api/v1/models/x/versions", json={"version": "1"}, headers=key)
    assert answer.status_code == 201
