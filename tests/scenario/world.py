"""A whole Baton at the local Slack, in this process, and what people do there."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
from sqlalchemy import select, text

from bot.local_slack import LocalSlack, Person
from bot.local_slack.delivery import ACK_SECONDS
from bot.local_slack.person import shown_text
from bot.serve import Server
from bot.settings import Settings
from core.domain.model import Actor
from core.reminders import remind
from core.store.audit import verify
from core.store.tables import Champion, DecisionRow, PromotionRow, RegisteredModel
from core.targets.standard_webhooks import parse_secrets, sign
from tests.integration.receiver import SECRET, Hook, Receiver

Json = dict[str, Any]
T = TypeVar("T")

ROOT = Path(__file__).parents[2]
ALICE, BOB, CAROL, DAVE, MALLORY = "U01ALICE", "U02BOB", "U03CAROL", "U04DAVE", "U05MALLORY"
PROMO, MODEL = "#ml-promotions", "fraud-detector"
#: Who counts is said in all three ways: a user group, an e-mail address, an id.
POLICY = """
version: 1
slack:
  channel: "#ml-promotions"
groups:
  ml-leads: ["@ml-leads"]
  risk: [carol@example.com, U04DAVE]
  on-call: [U02BOB]
stages:
  - name: development
  - name: staging
    requires: [development]
    gates: [{metric: auc, at_least: 0.85}]
    approvals: {automatic: true}
  - name: production
    gates:
      - {metric: auc, at_least: 0.90}
      - {metric: auc, compared_to: champion, no_worse_by: 0.005}
      - {metric: auc, slice: "country=DE", compared_to: champion, no_worse_by: 0.02}
      - {metric: latency_p99_ms, at_most: 50, lower_is_better: true}
      - {lineage: [data, code]}
      - {metric: fairness_gap, at_most: 0.1, lower_is_better: true, advisory: true}
    approvals:
      quorum: 2
      from:
        - {group: ml-leads, at_least: 1}
        - {group: risk, at_least: 1}
      expires: 72h
    deploy: {target: prod-hook, timeout: 5m}
    rollback: {allowed: [on-call]}
targets:
  prod-hook: {type: webhook, url: "HOOK_URL", secret_env: HOOK_SECRET}
"""
#: What Slack may answer without Baton having said anything wrong.
FINE = {
    None,
    "ratelimited",
    "internal_error",
    "fatal_error",
    "service_unavailable",
    "token_revoked",
    "message_not_found",
}


class Clock:
    """The time of day, which a test may put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def version_body(version: str, **changes: Any) -> Json:
    """A version that passes every gate; `changes` replace metrics by name, or whole fields."""
    metrics: Json = {"auc": 0.95, "auc/country=DE": 0.93, "latency_p99_ms": 31.0, "fairness_gap": 0.05}
    metrics |= changes.pop("metrics", {})
    return {
        "version": version,
        "metrics": [
            {"name": name.partition("/")[0], "value": value, "slice": name.partition("/")[2], "dataset": "eval"}
            for name, value in metrics.items()
            if value != "left out"
        ],
        "artifact": {"uri": f"s3://models/fraud/{version}", "digest": f"sha256:{version.encode().hex():0>64}"[:71]},
        "lineage": {
            "data": [{"name": "transactions", "digest": "sha256:aa"}],
            "code": {"repo": "https://git.example.com/fraud", "commit": "0123abcd"},
            "trained_by": "erin@example.com",
        },
    } | changes  # fmt: skip


def wait(look: Callable[[], T | None], what: str, seconds: float = 30.0) -> T:
    """Look until there is something, until a deadline far beyond what it ever takes."""
    until, pause = time.monotonic() + seconds, 0.01
    while not (found := look()):
        assert time.monotonic() < until, f"waited {seconds:.0f} s for {what}"
        time.sleep(
            pause
        )  # longer each time: a look costs both sides a request, and takes the core from what is awaited
        pause = min(pause * 1.3, 0.1)
    return found


