"""The API over a real socket, on both databases."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from bot.http.server import AddressTaken, HttpServer
from core.decisions import Decisions
from core.store.database import Database
from tests.conftest import DIALECTS
from tests.integration.api_world import ALICE, BOB, BODY, CAROL, World, client, running


@pytest.fixture
def served(database: Database) -> Iterator[tuple[World, HttpServer]]:
    with running(database) as both:
        yield both


@pytest.fixture(scope="module", params=DIALECTS)
def shared_api(
    request: pytest.FixtureRequest,
    new_database: Callable[[str, Path], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[httpx.Client]:
    """One server for all that is refused anyway; it knows fraud 7."""
    database = Database(new_database(request.param, tmp_path_factory.mktemp("shared")))
    with running(database) as (world, server), client(server, world.token()) as opened:
        register(opened)
        yield opened
    database.dispose()


@pytest.fixture
def world(served: tuple[World, HttpServer]) -> World:
    return served[0]


@pytest.fixture
def api(served: tuple[World, HttpServer]) -> Iterator[httpx.Client]:
    world, server = served
    with client(server, world.token()) as opened:
        yield opened


def register(api: httpx.Client, version: str = "7", model: str = "fraud", **changes: Any) -> httpx.Response:
    return api.post(f"/api/v1/models/{model}/versions", json=BODY | {"version": version} | changes)


def problem(answer: httpx.Response, status: int, slug: str = "") -> str:
    """The sentence of a problem document, which must be whole."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert {"type", "title", "status", "detail", "slug"} <= set(body)
    assert body["status"] == status
    assert slug in ("", body["slug"])
    assert "\n" not in body["detail"]
    return str(body["detail"])


# -- registering -------------------------------------------------------------------------------------------------


def test_a_version_is_registered_once_and_read_back_whole(api: httpx.Client) -> None:
    first = register(api)
    assert first.status_code == 201
    assert first.headers["location"] == "/api/v1/models/fraud/versions/7"
    assert register(api).status_code == 200
    kept = api.get("/api/v1/models/fraud/versions/7").json()
    assert kept["artifact"] == BODY["artifact"]
    assert kept["lineage"] == BODY["lineage"]
    assert kept["tags"] == BODY["tags"]
    assert kept["metrics"][0] == BODY["metrics"][0]
    assert kept["metrics"][1]["dataset"] == {"name": "train", "digest": "sha256:bb"}, "the lineage knows its digest"
    assert kept["registered_by"] == "token:ci"


def test_another_content_under_a_registered_name_is_refused(api: httpx.Client) -> None:
    register(api)
    said = problem(register(api, artifact={"uri": "s3://x", "digest": "sha256:cd"}), 409, "version-differs")
    assert said.startswith("fraud 7 is already registered with a different artifact digest (sha256:")
    assert api.get("/api/v1/models/fraud/versions/7").json()["artifact"] == BODY["artifact"]


def test_numbers_that_are_none_are_kept_as_no_data(api: httpx.Client) -> None:
    raw = json.dumps(
        {"version": "8", "metrics": [{"name": "a", "value": float("nan")}, {"name": "b", "value": "-Infinity"}]}
    )
    raw = raw.replace("}]", '}, {"name": "c", "value": 1e999}, {"name": "d", "value": null}]').replace(
        "1e999", "1" * 400
    )
    answer = api.post("/api/v1/models/fraud/versions", content=raw, headers={"content-type": "application/json"})
    assert answer.status_code == 201, answer.text
    assert [each["value"] for each in answer.json()["metrics"]] == [None] * 4
    assert [each["raw"] for each in answer.json()["metrics"]][:2] == ["NaN", "-Infinity"]


