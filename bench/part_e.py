"""(e) After each fault: how long until the card is true again, counted from the fault's end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.clicking import answers, wait_until
from bench.databases import SQLITE, Databases
from bench.report import heading, line, verdict
from bench.world import ROOT, now
from bot.demo.setting import free_port, manifest_path
from bot.local_slack import LocalSlack, Person
from bot.local_slack.cast import DEFAULT_CHANNELS, ChannelSeed
from bot.local_slack.person import shown_text
from core.domain.model import Actor
from core.store.database import Database
from core.tokens import Tokens

GOAL = 5.0
#: How long a fault lasts, so that its end meets different moments of the retries.
LASTS = (4.2, 5.4, 6.6)
CHANNEL = "C04SECRET"
POLICY = """
version: 1
slack: {channel: "#secret", owner: U04DAVE}
groups: {approvers: [U02BOB, U03CAROL]}
stages:
  - name: development
  - name: production
    gates: [{metric: auc, at_least: 0.9}]
    approvals: {quorum: 2, from: [{group: approvers}]}
"""


class Office:
    """The local Slack here, Baton in a process of its own, and a private channel that Baton is in."""

    def __init__(
        self, url: str, folder: Path, delivery: str, policy: str = POLICY, channels: Sequence[ChannelSeed] = ()
    ) -> None:
        self.port, self.url, self.delivery, self.number = free_port(), url, delivery, 0
        hook = f"http://127.0.0.1:{self.port}/slack/events"
        rooms = [*DEFAULT_CHANNELS, *channels]
        self.slack = LocalSlack(manifest=manifest_path(), delivery=delivery, request_url=hook, channels=rooms)
        self._config = folder / f"truth-{self.port}.yml"
        self._config.write_text(policy)
        database = Database(url)
        self._token = Tokens(database, now).create(Actor.system("bench"), "bench", ["admin"])[1]
        database.dispose()
        self._http = httpx.Client(timeout=20, trust_env=False)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Office:
        self.slack.start()
        self.bob = Person(self.slack.url, "U02BOB")
        self.local("admin", channel={"id": CHANNEL, "bot": "add"})
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.bob.close()
        self.slack.stop()

    def start(self) -> None:
        """Start Baton; returns once it is ready."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BATON_", "SLACK_"))}
        settings = {
            "BATON_DATABASE_URL": self.url,
            "BATON_CONFIG": str(self._config),
            "BATON_PORT": str(self.port),
            "BATON_LOG_LEVEL": "error",
            "SLACK_API_URL": self.slack.api_url,
            "SLACK_BOT_TOKEN": self.slack.bot_token,
            "SLACK_SIGNING_SECRET": self.slack.signing_secret,
        }
        if self.delivery == "socket":
            settings["SLACK_APP_TOKEN"] = self.slack.app_token
        with self._config.with_suffix(".log").open("ab") as log:
            command = [sys.executable, "-m", "bot", "serve"]
            self._process = subprocess.Popen(command, env=kept | settings, cwd=ROOT, stderr=log)
        wait_until(lambda: answers(self.port, "/readyz"), 60, "Baton")

    def kill(self) -> None:
        """`kill -9`."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def local(self, path: str, **body: Any) -> None:
        """One act at the local Slack's controls."""
        self._http.post(f"{self.slack.url}/_local/{path}", json=body).raise_for_status()

    def fault(self, **fault: Any) -> None:
        """Posts and edits fail until faults are cleared."""
        for method in ("chat.postMessage", "chat.update"):
            self.local("faults", method=method, until_cleared=True, **fault)

    def ask(self) -> str:
        """A promotion of its own for each turn; its name."""
        self.number += 1
        model = f"model-{self.number}"
        metrics = [{"name": "auc", "value": 0.95, "dataset": "eval"}]
        artifact = {"uri": "s3://x", "digest": f"sha256:{'0' * 64}"}
        self.api(f"models/{model}/versions", version="1", metrics=metrics, artifact=artifact, lineage={})
        return str(self.api("promotions", model=model, version="1", stage="production", reason="bench")["id"])

    def api(self, path: str, **body: Any) -> dict[str, Any]:
        """One call of the API."""
        headers = {"authorization": f"Bearer {self._token}"}
        answer = self._http.post(f"http://127.0.0.1:{self.port}/api/v1/{path}", json=body, headers=headers)
        answer.raise_for_status()
        return dict(answer.json())

    def card(self, ref: str) -> dict[str, Any] | None:
        """What the channel shows of a promotion now."""
        found = [
            m for m in self.bob.messages("secret") if not m["deleted"] and f"{ref}\n" in shown_text({**m, "text": ""})
        ]
        assert len(found) < 2, f"{ref} is shown twice"
        return found[0] if found else None

    def shows(self, ref: str, part: str) -> bool:
        """Whether its card says so."""
        card = self.card(ref)
        return card is not None and part in shown_text(card)


