"""Jenkins: a job is built with parameters. An order waits in the queue first, and is a build only later.

The user comes with an API token, which needs no crumb. Every build carries the parameter BATON_ID, which the job must
declare: Jenkins drops parameters that a job does not declare, and merges orders in the queue that look the same.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

from core.policy.connections import Jenkins
from core.ports import Act, Progress
from core.targets.exchange import Exchange, Service, Trouble, usable
from core.targets.runs import facts, too_many

PARAMETERS = "actions[parameters[name,value]]"
BUILD = f"number,url,building,result,timestamp,{PARAMETERS}"
#: So many of a job's latest builds are looked through.
MOST_BUILDS = 100
QUEUED, BUILT = "queue:", "build:"

Row = dict[str, Any]


class JenkinsRuns:
    """The builds of one job. Raises `ValueError` for a token that is none."""

    def __init__(self, settings: Jenkins, token: str) -> None:
        token = usable(token)
        encoded = base64.b64encode(f"{settings.user}:{token}".encode()).decode()
        self.service = Service(
            "Jenkins",
            settings.url.rstrip("/"),
            {"authorization": f"Basic {encoded}"},
            (encoded, token),
            {
                401: f"the API token in {settings.token_env} is not one of the user {settings.user}, put a new one there",
                403: f"the user {settings.user} needs the permissions Job/Read, Job/Build and Job/Cancel, and an API "
                "token instead of a password",
                404: f"there is no job {settings.job}, or the user {settings.user} may not see it",
            },
        )
        self._name = settings.job
        self._job = "".join(f"/job/{quote(step, safe='')}" for step in settings.job.split("/"))

    def find(self, ask: Exchange, act: Act, since: datetime) -> Progress | None:
        """The act's order in the queue, or its build. The queue comes first: an order moves on only that way."""
        queue = ask.get("/queue/api/json", dict, tree=f"items[id,why,url,{PARAMETERS}]")
        for item in _listed(ask, queue, "items"):
            if _key(item) == act.key:
                return self._waiting(ask, item)
        builds = self._builds(ask)
        for build in builds:
            if _key(build) == act.key:
                return self._progress(ask, act, build)
        if len(builds) >= MOST_BUILDS and _began(builds[-1]) >= since.timestamp():
            too_many(f"builds since {since:%Y-%m-%d %H:%M} UTC", act)
        return None

    def start(self, ask: Exchange, act: Act) -> Progress:
        """Put an order into the queue, once the job is seen to keep the act's key."""
        self._check(ask)
        parameters = {f"BATON_{name.upper()}": value for name, value in facts(act).items()}
        reply = ask.post(f"{self._job}/buildWithParameters", data=parameters)
        item = re.search(r"/queue/item/(\d{1,18})/?$", reply.headers.get("location", ""), re.ASCII)
        if reply.status != 201 or item is None:
            raise ask.no(reply)
        return Progress("in_progress", "waits in the queue of Jenkins", self._link(), QUEUED + item[1])

    def look(self, ask: Exchange, act: Act, run: str) -> Progress:
        """How the order or the build stands. Jenkins forgets an order five minutes after it left the queue."""
        if run.startswith(BUILT):
            return self._progress(ask, act, ask.get(f"{self._job}/{_number(run)}/api/json", dict, tree=BUILD))
        try:
            item = ask.get(f"/queue/item/{_number(run)}/api/json", dict, tree="id,why,cancelled,executable[number]")
        except Trouble as trouble:
            if trouble.status != 404:
                raise
            return self._forgotten(ask, act, run)
        if str(item.get("id")) != _number(run):
            raise ask.nonsense("this order")
        build = item.get("executable")
        if isinstance(build, dict) and isinstance(build.get("number"), int):
            return self.look(ask, act, f"{BUILT}{build['number']}")
        if item.get("cancelled") is True:
            return Progress("failed", "the run was cancelled in the queue of Jenkins", self._link(), run)
        return self._waiting(ask, item)

    def stop(self, ask: Exchange, run: str) -> None:
        """Take the order out of the queue, or stop the build. Jenkins answers with redirects to its pages."""
        if run.startswith(BUILT):
            ask.post(f"{self._job}/{_number(run)}/stop", also=(302, 303))
        elif ask.post("/queue/cancelItem", also=(302, 303, 404), params={"id": _number(run)}).status == 404:
            raise Trouble("it is just leaving the queue; ask again")

    def _check(self, ask: Exchange) -> None:
        job = ask.get(f"{self._job}/api/json", dict, tree="buildable,property[parameterDefinitions[name]]")
        if job.get("buildable") is False:
            raise Trouble(f"the job {self._name} is disabled; enable it in Jenkins", permanent=True)
        declared = [each.get("name") for row in _rows(job, "property") for each in _rows(row, "parameterDefinitions")]
        if "BATON_ID" not in declared:
            words = f"the job {self._name} does not declare the parameter BATON_ID; add it, and build the job once"
            raise Trouble(words, permanent=True)

    def _builds(self, ask: Exchange) -> list[Row]:
        job = ask.get(f"{self._job}/api/json", dict, tree=f"builds[{BUILD}]{{0,{MOST_BUILDS}}}")
        return _listed(ask, job, "builds")

    def _forgotten(self, ask: Exchange, act: Act, run: str) -> Progress:
        for build in self._builds(ask):
            if _key(build) == act.key:
                return self._progress(ask, act, build)
        return Progress("unclear", "Jenkins has forgotten the order, and shows no build with its id", self._link(), run)

    def _waiting(self, ask: Exchange, item: Row) -> Progress:
        if not isinstance(item.get("id"), int):
            raise ask.nonsense("an order")
        why = ask.line(item.get("why")).rstrip(".")
        return Progress(
            "in_progress",
            f"waits in the queue of Jenkins: {why}" if why else "waits in the queue of Jenkins",
            self._link(),
            f"{QUEUED}{item['id']}",
        )

    def _progress(self, ask: Exchange, act: Act, build: Row) -> Progress:
        number, result = build.get("number"), build.get("result")
        if not isinstance(number, int) or not isinstance(build.get("building"), bool):
            raise ask.nonsense("a build")
        if _key(build) != act.key:  # the job was made anew meanwhile, or the policy names another one
            raise Trouble(f"the build {number} of {self._name} is another act's; nothing is known of this one")
        shown = ask.link(build.get("url"))
        url = f"{shown.rstrip('/')}/console" if shown else self._link(f"/{number}/console")
        if build["building"] or result is None:
            return Progress("in_progress", "", url, f"{BUILT}{number}")
        if result == "SUCCESS":
            return Progress("succeeded", "", url, f"{BUILT}{number}")
        return Progress(
            "failed", f"the run ended: {ask.line(result).lower() or 'without a result'}", url, f"{BUILT}{number}"
        )

    def _link(self, of: str = "/") -> str:
        return f"{self.service.url}{self._job}{of}"


def _rows(holder: Row, key: str) -> Iterator[Row]:
    found = holder.get(key)
    if isinstance(found, list):
        yield from (each for each in found if isinstance(each, dict))


def _listed(ask: Exchange, holder: Row, key: str) -> list[Row]:
    """What must be there, or else "there is none" would be believed of an answer that is not Jenkins's."""
    if not isinstance(holder.get(key), list):
        raise ask.nonsense(f"a list of {key}")
    return list(_rows(holder, key))


def _key(holder: Row) -> object:
    for action in _rows(holder, "actions"):
        for parameter in _rows(action, "parameters"):
            if parameter.get("name") == "BATON_ID":
                return parameter.get("value")
    return None


def _began(build: Row) -> float:
    at = build.get("timestamp")
    return at / 1000 if isinstance(at, int) else float("inf")


def _number(run: str) -> str:
    return quote(run.partition(":")[2], safe="")
