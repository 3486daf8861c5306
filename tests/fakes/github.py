"""GitHub's REST API for Actions, as far as a deploy needs it: strict about what it documents, and driven by the test."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from tests.fakes.serving import Reply, Request, Server

TOKEN = "ghp_NotARealTokenButOneOfItsShape00"
INPUTS = (
    "baton_id", "baton_action", "baton_stage", "baton_model", "baton_version", "baton_digest", "baton_previous",
    "baton_traffic_percent", "baton_deployment", "baton_seq",
)  # fmt: skip


class FakeGitHub(Server):
    """One repository with one workflow. `old`: a server that knows no run details and takes ten inputs at most."""

    def __init__(self, old: bool = False, repo: str = "acme/serving", workflow: str = "deploy.yml") -> None:
        super().__init__()
        self.old = old
        self.repo, self.workflow = repo, workflow
        self.inputs = set(INPUTS)
        self.run_name = "deploy ${{ inputs.baton_id }}"
        self.runs: dict[int, dict[str, Any]] = {}
        self.dispatched: list[dict[str, str]] = []
        self.lists_late = False  #: new runs are not in the list yet
        self._late: set[int] = set()
        self._cancelling: set[int] = set()

    # -- what the test does --------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Every run is in the list now."""
        self._late.clear()

    def advance(self, run: int, status: str) -> None:
        assert status in ("queued", "in_progress", "waiting", "pending", "requested")
        self.runs[run].update(status=status)

    def end(self, run: int, conclusion: str) -> None:
        self.runs[run].update(status="completed", conclusion=conclusion)

    def begin(self, inputs: dict[str, str], ago: timedelta = timedelta()) -> int:
        """A run of the workflow, as a dispatch or a person starts it."""
        number = 30_433_642 + len(self.runs)
        title = re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda match: inputs.get(match[1], ""), self.run_name)
        at = f"{datetime.now(UTC) - ago:%Y-%m-%dT%H:%M:%SZ}"
        here = f"{self.url}/repos/{self.repo}"
        self.runs[number] = {
            "id": number, "name": "Deploy", "node_id": "WFR_x", "head_branch": "main", "head_sha": "0" * 40,
            "path": f".github/workflows/{self.workflow}", "display_title": title, "run_number": len(self.runs) + 1,
            "run_attempt": 1, "event": "workflow_dispatch", "status": "queued", "conclusion": None, "workflow_id": 159038,
            "url": f"{here}/actions/runs/{number}", "html_url": f"https://github.com/{self.repo}/actions/runs/{number}",
            "created_at": at, "updated_at": at, "run_started_at": at,
            "logs_url": f"{here}/actions/runs/{number}/logs", "cancel_url": f"{here}/actions/runs/{number}/cancel",
        }  # fmt: skip
        if self.lists_late:
            self._late.add(number)
        return number

    # -- what it answers -----------------------------------------------------------------------------------------

    def obey(self, request: Request) -> Reply:
        headers = request.headers
        if not headers.get("user-agent"):
            return _no(
                403, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header."
            )
        if headers.get("x-github-api-version", "2022-11-28") not in ("2022-11-28", "2026-03-10"):
            return _no(400, "The given API version is not supported.")
        if headers.get("authorization") not in (f"Bearer {TOKEN}", f"token {TOKEN}"):
            return _no(401, "Bad credentials")
        path = request.path.removeprefix(f"/repos/{self.repo}")
        workflow = f"/actions/workflows/{self.workflow}"
        match request.method, path:
            case "GET", p if p == workflow:
                return Reply(200, self._workflow())
            case "POST", p if p == f"{workflow}/dispatches":
                return self._dispatch(request)
            case "GET", p if p in (f"{workflow}/runs", f"/actions/workflows/{159038}/runs"):
                return self._list(request)
        found = re.fullmatch(r"/actions/runs/(\d+)(/cancel)?", path)
        run = self.runs.get(int(found[1])) if found else None
        if found is None or run is None or (request.method == "POST") != bool(found[2]):
            return _no(404, "Not Found")
        return self._cancel(run) if found[2] else self._show(run)

    def _workflow(self) -> dict[str, Any]:
        here = f"{self.url}/repos/{self.repo}/actions/workflows/159038"
        return {
            "id": 159038, "name": "Deploy", "path": f".github/workflows/{self.workflow}", "state": "active",
            # GitHub gives the number; the file's name is as good, and the one that dispatches of the test go to.
            "url": here.replace("159038", self.workflow), "html_url": here, "created_at": "2020-01-08T23:48:37Z",
            "updated_at": "2020-01-08T23:50:21Z",
        }  # fmt: skip

    def _dispatch(self, request: Request) -> Reply:
        order = request.json()
        allowed = {"ref", "inputs"} | (set() if self.old else {"return_run_details"})
        for key in order:
            if key not in allowed:
                return _no(422, f'Invalid request.\n\n"{key}" is not a permitted key.')
        inputs = order.get("inputs", {})
        if len(inputs) > (10 if self.old else 25):
            return _no(422, "Invalid request.\n\nYou may only define up to 25 `inputs` for a `workflow_dispatch` event")
        if not all(isinstance(value, str) for value in inputs.values()):
            return _no(422, "Invalid request.\n\nFor 'properties/inputs', a value is not a string.")
        if unexpected := sorted(set(inputs) - self.inputs):
            listed = ", ".join(f'"{each}"' for each in unexpected)
            return _no(422, f"Unexpected inputs provided: [{listed}]")
        if order.get("ref") not in ("main", "refs/heads/main"):
            return _no(422, f"No ref found for: {order.get('ref')}")
        self.dispatched.append(inputs)
        number = self.begin(inputs)
        if not order.get("return_run_details"):
            return Reply(204)
        run = self.runs[number]
        return Reply(200, {"workflow_run_id": number, "run_url": run["url"], "html_url": run["html_url"]})

    def _list(self, request: Request) -> Reply:
        query = request.query
        unknown = set(query) - {"event", "created", "per_page", "page", "branch", "status", "actor", "head_sha"}
        self.expect(not unknown, f"the list of runs has no parameters {unknown}")
        self.expect(1 <= int(query.get("per_page", "30")) <= 100, "per_page is from 1 to 100")
        rows = [run for number, run in sorted(self.runs.items(), reverse=True) if number not in self._late]
        if created := query.get("created"):
            match = re.fullmatch(r">=(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)", created)
            if match is None:
                return _no(422, "The created parameter is not a date")
            rows = [run for run in rows if run["created_at"] >= match[1]]
        rows = [run for run in rows if run["event"] == query.get("event", run["event"])]
        size, page = int(query.get("per_page", "30")), int(query.get("page", "1"))
        more = urlencode(query | {"page": str(page + 1), "per_page": str(size)})
        headers = {"link": f'<{self.url}{request.path}?{more}>; rel="next"'} if len(rows) > page * size else {}
        return Reply(200, {"total_count": len(rows), "workflow_runs": rows[(page - 1) * size : page * size]}, headers)

    def _cancel(self, run: dict[str, Any]) -> Reply:
        if run["status"] == "completed":
            return _no(409, "Cannot cancel a workflow run that is completed.")
        self._cancelling.add(run["id"])
        return Reply(202, {})

    def _show(self, run: dict[str, Any]) -> Reply:
        if run["id"] in self._cancelling and run["status"] != "completed":
            self.end(run["id"], "cancelled")
        return Reply(200, run)


def _no(status: int, message: str) -> Reply:
    return Reply(
        status, {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
    )
