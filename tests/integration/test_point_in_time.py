"""What served any stage at any moment, by whose word: over the API and by the command line, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from bot.cli import app
from bot.http.server import HttpServer
from core.store.database import Database
from core.store.tables import DecisionRow, OverrideRow
from tests.integration.api_world import ALICE, BOB, BODY, CAROL, World, client, running

HOUR = timedelta(hours=1)


@pytest.fixture
def served(database: Database) -> Iterator[tuple[World, HttpServer]]:
    with running(database) as both:
        yield both


@pytest.fixture
def world(served: tuple[World, HttpServer]) -> World:
    return served[0]


@pytest.fixture
def api(served: tuple[World, HttpServer]) -> Iterator[httpx.Client]:
    world, server = served
    with client(server, world.token()) as opened:
        for model in ("a", "b", "churn", "d", "e", "f", "fraud", "größe/ß", "never served"):
            for version in ("6", "7"):
                path = f"/api/v1/models/{model.replace('/', '%2F')}/versions"
                assert opened.post(path, json=BODY | {"version": version}).status_code == 201
        yield opened


def decide(world: World, promotion: int, *said: dict[str, Any]) -> None:
    with world.database.change() as session:
        for each in said:
            who = each.pop("who")
            row = {"actor": str(who), "actor_name": who.name, "kind": "approval", "reason": "", "groups": ["ml-leads"]}
            session.add(
                DecisionRow(**row | {"promotion_id": promotion, "evidence_digest": "e", "at": world.time} | each)
            )


def champions(api: httpx.Client, **params: Any) -> list[dict[str, Any]]:
    """Every page."""
    found: list[dict[str, Any]] = []
    while True:
        page = api.get("/api/v1/champions", params=params).json()
        assert len(page["items"]) <= params.get("limit", 50)
        found += page["items"]
        if page["next"] is None:
            return found
        params["cursor"] = page["next"]


def test_it_says_who_approved_for_whom_and_not_whose_approval_was_void(api: httpx.Client, world: World) -> None:
    promotion = world.crown("fraud", "7", "production", world.time)
    decide(
        world,
        promotion,
        {"who": BOB, "void_at": world.time, "void_reason": "withdrawn"},
        {"who": CAROL, "principal": str(ALICE), "principal_name": "Alice"},
    )
    found = api.get("/api/v1/models/fraud/stages/production").json()
    assert found["approved_by"] == [
        {
            "actor": str(CAROL),
            "name": "Carol",
            "for": {"actor": str(ALICE), "name": "Alice"},
            "at": found["approved_by"][0]["at"],
            "groups": ["ml-leads"],
            "evidence_digest": "e",
        }
    ]
    assert (found["digest"], found["kind"], found["override"]) == ("sha256:" + "ab" * 32, "promotion", None)


def test_it_says_that_the_glass_was_broken_and_who_ended_it(api: httpx.Client, world: World) -> None:
    first = world.crown("fraud", "6", "production", world.time)
    with world.database.change() as session:
        session.add(
            OverrideRow(
                promotion_id=first, actor=str(BOB), actor_name="Bob", reason="it burns", bypassed=["auc"], at=world.time
            )
        )
    second = world.crown("fraud", "7", "production", world.time + HOUR)
    then = world.time.isoformat()
    world.later(hours=2)
    found = api.get("/api/v1/models/fraud/stages/production", params={"at": then}).json()
    assert (found["override"]["name"], found["override"]["reason"]) == ("Bob", "it burns")
    assert (found["ended_by"], found["approved_by"]) == (f"P-{second}", [])


def test_all_stages_of_all_models_come_page_by_page_as_they_were_then(api: httpx.Client, world: World) -> None:
    start = world.time
    for model in ("fraud", "größe/ß", "churn"):
        world.crown(model, "6", "staging", start)
        world.crown(model, "6", "production", start + HOUR)
        world.crown(model, "7", "production", start + 2 * HOUR)
    world.later(hours=3)

    def then(hours: float, **params: Any) -> list[tuple[str, str, str]]:
        found = champions(api, at=(start + hours * HOUR).isoformat(), **params)
        return [(each["model"], each["stage"], each["version"]) for each in found]

    assert then(-1) == []
    models = ("churn", "fraud", "größe/ß")
    assert then(0.5) == [(model, "staging", "6") for model in models]
    assert then(0.5, limit=2) == then(0.5), "models that nothing served are no gap"
    assert then(-1, limit=1) == []
    both = [(model, stage, "6") for model in models for stage in ("production", "staging")]
    assert then(1.5) == both
    for limit in (1, 2, 3, 6):
        assert then(1.5, limit=limit) == both
    assert then(1, model="fraud") == both[2:4], "from the very moment on"
    assert then(2, model="fraud") == [("fraud", "production", "7"), ("fraud", "staging", "6")], "and until it"
    assert [each["version"] for each in champions(api)] == ["7", "6"] * 3


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        ("at=2999-01-01T00:00:00Z", 422, "still to come"),
        ("at=noon", 422, "write a moment such as"),
        ("model=nobody", 404, "There is no model called “nobody”."),
        ("cursor=abc", 422, "cursor is not one of ours"),
        ("cursor=WzEsMl0", 422, "cursor is not one of ours"),
        ("cursor=MTI", 422, "cursor is not one of ours"),
    ],
)
def test_what_cannot_be_answered_is_said_in_one_sentence(
    api: httpx.Client, query: str, status: int, sentence: str
) -> None:
    answer = api.get(f"/api/v1/champions?{query}")
    assert answer.status_code == status
    assert sentence in answer.json()["detail"]


def test_the_command_line_says_it_too(
    served: tuple[World, HttpServer], api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, server = served
    promotion = world.crown("fraud", "6", "production", world.time)
    decide(world, promotion, {"who": CAROL, "principal": str(ALICE), "principal_name": "Ali\u202ece"})
    monkeypatch.setenv("BATON_URL", server.url)
    monkeypatch.setenv("BATON_TOKEN", world.token(name="reader"))

    def baton(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == code, done.output
        return done.output

    for said in (baton("at", "fraud", "now"), baton("at", "fraud", "now", "production")):
        assert said.splitlines()[0].startswith("production: fraud 6, from ")
        assert "Approved by Carol for Ali\\u202ece (ml-leads)." in said
        assert f"By P-{promotion}, asked for by Alice." in said
    assert "Nobody served then" in baton("at", "fraud", "2020-01-01")
    assert "Nobody served then" in baton("at", "fraud", "2020-01-01", "production")
    assert '"version": "6"' in baton("at", "fraud", "now", "--json")
    assert "is not understood as a moment" in baton("at", "fraud", "soon", code=2)
    assert "still to come" in baton("at", "fraud", "2999-01-01", code=2)
    assert "There is no model" in baton("at", "nobody", "now", code=1)
    assert "There is no stage" in baton("at", "fraud", "now", "nowhere", code=1)
