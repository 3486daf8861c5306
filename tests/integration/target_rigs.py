"""Every deploy target beside its fake server, so that one contract can be held against all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from core.policy.connections import GitHubActions, GitLab, Jenkins
from core.ports import Act, FollowedTarget
from core.targets.cloud_event import Order, requested
from core.targets.github_actions import GitHubRuns
from core.targets.gitlab import GitLabRuns
from core.targets.jenkins import JenkinsRuns
from core.targets.runs import RunTarget
from core.targets.standard_webhooks import parse_secrets
from core.targets.webhook import WebhookTarget
from tests.fakes import github, gitlab, hook, jenkins
from tests.fakes.serving import Request

KEY = "baton_5e7907e5e6e4f37d863d034379da031d"
OTHER_KEY = "baton_00000000000000000000000000000000"


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Rig:
    """`start` and `ask` are the ends of the paths that begin a run, and that are asked first whether there is one."""

    kind: str
    fake: Any
    make: Callable[[], Any]
    clock: Clock
    secret: str
    start: str
    ask: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        self._made = [self.make()]

    @property
    def target(self) -> Any:
        return self._made[-1]

    def restart(self) -> None:
        """A new adapter, which remembers nothing."""
        self._made.append(self.make())

    def close(self) -> None:
        for target in self._made:
            target.close()

    @property
    def is_followed(self) -> bool:
        return isinstance(self.target, FollowedTarget)

    def act(self, timeout: float = 5.0, tried: bool = False, **changed: Any) -> Act:
        order = Order(
            key=KEY, promotion="P-2", deployment="D-2", action="deploy", stage="production", model="fraud-detector", version="7",
            digest="sha256:6b28", previous="6", approved_by=("U02BOB",), requested_at=self.clock.now - timedelta(seconds=1),
            expires_at=None, seq=2000,
        )  # fmt: skip
        event = requested(order, "https://baton.example.com")
        since = {"since": self.clock.now} if tried else {}
        return Act(**{"key": KEY, "body": event, "timeout": timeout} | since | changed)

    def starts(self, request: Request) -> bool:
        """Is it the order that the server takes? An old GitHub refuses the first, and takes the one after it."""
        is_refused = self.kind == "github_actions_old" and b"return_run_details" in request.body
        return request.method == "POST" and request.path.endswith(self.start) and not is_refused

    def asks(self, request: Request) -> bool:
        return request.method == "GET" and request.path.endswith(self.ask)

    @property
    def begun(self) -> int:
        """How many runs there are at the other side."""
        match self.fake:
            case hook.FakeHook():
                return len(self.fake.acts)
            case github.FakeGitHub():
                return len(self.fake.runs)
            case jenkins.FakeJenkins():
                return self.fake.orders
        return len(self.fake.pipelines)

    def end(self, how: str) -> None:
        """The only run ends: success, failure or cancelled (by somebody at the other side)."""
        match self.fake:
            case github.FakeGitHub():
                (run,) = self.fake.runs
                self.fake.end(run, how)
            case jenkins.FakeJenkins():
                results = {"success": "SUCCESS", "failure": "FAILURE", "cancelled": "ABORTED"}
                self.fake.end(self.fake.build(), results[how])
            case gitlab.FakeGitLab():
                (pipeline,) = self.fake.pipelines
                self.fake.turn(pipeline, {"success": "success", "failure": "failed", "cancelled": "canceled"}[how])


def _rig(kind: str) -> Rig:
    clock = Clock()
    if kind == "webhook":
        receiver, secrets = hook.FakeHook(), parse_secrets(hook.SECRET)
        url = f"{receiver.url}/deploy"
        return Rig(kind, receiver, lambda: WebhookTarget("prod", url, secrets, clock), clock, hook.SECRET, "/deploy")
    if kind == "jenkins":
        ci = jenkins.FakeJenkins()
        job = Jenkins(type="jenkins", url=ci.url, job=ci.job, user=jenkins.USER, token_env="JENKINS_TOKEN")
        make = partial(RunTarget, "prod", JenkinsRuns(job, jenkins.TOKEN), clock)
        return Rig(kind, ci, make, clock, jenkins.TOKEN, "/buildWithParameters", "/queue/api/json", "Jenkins")
    if kind == "gitlab":
        lab = gitlab.FakeGitLab()
        project = GitLab(type="gitlab", url=lab.url, project=lab.project, token_env="GITLAB_TOKEN")
        make = partial(RunTarget, "prod", GitLabRuns(project, gitlab.TOKEN), clock)
        return Rig(kind, lab, make, clock, gitlab.TOKEN, "/pipeline", "/pipelines", "GitLab")
    hub = github.FakeGitHub(old=kind.endswith("_old"))
    workflow = GitHubActions(
        type="github_actions", url=hub.url, repo="acme/serving", workflow="deploy.yml", token_env="GITHUB_TOKEN"
    )
    make = partial(RunTarget, "prod", GitHubRuns(workflow, github.TOKEN), clock)
    return Rig(kind, hub, make, clock, github.TOKEN, "/dispatches", "/deploy.yml/runs", "GitHub")


@contextmanager
def rigged(kind: str) -> Iterator[Rig]:
    """A target of this kind and its server, which must have nothing to complain about in the end."""
    rig = _rig(kind)
    with rig.fake:
        yield rig
        rig.close()
        assert rig.fake.problems == []
