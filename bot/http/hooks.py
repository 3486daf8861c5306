"""What other systems call: deployment reports, alerts, registry events. Who they are was settled at the entrance."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from bot.http import schemas
from bot.http.api import PREFIX, REFUSALS
from bot.http.proofs import Proof
from bot.http.services import Services
from core.domain.errors import Conflict
from core.policy.alerting import parse
from core.registries.mlflow_events import Hint
from core.store.promotions import number

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
        return await run_in_threadpool(self._report, deployment, raw, request.state.proof)

    def _report(self, deployment: str, raw: bytes, proof: Proof) -> Json:
        wanted = number(deployment, "D")
        try:
            body = schemas.ReportIn.model_validate_json(raw)
        except ValidationError as wrong:
            errors = [{**each, "loc": ("body", *each["loc"])} for each in wrong.errors(include_url=False)]
            raise RequestValidationError(errors) from None
        if body.deployment is not None and number(body.deployment, "D") != wanted:
            raise Conflict("other-deployment", f"This report is of {body.deployment[:30]}, but was sent to D-{wanted}.")
        taken = self.services.deployments.report(wanted, body.state, body.url, body.message, proof.webhook_id)
        if taken.conflict:
            raise Conflict(taken.conflict, taken.sentence)
        return {"deployment": f"D-{wanted}", "state": body.state, "taken": taken.taken, "detail": taken.sentence}

    async def alert(self, name: str, request: Request) -> Json:
        """An Alertmanager or Grafana webhook, with the source's token as bearer or basic password, or Grafana's signature.

        Overload and a database that is away are answered 503, which Alertmanager tries again (it does so for nothing else).
        """
        raw = await request.body()
        return await run_in_threadpool(self._alert, name, raw)

    def _alert(self, name: str, raw: bytes) -> Json:
        alerts, left_out = parse(raw)
        news = self.services.alerts.heard(name, alerts, self.services.clock())
        return {"alerts": len(alerts), "news": news, "left_out": left_out}

    async def registry_event(self, name: str, request: Request) -> Json:
        """A registry's webhook (MLflow's), signed with the secret that the policy names; a hint where to look.

        Repeating it is harmless; what it hints at is looked at within seconds.
        """
        return await run_in_threadpool(self._registry_event, name, request.state.proof.hint)

    def _registry_event(self, name: str, hint: Hint) -> Json:
        taken = hint.matters and self.services.registries.hear(name, hint.delivery[:200], hint.model)
        return {"registry": name, "model": hint.model, "taken": taken}