@pytest.mark.parametrize(
    ("changes", "field", "part"),
    [
        (
            {"metrics": [{"name": "auc", "value": "high"}]},
            "metrics[0].value",
            'metrics[0].value: "high" is not a number',
        ),
        ({"metrics": [{"name": "auc", "value": "0.9"}]}, "metrics[0].value", "without quotes"),
        ({"metrics": [{"name": "auc", "value": True}]}, "metrics[0].value", "true is not a number"),
        ({"metrics": [{"name": "auc", "value": [1]}]}, "metrics[0].value", "a list is not a number"),
        ({"metrics": [{"name": "auc"}]}, "metrics[0].value", "metrics[0].value is missing"),
        ({"metrics": [{"name": "a", "value": 1}, {"name": "a", "value": 2}]}, "metrics[1]", "both give a"),
        ({"metrics": [{"name": "a", "value": 1, "samples": -1}]}, "metrics[0].samples", "write 0 or more"),
        ({"metrics": {"auc": 1}}, "metrics", "metrics is an object; write a list, in [ ]."),
        ({"metrics": [{"name": f"m{n}", "value": 1} for n in range(501)]}, "metrics", "500"),
        ({"metrics": [1]}, "metrics[0]", "metrics[0] is 1; write an object, in { }."),
        ({"artifact": "s3://x"}, "artifact", "artifact is “s3://x”; write an object, in { }."),
        ({"lineage": []}, "lineage", "lineage is a list; write an object, in { }."),
        ({"tags": ["a"]}, "tags", "tags is a list; write an object, in { }."),
        ({"version": 7}, "version", "version is 7; write text in quotes."),
        ({"version": "\u202e\u200b"}, "version", "version is empty"),
        ({"version": ""}, "version", "version is empty"),
        ({"version": " 7"}, "version", "begins or ends with a blank"),
        ({"version": "7" * 101}, "version", "101 characters; 100 at most"),
        ({"version": "a\nb"}, "version", "control character U+000A"),
        ({"version": ".."}, "version", "no web address can hold"),
        ({"artefact": {}}, "artefact", "artefact is not known here"),
        ({"artifact": {"uri": "s3://x", "digest": ""}}, "artifact.digest", "artifact.digest"),
        ({"artifact": {"uri": "s" * 2001, "digest": "a:b"}}, "artifact.uri", "2,001 characters; 2,000 at most"),
        ({"model": "another"}, "model", "make them agree"),
        ({"tags": {"a": 1}}, "tags.a", "write text in quotes"),
    ],
)
def test_a_wrong_field_is_named_with_what_would_be_right(
    shared_api: httpx.Client, changes: dict[str, Any], field: str, part: str
) -> None:
    answer = shared_api.post("/api/v1/models/other/versions", json=BODY | changes)
    assert part in problem(answer, 422)
    assert answer.json()["field"] == field
    assert shared_api.get("/api/v1/models/other").status_code == 404, "nothing is half done"


def test_infinitely_many_samples_are_none(api: httpx.Client) -> None:
    body = b'{"version": "7", "metrics": [{"name": "a", "value": 1, "samples": Infinity}]}'
    answer = api.post("/api/v1/models/m/versions", content=body, headers={"content-type": "application/json"})
    assert problem(answer, 422) == "metrics[0].samples is Infinity; write a whole number."


def test_a_name_may_hold_anything_that_an_address_can_encode(api: httpx.Client) -> None:
    for model in ("org/model", "<!channel>", "ünï cödé", "a%2Fb", "💥", "x?y#z", "\u202eevil"):
        path = "/api/v1/models"
        answer = api.post(f"{path}/{quote(model, safe='')}/versions", json=BODY)
        assert answer.status_code == 201, answer.text
        assert answer.json()["model"] == model
        assert api.get(answer.headers["location"]).json()["model"] == model
        assert api.get(f"{path}/{quote(model, safe='')}").json()["name"] == model


# -- malformed requests ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "kind", "status", "part"),
    [
        (
            b"{",
            "application/json",
            400,
            "not JSON: expecting property name enclosed in double quotes at line 1, column 2",
        ),
        (b"\xff\xfe", "application/json", 400, "UTF-8"),
        (b"[" * 100_000, "application/json", 400, "nests too deep"),
        (b'{"a": ' + b"1" * 5000 + b"}", "application/json", 400, "number too long"),
        (b'{"model": "a\\u0000b"}', "application/json", 422, "model holds a character that cannot be kept"),
        (b'{"model": {"x": ["\\ud800"]}}', "application/json", 422, "model.x[0] holds a character"),
        (b'{"\\ud800": 1}', "application/json", 422, "body holds a character that cannot be kept"),
        (b"model=a", "application/x-www-form-urlencoded", 415, "send JSON, with Content-Type: application/json"),
        (b"{}", "", 415, "Content-Type is missing"),
        (b"[]", "application/json", 422, "The body is not a JSON object"),
        (b"", "application/json", 422, "The body is missing"),
        (b"null", "application/json", 422, "The body"),
        (b"x" * 1_000_001, "application/json", 413, "larger than 1,000 kB"),
    ],
)
def test_a_malformed_body_is_answered_with_one_sentence(
    shared_api: httpx.Client, content: bytes, kind: str, status: int, part: str
) -> None:
    headers = {"content-type": kind} if kind else {}
    assert part in problem(shared_api.post("/api/v1/promotions", content=content, headers=headers), status)


