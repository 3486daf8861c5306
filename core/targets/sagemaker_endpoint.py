"""A SageMaker endpoint: UpdateEndpoint puts a model package into service beside the one that serves, and moves the traffic.

AWS shifts the traffic itself, all at once or by a canary, and goes back by itself when an alarm fires. It knows no
idempotency key, so the model and the endpoint's configuration are called by the act's key: an endpoint that has that
configuration, or is on its way to it, has been asked already. boto3 comes with the extra `baton[sagemaker]` and is
imported by the first act. Credentials are AWS's own matter: environment, profile, or the role of the machine.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from core.policy.connections import SageMakerEndpoint
from core.ports import Act, Answer, Progress
from core.targets.answers import LONGEST_MESSAGE, one_line
from core.wire import within

Row = dict[str, Any]

#: Seconds between two looks at an endpoint that somebody else is changing.
BUSY = 60.0
#: More pages than any package group has.
MOST_PAGES = 200
NEWEST_FIRST = {"SortBy": "CreationTime", "SortOrder": "Descending"}
UNDER_WAY = ("Creating", "Updating", "SystemUpdating", "RollingBack")
#: Codes that mean: not now.
LATER = ("Throttling", "TooManyRequests", "RequestLimit", "ServiceUnavailable", "InternalFailure", "InternalServer")
#: Codes that a person clears: by a role, or by new credentials.
BARRED = ("AccessDenied", "ExpiredToken", "InvalidClientToken", "UnrecognizedClient", "SignatureDoesNotMatch")


class _No(Exception):
    """It could not be asked, or would not. `final`: asking again would change nothing."""

    def __init__(self, words: str, final: bool = False) -> None:
        super().__init__(words)
        self.words, self.final = one_line(words, LONGEST_MESSAGE), final


class _Asking:
    """The calls of one act, which has so many seconds for all of them together."""

    def __init__(self, target: EndpointTarget, seconds: float) -> None:
        self._target = target
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def __call__(self, call: str, **given: Any) -> Row:
        """Ask AWS. Raises `_No`."""

        def ask() -> Row:
            client = self._target.client()
            with _told():
                answer: Row = getattr(client, call)(**given)
                return answer

        try:
            return within(self._until - time.monotonic(), ask)
        except TimeoutError:
            raise _No(f"SageMaker gave no answer within {self._seconds:g} s; it is asked again") from None


class EndpointTarget:
    """One endpoint as a deploy target (`FollowedTarget`). `close()` at the end."""

    def __init__(self, name: str, settings: SageMakerEndpoint, made: Any = None) -> None:
        self.name = name
        self._settings = settings
        self._made = made
        self._making = threading.Lock()

    def close(self) -> None:
        """Let go of the connections."""
        if self._made is not None:
            self._made.close()

    def client(self) -> Any:
        """boto3's client, made by the first call. Raises `_No`."""
        with self._making:
            if self._made is None:
                self._made = _client(self.name, self._settings)
            return self._made

    def send(self, act: Act) -> Answer:
        """Have the endpoint updated to the act's version, unless it is, or is being, already."""
        try:
            return self._send(act, _Asking(self, act.timeout))
        except _No as no:
            # Once it was tried it may be under way: AWS, which will not tell, has not said no to the act.
            return Answer("refused" if no.final and act.since is None else "unclear", no.words, retry_after=BUSY)

    def follow(self, act: Act, run: str) -> Progress:
        """How the update stands. AWS not answering, or not well, leaves that `unclear`, never failed."""
        try:
            return self._progress(act, self._endpoint(_Asking(self, act.timeout)))
        except _No as no:
            return Progress("unclear", no.words, self._url, run)

    def cancel(self, act: Act, run: str) -> Answer:
        """AWS stops no update under way; one that has ended needs no stopping."""
        seen = self.follow(act, run)
        if seen.state == "unclear":
            return Answer("unclear", seen.message, self._url, run=run)
        if seen.state == "in_progress":
            words = "SageMaker stops no update under way; once it has ended, roll back"
            return Answer("refused", words, self._url, run=run)
        return Answer("succeeded", f"the update had ended: {seen.message or seen.state}", self._url, run=run)

    def _send(self, act: Act, ask: _Asking) -> Answer:
        name, there = _name(act), self._endpoint(ask)
        data = act.body["data"]
        if data["action"] == "set_traffic":
            raise _No(
                "a SageMaker endpoint moves its traffic itself; use a rollout with the strategy all_at_once", True
            )
        if name in (there.get("EndpointConfigName"), _pending(there)):
            return Answer("started", "", self._url, run=name)
        status = str(there.get("EndpointStatus"))
        if status in UNDER_WAY:
            raise _No(f"the endpoint {self._settings.endpoint} is {status} for something else; it is asked again")
        if status != "InService":
            raise _No(f"the endpoint {self._settings.endpoint} is {status}; mend it at AWS first", True)
        if self._prepare(ask, name, data["model"], there):
            return Answer("refused", self._gone_back(there), self._url, run=name)
        ask(
            "update_endpoint", EndpointName=self._settings.endpoint, EndpointConfigName=name,
            DeploymentConfig=self._deployment(),
        )  # fmt: skip
        return Answer("started", "", self._url, run=name)

    def _prepare(self, ask: _Asking, name: str, model: Row, there: Row) -> bool:
        """The model and the configuration of this name; True when the endpoint was changed since they were made: the
        update was tried, and is neither there nor under way.
        """
        settings = self._settings
        containers = [{"ModelPackageName": self._package(ask, str(model["name"]), str(model["version"]))}]
        _make(ask, "create_model", ModelName=name, ExecutionRoleArn=settings.role_arn, Containers=containers)
        variant = {
            "VariantName": "AllTraffic", "ModelName": name, "InstanceType": settings.instance_type,
            "InitialInstanceCount": settings.instance_count, "InitialVariantWeight": 1.0,
        }  # fmt: skip
        if _make(ask, "create_endpoint_config", EndpointConfigName=name, ProductionVariants=[variant]):
            return False
        made = ask("describe_endpoint_config", EndpointConfigName=name).get("CreationTime")
        changed = there.get("LastModifiedTime")
        return isinstance(made, datetime) and isinstance(changed, datetime) and changed > made

    def _deployment(self) -> Row:
        settings = self._settings
        routing: Row = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
        if settings.canary is not None:
            size = {"Type": "CAPACITY_PERCENT", "Value": settings.canary.percent}
            seconds = int(settings.canary.wait.total_seconds())
            routing = {"Type": "CANARY", "CanarySize": size, "WaitIntervalInSeconds": seconds}
        policy = {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": int(settings.termination_wait.total_seconds()),
        }
        wanted: Row = {"BlueGreenUpdatePolicy": policy}
        if settings.alarms:
            wanted["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": each} for each in settings.alarms]}
        return wanted

    def _package(self, ask: _Asking, model: str, version: str) -> str:
        """The ARN of a package: its group is the model, its number the version."""
        given: Row = {"ModelPackageGroupName": model, "MaxResults": 100} | NEWEST_FIRST
        for _ in range(MOST_PAGES):
            page = ask("list_model_packages", **given)
            for row in page.get("ModelPackageSummaryList", []):
                if str(row.get("ModelPackageVersion")) == version:
                    return str(row["ModelPackageArn"])
            if not page.get("NextToken"):
                break
            given["NextToken"] = page["NextToken"]
        raise _No(f"SageMaker has no package {version} in the group {model} in {self._settings.region}", True)

    def _endpoint(self, ask: _Asking) -> Row:
        return ask("describe_endpoint", EndpointName=self._settings.endpoint)

    def _progress(self, act: Act, there: Row) -> Progress:
        name, status = _name(act), str(there.get("EndpointStatus"))
        serves, run = there.get("EndpointConfigName") == name, name
        if status == "InService" and serves:
            return Progress("succeeded", "", self._url, run)
        if status == "RollingBack":
            return Progress("in_progress", "is going back, since an alarm fired or it did not come up", self._url, run)
        if status in UNDER_WAY:
            mine = serves or _pending(there) == name
            return Progress("in_progress", _stage(there) if mine else "waits for another update", self._url, run)
        changed = there.get("LastModifiedTime")
        if status == "InService" and not (
            isinstance(changed, datetime) and act.since is not None and changed >= act.since
        ):
            return Progress("in_progress", "", self._url, run)  # AWS has not begun yet
        return Progress("failed", self._gone_back(there), self._url, run)

    def _gone_back(self, there: Row) -> str:
        status, why = str(there.get("EndpointStatus")), one_line(str(there.get("FailureReason") or ""), 300)
        said = (
            "the endpoint went back to what it served before" if status == "InService" else f"the endpoint is {status}"
        )
        return f"{said}: {why}"[:LONGEST_MESSAGE] if why else said

    @property
    def _url(self) -> str:
        region = self._settings.region
        return f"https://{region}.console.aws.amazon.com/sagemaker/home?region={region}#/endpoints/{self._settings.endpoint}"


