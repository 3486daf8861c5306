"""A Baton to measure: its policy, its database filled ahead, its process, and signed clicks."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from threading import Thread
from typing import Any
from urllib.parse import urlencode

import httpx
from slack_sdk import WebClient
from sqlalchemy import text

from bot.demo.setting import free_port, manifest_path
from bot.local_slack.cast import ChannelSeed, Member
from bot.local_slack.server import LocalSlack
from core.domain.model import Actor, Measurement, ModelVersion
from core.engine import Engine
from core.policy.load import load
from core.promotions import Promotions
from core.registration import Registration
from core.store.database import Database
from core.store.migrate import upgrade

SIGNING_SECRET = "bench-signing-secret"
APPROVERS = [f"U{n:03d}BENCH" for n in range(32)]

POLICY = """
version: 1
slack: {{channel: "#bench"}}
groups: {{approvers: [{approvers}]}}
stages:
  - name: development
  - name: production
    requires: [development]
    gates: [{{metric: auc, at_least: 0.9}}, {{metric: auc, compared_to: champion, no_worse_by: 0.01}}]
    approvals: {{quorum: {quorum}, from: [{{group: approvers}}]}}
    deploy: {{target: hook}}
targets:
  hook: {{type: webhook, url: "{hook}", secret_env: HOOK_SECRET}}
"""


class Receiver:
    """Takes hooks and remembers when each promotion's came."""

    def __init__(self) -> None:
        self.arrived: dict[str, float] = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                now = time.time()
                data = json.loads(self.rfile.read(int(self.headers["content-length"])))["data"]
                receiver.arrived.setdefault(data["promotion"], now)
                answer = b'{"state": "succeeded"}'
                self.send_response(200)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/deploy"
        Thread(target=self.server.serve_forever, daemon=True).start()


class World:
    """One Baton with `waiting` promotions, each of a model of its own, all with their cards posted."""

    def __init__(self, url: str, folder: Path, waiting: int, quorum: int, counted: bool = False) -> None:
        self.folder, self.port = folder, free_port()
        self.receiver = Receiver()
        people = [Member(who, who.lower(), who, f"{who.lower()}@example.com") for who in APPROVERS]
        self.slack = LocalSlack(
            manifest=manifest_path(), delivery="http", request_url=f"http://127.0.0.1:{self.port}/slack/events",
            people=people, channels=[ChannelSeed("C0BENCH", "bench", members=tuple(APPROVERS))], usergroups=[],
        )  # fmt: skip
        self.slack.start()
        policy = POLICY.format(approvers=", ".join(APPROVERS), quorum=quorum, hook=self.receiver.url)
        (folder / "baton.yml").write_text(policy)
        self.database = Database(url)
        self.promotions = prepare(self.database, policy, waiting)
        self._post_cards()
        self.slack.latency = 0.3
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("BATON_", "SLACK_"))
        } | {
            "BATON_DATABASE_URL": url,
            "BATON_CONFIG": str(folder / "baton.yml"),
            "BATON_PORT": str(self.port),
            "BATON_LOG_LEVEL": "error",
            "SLACK_API_URL": self.slack.api_url,
            "SLACK_BOT_TOKEN": self.slack.bot_token,
            "SLACK_SIGNING_SECRET": SIGNING_SECRET,
            "HOOK_SECRET": "bench-hook-secret-of-some-length",
            "BENCH_COUNT": str(folder / "count"),
        }
        command = [sys.executable, "-m", *(["bench.counted"] if counted else ["bot", "serve"])]
        began = time.monotonic()
        self.process = subprocess.Popen(command, env=self.environment, cwd=Path(__file__).parents[1])
        wait_for(f"http://127.0.0.1:{self.port}/readyz")
        self.ready_after = time.monotonic() - began
        time.sleep(2)  # the directory asks Slack, at 300 ms each, who its approvers are
        wait_until(lambda: self._warm(), 40)

    def _warm(self) -> bool:
        calls = httpx.get(f"{self.slack.url}/_local/calls", params={"method": "users.info"}, trust_env=False).json()[
            "calls"
        ]
        return len({call["args"].get("user") for call in calls}) >= len(APPROVERS)

    def _post_cards(self) -> None:
        client = WebClient(token=self.slack.bot_token, base_url=self.slack.api_url)
        with ThreadPoolExecutor(8) as pool:
            posted = list(
                pool.map(lambda _: client.chat_postMessage(channel="#bench", text="card")["ts"], self.promotions)
            )
        with self.database.note() as session:
            for number, ts in zip(self.promotions, posted, strict=True):
                session.execute(
                    text(
                        "UPDATE messages SET shown = wanted, posted_channel = 'C0BENCH', ts = :ts WHERE promotion_id = :id"
                    ),
                    {"ts": ts, "id": number},
                )

    def approvals(self) -> int:
        with self.database.read() as session:
            return session.scalar(text("SELECT count(*) FROM decisions")) or 0

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.slack.stop()
        self.receiver.server.shutdown()
        self.database.dispose()


