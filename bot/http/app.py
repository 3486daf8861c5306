"""The HTTP side, put together: the API, the hooks, health, the page of the API, and Slack's own address."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from bot.http import docs, problems
from bot.http.api import Api
from bot.http.entrance import Entrance, broken
from bot.http.health import Health
from bot.http.hooks import Hooks
from bot.http.services import Services, SlackEvents
from core.domain.errors import Refused, Unavailable

#: Clicks have threads of their own, so that a slow API call makes nobody wait who approves.
SLACK_THREADS = 32


def build_http(services: Services, slack_events: SlackEvents | None = None) -> ASGIApp:
    """The whole as one ASGI application; `slack_events` answers `/slack/events` in a worker thread."""
    return Entrance(build_routes(services, slack_events), services)


def build_routes(services: Services, slack_events: SlackEvents | None = None) -> FastAPI:
    """The routes alone, as FastAPI knows them (for the OpenAPI description)."""
    app = FastAPI(
        title="Baton",
        version="1",
        description="Model promotions asked for, judged, carried out and undone.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={
            Refused: problems.on_refused,
            Unavailable: problems.on_unavailable,
            HTTPException: problems.on_http_exception,
            RequestValidationError: problems.on_invalid,
            Exception: on_broken,
        },
    )
    Api(services).register(app)
    Hooks(services).register(app)
    Health(services).register(app)
    page: list[str] = []

    async def readable(_: Request) -> Response:
        if not page:
            page.append(docs.render(app.openapi()))
        return HTMLResponse(page[0], headers={"Content-Security-Policy": docs.POLICY})

    app.router.routes.append(Route("/api/docs", readable, methods=["GET"]))
    if slack_events is not None:
        app.router.routes.append(Route("/slack/events", _slack(slack_events), methods=["POST"]))
    return app


async def on_broken(request: Request, error: Exception) -> Response:
    """What nobody foresaw."""
    return broken(error, request.scope)


def _slack(answer: SlackEvents) -> Any:
    limiter: list[CapacityLimiter] = []

    async def events(request: Request) -> Response:
        if not limiter:
            limiter.append(CapacityLimiter(SLACK_THREADS))
        body = await request.body()
        status, headers, content = await anyio.to_thread.run_sync(
            answer, request.method, dict(request.headers), body, limiter=limiter[0]
        )
        return Response(content, status, dict(headers))

    return events
