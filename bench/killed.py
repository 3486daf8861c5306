"""Fifty rollouts under way and a process killed at a random moment, again and again:
`python -m bench.killed [--rounds 200] [--rollouts 50] [--only sqlite|postgresql]`.

One process on SQLite; three on PostgreSQL, one of which is never started again half way. Promotions are asked for through
the API, each under one Idempotency-Key until it is answered. Every tenth version breaks at half of the traffic. At the end
everything asked for has ended, every act had one `webhook-id` however often it arrived, the champions are the versions that
succeeded last, and the audit chain holds; else this exits 1.
"""

from __future__ import annotations

import argparse
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
from typing import Any
from urllib.parse import urlsplit

import httpx
from sqlalchemy import text

from bench.clicking import SIGNING_SECRET, answers, wait_until
from bench.databases import POSTGRES, SQLITE, Databases, databases
from bench.report import heading, line, machine, p, summary, verdict
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
    rollout: {{strategy: canary, steps: [{{traffic: 10, hold: 5s}}, {{traffic: 50, hold: 5s}}, {{traffic: 100}}]}}
    verify: {{for: 5s}}
targets:
  hook: {{type: webhook, url: "{hook}", secret_env: HOOK_SECRET}}
"""
#: How long everything may take to end once nobody is killed any more.
TO_THE_END = 240.0


class DeploySystem:
    """Notes every hook, says "done" to one half and reports later to the other, and breaks every tenth version half way."""

    def __init__(self, ports: list[int]) -> None:
        self.arrived: list[tuple[tuple[Any, ...], str]] = []
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
        act = (data["deployment"], data["action"], data["traffic_percent"], data["model"]["version"])
        with self._guard:
            self.arrived.append((act, webhook_id))
            first = webhook_id not in self._reported
            self._reported.add(webhook_id)
        breaks = data["model"]["version"].endswith("9") and (data["action"], data["traffic_percent"]) == (
            "set_traffic",
            50,
        )
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

    def __init__(self, places: Databases, kind: str, rollouts: int) -> None:
        self.kind, self.url, self.folder = kind, places.new(kind), places.folder
        self.ports = [free_port() for _ in range(1 if kind == SQLITE else 3)]
        self.deploy_system = DeploySystem(self.ports)
        self.slack = Outside(self.ports[0])
        self.database = Database(self.url)
        self.config = self.folder / f"killed-{kind}.yml"
        self.config.write_text(POLICY.format(hook=self.deploy_system.url))
        _, self.token = Tokens(self.database, now).create(
            Actor("system", "bench", "bench"), "bench", ["request", "read"]
        )
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        self.models = [f"model-{n:02}" for n in range(rollouts)]
        self.asked: Counter[str] = Counter()
        self.takeovers: list[float] = []
        self._register()

    def _register(self) -> None:
        registration, ci = Registration(self.database, now), Actor("token", "ci", "ci")
        measured = (Measurement("auc", 0.95),)
        for model in self.models:
            for version in range(100):
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
            if model not in active and self.asked[model] < 100:
                self._ask(model, f"v{self.asked[model]:02}")

    def _ask(self, model: str, version: str) -> None:
        port = random.choice(list(self.processes))
        try:
            answer = httpx.post(
                f"http://127.0.0.1:{port}/api/v1/promotions",
                json={"model": model, "version": version, "stage": "production", "reason": "bench"},
                headers={"Authorization": f"Bearer {self.token}", "Idempotency-Key": f"{model}-{version}"},
                timeout=20,
            )
        except httpx.HTTPError:
            return
        if answer.status_code < 300:
            self.asked[model] += 1
        elif answer.status_code < 500 and answer.status_code != 409:
            raise AssertionError(f"{answer.status_code} {answer.text}")

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


def rounds(fleet: Fleet, number: int) -> None:
    """Kill one process a round, start it again and ask for more; half way, on PostgreSQL, one stays away."""
    for count in range(1, number + 1):
        fleet.ask()
        time.sleep(random.uniform(0.2, 4.0))
        port = random.choice(list(fleet.processes))
        fleet.kill(port)
        if fleet.kind == POSTGRES and count == number // 2:
            fleet.takeovers = carried_on(fleet)
        else:
            fleet.start(port)
        if count % 20 == 0:
            line(f"round {count}: {fleet.active()} under way, {sum(fleet.asked.values())} asked for, "
                 f"{len(fleet.deploy_system.arrived)} hooks arrived")  # fmt: skip


def carried_on(fleet: Fleet) -> list[float]:
    """Seconds until each workflow of the process that was just killed is run by another."""
    began, times = time.monotonic(), []
    with fleet.database.read() as session:
        before = set(session.scalars(text("SELECT executor_id FROM processes")))
    left = fleet.under_way()
    time.sleep(6.0)  # each that lives has said so by now
    with fleet.database.read() as session:
        alive = set(session.scalars(text("SELECT executor_id FROM processes WHERE beat_at > now() - interval '6 s'")))
    left = {workflow: who for workflow, who in left.items() if who in before - alive}
    while left and time.monotonic() - began < 120:
        now_run = fleet.under_way()
        gone = [workflow for workflow, who in left.items() if now_run.get(workflow) != who]
        times += [time.monotonic() - began] * len(gone)
        left = {workflow: who for workflow, who in left.items() if workflow not in gone}
        time.sleep(0.1)
    if left:
        raise AssertionError(f"nobody carried on {sorted(left)}")
    return times


def wrong(fleet: Fleet) -> Iterator[str]:
    """Whatever must not be, in a sentence each."""
    if stuck := fleet.active():
        yield f"{stuck} promotions are stuck"
    with fleet.database.read() as session:
        asked = session.scalar(text("SELECT count(*) FROM promotions WHERE kind = 'promotion'"))
        if asked != sum(fleet.asked.values()):
            yield f"{sum(fleet.asked.values())} were asked for, {asked} are there"
        counted = session.execute(text("SELECT state, count(*) FROM promotions GROUP BY state"))
        states = {row.state: row[1] for row in counted}
        if set(states) - {"succeeded", "rolled_back"}:
            yield f"ended otherwise than asked for: {states}"
        for model in fleet.models:
            good = [n for n in range(fleet.asked[model]) if n % 10 != 9]
            serves = champions_of(session, model).get("production")
            if good and (serves is None or serves[0] != f"v{good[-1]:02}"):
                yield f"{model} is served by {serves}, not by v{good[-1]:02}"
        if problem := verify(session).problem:
            yield f"the audit chain: {problem}"
    ids, acts = defaultdict(set), defaultdict(set)
    for act, webhook_id in fleet.deploy_system.arrived:
        ids[act].add(webhook_id)
        acts[webhook_id].add(act)
    yield from (f"{act} came under {len(found)} webhook-ids" for act, found in ids.items() if len(found) > 1)
    yield from (f"{key} stood for {sorted(found)}" for key, found in acts.items() if len(found) > 1)


def run(places: Databases, kind: str, number: int, rollouts: int) -> int:
    """One database; how many things were wrong."""
    heading(f"{kind}: {rollouts} rollouts at once, {number} kills")
    fleet = Fleet(places, kind, rollouts)
    try:
        for port in fleet.ports:
            fleet.start(port)
        began = time.monotonic()
        rounds(fleet, number)
        line(f"killed {number} times in {time.monotonic() - began:.0f} s")
        began = time.monotonic()
        while fleet.active() and time.monotonic() - began < TO_THE_END:
            time.sleep(0.5)
        line(f"after the last kill everything had ended in {time.monotonic() - began:.0f} s")
        arrived = Counter(webhook_id for _, webhook_id in fleet.deploy_system.arrived)
        line(f"{sum(fleet.asked.values())} promotions, {len(arrived)} acts, of which {sum(n > 1 for n in arrived.values())} "
             f"arrived more than once (at most {max(arrived.values())} times), each under its one webhook-id")  # fmt: skip
        if fleet.takeovers:
            line(f"{len(fleet.takeovers)} workflows of a process that never came back, carried on by another: "
                 f"median {p(fleet.takeovers, 50):.1f} s")  # fmt: skip
            verdict("the last of them after", max(fleet.takeovers), 30, "s")
        found = list(wrong(fleet))
    finally:
        fleet.stop()
    for each in found:
        line(f"WRONG  {each}")
    return len(found)


def main() -> None:
    given = argparse.ArgumentParser(prog="python -m bench.killed", description=__doc__)
    given.add_argument("--rounds", type=int, default=200)
    given.add_argument("--rollouts", type=int, default=50)
    given.add_argument("--only", choices=[SQLITE.lower(), POSTGRES.lower()])
    asked = given.parse_args()
    began = time.monotonic()
    with databases() as places:
        machine(places.postgres)
        kinds = [each for each in places.kinds if asked.only in (None, each.lower())]
        found = sum(run(places, kind, asked.rounds, asked.rollouts) for kind in kinds)
    summary(time.monotonic() - began)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
