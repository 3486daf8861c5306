"""What registries call when something happens there: a hint where to look, believed only as far as looking goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.http.problems import Unauthorised
from bot.http.services import Services
from core.domain.errors import BadInput, NotAllowed, NotFound, Refused
from core.registries.mlflow_events import verify_webhook


class Malformed(Refused):
    """It is genuine, and no webhook of the registry's kind."""

    status = 400


def heard(services: Services, name: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Take a registry's webhook. Repeating it is harmless; what it hints at is looked at within seconds."""
    if name not in services.policy.registries:
        raise NotFound("unknown-registry", f"This policy names no registry called “{name[:80]}”.")
    secret = services.registries.secret(name)
    if not secret:
        raise NotFound(
            "no-events", f"The registry {name} takes no webhooks: the policy names no webhook_secret_env for it."
        )
    try:
        hint = verify_webhook(headers, body, secret, services.clock())
    except NotAllowed as wrong:
        raise Unauthorised(wrong.slug, wrong.sentence) from None
    except BadInput as wrong:
        raise Malformed("malformed", wrong.sentence) from None
    taken = hint.matters and services.registries.hear(name, hint.delivery[:200], hint.model)
    return {"registry": name, "model": hint.model, "taken": taken}
