"""What Alertmanager and Grafana send: one tolerant parser for both. Pure.

Grafana's webhook has Alertmanager's shape with more keys; a group may mix firing and resolved alerts, so each alert's own
status counts. https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from core.domain.errors import BadInput

#: So many of one message are taken in; a refusal of the rest would lose them all, since senders do not try again.
MOST = 1_000
TEXT = 500
NEVER = datetime(1, 1, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Alert:
    """One alert. `fingerprint` and `starts_at` name it; everything in it is outside text."""

    fingerprint: str
    starts_at: datetime
    firing: bool
    name: str
    summary: str
    url: str = ""
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """Whose model it is about; "" where the labels do not say."""
        return self.labels.get("model") or self.labels.get("model_name") or ""

    @property
    def version(self) -> str:
        """Which version; "" where the labels do not say."""
        return self.labels.get("version") or self.labels.get("model_version") or ""

    @property
    def stage(self) -> str:
        """Which stage; "" where the labels do not say."""
        return self.labels.get("stage") or self.labels.get("environment") or self.labels.get("env") or ""

    @property
    def canary(self) -> bool:
        """Whether it names the version that is being rolled out, whichever that is."""
        return self.labels.get("track", "").lower() == "canary"


def parse(body: bytes) -> tuple[list[Alert], int]:
    """(alerts, how many more were left out, there or here). Raises `BadInput` with what is wrong."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        raise BadInput("body", "The body is not JSON; send what Alertmanager or Grafana send to a webhook.") from None
    found = said.get("alerts") if isinstance(said, dict) else None
    if not isinstance(found, list):
        raise BadInput("alerts", "The body has no list of alerts; send what Alertmanager or Grafana send to a webhook.")
    cut = said.get("truncatedAlerts")
    left_out = (cut if isinstance(cut, int) and cut > 0 else 0) + max(0, len(found) - MOST)
    return [_alert(each, number) for number, each in enumerate(found[:MOST])], left_out


def _alert(given: Any, number: int) -> Alert:
    where = f"alerts[{number}]"
    if not isinstance(given, dict):
        raise BadInput(where, f"{where} is not an alert; each has status, labels and startsAt.")
    status = given.get("status")
    if status not in ("firing", "resolved"):
        raise BadInput(f"{where}.status", f"{where}.status is {_shown(status)}; it is firing or resolved.")
    labels, notes = _texts(given.get("labels")), _texts(given.get("annotations"))
    fingerprint = given.get("fingerprint")
    if not isinstance(fingerprint, str) or not fingerprint:
        fingerprint = hashlib.sha256(json.dumps(labels, sort_keys=True).encode()).hexdigest()[:16]
    name = labels.get("alertname") or notes.get("summary") or "An alert"
    summary = notes.get("summary") or notes.get("description") or notes.get("message") or name
    urls = [each for each in (given.get("generatorURL"), notes.get("runbook_url")) if isinstance(each, str) and each]
    return Alert(
        fingerprint[:100], _moment(given.get("startsAt"), where), status == "firing", name[:TEXT], summary[:TEXT],
        urls[0][:2000] if urls else "", labels,
    )  # fmt: skip


def _moment(given: Any, where: str) -> datetime:
    try:
        found = datetime.fromisoformat(str(given).replace("Z", "+00:00"))
    except ValueError:
        raise BadInput(
            f"{where}.startsAt", f"{where}.startsAt is {_shown(given)}; write a moment such as 2026-11-23T03:53:46Z."
        ) from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return max(found.astimezone(UTC), NEVER) if found.year > 1 else NEVER


def _texts(given: Any) -> dict[str, str]:
    if not isinstance(given, Mapping):
        return {}
    return {str(key)[:200]: str(value)[:TEXT] for key, value in list(given.items())[:100]}


def _shown(value: Any) -> str:
    return f"“{str(value)[:40]}”" if isinstance(value, str | int | float) else "missing"
