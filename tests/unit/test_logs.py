"""Nothing secret reaches the log, however it gets there; and what is told often is told briefly."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy.exc import OperationalError

from bot import logs
from bot.serve import _logged

TOKEN = "baton_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V"


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """A stream, with the process's logging put back afterwards."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.excepthook, threading.excepthook
    levels = {name: logging.getLogger(name).level for name in logs.TALKATIVE}
    yield io.StringIO()
    root.handlers[:], root.level, sys.excepthook, threading.excepthook = before
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(capture=False)


def _broken(with_what: str = "hunter22") -> None:
    raise RuntimeError(with_what)


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_secret_is_blotted_out_of_messages_arguments_and_tracebacks(out: io.StringIO, style: str) -> None:
    logs.configure("info", style, lambda: ["hunter22", 'quo"te\\d'], out)
    log = logging.getLogger("bot.x")
    log.info("the password is %s, the token %s", "hunter22", TOKEN)
    log.warning("xoxb-123-456-abc and xapp-1-A2-3 and whsec_MfKQ9r8GKYqrTwjU and postgresql://u:p4ss@h/d")
    log.warning({"nested": 'quo"te\\d'})
    try:
        _broken("Authorization: Bearer abcdefghijkl hunter22")
    except RuntimeError:
        log.exception("it broke")
    said = out.getvalue()
    for secret in ("hunter22", TOKEN, "xoxb-", "xapp-", "MfKQ9r8G", "p4ss", "abcdefghijkl", "te\\\\d", "te\\d"):
        assert secret not in said
    assert said.count(logs.MASK) >= 8
    assert "RuntimeError" in said


def test_json_lines_are_json_with_the_error_inside(out: io.StringIO) -> None:
    logs.configure("info", None, list, out)  # not a terminal
    try:
        _broken("boom")
    except RuntimeError:
        logging.getLogger("bot").exception("two\nlines")
    lines = out.getvalue().splitlines()
    assert len(lines) == 1
    found = json.loads(lines[0])
    assert found["level"] == "error"
    assert found["message"] == "two\nlines"
    assert "RuntimeError: boom" in found["error"]


def test_libraries_are_quiet_and_bolt_never_logs_a_body(out: io.StringIO) -> None:
    logs.configure("info", "text", list, out)
    logging.getLogger("httpx").info("HTTP Request: POST https://slack.com")
    logging.getLogger("apscheduler.scheduler").warning("Execution of job skipped: maximum number of running instances")
    logging.getLogger("slack_bolt.RequestVerification").warning("Invalid signature (body: %s)", "payload=private")
    said = out.getvalue()
    assert "HTTP Request" not in said
    assert "running instances" not in said
    assert "payload=private" not in said
    assert logs.FORGED in said


def test_what_breaks_a_thread_is_logged_without_secrets(out: io.StringIO) -> None:
    logs.configure("info", "text", lambda: ["hunter22"], out)

    thread = threading.Thread(target=_broken, name="worker")
    thread.start()
    thread.join()
    assert "Something unforeseen happened in worker." in out.getvalue()
    assert "hunter22" not in out.getvalue()


def test_what_becomes_known_later_is_secret_from_then_on(out: io.StringIO) -> None:
    known: list[str] = []
    logs.configure("info", "text", lambda: known, out)
    known += ["opensesame", "abc"]
    logging.getLogger("bot").info("opensesame abc")
    assert f"{logs.MASK} abc" in out.getvalue(), "three letters are not a secret that can be told from text"


def test_a_job_that_waits_for_the_database_is_one_line_and_any_other_failure_is_told_whole(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def away() -> None:
        raise OperationalError("SELECT 1", {}, Exception("connection refused\nIs the server running?"))

    def wrong() -> None:
        raise RuntimeError("a defect")

    _logged("messages", away)
    _logged("messages", wrong)
    first, second = caplog.records
    assert (first.getMessage(), first.exc_info) == (
        "the messages job waits for the database (connection refused)",
        None,
    )
    assert second.exc_info is not None
