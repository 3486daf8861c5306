"""Jenkins's remote API for one parameterised job in folders: strict about what it documents, driven by the test.

`tree` is honoured as Jenkins does: what was not asked for is not answered, beside `_class`.
"""

from __future__ import annotations

import base64
import re
import time
from typing import Any
from urllib.parse import quote

from tests.fakes.serving import Reply, Request, Server

USER, TOKEN = "baton", "11d0b2a7f3c94e58a6b1NotARealOne0"
PARAMETERS = (
    "BATON_ID", "BATON_ACTION", "BATON_STAGE", "BATON_MODEL", "BATON_VERSION", "BATON_DIGEST", "BATON_PREVIOUS",
    "BATON_TRAFFIC_PERCENT", "BATON_DEPLOYMENT", "BATON_SEQ",
)  # fmt: skip
HTML = {"content-type": "text/html;charset=utf-8"}


class FakeJenkins(Server):
    """`root` is what Jenkins believes to be its address; it stands in every link."""

    def __init__(self, job: str = "ml/deploy serving", root: str = "") -> None:
        super().__init__()
        self.root = root or self.url
        self.job = job
        self.declared = list(PARAMETERS)
        self.buildable = True
        self.queue: dict[int, dict[str, Any]] = {}  #: waiting, and those that left less than five minutes ago
        self.builds: dict[int, dict[str, Any]] = {}
        self.orders = 0  #: how many there ever were

    # -- what the test does --------------------------------------------------------------------------------------

    def build(self, item: int | None = None) -> int:
        """An order leaves the queue (the oldest unless named); the number of its build."""
        order = self.queue[item if item is not None else min(self._waiting())]
        number = len(self.builds) + 17
        order.update(_class="hudson.model.Queue$LeftItem", cancelled=False, why=None)
        url = f"{self.root}{self._path}/{number}/"
        order["executable"] = {"_class": "org.jenkinsci.plugins.workflow.job.WorkflowRun", "number": number, "url": url}
        self.builds[number] = {
            "_class": "org.jenkinsci.plugins.workflow.job.WorkflowRun", "number": number, "id": str(number), "url": url,
            "displayName": f"#{number}", "building": True, "result": None, "timestamp": int(time.time() * 1000),
            "queueId": order["id"], "actions": order["actions"],
        }  # fmt: skip
        return number

    def end(self, number: int, result: str) -> None:
        assert result in ("SUCCESS", "UNSTABLE", "FAILURE", "NOT_BUILT", "ABORTED")
        self.builds[number].update(building=False, result=result)

    def forget(self) -> None:
        """Five minutes pass: what left the queue is no longer known there."""
        self.queue = {number: self.queue[number] for number in self._waiting()}

    def order(self, parameters: dict[str, str]) -> int:
        """An order in the queue; the one that is there already if it looks the same."""
        kept = [
            {"_class": "hudson.model.StringParameterValue", "name": name, "value": parameters.get(name, "")}
            for name in self.declared
        ]
        for number in self._waiting():
            if self.queue[number]["actions"][0]["parameters"] == kept:
                return number
        self.orders += 1
        number = 38 + self.orders
        self.queue[number] = {
            "_class": "hudson.model.Queue$WaitingItem", "id": number, "url": f"queue/item/{number}/", "blocked": False,
            "buildable": False, "why": "In the quiet period. Expires in 4.9 sec", "inQueueSince": int(time.time() * 1000),
            "task": {"_class": "org.jenkinsci.plugins.workflow.job.WorkflowJob", "name": self.job.split("/")[-1],
                     "url": f"{self.root}{self._path}/"},
            "actions": [{"_class": "hudson.model.ParametersAction", "parameters": kept}, {"_class": "hudson.model.CauseAction"}],
        }  # fmt: skip
        return number

    # -- what it answers -----------------------------------------------------------------------------------------

    @property
    def _path(self) -> str:
        return "".join(f"/job/{quote(step)}" for step in self.job.split("/"))

    def _waiting(self) -> list[int]:
        return [number for number, item in self.queue.items() if item["_class"].endswith("$WaitingItem")]

    def obey(self, request: Request) -> Reply:
        asked = request.headers.get("authorization")
        if asked is None:
            return Reply(403, b"<html><body>Authentication required</body></html>", HTML)
        if asked != f"Basic {base64.b64encode(f'{USER}:{TOKEN}'.encode()).decode()}":
            return Reply(401, b"<html><body><h2>HTTP ERROR 401 Unauthorized</h2></body></html>", HTML)
        reply = self._route(request)
        return reply or Reply(404, b"<html><head><title>Not Found - Jenkins</title></head></html>", HTML)

    def _route(self, request: Request) -> Reply | None:
        posting = request.method == "POST"
        path = request.path
        if path == "/crumbIssuer/api/json" and not posting:
            return Reply(
                200,
                {
                    "_class": "hudson.security.csrf.DefaultCrumbIssuer",
                    "crumb": "c0ffee",
                    "crumbRequestField": "Jenkins-Crumb",
                },
            )
        if path == "/queue/api/json" and not posting:
            rows = [self.queue[number] for number in self._waiting()]
            return _tree(request, {"_class": "hudson.model.Queue", "items": rows})
        if path == "/queue/cancelItem" and posting:
            return self._cancel(int(request.query["id"]))
        if found := re.fullmatch(r"/queue/item/(\d+)/api/json", path):
            item = self.queue.get(int(found[1]))
            return _tree(request, item) if item and not posting else None
        if path.startswith(f"{self._path}/"):
            return self._job(request, path.removeprefix(self._path), posting)
        folder = "".join(f"/job/{quote(step)}" for step in self.job.split("/")[:-1])
        if path == f"{folder}/api/json" and not posting:
            return _tree(request, {"_class": "com.cloudbees.hudson.plugins.folder.Folder", "jobs": [self._described()]})
        return None

    def _job(self, request: Request, path: str, posting: bool) -> Reply | None:
        if path == "/api/json" and not posting:
            return _tree(request, self._described())
        if path == "/buildWithParameters":
            return self._build_with_parameters(request) if posting else Reply(405, b"", HTML)
        found = re.fullmatch(r"/(\d+)/(api/json|stop)", path)
        build = self.builds.get(int(found[1])) if found else None
        if found is None or build is None:
            return None
        if found[2] == "api/json":
            return _tree(request, build)
        if not posting:
            return Reply(405, b"", HTML)
        if build["building"]:
            self.end(build["number"], "ABORTED")
        return Reply(302, b"", {"location": build["url"]})

    def _build_with_parameters(self, request: Request) -> Reply:
        if not self.declared:
            return Reply(
                400,
                b"<html>This build is not parameterized!</html>",
                HTML | {"x-error": "This build is not parameterized!"},
            )
        if not self.buildable:
            return Reply(409, f"{self.job} is not buildable".encode(), HTML)
        number = self.order(request.query | request.form())
        return Reply(201, b"", {"location": f"{self.root}/queue/item/{number}/"})

    def _described(self) -> dict[str, Any]:
        definitions = [{"_class": "hudson.model.StringParameterDefinition", "name": name} for name in self.declared]
        parameters = {"_class": "hudson.model.ParametersDefinitionProperty", "parameterDefinitions": definitions}
        return {
            "_class": "org.jenkinsci.plugins.workflow.job.WorkflowJob", "name": self.job.split("/")[-1],
            "fullName": self.job, "url": f"{self.root}{self._path}/", "buildable": self.buildable,
            "builds": [self.builds[number] for number in sorted(self.builds, reverse=True)][:100],
            "property": [{"_class": "hudson.plugins.git.GitProperty"}, *([parameters] if definitions else [])],
        }  # fmt: skip

    def _cancel(self, number: int) -> Reply:
        if number not in self._waiting():
            return Reply(404, f"Provided id({number}) not found".encode(), HTML)
        self.queue[number].update(_class="hudson.model.Queue$LeftItem", cancelled=True, executable=None, why=None)
        return Reply(204)


