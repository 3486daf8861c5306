"""The log: text on a terminal, JSON otherwise, and never a secret in it.

Redaction happens on the finished line, so that nothing gets around it: not arguments, not tracebacks, not what a
library prints.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

MASK = "[secret]"
#: What is secret by its shape, wherever it comes from.
SHAPES = re.compile(
    r"xox[a-z](?:\.xox[a-z])?-[\w.-]{4,}|xapp-[\w-]{4,}|baton_[\w-]{43}|whsec_[\w+/=-]{8,}"
    r"|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)|(?<=\bBearer )[\w.~+/=-]{8,}"
)
#: Libraries that tell more than anybody asked; their warnings still come through.
TALKATIVE = (
    "httpx",
    "httpcore",
    "alembic",
    "apscheduler",
    "uvicorn",
    "slack_bolt",
    "slack_sdk",
    "urllib3",
    "websocket",
)
FORGED = "A request to Slack's address was refused: its signature is wrong, or too old."


class Redactor:
    """Blots out secrets by value and by shape. `secrets` is asked for what is known by now: a list that only grows."""

    def __init__(self, secrets: Callable[[], Sequence[str]] = tuple) -> None:
        self._known = secrets
        self._values: list[str] = []
        self._seen = 0

    def _learn(self, secrets: Sequence[str]) -> None:
        """What is shorter than four characters cannot be told from ordinary text."""
        escaped = (spelled for secret in secrets for spelled in (json.dumps(secret)[1:-1], repr(secret)[1:-1]))
        self._values = sorted({value for value in (*secrets, *escaped) if len(value) >= 4}, key=len, reverse=True)
        self._seen = len(secrets)

    def __call__(self, text: str) -> str:
        """`text` without secrets."""
        known = self._known()
        if len(known) != self._seen:
            self._learn(known)
        for value in self._values:
            text = text.replace(value, MASK)
        return SHAPES.sub(MASK, text)


class _Line(logging.Formatter):
    """A record as one redacted line (and its traceback)."""

    def __init__(self, redact: Redactor, as_json: bool) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")
        self._redact = redact
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        if record.name.endswith("RequestVerification"):  # Bolt logs the raw body, which anybody may have sent
            record.msg, record.args = FORGED, ()
        if not self._as_json:
            return self._redact(super().format(record))
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._redact(record.getMessage()),
        }
        if record.exc_info:
            line["error"] = self._redact(self.formatException(record.exc_info))
        return self._redact(json.dumps(line, ensure_ascii=False))


def configure(
    level: str = "info",
    style: str | None = None,
    secrets: Callable[[], Sequence[str]] = tuple,
    stream: TextIO | None = None,
) -> None:
    """Send every log record of the process through one redacting handler; call once, at the start.

    `style` is `text` or `json`; None picks text where `stream` (standard error) is a terminal.
    """
    stream = stream or sys.stderr
    redact = Redactor(secrets)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Line(redact, as_json=style == "json" or (style is None and not stream.isatty())))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    # A look that is skipped since the one before it is not over loses nothing: what is due stands in the database.
    logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("bot").critical("Baton stops: something unforeseen happened.", exc_info=(kind, error, trace))


def _uncaught_in_thread(happened: threading.ExceptHookArgs) -> None:
    if happened.exc_value is None or happened.exc_type is SystemExit:
        return
    where = happened.thread.name if happened.thread else "a thread"
    logging.getLogger("bot").error(
        "Something unforeseen happened in %s.",
        where,
        exc_info=(happened.exc_type, happened.exc_value, happened.exc_traceback),
    )