def prepare(database: Database, policy_text: str, waiting: int) -> list[int]:
    """Migrate, register, and ask for `waiting` promotions; their numbers."""
    upgrade(database.engine)
    engine = Engine(database)
    engine.migrate()
    now = lambda: datetime.now(UTC)  # noqa: E731
    registration = Registration(database, now)
    promotions = Promotions(database, load(policy_text), Nobody(), now, engine)  # type: ignore[arg-type]
    ci, numbers = Actor("token", "ci", "ci"), []
    for n in range(waiting):
        name = f"model-{n}-{time.time_ns()}"
        measured = (Measurement("auc", 0.95, dataset="eval", dataset_digest="sha256:1", samples=100),)
        registration.register(ci, ModelVersion(name, "1", "s3://x", "sha256:" + "0" * 64, measurements=measured))
        numbers.append(promotions.request(ci, name, "1", "production", "bench").id)
    engine.stop()
    return numbers


class Nobody:
    """A directory that is never asked."""


def click(client: httpx.Client, url: str, user: str, promotion: int) -> float:
    """One signed click on Approve; seconds until it was acknowledged."""
    payload = {
        "type": "block_actions", "user": {"id": user, "username": user.lower(), "name": user.lower(), "team_id": "T0LOCAL"},
        "api_app_id": "A0BATON", "token": "x", "team": {"id": "T0LOCAL", "domain": "local"}, "enterprise": None,
        "is_enterprise_install": False, "trigger_id": "1.2.3", "channel": {"id": "C0BENCH", "name": "bench"},
        "container": {"type": "message", "message_ts": "1.2", "channel_id": "C0BENCH"}, "message": {"ts": "1.2", "text": "card"},
        "response_url": "http://127.0.0.1:9/none",
        "actions": [{"type": "button", "action_id": "promotion.approve", "block_id": "card.actions", "action_ts": "1.3",
                     "value": json.dumps({"promotion": promotion})}],
    }  # fmt: skip
    body = urlencode({"payload": json.dumps(payload)})
    at = str(int(time.time()))
    signature = "v0=" + hmac.new(SIGNING_SECRET.encode(), f"v0:{at}:{body}".encode(), hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": at,
        "x-slack-signature": signature,
    }
    began = time.perf_counter()
    answer = client.post(f"{url}/slack/events", content=body, headers=headers)
    took = time.perf_counter() - began
    if answer.status_code != 200:
        raise AssertionError(f"a click was answered {answer.status_code}: {answer.text}")
    return took


def clicks(url: str, work: Sequence[tuple[str, int]], hands: int) -> tuple[list[float], float]:
    """All of `work` by so many at once; (seconds each, clicks a second)."""
    began = time.perf_counter()

    def hand(mine: Sequence[tuple[str, int]]) -> list[float]:
        with httpx.Client(trust_env=False, timeout=30) as client:
            return [click(client, url, user, promotion) for user, promotion in mine]

    with ThreadPoolExecutor(hands) as pool:
        times = [each for many in pool.map(hand, [work[n::hands] for n in range(hands)]) for each in many]
    return times, len(work) / (time.perf_counter() - began)


def p(times: Sequence[float], percent: int) -> float:
    """A percentile, by nearest rank."""
    return sorted(times)[min(len(times) - 1, int(len(times) * percent / 100))]


def spoken(times: Sequence[float]) -> str:
    return f"median {median(times) * 1000:6.1f} ms   p99 {p(times, 99) * 1000:6.1f} ms"


def wait_for(url: str, seconds: float = 40) -> None:
    def there() -> bool:
        try:
            return httpx.get(url, trust_env=False, timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    wait_until(there, seconds)


def wait_until(true: Any, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            raise AssertionError("waited in vain")
        time.sleep(0.02)


def fill(file: Path, versions: int, promotions: int) -> None:
    """So many versions of 1,000 models, and so many promotions that ended, straight into SQLite."""
    db = sqlite3.connect(file)
    now = "2026-01-01 00:00:00.000000"
    first = (db.execute("SELECT max(id) FROM models").fetchone()[0] or 0) + 1
    db.executemany("INSERT INTO models VALUES (?, ?, ?)", ((first + n, f"old-{n}", now) for n in range(1000)))
    start = (db.execute("SELECT max(id) FROM model_versions").fetchone()[0] or 0) + 1
    db.executemany(
        "INSERT INTO model_versions (id, model_id, version, artifact_uri, digest, lineage, tags, content_digest, registered_by, registered_at)"
        " VALUES (?, ?, ?, 's3://x', 'sha256:0', '{}', '{}', 'x', 'token:ci', ?)",
        ((start + n, first + n % 1000, str(n // 1000), now) for n in range(versions)),
    )
    db.executemany(
        "INSERT INTO promotions (kind, state, model_id, version_id, stage, requester, requester_name, reason, rules, policy_version,"
        " verdicts, evidence_digest, created_at, updated_at, ended_at, end_reason, ended_by, ended_by_name)"
        " VALUES ('promotion', 'succeeded', ?, ?, 'production', 'token:ci', 'ci', '', '{\"name\": \"production\"}', 'x', '[]', '', ?, ?, ?, '', '', '')",
        ((first + n % 1000, start + n % max(1, versions), now, now, now) for n in range(promotions)),
    )
    db.commit()
    db.execute("ANALYZE")
    db.close()