def reserved_port() -> tuple[socket.socket, int]:
    """A port that nobody else is given while the socket is kept: bound, and listened on only by whom it is for."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held, int(held.getsockname()[1])


class Patient(Person):
    """Somebody who waits far longer than anything takes, so that only what never happens fails."""

    def wait_for(self, look: Callable[[], T | None], timeout: float = 30.0, what: str = "") -> T:
        return super().wait_for(look, max(timeout, 30.0), what)


def _public(message: Json) -> bool:
    return not message["ephemeral"] and not message["deleted"]


class Office:
    """The local Slack and a deploy system, and people at work there; Baton itself runs wherever."""

    def __init__(self, folder: Path, delivery: str, policy: str, patience: float = ACK_SECONDS) -> None:
        self.folder = folder
        self.delivery = delivery
        self.slack = LocalSlack(
            manifest=ROOT / "manifest.yml", delivery=delivery, event_retries=(0.0, 0.1, 0.1), ack_seconds=patience
        )  # fmt: skip
        self.receiver = Receiver(lambda _hook: (200, {"state": "succeeded"}))
        self.policy = folder / "baton.yml"
        self.policy.write_text(policy.replace("HOOK_URL", self.receiver.url), encoding="utf-8")
        self._held, self.port = reserved_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = ""
        self.pictures = "off"
        self._people: dict[str, Person] = {}
        self._http = httpx.Client(timeout=20, trust_env=False, verify=False)

    def open(self) -> None:
        self.slack.request_url = f"{self.url}/slack/events"
        self.slack.start()

    def close(self) -> None:
        for person in self._people.values():
            person.close()
        self._http.close()
        self.slack.stop()
        self.receiver.__exit__()
        self._held.close()

    def environment(self, database_url: str) -> dict[str, str]:
        """What Baton is told: nothing that it would not be told of a real workspace."""
        given = {
            "BATON_DATABASE_URL": database_url,
            "BATON_CONFIG": str(self.policy),
            "BATON_PORT": str(self.port),
            "BATON_LOG_LEVEL": "warning",
            "BATON_PICTURES": self.pictures,
            "SLACK_API_URL": self.slack.api_url,
            "SLACK_BOT_TOKEN": self.slack.bot_token,
            "SLACK_SIGNING_SECRET": self.slack.signing_secret,
            "HOOK_SECRET": SECRET,
            "ALERT_TOKEN": "an-alert-token",
            "MLFLOW_WEBHOOK_SECRET": "an-mlflow-secret",
        }
        return given | ({"SLACK_APP_TOKEN": self.slack.app_token} if self.delivery == "socket" else {})

    # -- people --------------------------------------------------------------------------------------------------

    def person(self, user: str) -> Person:
        if user not in self._people:
            self._people[user] = Patient(self.slack.url, user, timeout=60.0)
        return self._people[user]

    @property
    def alice(self) -> Person:
        return self.person(ALICE)

    @property
    def bob(self) -> Person:
        return self.person(BOB)

    @property
    def carol(self) -> Person:
        return self.person(CAROL)

    @property
    def dave(self) -> Person:
        return self.person(DAVE)

    @property
    def mallory(self) -> Person:
        return self.person(MALLORY)

    def command(self, person: Person, text: str) -> Json:
        """Type a slash command and read the private answer."""
        before = {each["ts"] for each in person.ephemerals(PROMO)}
        answer = person.command(PROMO, text)
        assert answer == {"ok": True}, answer
        return person.wait_for_message(PROMO, lambda m: m["ephemeral"] and m["ts"] not in before)

    def click(self, person: Person, message: Json, label: str, **choice: Any) -> None:
        """Press a button, or choose, and have Slack take it."""
        answer = person.click(message, label, **choice)
        assert answer == {"ok": True}, answer

    def refused(self, person: Person, message: Json, label: str) -> str:
        """Press a button, and the private sentence that it is answered with."""
        before = {each["ts"] for each in person.ephemerals(PROMO)}
        self.click(person, message, label)
        return str(person.wait_for_message(PROMO, lambda m: m["ephemeral"] and m["ts"] not in before)["text"])

    def card(self, text: str, seconds: float = 30.0) -> Json:
        """The newest message in the channel that everybody sees and that shows `text`."""
        return self.alice.wait_for_message(PROMO, lambda m: _public(m) and text in shown_text(m), seconds)

    def cards(self) -> list[Json]:
        """What everybody sees in the channel."""
        return [m for m in self.alice.messages(PROMO) if _public(m)]

    def story(self, message: Json) -> str:
        """The thread under a card."""
        replies = self.alice.messages(PROMO, message["ts"])
        return "\n".join(shown_text(m) for m in replies if m["ts"] != message["ts"])

    def ask(self, version: str, stage: str = "production", reason: str = "", person: Person | None = None) -> Json:
        """Ask for a promotion in one line; its card."""
        because = f" because {reason}" if reason else ""
        said = self.command(person or self.alice, f"/promote {MODEL} {version} to {stage}{because}")
        ref = str(said["text"]).partition(":")[0]
        return self.card(ref)

    def approve(self, message: Json, *people: Person) -> None:
        for person in people or (self.bob, self.carol):
            self.click(person, message, "Approve")

    def promoted(self, version: str) -> Json:
        """A version brought into production by everybody's clicks; its card."""
        self.register(version)
        message = self.ask(version)
        self.approve(message)
        return self.card(f"{MODEL} {version} is champion of production")

    # -- systems -------------------------------------------------------------------------------------------------

    def api(self, method: str, path: str, **body: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token}"}
        return self._http.request(method, f"{self.url}/api/v1{path}", json=body or None, headers=headers)

    def register(self, version: str, model: str = MODEL, **changes: Any) -> None:
        answer = self.api("POST", f"/models/{model}/versions", **version_body(version, **changes))
        assert answer.status_code == 201, answer.text

    def champion(self, stage: str = "production", model: str = MODEL) -> str | None:
        found: str | None = self.api("GET", f"/models/{model}/stages/{stage}").json().get("version")
        return found

    def report(self, hook: Hook, state: str, **more: str) -> httpx.Response:
        """The deploy system's signed word."""
        body = json.dumps({"state": state, **more}).encode()
        headers = sign(parse_secrets(SECRET), f"report_{hook.id}_{state}", datetime.now(UTC), body)
        headers["content-type"] = "application/json"
        return self._http.post(hook.data["callback_url"], content=body, headers=headers)

    # -- what went wrong in Slack --------------------------------------------------------------------------------

    def local(self, path: str, **body: Any) -> Json:
        """One act at the local Slack's controls."""
        answer = self._http.post(f"{self.slack.url}/_local/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def fault(self, method: str, **fault: Any) -> None:
        self.local("faults", method=method, **fault)

    def calls(self, method: str | None = None) -> list[Json]:
        params = {"method": method} if method else {}
        found: list[Json] = self._http.get(f"{self.slack.url}/_local/calls", params=params).json()["calls"]
        return found

    def complaints(self) -> list[str]:
        """Every call that Slack refused for what Baton said in it."""
        return [
            f"{call['method']}: {call['response']}"
            for call in self.calls()
            if isinstance(call["response"], dict) and call["response"].get("error") not in FINE
        ]


class Baton(Office):
    """The office with Baton in this process. `clock` is Baton's, and may be put forward."""

    def __init__(
        self, folder: Path, delivery: str, policy: str, database_url: str, patience: float = ACK_SECONDS
    ) -> None:
        super().__init__(folder, delivery, policy, patience)
        self.clock = Clock()
        self.database_url = database_url
        self.excused: set[str] = set()
        self.server: Any = None

    def open(self) -> None:
        super().open()
        self.start()
        self.token = self.server.services.tokens.create(Actor.system("test"), "ci", ["admin"])[1]

    def start(self) -> None:
        """Baton starts, and is ready."""
        self.server = Server(Settings.load(self.environment(self.database_url)), self.clock)
        self.server.start()
        wait(lambda: not self.server.services.slack_ready(), "Baton to be connected to Slack")

    def close(self) -> None:
        if self.server is not None:
            self.server.stop()
        super().close()

    def tick(self, job: str) -> None:
        """The scheduler runs one of its jobs now instead of at its next tick."""
        self.server.scheduler.modify_job(job, next_run_time=datetime.now(UTC))

    def remind(self) -> None:
        """The clock of reminders strikes, now."""
        remind(self.server.services.promotions, self.clock())

    # -- what the database holds ---------------------------------------------------------------------------------

    def sql(self, statement: str, **values: Any) -> None:
        with self.server.database.note() as session:
            session.execute(text(statement), values)

    def scalar(self, statement: str) -> Any:
        with self.server.database.read() as session:
            return session.execute(text(statement)).scalar()

    def decisions(self, promotion: int | None = None) -> list[tuple[str, str]]:
        """(who, what) in order."""
        with self.server.database.read() as session:
            query = select(DecisionRow).order_by(DecisionRow.id)
            if promotion is not None:
                query = query.where(DecisionRow.promotion_id == promotion)
            return [(row.actor, row.kind) for row in session.scalars(query)]

    def states(self) -> list[str]:
        """The state of every promotion, oldest first."""
        with self.server.database.read() as session:
            return list(session.scalars(select(PromotionRow.state).order_by(PromotionRow.id)))

    def reigns(self, stage: str = "production", model: str = MODEL) -> list[tuple[str, bool]]:
        """(version, serves now) of a stage in order of time."""
        with self.server.database.read() as session:
            rows = session.scalars(
                select(Champion)
                .join(RegisteredModel, RegisteredModel.id == Champion.model_id)
                .where(RegisteredModel.name == model, Champion.stage == stage)
                .order_by(Champion.id)
            )
            return [(row.version.version, row.until is None) for row in rows]

    def check_laws(self) -> None:
        """What holds after every story, however it went."""
        with self.server.database.read() as session:
            verify(session)
        assert not self.receiver.problems
        assert [each for each in self.complaints() if not any(word in each for word in self.excused)] == []
