"""The evidence of a promotion as the API and the command line give it, from real databases."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from bot import evidence, verify_evidence
from bot.cli import app
from bot.http.server import HttpServer
from core.decisions import Decisions
from core.store import audit
from core.store.database import Database
from core.store.tables import DecisionRow, OverrideRow, PolicyText, RolloutRow
from tests.integration.api_world import ALICE, BOB, BODY, CAROL, World, client, running

Json = dict[str, Any]


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
    with client(server, world.token("read", "register")) as opened:
        yield opened


@pytest.fixture
def asked(api: httpx.Client, world: World) -> int:
    """Version 7 against 6; Bob approved, took it back and approved again, Carol approved."""
    worse = [{"name": "auc", "value": 0.91, "dataset": {"name": "eval", "digest": "sha256:aa"}}]
    for body in (BODY | {"version": "6", "metrics": worse}, BODY):
        assert api.post("/api/v1/models/fraud/versions", json=body).status_code == 201
    world.crown("fraud", "6", "production", world.time)
    world.crown("fraud", "7", "staging", world.time)
    found = world.promotions.request(ALICE, "fraud", "7", "production", "it finds <b>more</b>\nfraud").id
    decisions = Decisions(world.promotions)
    decisions.approve(BOB, found)
    decisions.withdraw(BOB, found)
    decisions.approve(BOB, found)
    decisions.approve(CAROL, found)
    return found


def evidence_of(api: httpx.Client, promotion: int) -> Json:
    answer = api.get(f"/api/v1/promotions/P-{promotion}/evidence")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="baton-P-{promotion}.json"'
    return dict(answer.json())


def wrong(made: Json) -> list[str]:
    return [sentence for holds, sentence in verify_evidence.own(made) if not holds]


def test_it_says_who_asked_what_was_measured_and_who_decided_on_what(
    api: httpx.Client, world: World, asked: int
) -> None:
    made = evidence_of(api, asked)
    assert (made["request"]["by"]["actor"], made["request"]["reason"]) == (str(ALICE), "it finds <b>more</b>\nfraud")
    assert made["candidate"]["artifact"]["digest"] == BODY["artifact"]["digest"]
    whole = next(each for each in made["metrics"] if each["metric"] == "auc" and not each["slice"])
    assert (whole["candidate"]["value"], whole["champion"]["value"], whole["candidate"]["samples"]) == (
        0.93,
        0.91,
        1000,
    )
    assert whole["change"] == pytest.approx(0.02)
    assert [(each["gate"], each["outcome"]) for each in made["gates"]] == [("auc at least 0.9", "passed")]
    told = [
        (each["by"]["name"], each["groups"], bool(each["void_at"]), each["void_reason"]) for each in made["decisions"]
    ]
    assert told == [
        ("Bob", ["ml-leads"], True, "withdrawn"),
        ("Bob", ["ml-leads"], False, ""),
        ("Carol", ["ml-leads"], False, ""),
    ]
    assert {each["evidence_digest"] for each in made["decisions"]} == {made["evidence"]["digest"]}
    assert made["policy"]["text"].startswith("\nversion: 1")
    assert made["policy"]["rules"]["name"] == "production"
    kinds = [each["kind"] for each in made["audit"]["events"]]
    assert kinds[:5] == ["requested", "gates_passed", "approved", "approval_withdrawn", "approved"]
    with world.database.read() as session:
        assert made["audit"]["head"]["hash"] == audit.verify(session).head
    assert made["audit"]["sound"] is True
    assert wrong(made) == []


def test_the_page_says_the_same_and_lets_nothing_run(api: httpx.Client, asked: int) -> None:
    answer = api.get(f"/api/v1/promotions/P-{asked}/evidence?format=html")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "it finds &lt;b&gt;more&lt;/b&gt;\nfraud" in answer.text
    for said in ("Withdrawn", "withdrawn", "auc at least 0.9", "Carol (user:U03CAROL)", "ml-leads"):
        assert said.lower() in answer.text.lower()
    assert "<a " not in answer.text


def test_delegation_limits_glass_and_rollout_are_in_it(api: httpx.Client, world: World, asked: int) -> None:
    with world.database.change() as session:
        session.add(
            OverrideRow(
                promotion_id=asked, actor=str(BOB), actor_name="Bob", reason="it burns", bypassed=["auc is low"],
                at=world.time, reviewed_at=world.time, reviewed_by=str(CAROL), reviewed_by_name="Carol", review="rightly so",
            )
        )  # fmt: skip
        session.add(
            RolloutRow(
                promotion_id=asked, strategy="canary", steps=[[5, 60], [100, 0]], step=1, traffic=5, phase="asking",
                phase_since=world.time, said="errors is 0.2", limits=[],
                progress={"began": world.time.isoformat(), "looks": 1, "looked": None, "metrics": []},
            )
        )  # fmt: skip
        session.add(
            DecisionRow(
                promotion_id=asked, actor="user:U04DAVE", actor_name="Dave", kind="approval", reason="", groups=["ml-leads"],
                evidence_digest="e", at=world.time, principal="user:U09ERIN", principal_name="Erin", limit_percent=10,
                limit_seconds=3600,
            )
        )  # fmt: skip
        session.execute(
            text(
                "INSERT INTO delegations (principal, principal_name, delegate, delegate_name, since, until) "
                "VALUES ('U09ERIN', 'Erin', 'U04DAVE', 'Dave', '2026-01-01 00:00:00', '2999-01-01 00:00:00')"
            )
        )
    made = evidence_of(api, asked)
    dave = made["decisions"][-1]
    assert (dave["for"]["name"], dave["delegated_until"]) == ("Erin", "2999-01-01T00:00:00.000000Z")
    assert (dave["limit_percent"], dave["limit_seconds"]) == (10, 3600)
    assert (made["override"]["reviewed_by"]["name"], made["override"]["review"]) == ("Carol", "rightly so")
    assert made["rollout"]["steps"] == [{"traffic": 5, "hold_seconds": 60}, {"traffic": 100, "hold_seconds": 0}]
    page = api.get(f"/api/v1/promotions/P-{asked}/evidence?format=html").text
    for said in (
        "The glass was broken",
        "rightly so",
        "errors is 0.2",
        "10 % for 1 h",
        "5 % for 1 min, then 100 %",
        "step 2 of 2, 5 %, asking",
    ):
        assert said in page


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("UPDATE audit_events SET actor_name = 'Mallory' WHERE kind = 'approved'", "was changed after it was written"),
        ("DELETE FROM audit_events WHERE kind = 'approval_withdrawn'", "does not follow on the event before it"),
        ("UPDATE promotions SET evidence = '{}'", "The evidence does not have the digest"),
    ],
)
def test_what_was_changed_in_the_database_is_said(
    api: httpx.Client, world: World, asked: int, statement: str, sentence: str
) -> None:
    with world.database.note() as session:
        if world.database.dialect == "sqlite":
            for name in ("audit_events_no_update", "audit_events_no_delete"):
                session.execute(text(f"DROP TRIGGER {name}"))
        else:
            session.execute(text("ALTER TABLE audit_events DISABLE TRIGGER ALL"))
        session.execute(text(statement))
    made = evidence_of(api, asked)
    assert made["audit"]["sound"] is False
    assert any(sentence in each["sentence"] for each in made["audit"]["checks"] if not each["holds"])


def test_a_policy_that_was_not_kept_and_evidence_older_than_digests_are_said(
    api: httpx.Client, world: World, asked: int
) -> None:
    with world.database.note() as session:
        session.execute(text("UPDATE promotions SET evidence = NULL, policy_version = 'lost'"))
        assert session.get(PolicyText, "lost") is None
    page = api.get(f"/api/v1/promotions/P-{asked}/evidence?format=html").text
    assert "The file was not kept." in page
    assert "It is older than evidence digests." in page
    assert wrong(evidence_of(api, asked)) == []


def test_what_there_is_not_is_refused(api: httpx.Client) -> None:
    assert api.get("/api/v1/promotions/P-99/evidence").json()["detail"] == "There is no promotion P-99."
    assert api.get("/api/v1/promotions/P-99/evidence?format=pdf").status_code == 422
    assert httpx.get(f"{api.base_url}/api/v1/promotions/P-1/evidence", trust_env=False).status_code == 401


def test_the_command_line_writes_both_and_a_stranger_verifies_them(
    served: tuple[World, HttpServer], asked: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, server = served
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BATON_URL", server.url)
    monkeypatch.setenv("BATON_TOKEN", world.token("read", name="auditor"))

    def baton(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == code, done.output
        return done.output

    said = baton("evidence", f"P-{asked}", "--out", str(tmp_path))
    made = json.loads((tmp_path / f"baton-P-{asked}.json").read_text("utf-8"))
    assert made["fingerprint"] in said
    assert made["fingerprint"] == evidence.fingerprint(verify_evidence.without(made, "fingerprint"))
    assert json.loads(baton("evidence", f"P-{asked}", "--json"))["promotion"] == f"P-{asked}"
    with world.database.read() as session:
        export = [json.dumps(audit.as_dict(each)) for each in audit.events(session)]
    (tmp_path / "audit.ndjson").write_text("\n".join(export), encoding="utf-8")
    head = made["audit"]["head"]
    for ending in ("html", "json"):
        program = [sys.executable, "-I", verify_evidence.__file__, f"baton-P-{asked}.{ending}", "audit.ndjson"]
        done = subprocess.run(
            [*program, f"{head['event']}:{head['hash'][:12]}"],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "cannot be written to" in baton("evidence", f"P-{asked}", "--out", str(tmp_path / "none"), code=2)
    assert "There is no promotion P-99." in baton("evidence", "P-99", code=1)
    with world.database.note() as session:
        session.execute(text("UPDATE promotions SET evidence = '{}'"))
    assert "do not verify" in baton("evidence", f"P-{asked}", code=1)
