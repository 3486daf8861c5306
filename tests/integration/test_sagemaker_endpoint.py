"""A SageMaker endpoint as a deploy target, asked by the real boto3, which holds every parameter against AWS's own model."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.policy.connections import SageMakerEndpoint
from core.policy.findings import PolicyError
from core.policy.load import load
from core.ports import Act
from core.store.database import Database
from core.targets.sagemaker_endpoint import EndpointTarget
from tests.fakes.sagemaker import ACCOUNT, ARN, SageMaker
from tests.integration.staging import MODEL, Staging

KEY = "baton_0123456789abcdef"
NAME = "baton-0123456789abcdef"
SETTINGS: dict[str, Any] = {
    "type": "sagemaker_endpoint",
    "region": "eu-central-1",
    "endpoint": "fraud",
    "role_arn": "arn:aws:iam::123456789012:role/serving",
    "instance_type": "ml.m5.large",
}


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's account."""
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def fake() -> Iterator[SageMaker]:
    with SageMaker() as made:
        for _ in range(7):
            made.package(MODEL)
        yield made


@pytest.fixture
def target(fake: SageMaker) -> Iterator[EndpointTarget]:
    made = target_of(fake)
    yield made
    made.close()


def target_of(fake: SageMaker, **more: Any) -> EndpointTarget:
    return EndpointTarget("prod", SageMakerEndpoint.model_validate(SETTINGS | {"endpoint_url": fake.url} | more))


def act(version: str = "7", action: str = "deploy", since: datetime | None = None, timeout: float = 15.0) -> Act:
    data = {
        "action": action,
        "model": {"name": MODEL, "version": version, "digest": "sha256:7"},
        "traffic_percent": 100,
    }
    return Act(KEY, {"data": data}, timeout, since)


def started(fake: SageMaker) -> list[dict[str, Any]]:
    return [given for call, given in fake.calls if call == "UpdateEndpoint"]


def test_the_package_gets_a_model_and_a_configuration_and_the_endpoint_is_updated_by_canary(fake: SageMaker) -> None:
    target = target_of(
        fake, instance_count=2, canary={"percent": 10, "wait": "5m"}, termination_wait="2m", alarms=["5xx", "latency"]
    )
    answer = target.send(act())
    assert (answer.state, answer.run) == ("started", NAME)
    assert answer.url == (
        "https://eu-central-1.console.aws.amazon.com/sagemaker/home?region=eu-central-1#/endpoints/fraud"
    )
    given = dict(fake.calls)
    assert given["CreateModel"]["Containers"] == [{"ModelPackageName": f"{ARN}/{MODEL}/7"}]
    assert given["CreateModel"]["ExecutionRoleArn"] == "arn:aws:iam::123456789012:role/serving"
    [variant] = given["CreateEndpointConfig"]["ProductionVariants"]
    assert (variant["ModelName"], variant["InstanceType"], variant["InitialInstanceCount"]) == (NAME, "ml.m5.large", 2)
    assert started(fake) == [
        {
            "EndpointName": "fraud",
            "EndpointConfigName": NAME,
            "DeploymentConfig": {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {
                        "Type": "CANARY",
                        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
                        "WaitIntervalInSeconds": 300,
                    },
                    "TerminationWaitInSeconds": 120,
                },
                "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "5xx"}, {"AlarmName": "latency"}]},
            },
        }
    ]
    seen = target.follow(act(since=datetime.now(UTC)), NAME)
    assert (seen.state, seen.message) == ("in_progress", "baking")
    fake.becomes("InService", NAME)
    assert target.follow(act(), NAME).state == "succeeded"
    target.close()


def test_after_a_lost_answer_nothing_is_started_twice(fake: SageMaker, target: EndpointTarget) -> None:
    first = datetime.now(UTC)
    fake.refuse["UpdateEndpoint"] = "ServiceUnavailable"
    lost = target.send(act())
    assert (lost.state, lost.message) == ("unclear", "SageMaker answered ServiceUnavailable; it is asked again")
    fake.refuse.clear()
    assert (
        target.send(act(since=first)).state == "started"
    )  # it had not begun: the model and its configuration are used
    before = len(started(fake))
    assert target.send(act(since=first)).run == NAME  # it has begun
    fake.becomes("InService", NAME)
    assert target.send(act(since=first)).run == NAME  # it is done
    assert len(started(fake)) == before


