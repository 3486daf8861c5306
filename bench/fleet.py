"""The processes of one database, the promotions asked of them through the API, and a deploy system that notes every act."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
from sqlalchemy import text

from bench.clicking import SIGNING_SECRET, answers, wait_until
from bench.databases import SQLITE, Databases
from bench.report import line
from bench.world import ROOT, Outside, now
from bot.demo.setting import free_port
from core.domain.model import Actor, Measurement, ModelVersion
from core.registration import Registration
from core.store.audit import verify
from core.store.database import Database
from core.store.registry import champions_of
from core.targets.standard_webhooks import parse_secrets, sign
from core.tokens import Tokens

SECRET = "whsec_YmVuY2gtaG9vay1zZWNyZXQtb2Ytc29tZS1sZW5ndGg="
POLICY = """
version: 1
slack: {{channel: "#bench"}}
stages:
  - name: development
  - name: production
    requires: [development]
    approvals: {{automatic: true}}
    deploy: {{target: hook, timeout: 15m}}
    {rollout}
targets:
  hook: {{type: webhook, url: "{hook}", secret_env: HOOK_SECRET}}
"""


class Act(NamedTuple):
    """What a hook asks for, by all that makes it another one."""

    model: str
    deployment: str
    action: str
    traffic_percent: int
    version: str


class DeploySystem:
    """Notes every hook, says "done" to one half and reports later to the other, and breaks every tenth version half way."""

    def __init__(self, ports: list[int]) -> None:
        self.arrived: list[tuple[Act, str]] = []
        self._ports = ports
        self._reports = ThreadPoolExecutor(16)
        self._guard = threading.Lock()
        self._reported: set[str] = set()
        system = self

        class Hook(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = json.loads(self.rfile.read(int(self.headers["content-length"])))["data"]
                status, answer = system.take(self.headers["webhook-id"], data)
                time.sleep(random.uniform(0, 0.6))  # time enough to be killed between the act and its answer
                with contextlib.suppress(ConnectionError):  # whoever asked is dead
                    self.send_response(status)
                    self.send_header("content-length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/deploy"

    def take(self, webhook_id: str, data: dict[str, Any]) -> tuple[int, bytes]:
        model = data["model"]
        act = Act(model["name"], data["deployment"], data["action"], data["traffic_percent"], model["version"])
        with self._guard:
            self.arrived.append((act, webhook_id))
            first = webhook_id not in self._reported
            self._reported.add(webhook_id)
        breaks = act.version.endswith("9") and (act.action, act.traffic_percent) == ("set_traffic", 50)
        state = "failed" if breaks else "succeeded"
        if int(webhook_id[-1], 16) % 2:
            return 200, json.dumps({"state": state}).encode()
        if first:
            self._reports.submit(self._report, data["callback_url"], state, f"report_{webhook_id}")
        return 202, b"{}"

    def _report(self, callback_url: str, state: str, key: str) -> None:
        """To whichever process takes it, for two minutes."""
        body = json.dumps({"state": state}).encode()
        until = time.monotonic() + 120
        time.sleep(random.uniform(0.05, 0.5))
        while time.monotonic() < until:
            for port in random.sample(self._ports, len(self._ports)):
                headers = sign(parse_secrets(SECRET), key, datetime.now(UTC), body)
                try:
                    answer = httpx.post(
                        f"http://127.0.0.1:{port}{urlsplit(callback_url).path}",
                        content=body, headers={**headers, "content-type": "application/json"}, timeout=20,
                    )  # fmt: skip
                except httpx.HTTPError:
                    continue
                if answer.status_code < 500:
                    return
            time.sleep(0.3)


class Fleet:
    """The processes of one database, the promotions asked of them, and what became of both."""

    def __init__(self, places: Databases, kind: str, models: dict[str, int], rollout: str, ports: int) -> None:
        self.kind, self.url, self.folder = kind, places.new(kind), places.folder
        self.ports = [free_port() for _ in range(ports)]
        self.deploy_system = DeploySystem(self.ports)
        self.slack = Outside(self.ports[0])
        self.database = Database(self.url)
        self.config = self.folder / f"fleet-{kind}.yml"
        self.config.write_text(POLICY.format(hook=self.deploy_system.url, rollout=rollout))
        _, self.token = Tokens(self.database, now).create(
            Actor("system", "bench", "bench"), "bench", ["request", "read"]
        )
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        self.models = models
        self.steps = bool(rollout)  #: only half way can a version break
        self.asked: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._register()

    def _register(self) -> None:
        registration, ci = Registration(self.database, now), Actor("token", "ci", "ci")
        measured = (Measurement("auc", 0.95),)
        for model, versions in self.models.items():
            for version in range(versions):
                registration.register(
                    ci, ModelVersion(model, f"v{version:02}", "s3://x", f"sha256:{version:064}", measurements=measured)
                )

    def start(self, port: int) -> None:
        """Start the process of `port` and wait until it is ready."""
        log = (self.folder / f"serve-{port}.log").open("ab")
        self.processes[port] = subprocess.Popen(
            [sys.executable, "-m", "bot", "serve"], env=self._environment(port), cwd=ROOT, stdout=log, stderr=log
        )
        wait_until(lambda: answers(port, "/readyz"), 60, "Baton")

    def kill(self, port: int) -> None:
        """SIGKILL."""
        process = self.processes.pop(port)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def ask(self) -> None:
        """Ask for the next version of every model that has nothing under way."""
        with self.database.read() as session:
            active = set(
                session.scalars(
                    text(
                        "SELECT m.name FROM promotions p JOIN model_versions v ON v.id = p.version_id "
                        "JOIN models m ON m.id = v.model_id WHERE p.ended_at IS NULL"
                    )
                )
            )
        for model in self.models:
            if model not in active and self.asked[model] < self.models[model]:
                self.ask_for(model)

    def ask_for(self, model: str) -> int:
        """Ask for the model's next version; what was answered, 0 for no answer."""
        version = f"v{self.asked[model]:02}"
        port = random.choice(list(self.processes))
        try:
            answer = httpx.post(
                f"http://127.0.0.1:{port}/api/v1/promotions",
                json={"model": model, "version": version, "stage": "production", "reason": "bench"},
                headers={
                    "Authorization": f"Bearer {self.token}",
                    "Idempotency-Key": f"{model}-{version}-{self.refused[model]}",
                },
                timeout=20,
            )
        except httpx.HTTPError:
            return 0
        if answer.status_code < 300:
            self.asked[model] += 1
        elif answer.status_code == 409:  # a refusal is this key's answer for good
            self.refused[model] += 1
        elif answer.status_code < 500:
            raise AssertionError(f"{answer.status_code} {answer.text}")
        return answer.status_code

    def active(self) -> int:
        """How many promotions have not ended."""
        return self._scalar("SELECT count(*) FROM promotions WHERE ended_at IS NULL")

    def under_way(self) -> dict[str, str]:
        """Workflow -> the process that runs it, for those that one does."""
        table = "workflow_status" if self.kind == SQLITE else "dbos.workflow_status"
        with self.database.read() as session:
            rows = session.execute(text(f"SELECT workflow_uuid, executor_id FROM {table} WHERE status = 'PENDING'"))
            return {row[0]: row[1] for row in rows}

    def _scalar(self, query: str) -> int:
        with self.database.read() as session:
            return int(session.scalar(text(query)) or 0)

    def complain(self, *may_end: str) -> int:
        """Print whatever must not be; how much that is. `may_end` are the states that promotions may have ended in."""
        found = list(self._wrong(may_end))
        for each in found:
            line(f"WRONG  {each}")
        return len(found)

    def _wrong(self, may_end: tuple[str, ...]) -> Iterator[str]:
        """Whatever must not be, in a sentence each."""
        if stuck := self.active():
            yield f"{stuck} promotions are stuck"
        with self.database.read() as session:
            asked = session.scalar(text("SELECT count(*) FROM promotions WHERE kind = 'promotion'"))
            if asked != sum(self.asked.values()):
                yield f"{sum(self.asked.values())} were asked for, {asked} are there"
            counted = session.execute(text("SELECT state, count(*) FROM promotions GROUP BY state"))
            states = {row.state: row[1] for row in counted}
            if set(states) - set(may_end):
                yield f"ended otherwise than asked for: {states}"
            for model in self.models:
                good = [n for n in range(self.asked[model]) if not (self.steps and n % 10 == 9)]
                serves = champions_of(session, model).get("production")
                if good and (serves is None or serves[0] != f"v{good[-1]:02}"):
                    yield f"{model} is served by {serves}, not by v{good[-1]:02}"
            if problem := verify(session).problem:
                yield f"the audit chain: {problem}"
        ids, acts = defaultdict(set), defaultdict(set)
        for act, webhook_id in self.deploy_system.arrived:
            ids[act].add(webhook_id)
            acts[webhook_id].add(act)
        yield from (f"{act} came under {len(found)} webhook-ids" for act, found in ids.items() if len(found) > 1)
        yield from self._interleaved()
        yield from (f"{key} stood for {sorted(found)}" for key, found in acts.items() if len(found) > 1)

    def _interleaved(self) -> Iterator[str]:
        """Each model is served one deployment at a time: once the next has begun, the one before is not heard of."""
        begun: dict[str, list[str]] = defaultdict(list)
        for act, _ in self.deploy_system.arrived:
            before = begun[act.model]
            if act.deployment in before[:-1]:
                yield f"{act.deployment} of {act.model} went on after {before[-1]} had begun"
            elif not before or before[-1] != act.deployment:
                before.append(act.deployment)

    def stop(self) -> None:
        """Let every process end in peace."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(60)
        self.slack.stop()
        self.database.dispose()

    def _environment(self, port: int) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BATON_", "SLACK_"))}
        return kept | {
            "BATON_DATABASE_URL": self.url,
            "BATON_CONFIG": str(self.config),
            "BATON_PORT": str(port),
            "BATON_LOG_LEVEL": "warning",
            "BATON_PICTURES": "off",
            "SLACK_API_URL": self.slack.api_url,
            "SLACK_BOT_TOKEN": self.slack.token,
            "SLACK_SIGNING_SECRET": SIGNING_SECRET,
            "HOOK_SECRET": SECRET,
        }