def test_a_body_without_end_is_cut_off(served: tuple[World, HttpServer]) -> None:
    world, server = served
    token = world.token()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(f"POST /api/v1/promotions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n".encode())
        raw.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        try:
            for _ in range(32):
                raw.sendall(chunk)
        except OSError:
            pass  # it hung up already
        assert b" 413 " in raw.recv(4096)


@pytest.mark.parametrize(
    ("path", "status", "part"),
    [
        ("/api/v1/nowhere", 404, "There is nothing at /api/v1/nowhere"),
        ("/api/v1/models/", 404, "nothing at"),
        ("/nowhere", 404, "/api/docs lists"),
        ("/api/v1/models/nope", 404, "There is no model called “nope”."),
        ("/api/v1/models/%00", 404, "There is no model called"),
        ("/api/v1/models/nope/versions/1", 404, "no model called"),
        ("/api/v1/models/fraud/versions/9", 404, "fraud has no version 9; its only one is 7."),
        ("/api/v1/models/fraud/stages/moon", 404, "There is no stage “moon”; the policy has development"),
        ("/api/v1/models/fraud/stages/production?at=yesterday", 422, "at is “yesterday”; write a moment such as"),
        ("/api/v1/models/fraud/stages/production?at=2026-01-01T00:00:00", 422, "names no time zone"),
        ("/api/v1/models/fraud/stages/production?at=2999-01-01T00:00:00Z", 422, "still to come"),
        ("/api/v1/models/fraud/stages/production?at=0001-01-01T00:00:00%2B14:00", 422, "no calendar holds"),
        ("/api/v1/promotions/P-abc", 422, "“P-abc” does not name a promotion; write P- and its number"),
        ("/api/v1/promotions/P-0", 422, "does not name a promotion"),
        ("/api/v1/promotions/P-" + "9" * 40, 422, "does not name a promotion"),
        ("/api/v1/promotions/P-999", 404, "There is no promotion P-999."),
        ("/api/v1/promotions?limit=-1", 422, "limit is “-1”; write 1 or more."),
        ("/api/v1/promotions?limit=many", 422, "limit is “many”; write a whole number."),
        ("/api/v1/promotions?limit=" + "9" * 30, 422, "limit is"),
        ("/api/v1/promotions?state=sleeping", 422, "state is “sleeping”; write active, or one of evaluating"),
        ("/api/v1/promotions?model=nope", 404, "no model called"),
        ("/api/v1/promotions?cursor=???", 422, "cursor is not one of ours"),
        ("/api/v1/promotions?cursor=YWJj", 422, "cursor is not one of ours"),
        ("/api/v1/models?cursor=%FF", 422, "cursor is not one of ours"),
        ("/api/v1/audit?after=-1", 422, "after is “-1”; write 0 or more."),
        ("/api/v1/why?model=fraud&version=7", 422, "stage is missing; give it."),
        ("/api/v1/why?model=fraud&version=7&stage=moon", 404, "stage"),
    ],
)
def test_a_wrong_address_is_answered_with_one_sentence(
    shared_api: httpx.Client, path: str, status: int, part: str
) -> None:
    assert part in problem(shared_api.get(path), status)


def test_a_method_that_an_address_has_not_is_refused_with_those_it_has(api: httpx.Client) -> None:
    answer = api.delete("/api/v1/promotions")
    assert problem(answer, 405) == "DELETE is not possible at /api/v1/promotions; GET, POST is."
    assert answer.headers["allow"] == "GET, POST"


