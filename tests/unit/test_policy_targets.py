"""What the policy file may say of CI servers as deploy targets, and the one sentence for what it may not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from core.policy.connections import GitHubActions, GitLab, Jenkins

GITHUB = {"type": "github_actions", "repo": "acme/serving", "workflow": "deploy.yml", "token_env": "GITHUB_TOKEN"}
JENKINS = {"type": "jenkins", "url": "https://ci.example.com", "job": "ml/deploy", "user": "baton", "token_env": "T"}
GITLAB = {"type": "gitlab", "project": "acme/ml/serving", "token_env": "T"}


def test_github_is_the_public_one_unless_a_server_is_named() -> None:
    assert GitHubActions.model_validate(GITHUB).url == "https://api.github.com"
    own = GitHubActions.model_validate(GITHUB | {"url": "https://git.example.com/api/v3"})
    assert own.url == "https://git.example.com/api/v3"


@pytest.mark.parametrize("project", ["acme/serving", "a/b/c/d", "4711"])
def test_a_project_is_a_path_or_a_number(project: str) -> None:
    assert GitLab.model_validate(GITLAB | {"project": project}).project == project


@pytest.mark.parametrize(
    ("part", "whole", "key", "value", "sentence"),
    [
        (GitHubActions, GITHUB, "repo", "serving", '"serving" is not a repository; write owner and name, such as acme/serving'),
        (GitHubActions, GITHUB, "repo", "../x", '"../x" is not a repository; write owner and name, such as acme/serving'),
        (GitHubActions, GITHUB, "repo", "https://github.com/a/b", '"https://github.com/a/b" is not a repository; write owner and name, such as acme/serving'),
        (GitHubActions, GITHUB, "workflow", ".github/workflows/deploy.yml", '".github/workflows/deploy.yml" is not a workflow; write the name of its file alone, such as deploy.yml'),
        (GitHubActions, GITHUB, "workflow", "..", '".." is not a workflow; write the name of its file alone, such as deploy.yml'),
        (GitHubActions, GITHUB, "url", "https://git.example.com/api/v3?x=1", "has a query; write the address alone, such as https://ci.example.com"),
        (Jenkins, JENKINS, "job", "/ml/deploy", '"/ml/deploy" is not a job; write its path, folders first, such as ml/deploy'),
        (Jenkins, JENKINS, "job", "ml/../deploy", '"ml/../deploy" is not a job; write its path, folders first, such as ml/deploy'),
        (Jenkins, JENKINS, "user", "a:b", '"a:b" is not a user; write the user\'s id, without a colon'),
        (GitLab, GITLAB, "project", "serving", '"serving" is not a project; write its path or its number in quotes, such as acme/serving'),
        (GitLab, GITLAB, "project", "acme//serving", '"acme//serving" is not a project; write its path or its number in quotes, such as acme/serving'),
    ],
)  # fmt: skip
def test_what_would_lead_elsewhere_is_refused(
    part: Any, whole: dict[str, str], key: str, value: str, sentence: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        part.model_validate(whole | {key: value})
    (error,) = refused.value.errors()
    assert error["loc"] == (key,)
    assert f"{error['ctx']['problem']}; {error['ctx']['remedy']}" == sentence
