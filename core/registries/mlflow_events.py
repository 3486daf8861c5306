"""MLflow's webhooks: whether one is genuine, and what it hints at.

A hook is a hint and never the truth: it is sent before metrics are complete, its `run_id` is null, stage transitions
send none, and hooks are lost when the server restarts. Whatever it says is read again. MLflow repeats a delivery with
the same id **and the same timestamp**, so `Hint.delivery` is what tells a repetition.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.domain.errors import BadInput, NotAllowed

TOLERANCE = 300
ENTITIES = frozenset({"registered_model", "model_version", "model_version_tag", "model_version_alias"})


@dataclass(frozen=True)
class Hint:
    """What a webhook says happened. `version`, `key` and `alias` are "" where it names none."""

    delivery: str
    entity: str
    action: str
    model: str
    version: str = ""
    key: str = ""
    alias: str = ""

    @property
    def matters(self) -> bool:
        """False for prompts and budgets, and for the tags that Baton itself writes: it hears its own hand.

        An alias event may be Baton's own too: compare with what the registry says now.
        """
        return self.entity in ENTITIES and bool(self.model) and not self.key.startswith("baton.")


def verify_webhook(headers: Mapping[str, str], body: bytes, secret: str, now: datetime) -> Hint:
    """Make sure that `body` comes lately from somebody who knows `secret` (as written), and say what it hints at.

    Raises `NotAllowed` when it does not, and `BadInput` for a genuine body that is not MLflow's.
    """
    named = {name.lower(): value for name, value in headers.items()}
    given = {part: named.get(f"x-mlflow-{part}", "") for part in ("delivery-id", "timestamp", "signature")}
    for part, value in given.items():
        if not value:
            header = "-".join(word.capitalize() for word in part.split("-"))
            raise NotAllowed(
                "bad-signature", f"The header X-MLflow-{header} is missing; create the webhook with a secret."
            )
    delivery, timestamp = given["delivery-id"], given["timestamp"]
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise NotAllowed("bad-signature", "The header X-MLflow-Timestamp is not a whole number of seconds since 1970.")
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE:
        raise NotAllowed(
            "bad-signature", f"The header X-MLflow-Timestamp is over {TOLERANCE} s away from the time here."
        )
    signed = f"{delivery}.{timestamp}.".encode("utf-8", "replace") + body
    right = b"v1," + base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest())
    if not secret or not hmac.compare_digest(given["signature"].encode("utf-8", "replace"), right):
        raise NotAllowed("bad-signature", "X-MLflow-Signature does not fit this body and this secret.")
    return _hint(delivery, body)


def _hint(delivery: str, body: bytes) -> Hint:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    data = said.get("data") if isinstance(said, dict) else None
    if not isinstance(said, dict) or not isinstance(data, dict) or not _text(said.get("entity")):
        raise BadInput("body", "The body is not an MLflow webhook: entity, action and data are expected.")
    return Hint(
        delivery=delivery,
        entity=_text(said.get("entity")),
        action=_text(said.get("action")),
        model=_text(data.get("name")),
        version=_text(data.get("version")),
        key=_text(data.get("key")),
        alias=_text(data.get("alias")),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
