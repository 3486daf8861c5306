"""GitHub Actions: a workflow is dispatched, and its run followed. Also GitHub Enterprise Server.

The run is known by the answer to the dispatch; servers before 3.21 answer nothing, and any answer may be lost. Then the
run is found by its name, which must hold `inputs.baton_id` (https://docs.github.com/actions, `run-name`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from core.policy.connections import GitHubActions
from core.ports import Act, Progress
from core.targets.exchange import Exchange, Reply, Service, Trouble, usable
from core.targets.runs import facts, too_many

API_VERSION = "2022-11-28"
PAGE, MOST_PAGES = 50, 4
DETAILS = "return_run_details"
NAMING = "write run-name: deploy ${{ inputs.baton_id }} into the workflow"
#: What runs carry that are some act's, if not this one's.
ANY_KEY = re.compile(r"baton_[0-9a-f]{32}")
WAITING = {
    "waiting": "waits for an approval or a rule of its environment at GitHub",
    "pending": "waits for another run of its group",
    "queued": "waits for a runner",
    "requested": "waits for a runner",
}


class GitHubRuns:
    """The runs of one workflow. Raises `ValueError` for a token that is none."""

    def __init__(self, settings: GitHubActions, token: str) -> None:
        token = usable(token)
        self.service = Service(
            "GitHub",
            settings.url.rstrip("/"),
            {
                "authorization": f"Bearer {token}",
                "accept": "application/vnd.github+json",
                "x-github-api-version": API_VERSION,
            },
            (token,),
            {
                401: f"the token in {settings.token_env} is wrong or has expired, put a new one there",
                403: f"the token in {settings.token_env} needs the permission Actions: read and write",
                404: f"there is no {settings.repo} with the workflow {settings.workflow}, or the token in "
                f"{settings.token_env} may not see it",
            },
            NAMING,
        )
        self._ref = settings.ref
        self._repo = f"/repos/{settings.repo}/actions"
        self._workflow = f"{self._repo}/workflows/{quote(settings.workflow, safe='')}"

    def find(self, ask: Exchange, act: Act, since: datetime) -> Progress | None:
        """The run whose name holds the act's key."""
        for page in range(1, MOST_PAGES + 1):
            created = f">={since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
            asked: dict[str, str | int] = {"event": "workflow_dispatch", "created": created}
            found = ask.get(f"{self._workflow}/runs", dict, **asked, per_page=PAGE, page=page)
            rows = found.get("workflow_runs")
            if not isinstance(rows, list):
                raise ask.nonsense("a list of runs")
            runs = [row for row in rows if isinstance(row, dict)]
            for run in runs:
                if act.key in _name(run):
                    return self._progress(ask, act, run)
            self._refuse_nameless(ask, act, runs)
            if len(rows) < PAGE:
                return None
        too_many(f"runs since {since:%Y-%m-%d %H:%M} UTC", act)
        return None

    def start(self, ask: Exchange, act: Act) -> Progress:
        """Dispatch the workflow. A server that does not know the wish for the run's id is asked without it, once."""
        order = {"ref": self._ref, "inputs": {f"baton_{name}": value for name, value in facts(act).items()}}
        path = f"{self._workflow}/dispatches"
        reply = ask.post(path, also=(400, 422), json=order | {DETAILS: True})
        if reply.status in (400, 422) and DETAILS.encode() in reply.body:
            reply = ask.post(path, json=order)
        return self._begun(ask, reply)

    def look(self, ask: Exchange, act: Act, run: str) -> Progress:
        """How the run stands."""
        seen = self._progress(ask, act, ask.get(f"{self._repo}/runs/{quote(run, safe='')}", dict))
        if seen.run != run:
            raise ask.nonsense("this run")
        return seen

    def stop(self, ask: Exchange, run: str) -> None:
        """Cancel the run; 409 is what GitHub answers when it has ended."""
        ask.post(f"{self._repo}/runs/{quote(run, safe='')}/cancel", also=(409,))

    def _begun(self, ask: Exchange, reply: Reply) -> Progress:
        if reply.status == 204:
            return Progress("in_progress")
        said = reply.read(dict) or {}
        run = said.get("workflow_run_id")
        if reply.status != 200 or not isinstance(run, int):
            raise ask.no(reply)
        return Progress("in_progress", url=ask.link(said.get("html_url")), run=str(run))

    def _progress(self, ask: Exchange, act: Act, run: dict[str, Any]) -> Progress:
        number, status, conclusion = run.get("id"), run.get("status"), run.get("conclusion")
        if not isinstance(number, int) or not isinstance(status, str):
            raise ask.nonsense("a run")
        url, named = ask.link(run.get("html_url")), str(number)
        if status != "completed":
            waits = WAITING.get(status, "")
            nameless = "" if act.key in _name(run) else f"the run's name lacks the act's id; {NAMING}"
            return Progress("in_progress", "; ".join(filter(None, (waits, nameless))), url, named)
        if conclusion == "success":
            return Progress("succeeded", "", url, named)
        ended = ask.line(conclusion).replace("_", " ") or "without a conclusion"
        return Progress("failed", f"the run ended: {ended}", url, named)

    def _refuse_nameless(self, ask: Exchange, act: Act, runs: list[dict[str, Any]]) -> None:
        """After a lost answer, a run without any id may be the lost one: nobody can tell, so none is started."""
        if act.since is None:
            return
        for run in runs:
            if not ANY_KEY.search(_name(run)):
                url = ask.link(run.get("html_url"))
                raise Trouble(f"the run {url or run.get('id')} may be ours, but its name holds no id; {NAMING}")


def _name(run: dict[str, Any]) -> str:
    return str(run.get("display_title") or "")
