"""The command line on its own: what it needs to start, what it sends, what it says when it cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.bodies import version_body
from bot.client import Client, Declined, Unreachable
from bot.failures import explain
from bot.settings import SettingsError
from core.domain.errors import BadInput, Conflict


def test_metrics_of_the_command_line_follow_those_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "f.json"
    file.write_text(json.dumps({"model": "fraud", "metrics": [{"name": "auc", "value": 1}], "tags": {"a": "b"}}))
    assert version_body("fraud", "7", ["f1=0.5", "p99=1e3", "a=b=-2", "x=nan"], file) == {
        "model": "fraud",
        "version": "7",
        "metrics": [
            {"name": "auc", "value": 1},
            {"name": "f1", "value": 0.5},
            {"name": "p99", "value": 1000.0},
            {"name": "a=b", "value": -2.0},
            {"name": "x", "value": "nan"},
        ],
        "tags": {"a": "b"},
    }


@pytest.mark.parametrize("metric", ["auc", "auc=", "=1", "auc=high", ""])
def test_a_metric_that_is_none_is_refused(metric: str) -> None:
    with pytest.raises(BadInput, match="write NAME=NUMBER, such as"):
        version_body("m", "1", [metric], None)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"{", "is not JSON: expecting property name"),
        (b"\xff\xff", "is not text in UTF-8"),
        (b"[1]", "is not a JSON object"),
        (b"[" * 100_000, "nests too deep"),
        (b'{"model": "other"}', "make them agree"),
        (b'{"metrics": {"auc": 1}}', "metrics is not a list"),
    ],
)
def test_a_file_that_is_no_use_is_said(tmp_path: Path, content: bytes, part: str) -> None:
    file = tmp_path / "f.json"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=part):
        version_body("m", "1", [], file)


# -- the client --------------------------------------------------------------------------------------------------


def answering(*answers: httpx.Response | Exception) -> tuple[Client, list[httpx.Request]]:
    asked: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        answer = answers[min(len(asked), len(answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Client("http://baton.test/", "t", httpx.MockTransport(handle)), asked


def test_a_lost_answer_is_asked_for_again_under_the_same_key() -> None:
    client, asked = answering(httpx.ReadError("reset"), httpx.Response(201, json={"id": "P-1"}))
    assert client.post("/promotions", {}) == (201, {"id": "P-1"})
    keys = {request.headers["idempotency-key"] for request in asked}
    assert len(asked) == 2
    assert len(keys) == 1
    client.post("/promotions", {})
    assert asked[-1].headers["idempotency-key"] not in keys


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            httpx.ConnectError("no"),
            "Baton is not reachable at http://baton.test; is `baton serve` running, or is BATON_URL wrong?",
        ),
        (httpx.ReadTimeout("slow"), "Baton at http://baton.test did not answer in time; look with `baton status`"),
        (
            httpx.Response(200, text="<html>"),
            "What answers at http://baton.test is not Baton (HTTP 200); is BATON_URL wrong?",
        ),
        (httpx.Response(404, json={"error": "x"}), "What answers at http://baton.test is not Baton (HTTP 404)"),
        (httpx.Response(302, headers={"location": "/login"}), "is not Baton (HTTP 302)"),
        (httpx.Response(503, json={"slug": "unavailable", "detail": "Not just now."}), "Not just now."),
    ],
)
def test_what_cannot_be_reached_is_said(answer: Any, said: str) -> None:
    client, _ = answering(answer)
    with pytest.raises(Unreachable) as caught:
        client.get("/models")
    assert said in str(caught.value)


def test_a_problem_is_its_sentence() -> None:
    client, _ = answering(httpx.Response(409, json={"slug": "s", "detail": "No, since …"}))
    with pytest.raises(Declined, match="No, since …"):
        client.get("/models")


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, ["BATON_TOKEN is not set"]),
        ({"BATON_URL": "baton", "BATON_TOKEN": "x"}, ["BATON_URL is not an address"]),
        ({"BATON_URL": "http://u:p@h"}, ["BATON_URL is not an address", "BATON_TOKEN is not set"]),
        ({"BATON_URL": "http://h:99999", "BATON_TOKEN": "x"}, ["BATON_URL is not an address"]),
        ({"BATON_TOKEN": "a\nb"}, ["BATON_TOKEN is not a token"]),
        ({"BATON_TOKEN": "sesame→"}, ["BATON_TOKEN is not a token"]),
        ({"BATON_TOKEN_FILE": "/nowhere"}, ["BATON_TOKEN_FILE names “/nowhere”, which cannot be read"]),
    ],
)
def test_a_wrong_variable_is_said_without_its_secret(environ: dict[str, str], said: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        Client.from_environment(environ)
    assert len(caught.value.problems) == len(said)
    for problem, part in zip(caught.value.problems, said, strict=True):
        assert problem.startswith(part)
        assert "sesame" not in problem


# -- failures ----------------------------------------------------------------------------------------------------


def test_every_failure_has_its_exit_code_and_no_control_characters() -> None:
    assert explain(BadInput("x", "x is wrong\x1b[2J")) == (2, "x is wrong\\x1b[2J")
    assert explain(Conflict("s", "no")) == (1, "no")
    assert explain(Unreachable("away")) == (3, "away")
    assert explain(SettingsError(["a", "b"])) == (2, "a", "b")
    code, said = explain(RuntimeError("xoxb-123456-secret at postgresql://u:hunter22@h")) or (0, "")
    assert code == 70
    assert "secret at" not in said.replace("[secret] at", "")
    assert "hunter22" not in said
