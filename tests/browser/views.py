"""What is looked at, and what people and systems do to bring it about: the policy, the verbs, and a view."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from playwright.sync_api import Page

from bot.local_slack.person import Json, Person, labels, shown_text
from tests.integration.receiver import Hook, Reply
from tests.scenario.world import CAROL, Baton, version_body, wait

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
    gates: [{metric: auc, at_least: 0.85}]
    approvals: {automatic: true}
  - name: sandbox
    approvals: {quorum: 1, from: [{group: ml-leads}, {group: risk}]}
  - name: batch
    approvals: {quorum: 1, from: [{group: ml-leads}]}
    deploy: {target: prod-hook, timeout: 1s}
  - name: europe
    gates: [{metric: auc, at_least: 0.90}]
    approvals: {quorum: 1, from: [{group: ml-leads}]}
    freeze: [{name: year end, from: "FROM", until: "UNTIL", reason: "the books are closed"}]
    deploy: {target: prod-hook, timeout: 5d}
  - name: mobile
    gates: [{metric: auc, at_least: 0.90}]
    approvals: {quorum: 1, from: [{group: ml-leads}]}
    deploy: {target: prod-hook, timeout: 5d}
    rollout: {strategy: canary, steps: [{traffic: 5, hold: 7d}, {traffic: 25, hold: 7d}, {traffic: 100}]}
    rollback: {allowed: [on-call]}
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
      from: [{group: ml-leads, at_least: 1}, {group: risk, at_least: 1}]
      expires: 72h
      remind: [24h]
      escalate: {after: 48h, to: on-call}
    deploy: {target: prod-hook, timeout: 5d}
    review: {after: 5d}
    rollback: {allowed: [on-call], on_alert: ask}
    break_glass: {allowed: [on-call]}
targets:
  prod-hook: {type: webhook, url: "HOOK_URL", secret_env: HOOK_SECRET}
alerts:
  alertmanager: {type: alertmanager, token_env: ALERT_TOKEN}
bundles:
  search: {members: [embedder, ranker], order: [[embedder, ranker]]}
models:
  price-*: {registry: mlflow, write_back: alias}
registries:
  mlflow: {type: mlflow, url: "MLFLOW_URL", poll: 1s}
"""
MODEL = "fraud-detector"
WHY_ASKED = "it finds 3 % more fraud in October's holdout, at the same latency"
CARD, FORM, ANSWER, BOARD, DIRECT = (
    "The card",
    "Forms",
    "Private answers",
    "Home and digest",
    "Direct messages, threads",
)


@dataclass(frozen=True)
class View:
    """One thing to look at. `text` is what must stand there before it is looked at; `first` and `second` are what its
    first two blocks must say. `place` is where `user` sees it: channel, app, home, thread or form.
    """

    name: str
    group: str
    says: str
    user: str
    text: str
    place: str = "channel"
    ts: str = ""
    first: str = ""
    second: str = ""
    buttons: bool = False
    prepare: Callable[[Page], None] = lambda _page: None


def policy(mlflow: str) -> str:
    """The policy file, with the MLflow server's address; one stage is frozen from yesterday on."""
    now = datetime.now(UTC)
    begins, ends = (f"{now + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}" for days in (-1, 9))
    return POLICY.replace("FROM", begins).replace("UNTIL", ends).replace("MLFLOW_URL", mlflow)


def answers(hook: Hook) -> Reply:
    """The deploy system: at a loss about batch, at once for what is put back and all other models, else it will report."""
    if hook.data["stage"] == "batch":
        return 500, {"message": "no idea"}
    if hook.data["model"]["name"] != MODEL or hook.data["model"]["version"] == "6":
        return 200, {"state": "succeeded"}
    return 202, {}


def register(baton: Baton, version: str, model: str = MODEL, **metrics: Any) -> None:
    """A version with numbers that read like real ones."""
    usual = {"auc": 0.9573, "auc/country=DE": 0.9311, "latency_p99_ms": 31.4, "fairness_gap": 0.052}
    body = version_body(version, metrics=usual | metrics)
    assert baton.api("POST", f"/models/{model}/versions", **body).status_code in (200, 201)


def ask(baton: Baton, version: str, stage: str = "production", model: str = MODEL, reason: str = WHY_ASKED) -> Json:
    """Alice asks in one line; the card."""
    said = baton.command(baton.alice, f"/promote {model} {version} to {stage} because {reason}")
    ref = str(said["text"]).partition(":")[0]
    return baton.card(ref)


def ref_of(message: Json) -> str:
    """The promotion that a card is about, such as P-12."""
    found = re.search(r"\bP-\d+", shown_text(message))
    assert found is not None
    return found[0]


def withdraw(baton: Baton, message: Json) -> Json:
    """Alice thinks better of it, by the button in Details; the card."""
    baton.click(baton.alice, message, "Details")
    form = baton.alice.wait_for_view(predicate=lambda view: "Withdraw this request" in labels(view))
    baton.click(baton.alice, form, "Withdraw this request")
    gone = baton.card("Withdrawn: ")
    baton.alice.close_view(form)
    return wait(lambda: now(baton, gone) if "Withdrawn" in shown_text(now(baton, gone)) else None, "it to be withdrawn")


def now(baton: Baton, message: Json) -> Json:
    """The message as it is by now."""
    return next(m for m in baton.cards() if m["ts"] == message["ts"])


def reported(baton: Baton, version: str, state: str, **more: str) -> None:
    """The deploy system's word about the last hook for a version."""
    hook = wait(
        lambda: next((h for h in reversed(baton.receiver.hooks) if h.data["model"]["version"] == version), None),
        f"the hook for {version}",
    )
    assert baton.report(hook, state, **more).status_code == 200


def opened(person: Person, text: str) -> Json:
    """The form that somebody has before them, once it shows a text."""
    return person.wait_for_view(predicate=lambda view: text in shown_text(view))


def card(name: str, says: str, message: Json, first: str, second: str, user: str = CAROL, **more: Any) -> View:
    """A card in the channel."""
    return View(name, CARD, says, user, first, ts=message["ts"], first=first, second=second, **more)


def send_alert(baton: Baton) -> None:
    """What Alertmanager says of version 7."""
    alert = {
        "status": "firing",
        "labels": {"alertname": "ModelErrorRateHigh", "model": MODEL, "version": "7", "stage": "production"},
        "annotations": {"summary": "error rate 9.864 %"},
        "startsAt": datetime.now(UTC).isoformat(),
        "generatorURL": "http://prometheus.example.com/graph",
        "fingerprint": "00000000000000aa",
    }
    answer = httpx.post(
        f"{baton.url}/api/v1/alerts/alertmanager",
        json={"version": "4", "status": "firing", "alerts": [alert]},
        headers={"authorization": "Bearer an-alert-token"},
        timeout=20,
    )
    assert answer.status_code == 200, answer.text