# -- tokens ------------------------------------------------------------------------------------------------------


def test_without_a_known_token_nothing_opens(served: tuple[World, HttpServer]) -> None:
    world, server = served
    with client(server) as nobody:
        for headers in (
            {},
            {"authorization": "Basic eDp5"},
            {"authorization": "Bearer"},
            {"authorization": "Bearer x"},
        ):
            answer = nobody.get("/api/v1/models", headers=headers)
            problem(answer, 401)
            assert answer.headers["www-authenticate"].startswith("Bearer")
        right = world.token(name="old")
        assert nobody.get("/api/v1/models", headers={"authorization": f"bearer {right}"}).status_code == 200
        world.tokens.revoke(ALICE, "old")
        said = problem(nobody.get("/api/v1/models", headers={"authorization": f"Bearer {right}"}), 401, "bad-token")
        assert "revoked" in said
        assert right not in said
        assert problem(nobody.post("/api/v1/promotions", content=b"{"), 401), "who asks is settled before what"


def test_a_token_does_what_its_scopes_say_and_no_more(served: tuple[World, HttpServer]) -> None:
    world, server = served
    with (
        client(server, world.token("register", name="ci")) as ci,
        client(server, world.token("read", name="eye")) as eye,
    ):
        assert register(ci).status_code == 201
        said = problem(ci.get("/api/v1/models"), 403, "scope-missing")
        assert said.startswith("The token ci has the scope register; this call needs read.")
        assert eye.get("/api/v1/models").status_code == 200
        problem(eye.post("/api/v1/promotions", json={"model": "fraud", "version": "7", "stage": "staging"}), 403)
        problem(register(eye, "8"), 403)


# -- promotions --------------------------------------------------------------------------------------------------


def test_a_promotion_is_asked_for_looked_at_and_withdrawn(api: httpx.Client, world: World) -> None:
    register(api)
    answer = api.post("/api/v1/promotions", json={"model": "fraud", "version": "7", "stage": "staging", "reason": "go"})
    assert answer.status_code == 201, answer.text
    asked = answer.json()
    assert answer.headers["location"] == f"/api/v1/promotions/{asked['id']}"
    assert (asked["state"], asked["requester"]["actor"], asked["reason"]) == ("approved", "token:ci", "go")
    assert asked["deployments"][0]["state"] == "pending"
    assert api.get(answer.headers["location"]).json() == asked
    assert [each["id"] for each in api.get("/api/v1/promotions?state=active").json()["items"]] == [asked["id"]]
    again = api.post("/api/v1/promotions", json={"model": "fraud", "version": "7", "stage": "staging"})
    assert asked["id"] in problem(again, 409)
    gone = api.post(f"/api/v1/promotions/{asked['id']}/cancel", json={"reason": "changed my mind"})
    assert (gone.status_code, gone.json()["state"]) == (200, "cancelled")
    problem(api.post(f"/api/v1/promotions/{asked['id']}/cancel"), 409)
    assert api.get("/api/v1/promotions?state=active").json()["items"] == []


def test_why_lists_every_blocker(api: httpx.Client) -> None:
    register(api, metrics=[{"name": "auc", "value": 0.5}])
    answer = api.get("/api/v1/why", params={"model": "fraud", "version": "7", "stage": "production"}).json()
    assert answer["blocked"] is True
    kinds = {each["kind"]: each["blocking"] for each in answer["blockers"]}
    assert kinds["requires"] is True
    assert kinds["gate"] is True


def test_a_rollback_of_a_stage_that_nothing_serves_is_refused(api: httpx.Client) -> None:
    register(api)
    answer = api.post("/api/v1/rollbacks", json={"model": "fraud", "stage": "production", "reason": "errors"})
    assert "nothing to roll back" in problem(answer, 409)
    problem(api.post("/api/v1/rollbacks", json={"model": "fraud", "stage": "production"}), 422)


