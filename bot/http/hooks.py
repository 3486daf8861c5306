"""What other systems call: deployment reports, alerts, registry events. Each proves itself by a secret it shares."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from bot.http import schemas
from bot.http.api import PREFIX, REFUSALS
from bot.http.problems import Unauthorised
from bot.http.services import Services
from bot.settings import SettingsError
from core.domain.errors import NotAllowed, NotFound, Unavailable
from core.store.promotions import number
from core.store.reports import target_of
from core.targets.standard_webhooks import parse_secrets, verify

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
        secret = self._secret(wanted)
        try:
            webhook_id = verify(parse_secrets(secret), headers, raw, self.services.clock())
        except NotAllowed as wrong:
            raise Unauthorised(wrong.slug, wrong.sentence) from None
        except ValueError as wrong:
            raise Unavailable(f"The secret of the target of D-{wanted} {wrong}") from None
        try:
            body = schemas.ReportIn.model_validate_json(raw)
        except ValidationError as wrong:
            errors = [{**each, "loc": ("body", *each["loc"])} for each in wrong.errors(include_url=False)]
            raise RequestValidationError(errors) from None
        self.services.deployments.report(wanted, body.state, body.url, body.message, webhook_id)
        return {"deployment": f"D-{wanted}", "state": body.state}

    def _secret(self, deployment_id: int) -> str:
        """The secret that reports of this deployment are signed with. Raises `NotFound` or `Unavailable`."""
        with self.services.database.read() as session:
            name = target_of(session, deployment_id)
        target = self.services.policy.targets.get(name)
        variable = getattr(target, "secret_env", None)  # of all kinds of target, only webhooks report so
        if variable is None:
            raise NotFound(
                "no-reports", f"D-{deployment_id} has no webhook target in this policy, so it takes no reports."
            )
        try:
            secret = self.services.settings.secret(variable)
        except SettingsError as wrong:
            raise Unavailable(str(wrong)) from None
        if not secret:
            raise Unavailable(f"{variable} is not set, so reports of the target {name} cannot be verified.")
        return secret

    def alert(self, name: str) -> Json:
        """An Alertmanager or Grafana webhook."""
        raise NotFound("unknown-alert-source", f"This policy names no alert source called “{name[:80]}”.")

    def registry_event(self, name: str) -> Json:
        """A registry's webhook."""
        raise NotFound("unknown-registry", f"This policy names no registry called “{name[:80]}”.")
