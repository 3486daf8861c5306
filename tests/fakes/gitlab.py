"""GitLab's REST API for pipelines, as far as a deploy needs it: strict about what it documents, driven by the test."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from tests.fakes.serving import Reply, Request, Server

TOKEN = "glpat-NotARealTokenButItsShape"
FILTERS = {
    "scope", "status", "source", "ref", "sha", "name", "username", "updated_after", "updated_before", "order_by", "sort",
    "page", "per_page", "pagination", "created_after",
}  # fmt: skip


class FakeGitLab(Server):
    """One project with a pipeline for deployments."""

    def __init__(self, project: str = "acme/ml/serving") -> None:
        super().__init__()
        self.project = project
        self.pipelines: dict[int, dict[str, Any]] = {}
        self.variables: dict[int, list[dict[str, str]]] = {}

    # -- what the test does --------------------------------------------------------------------------------------

    def begin(self, variables: dict[str, str] | None = None, source: str = "api", ago: timedelta = timedelta()) -> int:
        number = 281 + len(self.pipelines)
        at = (datetime.now(UTC) - ago).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.pipelines[number] = {
            "id": number, "iid": len(self.pipelines) + 1, "project_id": 21, "sha": "0" * 40, "ref": "main", "status": "created",
            "source": source, "created_at": at, "updated_at": at, "name": None,
            "web_url": f"https://gitlab.example.com/{self.project}/-/pipelines/{number}",
        }  # fmt: skip
        self.variables[number] = [
            {"variable_type": "env_var", "key": key, "value": value} for key, value in (variables or {}).items()
        ]
        return number

    def turn(self, number: int, status: str) -> None:
        assert status in (
            "created", "waiting_for_resource", "preparing", "waiting_for_callback", "pending", "running", "success", "failed",
            "canceling", "canceled", "skipped", "manual", "scheduled",
        )  # fmt: skip
        self.pipelines[number]["status"] = status

    # -- what it answers -----------------------------------------------------------------------------------------

    def obey(self, request: Request) -> Reply:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if TOKEN not in (request.headers.get("private-token"), bearer):
            return Reply(401, {"message": "401 Unauthorized"})
        path = request.path
        for base in (f"/api/v4/projects/{self.project.replace('/', '%2F')}", "/api/v4/projects/21"):
            if path == base or path.startswith(f"{base}/"):
                return self._project(request, path.removeprefix(base))
        return Reply(404, {"message": "404 Project Not Found"})

    def _project(self, request: Request, path: str) -> Reply:
        match request.method, path:
            case "GET", "":
                return Reply(200, {"id": 21, "path_with_namespace": self.project, "default_branch": "main"})
            case "POST", "/pipeline":
                return self._create(request)
            case "GET", "/pipelines":
                return self._list(request)
        found = re.fullmatch(r"/pipelines/(\d+)(/variables|/cancel)?", path)
        if found is None:
            return Reply(404, {"error": "404 Not Found"})
        number, what = int(found[1]), found[2]
        if number not in self.pipelines:
            return Reply(404, {"message": "404 Not found"})
        if (request.method == "POST") != (what == "/cancel"):
            return Reply(405, {"error": "405 Not Allowed"})
        if what == "/variables":
            return self._page(request, self.variables[number])
        if what == "/cancel" and self.pipelines[number]["status"] not in ("success", "failed", "canceled", "skipped"):
            self.turn(number, "canceled")
        return Reply(200, self.pipelines[number])

    def _create(self, request: Request) -> Reply:
        order = request.json()
        self.expect(not set(order) - {"ref", "variables", "inputs"}, f"a pipeline has no {sorted(order)}")
        variables: dict[str, str] = {}
        for each in order.get("variables", []):
            if set(each) - {"key", "value", "variable_type"} or not isinstance(each.get("value"), str):
                return Reply(400, {"error": "variables is invalid"})
            if not re.fullmatch(r"[A-Za-z0-9_]{1,255}", each["key"]):
                return Reply(400, {"message": {"variables.key": ["can contain only letters, digits and '_'."]}})
            variables[each["key"]] = each["value"]
        if order.get("ref") != "main":
            return Reply(400, {"message": {"base": ["Reference not found"]}})
        return Reply(201, self.pipelines[self.begin(variables)])

    def _list(self, request: Request) -> Reply:
        query = request.query
        self.expect(not set(query) - FILTERS, f"the list of pipelines has no {sorted(query)}")
        rows = [row for _, row in sorted(self.pipelines.items(), reverse=query.get("sort", "desc") == "desc")]
        for key in ("ref", "source", "status", "name"):
            rows = [row for row in rows if row[key] == query.get(key, row[key])]
        if after := query.get("updated_after"):
            since = datetime.fromisoformat(after)
            self.expect(since.tzinfo is not None, "updated_after has a zone")
            rows = [row for row in rows if datetime.fromisoformat(row["updated_at"]) > since]
        return self._page(request, rows)

    def _page(self, request: Request, rows: list[Any]) -> Reply:
        size, page = int(request.query.get("per_page", "20")), int(request.query.get("page", "1"))
        self.expect(1 <= size <= 100, "per_page is from 1 to 100")
        more = len(rows) > page * size
        headers = {
            "x-page": str(page), "x-per-page": str(size), "x-next-page": str(page + 1) if more else "",
            "x-total": str(len(rows)), "x-total-pages": str(-(-len(rows) // size)),
        }  # fmt: skip
        if more:
            query = urlencode(request.query | {"page": str(page + 1), "per_page": str(size)})
            headers["link"] = f'<{self.url}{request.path}?{query}>; rel="next"'
        return Reply(200, rows[(page - 1) * size : page * size], headers)
