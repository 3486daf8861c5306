"""The commands, from typing to exit code, against a running API and real databases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from bot import direct
from bot.cli import app
from core.store.database import Database
from tests.integration.api_world import ALICE, BODY, World, running

Cli = Callable[..., Result]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Cli:
    """`baton …` in an empty folder, with the test's database."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("BATON_", "SLACK_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("BATON_DATABASE_URL", database_url)

    def run(*arguments: str, code: int = 0, **environ: str | None) -> Result:
        done = CliRunner().invoke(app, arguments, env=environ)
        assert done.exit_code == code, done.output
        assert "Traceback" not in done.output
        return done

    return run


@pytest.fixture
def world(database: Database, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A running API, and the token for it in the environment."""
    with running(database) as (world, server):
        monkeypatch.setenv("BATON_URL", server.url)
        monkeypatch.setenv("BATON_TOKEN", world.token())
        yield world


def lines(done: Result) -> list[str]:
    return [line for line in done.stdout.splitlines() if line]


# -- by way of the API -------------------------------------------------------------------------------------------


def test_the_whole_way_of_a_version(cli: Cli, world: World, tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text(json.dumps(BODY | {"model": "fraud"}))
    assert cli("register", "fraud", "7", "--file", "f.json", "--metric", "f1=0.8").stdout == "Registered fraud 7.\n"
    again = cli("register", "fraud", "7", "--file", "f.json", "--metric", "f1=0.8")
    assert again.stdout == "fraud 7 was registered before, the same; nothing changed.\n"
    differs = cli("register", "fraud", "7", "--metric", "f1=0.8", code=1)
    assert differs.stderr.startswith("fraud 7 is already registered with a different artifact digest")
    (tmp_path / "card.md").write_text("# Fraud\n")
    signed = ("--signature", "f.json", "--card", "card.md")
    assert cli("register", "fraud", "6", *signed).stdout == "Registered fraud 6.\n"
    assert cli("register", "fraud", "6", *signed).stdout.startswith("fraud 6 was registered before")
    lost = cli("register", "fraud", "6", "--card", "lost.md", code=2)
    assert "--card “lost.md” cannot be read (No such file or directory)." in lost.stderr

    kept = cli("measure", "fraud", "7", "--metric", "auc=0.91", "--metric", "auc/DE=nan")
    assert kept.stdout == "2 measurements of fraud 7 kept; what the version was registered with stays as it is.\n"
    assert cli("measure", "fraud", "7", "--metric", "auc=0.9").stdout.startswith("1 measurement of fraud 7 kept;")
    assert cli("measure", "fraud", "7", "--file", "f.json").stdout.startswith("2 measurements of fraud 7 kept;")
    assert "metrics is empty; write at least one measurement." in cli("measure", "fraud", "7", code=1).stderr
    assert "fraud has no version 9" in cli("measure", "fraud", "9", "--metric", "auc=1", code=1).stderr

    assert cli("status").stdout == "No promotion is under way.\n"
    asked = cli("request", "fraud", "7", "staging", "--reason", "better")
    assert lines(asked)[0] == "P-1: fraud 7 → staging is approved."
    assert "Reason: better" in asked.stdout
    refused = cli("request", "fraud", "7", "staging", code=1)
    assert "P-1" in refused.stderr
    assert lines(cli("status"))[1].split() == ["P-1", "fraud", "7", "staging", "approved", "ci", "now"]
    assert "P-1: fraud 7 → staging is approved." in cli("show", "P-1").stdout
    assert "✗ production requires staging" in cli("why", "fraud", "7", "production").stdout
    assert "fraud has no champion in any stage yet" in cli("status", "fraud").stdout
    assert "There is no promotion P-9." in cli("show", "P-9", code=1).stderr
    assert "Nothing serves" in cli("rollback", "fraud", "staging", "--reason", "bad", code=1).stderr
    assert "#ml-promotions\n  Nothing waits." in cli("digest").stdout


def test_a_request_whose_gates_fail_exits_as_refused(cli: Cli, world: World) -> None:
    cli("register", "fraud", "7", "--metric", "auc=0.5")
    world.crown("fraud", "7", "staging", world.time)
    done = cli("request", "fraud", "7", "production", code=1)
    assert "P-2: fraud 7 → production is failed." in done.stdout
    assert "auc at least 0.9" in done.stdout
    assert cli("request", "fraud", "7", "production", "--json", code=1).stdout.startswith("{")


@pytest.mark.parametrize(
    "arguments",
    [
        ("register", "fraud", "8", "--metric", "auc=0.93"),
        ("request", "fraud", "7", "staging"),
        ("status",),
        ("status", "fraud"),
        ("show", "P-1"),
        ("why", "fraud", "7", "staging"),
        ("digest",),
        ("rollback", "fraud", "production", "--to", "6", "--reason", "bad"),
    ],
)
def test_json_is_the_apis_own_answer(cli: Cli, world: World, arguments: tuple[str, ...]) -> None:
    for version in ("6", "7"):
        cli("register", "fraud", version, "--metric", "auc=0.95")
        world.crown("fraud", version, "production", world.time)
        world.later(seconds=1)
    assert isinstance(json.loads(cli(*arguments, "--json").stdout), dict)


def test_json_is_the_apis_own_answer_also_where_that_is_no(cli: Cli, world: World) -> None:
    refused = cli("show", "P-99", "--json", code=1)
    said = json.loads(refused.stdout)
    assert (said["status"], said["slug"]) == (404, "unknown-promotion")
    assert refused.stderr == said["detail"] + "\n" == "There is no promotion P-99.\n"
    assert cli("show", "P-99", code=1).stdout == ""


@pytest.mark.parametrize("name", ["", " ", ".", ".."])
def test_a_name_that_is_none_is_refused_before_anything_is_asked(cli: Cli, world: World, name: str) -> None:
    for command in (("register", name, "1"), ("show", name)):
        assert f"“{name}” names nothing; write a model" in cli(*command, code=2).stderr


def test_a_rollback_names_where_it_goes(cli: Cli, world: World) -> None:
    for version in ("6", "7"):
        cli("register", "fraud", version)
        world.crown("fraud", version, "production", world.time)
        world.later(seconds=1)
    done = cli("rollback", "fraud", "production", "--reason", "errors")
    assert lines(done)[0].startswith("P-3: fraud 6 → production is ")
    assert lines(done)[1] == "A rollback."


def test_names_that_would_move_the_cursor_are_spelled_out(cli: Cli, world: World) -> None:
    evil = "\u202efraud\u200b"
    done = cli("register", evil, "7\u2066")
    assert done.stdout == "Registered \\u202efraud\\u200b 7\\u2066.\n"
    cli("request", evil, "7\u2066", "staging", "--reason", "a\x1b[2Jb\nP-9: forged")
    for shown in (cli("status").stdout, cli("show", "P-1").stdout, cli("status", evil).stdout):
        assert not set(shown) & set("\u202e\u200b\u2066\x1b")
        assert "\nP-9: forged" not in shown


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "said"),
    [
        (
            ("status",),
            {"BATON_URL": "http://127.0.0.1:9"},
            3,
            "Baton is not reachable at http://127.0.0.1:9; is `baton",
        ),
        (("status",), {"BATON_TOKEN": ""}, 2, "BATON_TOKEN is not set; "),
        (("status",), {"BATON_TOKEN": "baton_" + "x" * 43}, 1, "This token is not known, or was revoked"),
        (("status",), {"BATON_URL": "127.0.0.1"}, 2, "BATON_URL is not an address; "),
        (("status", "nobody"), {}, 1, "There is no model called “nobody”."),
        (("show", "12x"), {}, 1, "“12x” does not name a promotion; write P- and its number, such as P-12."),
        (("why", "nobody", "1", "staging"), {}, 1, "There is no model called “nobody”."),
        (("register", "a", " 1"), {}, 1, "version begins or ends with a blank"),
        (
            ("register", "a", "1", "--metric", "auc=high"),
            {},
            2,
            "--metric auc=high is not understood; write NAME=NUMBER",
        ),
        (("register", "a", "1", "--file", "nowhere.json"), {}, 2, "--file “nowhere.json” cannot be read"),
        (("register", "a"), {}, 2, "Missing argument"),
        (("rollback", "a", "b"), {}, 2, "Missing option '--reason'"),
        (("promote", "a"), {}, 2, "No such command 'promote'"),
        (("status", "--loud"), {}, 2, "No such option"),
    ],
)
def test_a_refusal_is_one_sentence_and_an_exit_code(
    cli: Cli, world: World, arguments: tuple[str, ...], environ: dict[str, str], code: int, said: str
) -> None:
    done = cli(*arguments, code=code, **environ)
    assert said in done.stderr
    assert done.stdout == ""


# -- directly in the database ------------------------------------------------------------------------------------


def test_tokens_are_made_listed_and_revoked(cli: Cli, world: World) -> None:
    made = cli("token", "create", "laptop", "--scope", "read,request", "--scope", "register", "--owner", "U01ALICE")
    secret = lines(made)[-1]
    assert cli("status", BATON_TOKEN=secret).stdout == "No promotion is under way.\n"
    listed = cli("token", "list").stdout
    assert "laptop  read, register, request  U01ALICE  now   live" in listed
    assert secret not in listed
    assert cli("token", "revoke", "laptop").stdout == "The token laptop is revoked; it opens nothing any more.\n"
    assert "was revoked" in cli("status", code=1, BATON_TOKEN=secret).stderr
    assert "revoked now" in cli("token", "list").stdout
    assert "no token called “x”" in cli("token", "revoke", "x", code=1).stderr
    assert "“write” is no scope" in cli("token", "create", "y", "--scope", "write", code=2).stderr


def test_the_audit_is_verified_and_written_out(cli: Cli, world: World, database: Database) -> None:
    for number in range(3):
        cli("register", "fraud" if number else "other", str(number))
    verified = cli("audit", "verify").stdout
    assert verified.startswith("4 events verified; head ")
    events = [json.loads(line) for line in lines(cli("audit", "export"))]
    assert [each["seq"] for each in events] == [1, 2, 3, 4]
    assert verified.endswith(f"{events[-1]['hash']}.\n")
    assert len(lines(cli("audit", "export", "--model", "fraud"))) == 2
    assert lines(cli("audit", "export", "--since", "2999-01-01")) == []
    assert len(lines(cli("audit", "export", "--until", "2999-01-01T00:00:00Z"))) == 4
    assert "write a day or a moment" in cli("audit", "export", "--since", "soon", code=2).stderr
    tamper(database)
    broken = cli("audit", "verify", code=1)
    assert broken.stderr == (
        "The audit chain is broken: event 3 was changed after it was written: its hash differs. "
        "2 events before it are sound.\n"
    )


def test_whoever_reads_an_export_slowly_keeps_no_transaction_open(
    cli: Cli, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL would break it off after half a minute."""
    for number in range(3):
        cli("register", "fraud", str(number))
    made: list[Database] = []

    def database(url: str) -> Database:
        made.append(Database(url))
        return made[-1]

    monkeypatch.setattr(direct, "Database", database)
    monkeypatch.setattr(direct, "PAGE", 2)
    read = []
    for line in direct.export_audit("", "", "fraud"):
        read.append(json.loads(line)["version"])
        assert made[0].engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert read == ["0", "1", "2"]


def tamper(database: Database) -> None:
    """As whoever owns the database could."""
    with database.engine.begin() as connection:
        on = " ON audit_events" if database.dialect == "postgresql" else ""
        connection.execute(text(f"DROP TRIGGER audit_events_no_update{on}"))
        connection.execute(text("UPDATE audit_events SET version = '99' WHERE seq = 3"))


def test_migrating_twice_is_harmless_and_old_databases_are_said(cli: Cli, tmp_path: Path, database: Database) -> None:
    fresh = f"sqlite:///{tmp_path}/fresh.db"
    assert "There is no database at" in cli("token", "list", code=1, BATON_DATABASE_URL=fresh).stderr
    assert not (tmp_path / "fresh.db").exists()
    assert "(before: empty)" in cli("migrate", BATON_DATABASE_URL=fresh).stdout
    assert "nothing changed" in cli("migrate", BATON_DATABASE_URL=fresh).stdout
    with database.engine.begin() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
    assert "run `baton migrate`" in cli("audit", "verify", code=1).stderr


def test_a_database_that_is_away_is_said_without_its_password(cli: Cli) -> None:
    away = "postgresql://baton:hunter22@127.0.0.1:9/baton"
    for command in (("audit", "verify"), ("token", "list"), ("migrate",)):
        done = cli(*command, code=3, BATON_DATABASE_URL=away)
        assert "The database cannot be reached" in done.stderr
        assert "hunter22" not in done.output


# -- files -------------------------------------------------------------------------------------------------------


def test_init_writes_a_policy_that_check_accepts_and_never_twice(cli: Cli, tmp_path: Path) -> None:
    said = cli("init").stdout
    assert "Wrote baton.yml" in said
    assert "manifest.yml" in said
    assert "is there already" in cli("init", code=1).stderr
    environ = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": "abc", "HOOK_SECRET": "def"}
    assert cli("check", **environ).stdout == "Everything checked is in order.\n"


def test_the_schema_of_the_policy_is_printed(cli: Cli) -> None:
    schema = json.loads(cli("schema").stdout)
    assert schema["title"] == "Baton policy"
    assert {"version", "slack", "stages"} <= set(schema["properties"])


def test_serve_says_what_is_missing_before_anything_runs(cli: Cli) -> None:
    done = cli("serve", code=2)
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET"]


def test_the_real_command_says_the_same_as_a_process(cli: Cli, world: World, tmp_path: Path) -> None:
    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "bot", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            env=dict(os.environ) | {"PYTHONPATH": str(ROOT)} | environ,
        )

    assert run("register", "fraud", "7", "--metric", "auc=0.9").stdout == "Registered fraud 7.\n"
    piped = subprocess.run(
        [sys.executable, "-m", "bot", "register", "fraud", "8", "--file", "-"],
        input=json.dumps({"tags": {"a": "b"}}),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env=dict(os.environ) | {"PYTHONPATH": str(ROOT)},
    )
    assert piped.stdout == "Registered fraud 8.\n"
    away = run("status", BATON_URL="http://127.0.0.1:9")
    assert (away.returncode, away.stdout) == (3, "")
    assert away.stderr.startswith("Baton is not reachable")
    assert run().returncode == 2


def test_who_asks_is_the_token(cli: Cli, world: World) -> None:
    cli("register", "fraud", "7")
    shown: dict[str, Any] = json.loads(cli("request", "fraud", "7", "staging", "--json").stdout)
    assert shown["requester"] == {"actor": "token:ci", "name": "ci"}
    assert world.promotions.view(1).requester != ALICE
