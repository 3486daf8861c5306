"""GitLab: a pipeline is created with variables, and followed.

One access token does it all (scope `api`, role Developer or above); a trigger token could start, but not follow. GitLab's
API finds no pipeline by its variables, so those that the API made lately on the same ref are looked into, newest first.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from core.policy.connections import GitLab
from core.ports import Act, Progress
from core.targets.exchange import Exchange, Service, usable
from core.targets.runs import facts, too_many

#: So many pipelines are looked into, each by a call of its own.
MOST_PIPELINES = 30
UNDER_WAY = {
    "created": "",
    "preparing": "",
    "running": "",
    "pending": "waits for a runner",
    "waiting_for_resource": "waits for a resource that another pipeline holds",
    "waiting_for_callback": "waits for a callback",
    "manual": "waits for somebody to start a manual job in GitLab",
    "scheduled": "waits for a job's delay to pass",
    "canceling": "is being cancelled",
}
ENDS = {"failed": "failed", "canceled": "cancelled", "skipped": "skipped"}


class GitLabRuns:
    """The pipelines of one project. Raises `ValueError` for a token that is none."""

    def __init__(self, settings: GitLab, token: str) -> None:
        token = usable(token)
        self.service = Service(
            "GitLab",
            f"{settings.url.rstrip('/')}/api/v4",
            {"private-token": token},
            (token,),
            {
                401: f"the token in {settings.token_env} is wrong or has expired, put a new one there",
                403: f"the token in {settings.token_env} needs the scope api and the role Developer or above",
                404: f"there is no project {settings.project}, or the token in {settings.token_env} may not see it",
            },
        )
        self._ref = settings.ref
        self._project = f"/projects/{quote(settings.project, safe='')}"

    def find(self, ask: Exchange, act: Act, since: datetime) -> Progress | None:
        """The pipeline whose variable BATON_ID is the act's key."""
        lately: dict[str, str | int] = {
            "ref": self._ref,
            "source": "api",
            "updated_after": since.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "order_by": "id",
            "sort": "desc",
            "per_page": MOST_PIPELINES,
        }
        made = ask.get(f"{self._project}/pipelines", list, **lately)
        for pipeline in made:
            seen = self._progress(ask, pipeline)
            variables = ask.get(f"{self._project}/pipelines/{seen.run}/variables", list)
            if any(
                isinstance(each, dict) and each.get("key") == "BATON_ID" and each.get("value") == act.key
                for each in variables
            ):
                return seen
        if len(made) >= MOST_PIPELINES:
            too_many(f"pipelines since {since:%Y-%m-%d %H:%M} UTC", act)
        return None

    def start(self, ask: Exchange, act: Act) -> Progress:
        """Create the pipeline. A dollar would begin the name of another variable; two are one."""
        variables = [
            {"key": f"BATON_{name.upper()}", "value": value.replace("$", "$$")} for name, value in facts(act).items()
        ]
        reply = ask.post(f"{self._project}/pipeline", json={"ref": self._ref, "variables": variables})
        pipeline = reply.read(dict) if reply.status == 201 else None
        if pipeline is None:
            raise ask.no(reply)
        return self._progress(ask, pipeline)

    def look(self, ask: Exchange, _act: Act, run: str, /) -> Progress:
        """How the pipeline stands."""
        seen = self._progress(ask, ask.get(f"{self._project}/pipelines/{quote(run, safe='')}", dict))
        if seen.run != run:
            raise ask.nonsense("this pipeline")
        return seen

    def stop(self, ask: Exchange, run: str) -> None:
        """Cancel the pipeline; GitLab takes that of one that has ended, too."""
        ask.post(f"{self._project}/pipelines/{quote(run, safe='')}/cancel")

    def _progress(self, ask: Exchange, pipeline: Any) -> Progress:
        number, status = (pipeline.get("id"), pipeline.get("status")) if isinstance(pipeline, dict) else (None, None)
        if not isinstance(number, int) or not isinstance(status, str):
            raise ask.nonsense("a pipeline")
        url, run = ask.link(pipeline.get("web_url")), str(number)
        if status == "success":
            return Progress("succeeded", "", url, run)
        if status in ENDS:
            return Progress("failed", f"the run ended: {ENDS[status]}", url, run)
        return Progress("in_progress", UNDER_WAY.get(status, ""), url, run)