def test_what_an_alarm_took_back_has_failed_and_is_not_tried_again(fake: SageMaker, target: EndpointTarget) -> None:
    first = datetime.now(UTC)
    target.send(act())
    fake.becomes("RollingBack")
    going = target.follow(act(since=first), NAME)
    assert (going.state, going.message) == ("in_progress", "is going back, since an alarm fired or it did not come up")
    fake.becomes("InService", reason="One or more configured alarms have triggered")
    said = "the endpoint went back to what it served before: One or more configured alarms have triggered"
    back = target.follow(act(since=first), NAME)
    assert (back.state, back.message) == ("failed", said)
    again = target.send(act(since=first))
    assert (again.state, again.message) == ("refused", said)
    assert len(started(fake)) == 1


def test_an_update_that_aws_has_not_begun_yet_has_not_failed(fake: SageMaker, target: EndpointTarget) -> None:
    fake.becomes("InService")
    assert target.follow(act(since=datetime.now(UTC) + timedelta(seconds=5)), NAME).state == "in_progress"


def test_an_update_under_way_cannot_be_stopped_and_one_that_ended_need_not(
    fake: SageMaker, target: EndpointTarget
) -> None:
    target.send(act())
    no = target.cancel(act(since=datetime.now(UTC)), NAME)
    assert (no.state, no.message) == (
        "refused", "SageMaker stops no update under way; once it has ended, roll back",
    )  # fmt: skip
    fake.becomes("InService", NAME)
    assert target.cancel(act(), NAME).state == "succeeded"


@pytest.mark.parametrize(
    ("call", "code", "state", "said"),
    [
        ("DescribeEndpoint", "ThrottlingException", "unclear", "SageMaker answered ThrottlingException; it is asked again"),
        ("CreateModel", "AccessDeniedException", "refused", "SageMaker answered AccessDeniedException: AccessDeniedException on purpose; give Baton's role the right to it"),
        ("DescribeEndpoint", "ExpiredTokenException", "refused", "SageMaker answered ExpiredTokenException: ExpiredTokenException on purpose; give Baton's role the right to it"),
        ("CreateEndpointConfig", "ResourceLimitExceeded", "refused", "SageMaker answered ResourceLimitExceeded: ResourceLimitExceeded on purpose"),
    ],
)  # fmt: skip
def test_what_aws_refuses_is_one_sentence(
    fake: SageMaker, target: EndpointTarget, call: str, code: str, state: str, said: str
) -> None:
    fake.refuse[call] = code
    answer = target.send(act())
    assert (answer.state, answer.message) == (state, said)
    assert target.send(act(since=datetime.now(UTC))).state == "unclear"  # after a try, AWS's silence is no answer
    assert not started(fake)


