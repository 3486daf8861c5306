"""What other systems call: deployment reports, alerts, registry events. Each proves itself by a secret it shares."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from bot.http import schemas
from bot.http.alert_proof import proves
from bot.http.api import PREFIX, REFUSALS
from bot.http.problems import Unauthorised
from bot.http.registry_events import heard
from bot.http.services import Services
from core.domain.errors import Conflict, NotAllowed, NotFound
from core.policy.alerting import parse
from core.store.promotions import number
from core.store.reports import target_of
from core.targets.standard_webhooks import Secret, verify

Json = dict[str, Any]
REPORT: Json = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": schemas.ReportIn.model_json_schema()}},
    }
}


class Hooks:
    """The routes under /api/v1 that need no token."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def register(self, app: FastAPI) -> None:
        """Add the routes to `app`."""
        for path, endpoint, body in (
            ("/deployments/{deployment}/status", self.report, REPORT),
            ("/alerts/{name}", self.alert, None),
            ("/registries/{name}/events", self.registry_event, None),
        ):
            app.add_api_route(
                PREFIX + path, endpoint, methods=["POST"], tags=["hooks"], responses=REFUSALS, openapi_extra=body
            )

    async def report(self, deployment: str, request: Request) -> Json:
        """A deploy system's report, signed as Standard Webhooks with the target's secret. Repeating it is harmless."""
        raw = await request.body()
        return await run_in_threadpool(self._report, deployment, raw, dict(request.headers))

    def _report(self, deployment: str, raw: bytes, headers: dict[str, str]) -> Json:
        """Who sends it is settled before what it says is read."""
        wanted = number(deployment, "D")
        secrets = self._secrets(wanted)
        try:
            webhook_id = verify(secrets, headers, raw, self.services.clock())
        except NotAllowed as wrong:
            raise Unauthorised(wrong.slug, wrong.sentence) from None
        try:
            body = schemas.ReportIn.model_validate_json(raw)
        except ValidationError as wrong:
            errors = [{**each, "loc": ("body", *each["loc"])} for each in wrong.errors(include_url=False)]
            raise RequestValidationError(errors) from None
        if body.deployment is not None and number(body.deployment, "D") != wanted:
            raise Conflict("other-deployment", f"This report is of {body.deployment[:30]}, but was sent to D-{wanted}.")
        taken = self.services.deployments.report(wanted, body.state, body.url, body.message, webhook_id)
        return {"deployment": f"D-{wanted}", "state": body.state, "taken": taken.taken, "detail": taken.sentence}

    def _secrets(self, deployment_id: int) -> tuple[Secret, ...]:
        """What reports of this deployment are signed with. Raises `NotFound`."""
        with self.services.database.read() as session:
            name = target_of(session, deployment_id)
        found = self.services.target_secrets(name)
        if not found:
            raise NotFound(
                "no-reports", f"D-{deployment_id} has no webhook target in this policy, so it takes no reports."
            )
        return found

    async def alert(self, name: str, request: Request) -> Json:
        """An Alertmanager or Grafana webhook, with the source's token as bearer or basic password, or Grafana's signature.

        Overload and a database that is away are answered 503, which Alertmanager tries again (it does so for nothing else).
        """
        raw = await request.body()
        return await run_in_threadpool(self._alert, name, raw, dict(request.headers))

    def _alert(self, name: str, raw: bytes, headers: dict[str, str]) -> Json:
        if name not in self.services.policy.alerts:
            raise NotFound("unknown-alert-source", f"This policy names no alert source called “{name[:80]}”.")
        if not proves(self.services.alert_secret(name), headers, raw):
            raise Unauthorised(
                "wrong-token",
                f"The sender of these alerts is not known: send the token of “{name[:80]}” as Authorization: Bearer, or sign "
                "with it as Grafana does.",
            )
        alerts, left_out = parse(raw)
        news = self.services.alerts.heard(name, alerts, self.services.clock())
        return {"alerts": len(alerts), "news": news, "left_out": left_out}

    async def registry_event(self, name: str, request: Request) -> Json:
        """A registry's webhook (MLflow's), signed with the secret that the policy names; a hint where to look."""
        raw = await request.body()
        return await run_in_threadpool(heard, self.services, name, dict(request.headers), raw)
