"""Feast's registry server: the part of its REST API that says what is in a project."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import unquote

from tests.fakes.serving import Reply, Request, Server


class FakeFeast(Server):
    """`serve` puts a feature service of one view into a project; `token` is what it wants to see, "" for nothing."""

    def __init__(self, token: str = "") -> None:
        super().__init__()
        self.token = token
        self.services: dict[tuple[str, str], dict[str, Any]] = {}
        self.views: dict[tuple[str, str], dict[str, Any]] = {}

    def serve(
        self, project: str, service: str, view: str, until: datetime | None = None, ttl: str = "86400s", **spec: Any
    ) -> None:
        columns = [{"name": "tenure", "valueType": "FLOAT"}, {"name": "calls", "valueType": "INT64"}]
        self.services[project, service] = {
            "spec": {"name": service, "features": [{"featureViewName": view, "featureColumns": columns}]},
            "meta": {"createdTimestamp": "2026-11-01T00:00:00Z"},
        }
        done = [{"startTime": "2026-11-01T00:00:00Z", "endTime": until.isoformat()}] if until else []
        self.views[project, view] = {
            "spec": {"name": view, "ttl": ttl, "online": True} | spec,
            "meta": {"materializationIntervals": done} if done else {},
        }

    def obey(self, request: Request) -> Reply:
        self.expect(request.method == "GET", "only questions")
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return Reply(401, {"detail": "Missing authorization"})
        _, _, _, kind, name = request.path.split("/", 4)
        name, project = unquote(name), request.query["project"]
        kept = {"feature_services": self.services, "feature_views": self.views}[kind]
        if (project, name) in kept:
            return Reply(200, kept[project, name])
        noun = "Feature service" if kind == "feature_services" else "Feature view"
        return Reply(404, {"detail": f"{noun} {name} does not exist in project {project}"})