def test_what_cannot_be_is_refused_with_its_reason(
    fake: SageMaker, target: EndpointTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert target.send(act("8")).message == f"SageMaker has no package 8 in the group {MODEL} in eu-central-1"
    assert "moves its traffic itself" in target.send(act(action="set_traffic")).message
    elsewhere = target_of(fake, endpoint="lost")
    assert "Could not find endpoint lost." in elsewhere.send(act()).message
    fake.becomes("Updating")
    busy = target.send(act())
    assert (busy.state, busy.retry_after) == ("unclear", 60.0)
    assert busy.message == "the endpoint fraud is Updating for something else; it is asked again"
    fake.becomes("Failed", reason="no capacity")
    assert target.send(act()).message == "the endpoint fraud is Failed; mend it at AWS first"
    assert target.follow(act(since=datetime.now(UTC)), NAME).message == "the endpoint is Failed: no capacity"
    monkeypatch.setitem(sys.modules, "boto3", None)
    missing = target_of(fake).send(act())
    assert (missing.state, missing.message) == (
        "refused", "boto3 is not installed, which the target prod needs; pip install 'baton[sagemaker]' brings it",
    )  # fmt: skip
    assert not started(fake)


def test_nobody_there_is_unclear() -> None:
    target = EndpointTarget("prod", SageMakerEndpoint.model_validate(SETTINGS | {"endpoint_url": "http://127.0.0.1:9"}))
    answer = target.send(act())
    assert answer.state == "unclear"
    assert answer.message.startswith("SageMaker was not reached: Could not connect to the endpoint URL")


def test_an_act_has_its_seconds_for_all_of_its_calls_together(fake: SageMaker, target: EndpointTarget) -> None:
    target.send(act("8"))  # so that its client is made, which takes a while
    before = len(fake.calls)
    fake.delay = 0.4
    began = time.monotonic()
    answer = target.send(act(timeout=1.0))
    assert time.monotonic() - began < 3.0
    assert (answer.state, answer.message) == ("unclear", "SageMaker gave no answer within 1 s; it is asked again")
    for each in threading.enumerate():
        if each.name == "within":
            each.join(10)
    fake.delay = 0.0
    begun = [call for call, _ in fake.calls[before:]]
    assert begun == ["DescribeEndpoint", "ListModelPackages", "CreateModel"][: len(begun)]  # and nothing after its time
    assert target.send(act(since=datetime.now(UTC))).state == "started"
    assert len(started(fake)) == 1


def test_a_promotion_is_carried_out_and_rolled_back(fake: SageMaker, database: Database) -> None:
    target = target_of(fake)
    staging = Staging(database, {"prod-hook": target})
    with staging.running():
        for version, kind in (("6", "promotion"), ("7", "promotion"), ("6", "rollback")):
            before = len(started(fake))
            deployment = staging.approve(version, kind=kind)
            staging.await_row(deployment, lambda row: row.run)
            fake.becomes("InService", started(fake)[-1]["EndpointConfigName"])
            staging.await_end(deployment)
            assert len(started(fake)) == before + 1
            assert staging.deployment(deployment).state == "succeeded"
    assert [given["Containers"][0]["ModelPackageName"][-1] for call, given in fake.calls if call == "CreateModel"] == [
        "6", "7", "6",
    ]  # fmt: skip
    target.close()


def test_its_calls_are_those_that_aws_describes() -> None:
    """Stubber checks answers, too, against AWS's own description of the calls."""
    import boto3
    from botocore.stub import ANY, Stubber

    client = boto3.client("sagemaker", region_name="eu-central-1")
    at, arn = datetime(2026, 11, 23, tzinfo=UTC), f"{ARN}/{MODEL}/7"
    endpoint = {
        "EndpointName": "fraud", "EndpointArn": ARN, "EndpointConfigName": "by-hand", "EndpointStatus": "InService",
        "CreationTime": at, "LastModifiedTime": at,
    }  # fmt: skip
    package = {"ModelPackageArn": arn, "ModelPackageVersion": 7, "CreationTime": at, "ModelPackageStatus": "Completed"}
    with Stubber(client) as stub:
        stub.add_response("describe_endpoint", endpoint, {"EndpointName": "fraud"})
        listed = {
            "ModelPackageGroupName": MODEL,
            "MaxResults": 100,
            "SortBy": "CreationTime",
            "SortOrder": "Descending",
        }
        stub.add_response("list_model_packages", {"ModelPackageSummaryList": [package]}, listed)
        stub.add_response("create_model", {"ModelArn": ARN})
        stub.add_response("create_endpoint_config", {"EndpointConfigArn": ARN})
        wanted = {"EndpointName": "fraud", "EndpointConfigName": NAME, "DeploymentConfig": ANY}
        stub.add_response("update_endpoint", {"EndpointArn": ARN}, wanted)
        moving = endpoint | {
            "EndpointStatus": "Updating",
            "PendingDeploymentSummary": {
                "EndpointConfigName": NAME,
                "ProductionVariants": [{"VariantName": "AllTraffic", "VariantStatus": [{"Status": "Baking"}]}],
            },
        }
        stub.add_response("describe_endpoint", moving, {"EndpointName": "fraud"})
        target = EndpointTarget("prod", SageMakerEndpoint.model_validate(SETTINGS), client)
        assert target.send(act()).state == "started"
        assert target.follow(act(since=at), NAME).message == "baking"
        stub.assert_no_pending_responses()


POLICY = """
version: 1
slack: {{channel: "#ml"}}
stages:
  - name: development
  - name: production
    approvals: {{automatic: true}}
    deploy: {{target: prod}}
    rollout: {{strategy: {strategy}}}
targets:
  prod: {{type: sagemaker_endpoint, region: eu-central-1, endpoint: {endpoint}, role_arn: "arn:aws:iam::123456789012:role/serving", instance_type: {instance}{more}}}
"""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"strategy": "blue_green"}, '"prod" moves the traffic itself'),
        ({"endpoint": "fraud_1"}, "is not a name of AWS; write letters, digits and hyphens, 63 at most"),
        ({"instance": "m5.large"}, "is not an instance type; write one such as ml.m5.large"),
        ({"more": ", canary: {percent: 60, wait: 5m}"}, "percent"),
        ({"more": ", colour: red"}, "colour"),
    ],
)
def test_a_policy_that_could_not_work_is_refused(change: dict[str, str], said: str) -> None:
    fine = {"strategy": "all_at_once", "endpoint": "fraud", "instance": "ml.m5.large", "more": ""}
    load(POLICY.format(**fine))
    with pytest.raises(PolicyError) as refused:
        load(POLICY.format(**fine | change))
    assert said in str(refused.value)
