"""The GitHub, Jenkins and GitLab of the tests, as client libraries that know nothing of Baton find them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import api4jenkins
import api4jenkins.exceptions
import github
import gitlab
import gitlab.exceptions
import pytest

from tests.fakes.github import INPUTS, FakeGitHub
from tests.fakes.github import TOKEN as GITHUB_TOKEN
from tests.fakes.gitlab import TOKEN as GITLAB_TOKEN
from tests.fakes.gitlab import FakeGitLab
from tests.fakes.jenkins import TOKEN as JENKINS_TOKEN
from tests.fakes.jenkins import USER, FakeJenkins

Opened = Callable[[Any], Any]
ORDER = {"baton_id": "baton_1", "baton_version": "7"}


@pytest.fixture
def opened() -> Iterator[Callable[[Any], Any]]:
    """Closes every client at the end of the test."""
    with ExitStack() as stack:
        yield lambda client: stack.enter_context(closing(client)) and client


# -- GitHub ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[False, True], ids=["new", "old"])
def hub(request: pytest.FixtureRequest) -> Iterator[FakeGitHub]:
    with FakeGitHub(old=request.param) as fake:
        yield fake
        assert fake.problems == []


@pytest.fixture
def workflow(hub: FakeGitHub, opened: Opened) -> Any:
    return pygithub(hub, opened)


def pygithub(fake: FakeGitHub, opened: Opened, token: str = GITHUB_TOKEN) -> Any:
    auth = github.Auth.Token(token)
    client = github.Github(
        base_url=fake.url, auth=auth, retry=None, seconds_between_requests=0, seconds_between_writes=0, lazy=True
    )
    return opened(client).get_repo(fake.repo).get_workflow(fake.workflow)


def test_pygithub_dispatches_finds_follows_and_cancels(hub: FakeGitHub, workflow: Any) -> None:
    assert workflow.create_dispatch("main", ORDER, throw=True) is True
    (run,) = workflow.get_runs(event="workflow_dispatch", created=">=2020-01-01T00:00:00Z")
    assert (run.display_title, run.status, run.conclusion) == ("deploy baton_1", "queued", None)
    hub.advance(run.id, "in_progress")
    run.update()
    assert run.status == "in_progress"
    assert run.cancel() is True
    run.update()
    assert (run.status, run.conclusion) == ("completed", "cancelled")
    assert run.cancel() is False


def test_pygithub_reads_the_details_of_its_run(opened: Opened) -> None:
    with FakeGitHub() as hub:
        run = pygithub(hub, opened).create_dispatch("main", ORDER, throw=True, return_run_details=True)
        assert run.id in hub.runs
        assert run.html_url == hub.runs[run.id]["html_url"]
        assert run.display_title == "deploy baton_1"  # completed by a call of its own


def test_pygithub_is_refused_what_an_old_server_does_not_know(opened: Opened) -> None:
    with FakeGitHub(old=True) as hub:
        with pytest.raises(github.GithubException) as refused:
            pygithub(hub, opened).create_dispatch("main", ORDER, throw=True, return_run_details=True)
        assert (refused.value.status, "return_run_details" in refused.value.data["message"]) == (422, True)
        assert hub.runs == {}


@pytest.mark.parametrize(
    ("ref", "inputs", "status", "words"),
    [
        ("nowhere", ORDER, 422, "No ref found for: nowhere"),
        ("main", {"surprise": "1"}, 422, 'Unexpected inputs provided: ["surprise"]'),
        ("main", {"baton_id": 7}, 422, "not a string"),
        ("main", dict.fromkeys((f"i{n}" for n in range(26)), ""), 422, "up to 25"),
    ],
)
def test_pygithub_is_refused_a_bad_order(
    hub: FakeGitHub, workflow: Any, ref: str, inputs: dict[str, Any], status: int, words: str
) -> None:
    with pytest.raises(github.GithubException) as refused:
        workflow.create_dispatch(ref, inputs, throw=True)
    assert refused.value.status == status
    assert words in refused.value.data["message"]
    assert hub.runs == {}


def test_pygithub_pages_through_the_runs(hub: FakeGitHub, workflow: Any) -> None:
    for number in range(70):
        hub.begin({"baton_id": f"baton_{number}"})
    titles = [run.display_title for run in workflow.get_runs(event="workflow_dispatch")]
    assert titles == [f"deploy baton_{number}" for number in reversed(range(70))]


def test_pygithub_with_another_token_is_not_let_in(hub: FakeGitHub, opened: Opened) -> None:
    with pytest.raises(github.BadCredentialsException):
        pygithub(hub, opened, "ghp_another").create_dispatch("main", ORDER, throw=True)
    assert hub.runs == {}


def test_an_old_server_takes_as_many_inputs_as_baton_sends(opened: Opened) -> None:
    with FakeGitHub(old=True) as hub:
        assert pygithub(hub, opened).create_dispatch("main", dict.fromkeys(INPUTS, ""), throw=True) is True


# -- Jenkins -----------------------------------------------------------------------------------------------------


@pytest.fixture
def jenkins() -> Iterator[FakeJenkins]:
    with FakeJenkins(job="ml/deploy") as fake:
        yield fake
        assert fake.problems == []


def client(fake: FakeJenkins, opened: Opened, token: str = JENKINS_TOKEN) -> Any:
    made = api4jenkins.Jenkins(fake.url, auth=(USER, token))
    opened(made.http_client)
    return made


def test_api4jenkins_builds_and_follows_from_the_queue_to_the_end(jenkins: FakeJenkins, opened: Opened) -> None:
    job = client(jenkins, opened).get_job("ml/deploy")
    item = job.build(BATON_ID="baton_1", BATON_VERSION="7", UNDECLARED="x")
    assert "quiet period" in item.why
    assert item.get_parameters()[0].value == "baton_1"
    jenkins.build(item.id)
    build = item.get_build()
    assert (build.building, build.result, build.number) == (True, None, 17)
    assert {each.name: each.value for each in build.get_parameters()}["BATON_VERSION"] == "7"
    assert "UNDECLARED" not in {each.name for each in build.get_parameters()}
    jenkins.end(17, "SUCCESS")
    assert (build.building, build.result) == (False, "SUCCESS")


def test_api4jenkins_stops_a_build_and_takes_an_order_out_of_the_queue(jenkins: FakeJenkins, opened: Opened) -> None:
    here = client(jenkins, opened)
    job = here.get_job("ml/deploy")
    running, waiting = job.build(BATON_ID="1"), job.build(BATON_ID="2")
    jenkins.build(running.id)
    build = running.get_build()
    build.stop()
    assert (build.building, build.result) == (False, "ABORTED")
    waiting.cancel()
    assert waiting.api_json()["cancelled"] is True
    assert list(here.queue) == []
    with pytest.raises(api4jenkins.exceptions.ItemNotFoundError):
        waiting.cancel()


def test_api4jenkins_sees_same_orders_merged_and_others_not(jenkins: FakeJenkins, opened: Opened) -> None:
    job = client(jenkins, opened).get_job("ml/deploy")
    orders = [job.build(BATON_ID=each).id for each in ("1", "1", "2")]
    assert orders[0] == orders[1] != orders[2]


def test_api4jenkins_sees_what_left_the_queue_forgotten(jenkins: FakeJenkins, opened: Opened) -> None:
    item = client(jenkins, opened).get_job("ml/deploy").build(BATON_ID="1")
    jenkins.build(item.id)
    assert item.exists()
    jenkins.forget()
    assert not item.exists()


def test_api4jenkins_with_another_token_is_not_let_in(jenkins: FakeJenkins, opened: Opened) -> None:
    with pytest.raises(api4jenkins.exceptions.AuthenticationError):
        client(jenkins, opened, "another").get_job("ml/deploy")


# -- GitLab ------------------------------------------------------------------------------------------------------


@pytest.fixture
def lab() -> Iterator[FakeGitLab]:
    with FakeGitLab() as fake:
        yield fake
        assert fake.problems == []


def project(fake: FakeGitLab, opened: Opened, token: str = GITLAB_TOKEN) -> Any:
    client = gitlab.Gitlab(fake.url, private_token=token)
    opened(client.session)
    return client.projects.get(fake.project)


def test_python_gitlab_creates_finds_follows_and_cancels(lab: FakeGitLab, opened: Opened) -> None:
    here = project(lab, opened)
    made = here.pipelines.create({"ref": "main", "variables": [{"key": "BATON_ID", "value": "baton_1"}]})
    (seen,) = here.pipelines.list(source="api", ref="main", updated_after="2020-01-01T00:00:00Z", iterator=True)
    assert seen.id == made.id
    assert [(each.key, each.value) for each in seen.variables.list(get_all=True)] == [("BATON_ID", "baton_1")]
    lab.turn(made.id, "running")
    assert here.pipelines.get(made.id).status == "running"
    made.cancel()
    made.refresh()
    assert made.status == "canceled"


def test_python_gitlab_pages_through_the_pipelines(lab: FakeGitLab, opened: Opened) -> None:
    made = [lab.begin() for _ in range(45)]
    lab.begin(source="push")
    found = project(lab, opened).pipelines.list(source="api", iterator=True)
    assert [each.id for each in found] == made[::-1]


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"ref": "nowhere"}, "Reference not found"),
        ({"ref": "main", "variables": [{"key": "a b", "value": "1"}]}, "letters"),
        ({"ref": "main", "variables": [{"key": "A", "value": 1}]}, "variables is invalid"),
    ],
)
def test_python_gitlab_is_refused_a_bad_order(
    lab: FakeGitLab, opened: Opened, order: dict[str, Any], words: str
) -> None:
    with pytest.raises(gitlab.exceptions.GitlabCreateError, match=words):
        project(lab, opened).pipelines.create(order)
    assert lab.pipelines == {}


def test_python_gitlab_with_another_token_is_not_let_in(lab: FakeGitLab, opened: Opened) -> None:
    with pytest.raises(gitlab.exceptions.GitlabAuthenticationError):
        project(lab, opened, "another")