def _make(ask: _Asking, call: str, **given: Any) -> bool:
    """True when it was made now, False when it was there."""
    try:
        ask(call, **given)
    except _No as no:
        if "already exist" not in no.words:
            raise
        return False
    return True


def _name(act: Act) -> str:
    """The act's key as AWS lets things be called."""
    return re.sub(r"[^A-Za-z0-9]+", "-", act.key).strip("-")[:63]


def _pending(there: Row) -> Any:
    return (there.get("PendingDeploymentSummary") or {}).get("EndpointConfigName")


def _stage(there: Row) -> str:
    """What AWS is doing to the variants: Creating, Baking and so on."""
    variants = (there.get("PendingDeploymentSummary") or {}).get("ProductionVariants") or []
    said = [str(each.get("Status")) for variant in variants for each in variant.get("VariantStatus") or []]
    return ", ".join(dict.fromkeys(said)).lower()


def _client(name: str, settings: SageMakerEndpoint) -> Any:
    try:
        import boto3  # type: ignore[import-untyped,import-not-found,unused-ignore]
        from botocore.config import Config  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError:
        words = f"boto3 is not installed, which the target {name} needs; pip install 'baton[sagemaker]' brings it"
        raise _No(words, True) from None
    config = Config(connect_timeout=5, read_timeout=15, retries={"total_max_attempts": 1})
    session = boto3.session.Session(region_name=settings.region)
    return session.client("sagemaker", endpoint_url=settings.endpoint_url, config=config)


@contextmanager
def _told() -> Iterator[None]:
    """Turns what boto3 raises into one sentence. Raises `_No`."""
    from botocore.exceptions import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
        BotoCoreError,
        ClientError,
    )

    try:
        yield
    except ClientError as error:
        said = error.response.get("Error", {})
        code, words = str(said.get("Code")), one_line(str(said.get("Message") or ""), 300)
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
        if status >= 500 or code.startswith(LATER):
            raise _No(f"SageMaker answered {code}; it is asked again") from error
        if code.startswith(BARRED):
            raise _No(f"SageMaker answered {code}: {words}; give Baton's role the right to it", True) from error
        raise _No(f"SageMaker answered {code}: {words}", True) from error
    except BotoCoreError as error:
        raise _No(f"SageMaker was not reached: {error}") from error