def _tree(request: Request, whole: dict[str, Any]) -> Reply:
    tree = request.query.get("tree")
    if not tree:
        return Reply(200, whole)
    wanted, rest = _parse(tree)
    assert not rest, f"a tree that ends early: {rest}"
    return Reply(200, _filtered(whole, wanted))


def _parse(text: str) -> tuple[dict[str, Any], str]:
    """`a,b[c]{0,5}` as {name: (branches, from, to)}."""
    found: dict[str, Any] = {}
    while match := re.match(r"(\w+)", text):
        text, branches, start, end = text[match.end() :], None, 0, None
        if text.startswith("["):
            branches, text = _parse(text[1:])
            assert text.startswith("]"), "a tree without its end"
            text = text[1:]
        if counted := re.match(r"\{(\d*),(\d*)\}", text):
            text, start, end = text[counted.end() :], int(counted[1] or 0), int(counted[2]) if counted[2] else None
        found[match[1]] = (branches, start, end)
        if not text.startswith(","):
            break
        text = text[1:]
    return found, text


def _filtered(whole: Any, wanted: dict[str, Any] | None) -> Any:
    if wanted is None or not isinstance(whole, dict):
        return whole
    kept = {"_class": whole["_class"]} if "_class" in whole else {}
    for name, (branches, start, end) in wanted.items():
        if name in whole:
            value = whole[name]
            kept[name] = (
                [_filtered(each, branches) for each in value[start:end]]
                if isinstance(value, list)
                else _filtered(value, branches)
            )
    return kept
