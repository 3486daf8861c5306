"""What is peculiar to GitHub Actions, Jenkins and GitLab as deploy targets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.policy.connections import GitHubActions, GitLab, Jenkins
from core.ports import Answer, Progress
from core.targets.github_actions import GitHubRuns
from core.targets.gitlab import GitLabRuns
from core.targets.jenkins import JenkinsRuns
from core.targets.runs import RunTarget
from tests.fakes import serving
from tests.fakes.github import FakeGitHub
from tests.fakes.jenkins import TOKEN, USER, FakeJenkins
from tests.fakes.serving import says
from tests.integration.target_rigs import KEY, OTHER_KEY, Clock, Rig, rigged

NAMING = "write run-name: deploy ${{ inputs.baton_id }} into the workflow"


@pytest.fixture
def hub() -> Iterator[Rig]:
    with rigged("github_actions") as rig:
        yield rig


@pytest.fixture
def old_hub() -> Iterator[Rig]:
    with rigged("github_actions_old") as rig:
        yield rig


@pytest.fixture
def jenkins() -> Iterator[Rig]:
    with rigged("jenkins") as rig:
        yield rig


@pytest.fixture
def lab() -> Iterator[Rig]:
    with rigged("gitlab") as rig:
        yield rig


FACTS = {
    "id": KEY, "action": "deploy", "stage": "production", "model": "fraud-detector", "version": "7", "digest": "sha256:6b28",
    "previous": "6", "traffic_percent": "100", "deployment": "D-2", "seq": "2000",
}  # fmt: skip


# -- GitHub Actions ----------------------------------------------------------------------------------------------


def test_a_workflow_is_told_everything_about_its_act(hub: Rig) -> None:
    answer = hub.target.send(hub.act())
    assert hub.fake.dispatched == [{f"baton_{name}": value for name, value in FACTS.items()}]
    (run,) = hub.fake.runs
    assert answer == Answer("started", "", f"https://github.com/acme/serving/actions/runs/{run}", run=str(run))
    (order,) = (each for each in hub.fake.requests if hub.starts(each))
    assert order.headers["x-github-api-version"] == "2022-11-28"
    assert order.headers["accept"] == "application/vnd.github+json"


def test_a_server_that_names_no_run_is_asked_once_more_and_its_run_found(old_hub: Rig) -> None:
    assert old_hub.target.send(old_hub.act()) == Answer("started")
    assert old_hub.fake.count("POST", "/dispatches") == 2
    (run,) = old_hub.fake.runs
    assert old_hub.target.follow(old_hub.act(), "").run == str(run)


@pytest.mark.parametrize("status", [400, 422])
def test_an_order_that_is_refused_for_another_reason_is_not_repeated(hub: Rig, status: int) -> None:
    hub.fake.misbehave(says(status, {"message": "No ref found for: main"}), hub.starts)
    assert hub.target.send(hub.act()) == Answer("refused", f"it answered {status}: No ref found for: main")
    assert hub.fake.count("POST", "/dispatches") == 1


def test_an_order_without_the_field_is_not_repeated_again(old_hub: Rig) -> None:
    said = {"message": '"return_run_details" is not a permitted key.'}
    old_hub.fake.misbehave(says(422, said), old_hub.starts)
    answer = old_hub.target.send(old_hub.act())
    assert answer == Answer("refused", 'it answered 422: "return_run_details" is not a permitted key.')
    assert old_hub.fake.count("POST", "/dispatches") == 2


def test_an_input_that_the_workflow_does_not_declare_is_named(hub: Rig) -> None:
    hub.fake.inputs.remove("baton_seq")
    assert hub.target.send(hub.act()).message == 'it answered 422: Unexpected inputs provided: ["baton_seq"]'


def test_a_run_that_the_list_shows_late_is_not_doubled(hub: Rig) -> None:
    hub.fake.lists_late = True
    hub.fake.misbehave(serving.loses_the_answer, hub.starts)
    assert hub.target.send(hub.act()).retry_after == 60.0
    act = hub.act(tried=True)
    hub.clock.pass_(30)
    assert hub.target.send(act).state == "unclear"
    hub.fake.settle()
    hub.clock.pass_(30)
    assert hub.target.send(act).state == "started"
    assert hub.begun == 1


def test_a_run_without_a_name_of_ours_is_never_doubled_and_the_remedy_is_said(hub: Rig) -> None:
    hub.fake.run_name = "Deploy"
    hub.fake.misbehave(serving.loses_the_answer, hub.starts)
    hub.target.send(hub.act())
    act = hub.act(tried=True)
    hub.clock.pass_(600)
    answer = hub.target.send(act)
    (run,) = hub.fake.runs
    url = f"https://github.com/acme/serving/actions/runs/{run}"
    assert answer == Answer("unclear", f"the run {url} may be ours, but its name holds no id; {NAMING}")
    assert hub.begun == 1


def test_runs_of_other_people_and_other_acts_do_not_hold_up_the_first_try(hub: Rig) -> None:
    hub.fake.begin({"baton_id": OTHER_KEY})
    hub.fake.run_name = "Deploy by hand"
    hub.fake.begin({})
    hub.fake.run_name = "deploy ${{ inputs.baton_id }}"
    assert hub.target.send(hub.act()).state == "started"
    assert hub.begun == 3


def test_a_run_whose_name_lacks_the_id_is_followed_and_the_remedy_is_said(hub: Rig) -> None:
    hub.fake.run_name = "Deploy"
    run = hub.target.send(hub.act()).run
    assert (
        hub.target.follow(hub.act(), run).message == f"waits for a runner; the run's name lacks the act's id; {NAMING}"
    )


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("in_progress", ""),
        ("waiting", "waits for an approval or a rule of its environment at GitHub"),
        ("pending", "waits for another run of its group"),
    ],
)
def test_what_a_run_waits_for_is_said(hub: Rig, status: str, words: str) -> None:
    run = hub.target.send(hub.act()).run
    hub.fake.advance(int(run), status)
    assert hub.target.follow(hub.act(), run).message == words


@pytest.mark.parametrize(
    "conclusion", ["failure", "timed_out", "action_required", "neutral", "skipped", "stale", "startup_failure"]
)
def test_only_success_is_a_success(hub: Rig, conclusion: str) -> None:
    run = hub.target.send(hub.act()).run
    hub.fake.end(int(run), conclusion)
    seen = hub.target.follow(hub.act(), run)
    assert (seen.state, seen.message) == ("failed", f"the run ended: {conclusion.replace('_', ' ')}")


def test_the_run_is_found_on_a_later_page(hub: Rig) -> None:
    mine = hub.fake.begin({"baton_id": KEY})
    for _ in range(60):
        hub.fake.begin({"baton_id": OTHER_KEY})
    assert hub.target.send(hub.act()).run == str(mine)
    assert hub.begun == 61


def test_more_runs_than_can_be_looked_through_are_no_proof_that_ours_is_not_there(hub: Rig) -> None:
    hub.fake.begin({"baton_id": KEY})
    for _ in range(200):
        hub.fake.begin({"baton_id": OTHER_KEY})
    act = hub.act(tried=True)
    hub.clock.pass_(100)
    answer = hub.target.send(act)
    assert answer.state == "unclear"
    assert answer.message.startswith("there are too many runs since ")
    assert hub.begun == 201


def test_a_spent_allowance_is_no_refusal(hub: Rig) -> None:
    reset = str(int(hub.clock.now.timestamp()) + 120)
    fault = says(403, {"message": "API rate limit exceeded"}, x_ratelimit_remaining="0", x_ratelimit_reset=reset)
    hub.fake.misbehave(fault, hub.asks)
    answer = hub.target.send(hub.act())
    assert (answer.state, answer.message) == ("unclear", "it answered 403: API rate limit exceeded")
    assert answer.retry_after == pytest.approx(120, abs=1)


def test_an_enterprise_server_has_a_path_of_its_own() -> None:
    with FakeGitHub() as fake:
        settings = GitHubActions(
            type="github_actions", url=f"{fake.url}/api/v3/", repo="acme/serving", workflow="deploy.yml", token_env="T"
        )
        target = RunTarget("prod", GitHubRuns(settings, "ghp_x"), Clock())
        target.send(Rig("x", fake, lambda: target, Clock(), "", "").act())
        target.close()
        assert fake.requests[0].path == "/api/v3/repos/acme/serving/actions/workflows/deploy.yml/runs"


# -- Jenkins -----------------------------------------------------------------------------------------------------


def test_a_job_in_folders_is_built_with_everything_about_its_act(jenkins: Rig) -> None:
    answer = jenkins.target.send(jenkins.act())
    url = f"{jenkins.fake.url}/job/ml/job/deploy%20serving/"
    assert answer == Answer("started", "waits in the queue of Jenkins", url, run="queue:39")
    (item,) = jenkins.fake.queue.values()
    kept = {each["name"]: each["value"] for each in item["actions"][0]["parameters"]}
    assert kept == {f"BATON_{name.upper()}": value for name, value in FACTS.items()}


def test_a_run_is_followed_out_of_the_queue(jenkins: Rig) -> None:
    act, run = jenkins.act(), jenkins.target.send(jenkins.act()).run
    waits = jenkins.target.follow(act, run)
    assert waits.message == "waits in the queue of Jenkins: In the quiet period. Expires in 4.9 sec"
    number = jenkins.fake.build()
    seen = jenkins.target.follow(act, run)
    url = f"{jenkins.fake.url}/job/ml/job/deploy%20serving/{number}/console"
    assert seen == Progress("in_progress", "", url, run=f"build:{number}")
    jenkins.fake.builds[number]["result"] = "FAILURE"  # a pipeline knows it before it has ended
    assert jenkins.target.follow(act, seen.run) == seen


def test_an_order_that_jenkins_forgot_is_found_among_the_builds(jenkins: Rig) -> None:
    run = jenkins.target.send(jenkins.act()).run
    number = jenkins.fake.build()
    jenkins.fake.forget()
    assert jenkins.target.follow(jenkins.act(), run).run == f"build:{number}"
    jenkins.fake.builds.clear()
    lost = jenkins.target.follow(jenkins.act(), run)
    assert (lost.state, lost.message) == ("unclear", "Jenkins has forgotten the order, and shows no build with its id")


def test_a_running_build_is_taken_over_and_stopped(jenkins: Rig) -> None:
    jenkins.fake.misbehave(serving.loses_the_answer, jenkins.starts)
    jenkins.target.send(jenkins.act())
    number = jenkins.fake.build()
    taken = jenkins.target.send(jenkins.act(tried=True))
    assert (taken.state, taken.run) == ("started", f"build:{number}")
    assert jenkins.target.cancel(jenkins.act(), taken.run).state == "started"
    assert jenkins.target.follow(jenkins.act(), taken.run).message == "the run ended: aborted"


def test_jenkins_believes_to_live_elsewhere_and_is_asked_where_the_policy_says() -> None:
    with FakeJenkins(root="http://jenkins.internal.invalid:8080") as fake:
        settings = Jenkins(type="jenkins", url=fake.url, job=fake.job, user=USER, token_env="JENKINS_TOKEN")
        rig = Rig("jenkins", fake, lambda: RunTarget("prod", JenkinsRuns(settings, TOKEN), Clock()), Clock(), TOKEN, "")
        run = rig.target.send(rig.act()).run
        fake.build()
        seen = rig.target.follow(rig.act(), run)
        assert seen.state == "in_progress"
        assert seen.url == "http://jenkins.internal.invalid:8080/job/ml/job/deploy%20serving/17/console"
        rig.close()


@pytest.mark.parametrize(
    ("attribute", "value", "words"),
    [
        ("declared", ["VERSION"], "the job ml/deploy serving does not declare the parameter BATON_ID; add it, and build the job once"),
        ("declared", [], "the job ml/deploy serving does not declare the parameter BATON_ID; add it, and build the job once"),
        ("buildable", False, "the job ml/deploy serving is disabled; enable it in Jenkins"),
    ],
)  # fmt: skip
def test_a_job_that_could_not_keep_the_id_is_not_built(jenkins: Rig, attribute: str, value: Any, words: str) -> None:
    setattr(jenkins.fake, attribute, value)
    assert jenkins.target.send(jenkins.act()) == Answer("refused", words)
    assert jenkins.begun == 0


def test_parameters_that_a_job_does_not_declare_are_left_out_without_harm(jenkins: Rig) -> None:
    jenkins.fake.declared = ["BATON_ID", "BATON_VERSION"]
    assert jenkins.target.send(jenkins.act()).state == "started"
    assert jenkins.target.send(jenkins.act(tried=True)).state == "started"
    assert jenkins.begun == 1


def test_a_build_of_another_act_is_never_taken_for_ours(jenkins: Rig) -> None:
    jenkins.fake.build(jenkins.fake.order({"BATON_ID": OTHER_KEY}))
    jenkins.fake.end(17, "SUCCESS")
    seen = jenkins.target.follow(jenkins.act(), "build:17")
    words = "the build 17 of ml/deploy serving is another act's; nothing is known of this one"
    assert (seen.state, seen.message) == ("unclear", words)


@pytest.mark.parametrize("result", ["UNSTABLE", "FAILURE", "NOT_BUILT"])
def test_only_success_of_a_build_is_a_success(jenkins: Rig, result: str) -> None:
    run = jenkins.target.send(jenkins.act()).run
    jenkins.fake.end(jenkins.fake.build(), result)
    assert jenkins.target.follow(jenkins.act(), run).message == f"the run ended: {result.lower()}"


def test_an_order_without_a_place_in_the_queue_is_unclear(jenkins: Rig) -> None:
    for location in ("http://elsewhere.invalid/queue/", "", "https://ci/queue/item/x/"):
        jenkins.fake.misbehave(says(201, location=location), jenkins.starts)
        answer = jenkins.target.send(jenkins.act())
        assert (answer.state, answer.retry_after) == ("unclear", 60.0)


# -- GitLab ------------------------------------------------------------------------------------------------------


def test_a_pipeline_is_told_everything_about_its_act(lab: Rig) -> None:
    answer = lab.target.send(lab.act())
    (pipeline,) = lab.fake.pipelines
    assert answer == Answer(
        "started", "", f"https://gitlab.example.com/acme/ml/serving/-/pipelines/{pipeline}", run=str(pipeline)
    )
    kept = {each["key"]: each["value"] for each in lab.fake.variables[pipeline]}
    assert kept == {f"BATON_{name.upper()}": value for name, value in FACTS.items()}


def test_a_dollar_in_a_name_is_no_variable(lab: Rig) -> None:
    act = lab.act()
    act.body["data"]["model"]["name"] = "$CI_JOB_TOKEN"
    lab.target.send(act)
    (variables,) = lab.fake.variables.values()
    assert {"variable_type": "env_var", "key": "BATON_MODEL", "value": "$$CI_JOB_TOKEN"} in variables


def test_only_pipelines_that_may_be_ours_are_looked_into(lab: Rig) -> None:
    lab.fake.begin({"BATON_ID": OTHER_KEY})
    lab.fake.begin({"BATON_ID": KEY}, source="push")  # somebody copied it
    lab.fake.begin({"BATON_ID": OTHER_KEY}, ago=timedelta(hours=1))
    assert lab.target.send(lab.act()).state == "started"
    assert lab.fake.count("GET", "/variables") == 1
    assert lab.begun == 4


def test_more_pipelines_than_can_be_looked_into_are_no_proof_that_ours_is_not_there(lab: Rig) -> None:
    lab.fake.begin({"BATON_ID": KEY})
    for _ in range(30):
        lab.fake.begin({"BATON_ID": OTHER_KEY})
    act = lab.act(tried=True)
    lab.clock.pass_(100)
    answer = lab.target.send(act)
    assert answer.state == "unclear"
    assert answer.message.startswith("there are too many pipelines since ")
    assert lab.begun == 31


@pytest.mark.parametrize(
    ("status", "state", "words"),
    [
        ("created", "in_progress", ""),
        ("running", "in_progress", ""),
        ("manual", "in_progress", "waits for somebody to start a manual job in GitLab"),
        ("canceling", "in_progress", "is being cancelled"),
        ("success", "succeeded", ""),
        ("failed", "failed", "the run ended: failed"),
        ("canceled", "failed", "the run ended: cancelled"),
        ("skipped", "failed", "the run ended: skipped"),
    ],
)
def test_every_status_of_a_pipeline_means_something(lab: Rig, status: str, state: str, words: str) -> None:
    run = lab.target.send(lab.act()).run
    lab.fake.turn(int(run), status)
    seen = lab.target.follow(lab.act(), run)
    assert (seen.state, seen.message) == (state, words)


def test_what_gitlab_says_against_an_order_is_repeated(lab: Rig) -> None:
    said = {"message": {"base": ["Reference not found", "Insufficient permissions to set pipeline variables"]}}
    lab.fake.misbehave(says(400, said), lab.starts)
    words = "it answered 400: Reference not found; Insufficient permissions to set pipeline variables"
    assert lab.target.send(lab.act()) == Answer("refused", words)


# -- tokens ------------------------------------------------------------------------------------------------------

MADE = {
    GitHubRuns: GitHubActions(type="github_actions", repo="acme/serving", workflow="deploy.yml", token_env="T"),
    JenkinsRuns: Jenkins(type="jenkins", url="https://ci.example.com", job="deploy", user="baton", token_env="T"),
    GitLabRuns: GitLab(type="gitlab", project="acme/serving", token_env="T"),
}


@pytest.mark.parametrize("runs", MADE)
@pytest.mark.parametrize("token", ["", " ", "two words", "line\nbreak", "ümlaut"])
def test_what_is_no_token_is_refused_without_being_repeated(runs: Any, token: str) -> None:
    with pytest.raises(ValueError, match=r"^(is empty|holds characters)") as refused:
        runs(MADE[runs], token)
    assert not token.strip() or token not in str(refused.value)


@pytest.mark.parametrize("runs", MADE)
def test_a_token_is_not_shown_by_what_holds_it(runs: Any) -> None:
    made = runs(MADE[runs], "s3cr3t-t0ken")
    assert "s3cr3t-t0ken" not in repr(made.service)


# -- the reference -----------------------------------------------------------------------------------------------


def sample(name: str) -> str:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "targets.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"<!-- sample: {re.escape(name)} -->\n```\w+\n(.*?)```", page, re.DOTALL)
    return str(found)


def test_the_workflow_of_the_reference_takes_our_order_and_names_its_run_after_it(hub: Rig) -> None:
    workflow = yaml.safe_load(sample("deploy-workflow.yml"))
    hub.fake.inputs = set(workflow[True]["workflow_dispatch"]["inputs"])  # YAML 1.1 takes "on" for true
    hub.fake.run_name = workflow["run-name"]
    hub.fake.misbehave(serving.loses_the_answer, hub.starts)
    hub.target.send(hub.act())
    assert hub.target.send(hub.act(tried=True)).state == "started"
    (run,) = hub.fake.runs.values()
    assert run["display_title"] == f"deploy fraud-detector 7 {KEY}"
    assert len(hub.fake.inputs) == len(FACTS)


def test_the_job_of_the_reference_keeps_what_it_uses(jenkins: Rig) -> None:
    pipeline = sample("Jenkinsfile")
    jenkins.fake.declared = re.findall(r"string\(name: '(\w+)'\)", pipeline)
    assert set(re.findall(r"\$(\w+)", pipeline)) == set(jenkins.fake.declared) - {"BATON_ID"}
    assert jenkins.target.send(jenkins.act()).state == "started"
    (item,) = jenkins.fake.queue.values()
    assert all(each["value"] for each in item["actions"][0]["parameters"])


def test_the_pipeline_of_the_reference_uses_what_it_is_told(lab: Rig) -> None:
    lab.target.send(lab.act())
    (variables,) = lab.fake.variables.values()
    used = set(re.findall(r"\$(\w+)", sample(".gitlab-ci.yml")))
    assert "BATON_ID" in used
    assert used <= {each["key"] for each in variables}
