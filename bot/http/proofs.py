"""Who calls without an API token, and how each proves it: a signature, or a token of its own in the policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.http.alert_proof import proves
from bot.http.problems import Unauthorised
from bot.http.services import Services
from core.domain.errors import BadInput, NotAllowed, NotFound, Refused
from core.registries.mlflow_events import Hint, verify_webhook
from core.store.promotions import number
from core.store.reports import target_of
from core.targets.standard_webhooks import verify


@dataclass(frozen=True)
class Proof:
    """Who it is, such as `target:prod-hook`; of a report its `webhook-id`, of a registry what it hints at."""

    caller: str
    webhook_id: str = ""
    hint: Hint | None = None


class Malformed(Refused):
    """It is genuine, and no webhook of the registry's kind."""

    status = 400


def prove(services: Services, parts: list[str], headers: Mapping[str, str], body: bytes) -> Proof | None:
    """Who calls the hook whose address has these `parts`; None where there is no such hook. Raises `Refused`.

    Settled before anything is read of the body but what is signed.
    """
    match parts:
        case ["deployments", deployment, "status"]:
            return _target(services, number(deployment, "D"), headers, body)
        case ["alerts", name]:
            return _alert_source(services, name, headers, body)
        case ["registries", name, "events"]:
            return _registry(services, name, headers, body)
    return None


def _target(services: Services, deployment_id: int, headers: Mapping[str, str], body: bytes) -> Proof:
    with services.database.read() as session:
        name = target_of(session, deployment_id)
    secrets = services.target_secrets(name)
    if not secrets:
        raise NotFound("no-reports", f"D-{deployment_id} has no webhook target in this policy, so it takes no reports.")
    try:
        return Proof(f"target:{name}", webhook_id=verify(secrets, headers, body, services.clock()))
    except NotAllowed as wrong:
        raise Unauthorised(wrong.slug, wrong.sentence) from None


def _alert_source(services: Services, name: str, headers: Mapping[str, str], body: bytes) -> Proof:
    if name not in services.policy.alerts:
        raise NotFound("unknown-alert-source", f"This policy names no alert source called “{name[:80]}”.")
    if not proves(services.alert_secret(name), headers, body):
        raise Unauthorised(
            "wrong-token",
            f"The sender of these alerts is not known: send the token of “{name[:80]}” as Authorization: Bearer, or sign "
            "with it as Grafana does.",
        )
    return Proof(f"alerts:{name}")


def _registry(services: Services, name: str, headers: Mapping[str, str], body: bytes) -> Proof:
    if name not in services.policy.registries:
        raise NotFound("unknown-registry", f"This policy names no registry called “{name[:80]}”.")
    secret = services.registries.secret(name)
    if not secret:
        raise NotFound(
            "no-events", f"The registry {name} takes no webhooks: the policy names no webhook_secret_env for it."
        )
    try:
        return Proof(f"registry:{name}", hint=verify_webhook(headers, body, secret, services.clock()))
    except NotAllowed as wrong:
        raise Unauthorised(wrong.slug, wrong.sentence) from None
    except BadInput as wrong:
        raise Malformed("malformed", wrong.sentence) from None
