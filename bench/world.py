"""A Baton to measure: its policy, its promotions asked for ahead, its surroundings, its process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from slack_sdk import WebClient
from sqlalchemy import text

from bench import watched
from bench.clicking import APPROVERS, CHANNEL, SIGNING_SECRET, answers, approve, wait_until
from bench.databases import careless
from bot.demo.setting import free_port
from bot.slack.blocks.card import Awaited, card
from core.decisions import Decisions
from core.domain.model import Actor, Measurement, ModelVersion, Person
from core.engine import Engine
from core.policy.load import load
from core.promotions import Promotions
from core.registration import Registration
from core.store.database import Database

ROOT = Path(__file__).parents[1]
LATENCY = 0.3

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


def now() -> datetime:
    return datetime.now(UTC)


class Everybody:
    """A directory in which everybody is in every group."""

    def person(self, user_id: str) -> Person:
        return Person(user_id, user_id)

    def groups_of(self, _user_id: str, groups: dict[str, list[str]]) -> frozenset[str]:
        return frozenset(groups)

    def members(self, _members: list[str]) -> list[Person]:
        return []


class Outside:
    """The local Slack and the deploy system, in a process of their own (`bench.outside`)."""

    def __init__(self, baton_port: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.outside", str(baton_port)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        said = self._hear()
        self.api_url, self.token, self.hook = said["api_url"], said["token"], said["hook"]

    def ask(self, line: str) -> dict[str, Any]:
        """One line told, one heard."""
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._hear()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout
        heard: dict[str, Any] = json.loads(self._process.stdout.readline())
        return heard

    def stop(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)


class World:
    """One Baton with promotions that wait for `quorum` approvals, all their cards posted, and 300 ms away from Slack.

    `posts[n]` are the clicks of the n-th: one body for each approver asked.
    """

    def __init__(self, url: str, folder: Path, models: Iterable[str], quorum: int, watch: bool = False) -> None:
        self.url, self.folder, self.port = url, folder, free_port()
        self._watched = folder / f"watched-{self.port}" if watch else None
        self.outside = Outside(self.port)
        self.policy = POLICY.format(approvers=", ".join(APPROVERS), quorum=quorum, hook=self.outside.hook)
        self._config = folder / f"baton-{self.port}.yml"
        self._config.write_text(self.policy)
        self.numbers, self.cards = self._ask_for(list(models))
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> World:
        command = ["bench.watched", str(self._watched)] if self._watched else ["bot", "serve"]
        began = time.monotonic()
        self.process = subprocess.Popen([sys.executable, "-m", *command], env=self._environment(), cwd=ROOT)
        wait_until(lambda: answers(self.port, "/readyz"), 60, "Baton")
        self.ready_after, self.ready_cpu = time.monotonic() - began, self.cpu()
        wait_until(lambda: self.outside.ask("known")["known"] >= len(APPROVERS), 30, "the directory")
        self.outside.ask(f"latency {LATENCY}")
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        assert self.process
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.outside.stop()

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def cpu(self) -> float:
        """Seconds of CPU that Baton has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Baton stands still meanwhile, so that what it does after its answers does not slow what it is compared with."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def click(self, approver: int, promotion: int) -> bytes:
        """The body of a click: the n-th approver's on the n-th promotion."""
        shown, ts = self.cards[promotion]
        return approve(APPROVERS[approver % len(APPROVERS)], shown, ts)

    def watched(self) -> tuple[int, dict[str, float]]:
        """What `bench.watched` counted and noted."""
        assert self._watched
        return watched.read(self._watched)

    def scalar(self, query: str) -> int:
        """A number out of the database."""
        database = Database(self.url)
        with database.read() as session:
            found = session.scalar(text(query))
        database.dispose()
        return int(found or 0)

    def decisions(self, database: Database, queue: Engine) -> Decisions:
        """The use case itself, for a decision taken by another process than Baton's."""
        return Decisions(Promotions(database, load(self.policy), Everybody(), now, queue))

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BATON_", "SLACK_"))}
        return kept | {
            "BATON_DATABASE_URL": self.url,
            "BATON_CONFIG": str(self._config),
            "BATON_PORT": str(self.port),
            "BATON_LOG_LEVEL": "error",
            "BATON_PICTURES": "off",
            "SLACK_API_URL": self.outside.api_url,
            "SLACK_BOT_TOKEN": self.outside.token,
            "SLACK_SIGNING_SECRET": SIGNING_SECRET,
            "HOOK_SECRET": "bench-hook-secret-of-some-length",
        }

    def _ask_for(self, models: list[str]) -> tuple[list[int], list[tuple[dict[str, Any], str]]]:
        """Register a version of each model, ask for it, post its card."""
        database = careless(self.url)
        engine = Engine(database)
        registration = Registration(database, now)
        promotions = Promotions(database, load(self.policy), Everybody(), now, engine)
        ci, views = Actor("token", "ci", "ci"), []
        measured = (Measurement("auc", 0.95, dataset="eval", dataset_digest="sha256:1", samples=100),)
        for name in models:
            registration.register(ci, ModelVersion(name, "new", "s3://x", "sha256:" + "0" * 64, measurements=measured))
            views.append(promotions.request(ci, name, "new", "production", "bench"))
        cards = [card(view, Awaited({}), guarded=True) for view in views]
        client = WebClient(token=self.outside.token, base_url=self.outside.api_url)
        with ThreadPoolExecutor(4) as pool:
            posted = list(
                pool.map(lambda c: client.chat_postMessage(channel="#bench", text=c.text, blocks=c.blocks)["ts"], cards)
            )
        shown = text("UPDATE messages SET shown = wanted, posted_channel = :channel, ts = :ts WHERE promotion_id = :id")
        with database.note() as session:
            for view, ts in zip(views, posted, strict=True):
                session.execute(shown, {"channel": CHANNEL, "ts": ts, "id": view.id})
        engine.stop()
        database.dispose()
        faces = [({"text": c.text, "blocks": c.blocks}, str(ts)) for c, ts in zip(cards, posted, strict=True)]
        return [view.id for view in views], faces