def test_the_champion_of_any_moment_can_be_asked_for(api: httpx.Client, world: World) -> None:
    register(api, "6")
    register(api, "7")
    start = world.time
    first = world.crown("fraud", "6", "production", start)
    second = world.crown("fraud", "7", "production", start + timedelta(hours=2))
    world.later(hours=3)
    url = "/api/v1/models/fraud/stages/production"
    now = api.get(url).json()
    assert (now["version"], now["promotion"], now["until"]) == ("7", f"P-{second}", None)
    then = api.get(url, params={"at": (start + timedelta(hours=1)).isoformat()}).json()
    assert (then["version"], then["promotion"]) == ("6", f"P-{first}")
    assert then["until"] == now["since"]
    assert then["requested_by"]["actor"] == str(ALICE)
    before = api.get(url, params={"at": (start - timedelta(seconds=1)).isoformat()}).json()
    assert before["version"] is None
    unencoded = api.get(f"{url}?at={(start + timedelta(hours=2)).isoformat()}")
    assert unencoded.json()["version"] == "7", "a plus that became a blank is understood"
    assert api.get("/api/v1/models/fraud").json()["champions"]["production"]["version"] == "7"


def test_approvers_of_the_champion_are_named(api: httpx.Client, world: World) -> None:
    register(api)
    world.crown("fraud", "7", "staging", world.time)
    asked = world.promotions.request(ALICE, "fraud", "7", "production", "good")
    Decisions(world.promotions).approve(BOB, asked.id)
    Decisions(world.promotions).approve(CAROL, asked.id)
    found = api.get(f"/api/v1/promotions/P-{asked.id}").json()
    assert [each["actor"] for each in found["decisions"]] == [str(BOB), str(CAROL)]
    assert found["approvals"]["met"] is True
    assert found["gates"][0]["outcome"] == "passed"


def test_what_a_query_leaves_empty_is_as_if_it_were_not_there(api: httpx.Client) -> None:
    register(api)
    asked = api.post("/api/v1/promotions", json={"model": "fraud", "version": "7", "stage": "staging"}).json()
    for query in ("state=&model=&stage=&limit=&cursor=", "model=fraud&state=", "&&", "state"):
        assert [each["id"] for each in api.get(f"/api/v1/promotions?{query}").json()["items"]] == [asked["id"]], query
    assert api.get("/api/v1/audit?after=&limit=").text.count("\n") > 1
    assert api.get("/api/v1/models/fraud/stages/production?at=").json()["version"] is None
    assert problem(api.get("/api/v1/why?model=fraud&version=&stage=staging"), 422) == "version is missing; give it."


