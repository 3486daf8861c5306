"""The world outside, a process of its own: the local Slack, and a deploy system that notes when each hook came.

`python -m bench.outside PORT` says in one line of JSON where it is, then answers a line of JSON for each line it is
told: `latency SECONDS`, `arrivals`.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bench.clicking import APPROVERS, CHANNEL
from bot.demo.setting import manifest_path
from bot.local_slack.cast import ChannelSeed, Member
from bot.local_slack.server import LocalSlack

ARRIVED: dict[str, float] = {}


class Hook(BaseHTTPRequestHandler):
    """Says "done" at once."""

    def do_POST(self) -> None:
        now = time.time()
        data = json.loads(self.rfile.read(int(self.headers["content-length"])))["data"]
        ARRIVED.setdefault(data["promotion"], now)
        answer = b'{"state": "succeeded"}'
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


def main(baton_port: int) -> None:
    people = [Member(who, who.lower(), who, f"{who.lower()}@example.com") for who in APPROVERS]
    slack = LocalSlack(
        manifest=manifest_path(),
        delivery="http",
        request_url=f"http://127.0.0.1:{baton_port}/slack/events",
        people=people,
        channels=[ChannelSeed(CHANNEL, "bench", members=tuple(APPROVERS))],
        usergroups=[],
    )
    hooks = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=hooks.serve_forever, daemon=True).start()
    with slack:
        hook = f"http://127.0.0.1:{hooks.server_address[1]}/deploy"
        say(api_url=slack.api_url, token=slack.bot_token, hook=hook)
        for told in sys.stdin:
            word, _, value = told.strip().partition(" ")
            if word == "latency":
                slack.latency = float(value)
            asked = {c["args"].get("user") for c in slack.web.calls.entries if c["method"] == "users.info"}
            say(arrivals=ARRIVED if word == "arrivals" else {}, known=len(asked))


if __name__ == "__main__":
    main(int(sys.argv[1]))
