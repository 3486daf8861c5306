"""What Baton is compared with: bare Bolt, mounted the same way, and one fsync'd insert a click. `python -m bench.baseline PORT FILE`."""

from __future__ import annotations

import functools
import sqlite3
import sys
import threading

from fastapi import FastAPI
from slack_bolt import App
from slack_bolt.authorization import AuthorizeResult

from bench.world import SIGNING_SECRET
from bot.http.app import _slack
from bot.http.server import HttpServer
from bot.slack.app import dispatch


def main(port: int, file: str) -> None:
    app = App(
        signing_secret=SIGNING_SECRET,
        authorize=lambda: AuthorizeResult(enterprise_id=None, team_id=None, bot_token="xoxb-none"),
        process_before_response=True,
    )
    local, lock = threading.local(), threading.Lock()
    setup = sqlite3.connect(file)
    setup.execute("PRAGMA journal_mode=WAL")
    setup.execute("CREATE TABLE IF NOT EXISTS clicks (id INTEGER PRIMARY KEY, who TEXT, what TEXT)")
    setup.close()

    @app.action("promotion.approve")
    def approve(ack, body, action) -> None:  # type: ignore[no-untyped-def]
        if not hasattr(local, "connection"):
            local.connection = sqlite3.connect(file, isolation_level=None, timeout=10)
            local.connection.execute("PRAGMA synchronous=FULL")
        with lock:  # SQLite lets one writer in; without it they would poll each other
            local.connection.execute(
                "INSERT INTO clicks (who, what) VALUES (?, ?)", (body["user"]["id"], action["value"])
            )
        ack()

    http = FastAPI()
    http.add_route("/slack/events", _slack(functools.partial(dispatch, app)), methods=["POST"])
    http.add_route(
        "/healthz", lambda _request: __import__("starlette.responses", fromlist=["x"]).PlainTextResponse("ok")
    )
    HttpServer(http, "127.0.0.1", port).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