@dataclass(frozen=True)
class Fault:
    """`begin` and `end` it; `late`: the promotion is asked for while it lasts."""

    name: str
    begin: Callable[[Office], None]
    end: Callable[[Office], None]
    late: bool = False


def _membership(act: str) -> Callable[[Office], None]:
    return lambda office: office.local("admin", channel={"id": CHANNEL, "bot": act})


def _renamed(name: str) -> Callable[[Office], None]:
    return lambda office: office.local("admin", channel={"id": CHANNEL, "name": name})


def _archived(state: bool) -> Callable[[Office], None]:
    return lambda office: office.local("admin", channel={"id": CHANNEL, "archived": state})


def _cleared(office: Office) -> None:
    office.local("faults/clear")


FAULTS = (
    Fault("429, Retry-After 2 s", lambda o: o.fault(status=429, retry_after=2), _cleared),
    Fault("500", lambda o: o.fault(status=500), _cleared),
    Fault("500 though it was done", lambda o: o.fault(status=500, after_effect=True), _cleared, late=True),
    Fault("the connection breaks before the answer", lambda o: o.fault(after_effect=True), _cleared, late=True),
    Fault("token revoked", lambda o: o.local("admin", token="revoke"), lambda o: o.local("admin", token="restore")),
    Fault("put out of a private channel", _membership("remove"), _membership("add")),
    Fault("put out, and asked for meanwhile", _membership("remove"), _membership("add"), late=True),
    Fault("channel renamed, and asked for meanwhile", _renamed("elsewhere"), _renamed("secret"), late=True),
    Fault("channel archived, and asked for meanwhile", _archived(True), _archived(False), late=True),
)


def run(places: Databases, quick: bool) -> None:
    heading("(e) from the end of a fault until the card is true; the worst of several")
    for kind in places.kinds:
        delivery = "socket" if kind == SQLITE else "http"
        line(f"{kind}, {'Socket Mode' if delivery == 'socket' else 'HTTP'}")
        with ExitStack() as stack:
            office = stack.enter_context(Office(places.new(kind), places.folder, delivery))
            lasts = LASTS[:1] if quick else LASTS
            for fault in FAULTS:
                verdict(fault.name, max(outlived(office, fault, seconds) for seconds in lasts), GOAL, "s")
            verdict("a card is deleted", max(deleted(office) for _ in lasts), GOAL, "s")
            verdict("edits are refused for good", max(frozen(office) for _ in lasts), GOAL, "s")
            if delivery == "socket":
                verdict("the socket dies; a click, from its answer on", max(cut(office) for _ in lasts), GOAL, "s")
            verdict("kill -9 amid an edit, from ready on", max(killed(office) for _ in lasts), GOAL, "s")


def outlived(office: Office, fault: Fault, seconds: float) -> float:
    """Something changes while the fault lasts."""
    ref = None if fault.late else waiting(office)
    fault.begin(office)
    ref = ref or office.ask()
    office.api(f"promotions/{ref}/cancel", reason="bench")
    time.sleep(seconds)
    fault.end(office)
    return until(lambda: office.shows(ref, "Withdrawn"))


def deleted(office: Office) -> float:
    """Nothing else happens: it has to be missed first."""
    ref = waiting(office)
    card = office.card(ref)
    assert card
    office.local("admin", message={"channel": CHANNEL, "ts": card["ts"], "delete": True})
    return until(lambda: office.shows(ref, "Approvals 0 of 2"))


def frozen(office: Office) -> float:
    ref = waiting(office)
    office.local("faults", method="chat.update", error="edit_window_closed")
    office.api(f"promotions/{ref}/cancel", reason="bench")
    return until(lambda: office.shows(ref, "Withdrawn"))


def cut(office: Office) -> float:
    """Slack delivers no click while there is no socket; the first one that it takes counts."""
    ref = waiting(office)
    office.local("socket", action="kill")
    card = office.card(ref)
    assert card
    wait_until(lambda: office.bob.click(card, "Approve") == {"ok": True}, 30, "a click to be taken")
    return until(lambda: office.shows(ref, "Approvals 1 of 2"))


def killed(office: Office) -> float:
    """It dies while Slack takes its time over an edit."""
    ref = waiting(office)
    office.local("faults", method="chat.update", latency=3.0)
    office.api(f"promotions/{ref}/cancel", reason="bench")
    time.sleep(1.0)
    office.kill()
    office.local("faults/clear")
    office.start()
    return until(lambda: office.shows(ref, "Withdrawn"))


def waiting(office: Office) -> str:
    """A promotion whose card is posted."""
    ref = office.ask()
    wait_until(lambda: office.shows(ref, "Approvals 0 of 2"), 30, "the card")
    return ref


def until(true: Callable[[], bool]) -> float:
    began = time.monotonic()
    wait_until(true, 60, "the truth")
    return time.monotonic() - began
