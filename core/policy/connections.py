"""What the policy connects to: deploy targets, registries, metric sources, alert senders."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from core.policy.fields import Duration, EnvName, Name, Part, Url, shown, wrong


def by_type(kinds: dict[str, str]) -> Discriminator:
    """Choose among models by the key `type`: `kinds` maps its values to class names, which become pydantic's tags."""

    def tag(value: Any) -> str | None:
        kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
        return kinds.get(kind) if isinstance(kind, str) else None

    chooser: Callable[[Any], str | None] = tag
    return Discriminator(
        chooser,
        custom_error_type="policy_type",
        custom_error_message="unknown type",
        custom_error_context={"kinds": ", ".join(kinds)},
    )


def _shaped(pattern: str, what: str, remedy: str) -> AfterValidator:
    """Lets text through that becomes part of an address: of this shape, and without steps that lead elsewhere."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text) or any(step in ("", ".", "..") for step in text.split("/")):
            raise wrong(f"{shown(text)} is not {what}", remedy)
        return text

    return AfterValidator(check)


def _base(text: str) -> str:
    if "?" in text:
        raise wrong("has a query", "write the address alone, such as https://ci.example.com")
    return text


BaseUrl = Annotated[Url, AfterValidator(_base)]
Repository = Annotated[
    Name, _shaped(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", "a repository", "write owner and name, such as acme/serving")
]
Workflow = Annotated[
    Name, _shaped(r"[A-Za-z0-9_.-]+", "a workflow", "write the name of its file alone, such as deploy.yml")
]
Job = Annotated[Name, _shaped(r".+", "a job", "write its path, folders first, such as ml/deploy")]
Project = Annotated[
    Name, _shaped(r"\d+|[^/]+(/[^/]+)+", "a project", "write its path or its number in quotes, such as acme/serving")
]
Region = Annotated[Name, _shaped(r"[a-z]{2}(-[a-z]+)+-\d", "a region of AWS", "write one such as eu-central-1")]
AwsName = Annotated[
    Name, _shaped(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", "a name of AWS", "write letters, digits and hyphens, 63 at most")
]
RoleArn = Annotated[
    Name,
    _shaped(
        r"arn:aws[a-z-]*:iam::\d{12}:role/.+", "a role", "write its ARN, such as arn:aws:iam::123456789012:role/serving"
    ),
]
InstanceType = Annotated[Name, _shaped(r"ml\.[a-z0-9.-]+", "an instance type", "write one such as ml.m5.large")]
User = Annotated[Name, _shaped(r"[^:]+", "a user", "write the user's id, without a colon")]


class Webhook(Part):
    """A hook that is sent a signed CloudEvent."""

    type: Literal["webhook"]
    url: Url
    secret_env: EnvName


class GitHubActions(Part):
    """A workflow that is dispatched. GitHub Enterprise Server's `url` is `https://HOST/api/v3`."""

    type: Literal["github_actions"]
    url: BaseUrl = "https://api.github.com"
    repo: Repository
    workflow: Workflow
    ref: Name = "main"
    token_env: EnvName


class Jenkins(Part):
    """A job that is built with parameters."""

    type: Literal["jenkins"]
    url: BaseUrl
    job: Job
    user: User
    token_env: EnvName


class GitLab(Part):
    """A pipeline that is triggered."""

    type: Literal["gitlab"]
    url: BaseUrl = "https://gitlab.com"
    project: Project
    ref: Name = "main"
    token_env: EnvName


class Canary(Part):
    """So much of the capacity first, for so long."""

    percent: int = Field(ge=1, le=50)
    wait: Duration = Field(ge=timedelta(), le=timedelta(hours=1))


class SageMakerEndpoint(Part):
    """An endpoint of AWS that is updated in place; AWS moves the traffic, and goes back when an alarm fires.

    Credentials are AWS's own matter: environment, profile or role. `role_arn` is what the models run as.
    """

    type: Literal["sagemaker_endpoint"]
    region: Region
    endpoint: AwsName
    role_arn: RoleArn
    instance_type: InstanceType
    instance_count: int = Field(default=1, ge=1)
    canary: Canary | None = None
    termination_wait: Duration = Field(default=timedelta(minutes=10), ge=timedelta(), le=timedelta(hours=1))
    alarms: tuple[Name, ...] = Field(default=(), max_length=10)
    endpoint_url: BaseUrl | None = None


Target = Annotated[
    Annotated[Webhook, Tag("Webhook")]
    | Annotated[GitHubActions, Tag("GitHubActions")]
    | Annotated[Jenkins, Tag("Jenkins")]
    | Annotated[GitLab, Tag("GitLab")]
    | Annotated[SageMakerEndpoint, Tag("SageMakerEndpoint")],
    by_type(
        {
            "webhook": "Webhook",
            "github_actions": "GitHubActions",
            "jenkins": "Jenkins",
            "gitlab": "GitLab",
            "sagemaker_endpoint": "SageMakerEndpoint",
        }
    ),
]


class MLflow(Part):
    """An MLflow tracking server whose registered versions are taken over.

    It asks for nothing, for a user and password, or for a token.
    """

    type: Literal["mlflow"]
    url: Url
    poll: Duration = timedelta(seconds=60)
    webhook_secret_env: EnvName | None = None
    user_env: EnvName | None = None
    password_env: EnvName | None = None
    token_env: EnvName | None = None

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.user_env is None) != (self.password_env is None):
            given, missing = ("user_env", "password_env") if self.user_env else ("password_env", "user_env")
            raise wrong(f"{given} is given without {missing}", f"add {missing}, or remove {given}", given)
        if self.token_env and self.user_env:
            raise wrong("there is a token and a user", "remove token_env, or user_env and password_env", "token_env")
        return self


class SageMaker(Part):
    """Model package groups of one AWS region. Credentials are AWS's own matter: environment, profile or role.

    `request` names the stage that packages pending approval are asked for; `metrics` says where in a quality report a
    metric is, key by key; `buckets` may be read for those reports (SageMaker's own where none is named).
    """

    type: Literal["sagemaker"]
    region: Region
    poll: Duration = timedelta(seconds=60)
    request: Name | None = None
    metrics: dict[Name, Name] = Field(default_factory=dict)
    buckets: tuple[Name, ...] = ()
    endpoint_url: BaseUrl | None = None


Registry = Annotated[
    Annotated[MLflow, Tag("MLflow")] | Annotated[SageMaker, Tag("SageMaker")],
    by_type({"mlflow": "MLflow", "sagemaker": "SageMaker"}),
]


class Prometheus(Part):
    """Where rollout analysis asks its queries."""

    type: Literal["prometheus"]
    url: Url


class Feast(Part):
    """Feast's registry, asked over its REST API."""

    type: Literal["feast"]
    url: BaseUrl
    token_env: EnvName | None = None


Source = Annotated[
    Annotated[Prometheus, Tag("Prometheus")] | Annotated[Feast, Tag("Feast")],
    by_type({"prometheus": "Prometheus", "feast": "Feast"}),
]


class AlertSender(Part):
    """Who may post alerts to `/alerts/{name}`."""

    type: Literal["alertmanager", "grafana"]
    token_env: EnvName