def test_lists_come_in_pages_without_a_gap_or_a_double(api: httpx.Client) -> None:
    for number in range(7):
        register(api, str(number))
        register(api, "1", model=f"m{number}")
    for path, key in (("/api/v1/models/fraud/versions", "version"), ("/api/v1/models", "name")):
        seen: list[str] = []
        cursor = None
        while True:
            page = api.get(path, params={"limit": 3} | ({"cursor": cursor} if cursor else {})).json()
            assert len(page["items"]) <= 3
            seen += [each[key] for each in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
        everything = [each[key] for each in api.get(path, params={"limit": 200}).json()["items"]]
        assert seen == everything
        assert len(set(seen)) == len(seen)
    assert [v["version"] for v in api.get("/api/v1/models/fraud/versions").json()["items"]] == list("6543210")


# -- audit, health, metrics, page --------------------------------------------------------------------------------


def test_the_audit_comes_as_lines_from_any_event_on(api: httpx.Client) -> None:
    for number in range(3):
        register(api, str(number))
    answer = api.get("/api/v1/audit")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    events = [json.loads(line) for line in answer.text.splitlines()]
    assert [each["seq"] for each in events] == [1, 2, 3, 4]
    assert [each["kind"] for each in events] == ["token_created"] + ["version_registered"] * 3
    assert events[2]["prev_hash"] == events[1]["hash"]
    some = api.get("/api/v1/audit?after=1&limit=2").text.splitlines()
    assert [json.loads(line)["seq"] for line in some] == [2, 3]
    assert api.get("/api/v1/audit?after=99").text == ""


def test_readiness_says_what_is_missing(served: tuple[World, HttpServer]) -> None:
    world, server = served
    with client(server) as probe:
        assert probe.get("/healthz").json() == {"status": "alive"}
        assert probe.head("/readyz").status_code == 200
        world.slack = "the socket to Slack is not connected"
        answer = probe.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["reasons"] == ["the socket to Slack is not connected"]
        assert probe.get("/healthz").status_code == 200


def test_metrics_count_what_the_database_holds_and_what_was_answered(api: httpx.Client, world: World) -> None:
    register(api)
    api.post("/api/v1/promotions", json={"model": "fraud", "version": "7", "stage": "staging"})
    world.metrics.slack_error("chat.update", "ratelimited")
    world.metrics.hook("hook", "succeeded", 0.2)
    api.get("/api/v1/models/fraud")
    text = api.get("/metrics").text
    for line in (
        'baton_requests_total{kind="promotion"} 1.0',
        'baton_promotions{state="approved"} 1.0',
        'baton_decisions_total{kind="approval"} 0.0',
        'baton_slack_errors_total{error="ratelimited",method="chat.update"} 1.0',
        'baton_hook_seconds_count{outcome="succeeded",target="hook"} 1.0',
        'baton_http_requests_total{method="GET",route="/api/v1/models/{model}",status="200"} 1.0',
        "baton_message_queue_depth",
        "baton_message_oldest_seconds",
        "baton_deployment_queue_depth",
        "baton_deployment_oldest_seconds",
    ):
        assert line in text
    assert "_created" not in text


def test_the_page_and_the_description_name_every_call(served: tuple[World, HttpServer]) -> None:
    _, server = served
    with client(server) as reader:
        described = reader.get("/api/openapi.json").json()
        page = reader.get("/api/docs")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text
    for path in described["paths"]:
        assert path in page.text
    for path in (
        "/models/{model}/versions",
        "/promotions/{promotion}/cancel",
        "/deployments/{deployment}/status",
        "/audit",
    ):
        assert f"/api/v1{path}" in described["paths"]
    assert "HTTPValidationError" not in json.dumps(described)


def test_no_answer_names_the_server_or_may_be_cached(api: httpx.Client) -> None:
    for path in ("/api/v1/models", "/healthz", "/nowhere"):
        headers = api.get(path).headers
        assert "server" not in headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"


# -- when things break -------------------------------------------------------------------------------------------


def test_what_nobody_foresaw_is_answered_without_internals(
    api: httpx.Client, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret internals")

    world.promotions.why = broken  # type: ignore[method-assign, assignment]
    answer = api.get("/api/v1/why?model=a&version=b&stage=c")
    said = problem(answer, 500, "broken")
    assert "internals" not in answer.text
    assert answer.json()["incident"] in said
    assert answer.json()["incident"] in caplog.text


def test_a_database_that_is_away_is_503_and_nothing_to_worry_about(api: httpx.Client, world: World) -> None:

    def away(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("connection to 10.0.0.1 refused"))

    world.promotions.why = away  # type: ignore[method-assign, assignment]
    answer = api.get("/api/v1/why?model=a&version=b&stage=c")
    assert "10.0.0.1" not in answer.text
    assert "try again" in problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "5"


def test_slacks_requests_reach_their_handler_whole(database: Database) -> None:
    seen: list[tuple[str, Mapping[str, str], bytes]] = []

    def events(method: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        seen.append((method, headers, body))
        return 201, {"x-kept": "yes", "content-type": "text/plain"}, threading.current_thread().name.encode()

    with running(database, events) as (_, server), client(server) as slack:
        answer = slack.post("/slack/events", content=b"payload=%7B%7D", headers={"x-slack-signature": "v0=1"})
        assert (answer.status_code, answer.headers["x-kept"]) == (201, "yes")
        assert answer.text != "http", "it never blocks the event loop"
        assert seen[0][2] == b"payload=%7B%7D"
        assert seen[0][1]["x-slack-signature"] == "v0=1"
        problem(slack.post("/slack/events", content=b"x" * 1_000_001), 413)
        problem(slack.get("/slack/events"), 405)


def test_a_taken_port_is_said_in_a_sentence(served: tuple[World, HttpServer]) -> None:
    _, server = served
    second = HttpServer(lambda *_: None, "127.0.0.1", server.port)  # type: ignore[arg-type, return-value]
    for attempt in (second.bind, second.start):
        with pytest.raises(AddressTaken, match=f"Cannot listen on http://127.0.0.1:{server.port}"):
            attempt()
    second.stop()
