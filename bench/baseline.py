"""What a click is compared with: bare Bolt, mounted as Baton mounts it, and one fsync'd insert a click.

`python -m bench.baseline PORT FILE`.
"""

from __future__ import annotations

import functools
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from slack_bolt import Ack, App
from slack_bolt.authorization import AuthorizeResult
from starlette.responses import PlainTextResponse

from bench.clicking import SIGNING_SECRET
from bot.http.app import _slack
from bot.http.server import HttpServer
from bot.slack.app import dispatch


class Clicks:
    """One table, one row a click. A connection for each thread, as SQLite wants it."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._local = threading.local()
        self._turn = threading.Lock()  # SQLite lets one writer in; without it they would sleep and try again
        self._connection().execute("CREATE TABLE IF NOT EXISTS clicks (id INTEGER PRIMARY KEY, who TEXT, what TEXT)")

    def add(self, who: str, what: str) -> None:
        """On disk when it returns."""
        connection = self._connection()
        with self._turn:
            connection.execute("INSERT INTO clicks (who, what) VALUES (?, ?)", (who, what))

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._local, "connection"):
            opened = sqlite3.connect(self._file, isolation_level=None, timeout=10)
            opened.execute("PRAGMA journal_mode=WAL")
            opened.execute("PRAGMA synchronous=FULL")
            self._local.connection = opened
        found: sqlite3.Connection = self._local.connection
        return found


def main(port: int, file: str) -> None:
    app = App(
        signing_secret=SIGNING_SECRET,
        authorize=lambda: AuthorizeResult(enterprise_id=None, team_id=None, bot_token="xoxb-none"),
        process_before_response=True,
    )
    clicks = Clicks(file)

    @app.action("promotion.approve")
    def approve(ack: Ack, body: dict[str, Any], action: dict[str, Any]) -> None:
        clicks.add(body["user"]["id"], action["value"])
        ack()

    http = FastAPI()
    http.add_route("/slack/events", _slack(functools.partial(dispatch, app)), methods=["POST"])
    http.add_route("/healthz", lambda _request: PlainTextResponse("ok"))
    HttpServer(http, "127.0.0.1", port).start()
    threading.Event().wait()


def count(file: Path) -> int:
    """How many clicks it has."""
    connection = sqlite3.connect(file)
    found = connection.execute("SELECT count(*) FROM clicks").fetchone()
    connection.close()
    return int(found[0])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
