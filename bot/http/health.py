"""Alive, able to serve, and in numbers. Outside /api/v1, without a token; nothing here tells a secret."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.http.metrics import CONTENT_TYPE
from bot.http.services import Services
from core.store.health import trouble


class Health:
    """`/healthz`, `/readyz` and `/metrics`."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def register(self, app: FastAPI) -> None:
        """Add the routes to `app`; probes ask with HEAD as often as with GET."""
        app.router.routes += [
            Route("/healthz", self.alive, methods=["GET", "HEAD"]),
            Route("/readyz", self.ready, methods=["GET", "HEAD"]),
            Route("/metrics", self.metrics, methods=["GET", "HEAD"]),
        ]

    async def alive(self, _: Request) -> Response:
        """This process runs and answers."""
        return JSONResponse({"status": "alive"})

    async def ready(self, _: Request) -> Response:
        """This process can serve: 503 with the reasons while the database or Slack cannot be used."""
        return await run_in_threadpool(self._ready)

    def _ready(self) -> Response:
        database = trouble(self.services.database)
        slack = self.services.slack_ready()
        reasons = [reason for reason in (database, slack) if reason]
        return JSONResponse(
            {
                "status": "not ready" if reasons else "ready",
                "database": database or "ok",
                "slack": slack or "ok",
                "reasons": reasons,
            },
            503 if reasons else 200,
        )

    async def metrics(self, _: Request) -> Response:
        """Prometheus text."""
        return Response(await run_in_threadpool(self.services.metrics.text), media_type=CONTENT_TYPE)
