"""`Idempotency-Key`, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import select

from bot.http.server import HttpServer
from core.domain.model import Actor
from core.store import idempotency
from core.store.database import Database
from core.store.report_tables import IdempotencyKey
from tests.integration.api_world import BODY, World, client, running
from tests.integration.test_api import problem, register

ASK = {"model": "fraud", "version": "7", "stage": "staging"}


@pytest.fixture
def served(database: Database) -> Iterator[tuple[World, HttpServer]]:
    with running(database) as both:
        yield both


@pytest.fixture
def api(served: tuple[World, HttpServer]) -> Iterator[httpx.Client]:
    world, server = served
    with client(server, world.token()) as opened:
        register(opened)
        yield opened


def ask(api: httpx.Client, key: str, **changes: str) -> httpx.Response:
    return api.post("/api/v1/promotions", json=ASK | changes, headers={"Idempotency-Key": key})


def test_the_same_request_again_gets_the_first_answer_and_does_nothing(api: httpx.Client) -> None:
    first = ask(api, "k1")
    assert first.status_code == 201
    assert "idempotent-replayed" not in first.headers
    again = ask(api, "k1")
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert len(api.get("/api/v1/promotions").json()["items"]) == 1
    assert ask(api, "k2").status_code == 409, "another key is another request"


def test_a_refusal_is_repeated_too(api: httpx.Client) -> None:
    ask(api, "first")
    refused = ask(api, "k")
    said = problem(refused, 409)
    again = ask(api, "k")
    assert problem(again, 409) == said
    assert again.headers["idempotent-replayed"] == "true"


def test_a_key_is_good_for_one_request_only(api: httpx.Client) -> None:
    ask(api, "k")
    assert "used for another request" in problem(ask(api, "k", reason="other"), 422)
    elsewhere = api.post("/api/v1/models/x/versions", json=BODY, headers={"Idempotency-Key": "k"})
    problem(elsewhere, 422)


def test_a_request_with_a_wrong_field_may_be_mended_under_its_key(api: httpx.Client) -> None:
    problem(ask(api, "k", stage="moon" * 0), 422)
    assert ask(api, "k").status_code == 201


def test_keys_of_different_tokens_have_nothing_to_do_with_each_other(served: tuple[World, HttpServer]) -> None:
    world, server = served
    with client(server, world.token(name="a")) as one, client(server, world.token(name="b")) as other:
        headers = {"Idempotency-Key": "k"}
        assert one.post("/api/v1/models/x/versions", json=BODY, headers=headers).status_code == 201
        answer = other.post("/api/v1/models/x/versions", json=BODY, headers=headers)
        assert answer.status_code == 200
        assert "idempotent-replayed" not in answer.headers


@pytest.mark.parametrize("key", ["x" * 256, "a\tb", "k\xe9y"])
def test_a_key_that_is_none_is_refused(api: httpx.Client, key: str) -> None:
    headers = [(b"Idempotency-Key", key.encode("latin-1"))]
    answer = api.post("/api/v1/promotions", json=ASK, headers=headers)
    assert "printable characters" in problem(answer, 422)


def test_after_a_day_a_key_is_new_again(served: tuple[World, HttpServer], api: httpx.Client) -> None:
    world, _ = served
    ask(api, "k")
    world.later(hours=23, minutes=59)
    assert ask(api, "k").headers["idempotent-replayed"] == "true"
    world.later(minutes=2)
    assert ask(api, "k").status_code == 409, "asked anew; the domain itself knows that it is there"
    world.later(hours=25)
    assert idempotency.prune(world.database, world.time) == 1


def test_while_the_first_is_at_work_the_second_waits_outside(
    served: tuple[World, HttpServer], api: httpx.Client
) -> None:
    world, server = served
    inside, go_on = threading.Event(), threading.Event()
    original = world.promotions.request

    def slow(*given: object) -> object:
        inside.set()
        go_on.wait(10)
        return original(*given)  # type: ignore[arg-type]

    world.promotions.request = slow  # type: ignore[method-assign, assignment]
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, api, "k")
        assert inside.wait(10)
        with client(server, api.headers["authorization"].removeprefix("Bearer ")) as second:
            assert "still at work" in problem(ask(second, "k"), 409, "idempotency-in-progress")
        go_on.set()
        assert first.result().status_code == 201
    assert ask(api, "k").headers["idempotent-replayed"] == "true"


def test_of_many_at_once_one_does_it(served: tuple[World, HttpServer], api: httpx.Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(api, "k"), range(8)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert all(a.json()["slug"] == "idempotency-in-progress" for a in answers if a.status_code == 409)
    assert len(api.get("/api/v1/promotions").json()["items"]) == 1


def test_a_crash_between_doing_and_recording_does_not_do_it_twice(
    served: tuple[World, HttpServer], api: httpx.Client
) -> None:
    world, _ = served
    first = ask(api, "k")
    with world.database.note() as session:  # as the row was when the process died
        row = session.scalars(select(IdempotencyKey)).one()
        row.status, row.body = None, None
    problem(ask(api, "k"), 409, "idempotency-in-progress")
    world.later(seconds=61)
    assert first.json()["id"] in problem(ask(api, "k"), 409), "the domain tells, naming the first"
    assert len(api.get("/api/v1/promotions").json()["items"]) == 1


def test_what_broke_may_be_tried_again_under_its_key(served: tuple[World, HttpServer], api: httpx.Client) -> None:
    world, _ = served
    original = world.promotions.request

    def broken(*_: object) -> object:
        raise RuntimeError("once")

    world.promotions.request = broken  # type: ignore[method-assign, assignment]
    problem(ask(api, "k"), 500)
    world.promotions.request = original  # type: ignore[method-assign]
    assert ask(api, "k").status_code == 201


def test_rows_are_kept_for_tokens_only(database: Database) -> None:
    with running(database) as (world, _):
        token = world.tokens.create(Actor.system("t"), "ci", ["admin"])[0]
        assert idempotency.begin(database, token.id, "k", "h", world.time) is None
        idempotency.release(database, token.id, "k")
        assert idempotency.begin(database, token.id, "k", "other", world.time) is None
