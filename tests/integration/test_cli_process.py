"""The command line as a process: how little it needs to start, and what a terminal may be like."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

HEAVY = ("pydantic", "sqlalchemy", "fastapi", "slack_bolt", "slack_sdk", "httpx", "dbos", "alembic", "rich", "uvicorn")


def test_help_needs_nothing_heavy() -> None:
    code = f"""
import sys
from typer.testing import CliRunner
from bot.cli import app
import typer.main
assert typer.main.get_command(app).name == "baton"
loaded = [name for name in {HEAVY!r} if name in sys.modules and name != "rich"]
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_help_comes_at_once() -> None:
    took = []
    for _ in range(3):
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "bot", "--help"], capture_output=True, text=True, timeout=60)
        took.append(time.perf_counter() - began)
    assert done.returncode == 0
    assert "Commands:" in done.stdout
    assert min(took) < 1.0, "0.2 s on the machine it was measured on; this only catches a heavy import"


def test_a_terminal_that_knows_no_arrows_is_no_reason_to_break() -> None:
    code = "import sys; sys.argv = ['baton', 'token', 'create', 'é→', '--scope', 'read']; import bot.__main__ as m; m.main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        timeout=60,
        env={"PYTHONIOENCODING": "ascii", "PATH": "", "BATON_DATABASE_URL": "sqlite:////nowhere/→.db"},
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b".db; `baton migrate` makes it." in done.stderr


# -- bodies ------------------------------------------------------------------------------------------------------
