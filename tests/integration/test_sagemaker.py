"""SageMaker's registry, asked by the real boto3 over HTTP; and what it must be sent, held against AWS's own model."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.domain.errors import Conflict, NotFound, Unavailable
from core.policy.connections import SageMaker as Settings
from core.ports import ForeignVersion, NotReady, Place, WriteBack
from core.registries.sagemaker import SageMakerRegistry
from tests.fakes.sagemaker import ACCOUNT, SageMaker

REPORT = {"binary_classification_metrics": {"auc": {"value": 0.95, "standard_deviation": 0.01}}}
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's account."""
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def fake() -> Iterator[SageMaker]:
    with SageMaker() as made:
        yield made


def registry_of(fake: SageMaker, **more: Any) -> SageMakerRegistry:
    settings = {"type": "sagemaker", "region": "eu-central-1", "endpoint_url": fake.url} | more
    return SageMakerRegistry("aws", Settings.model_validate(settings))


@pytest.fixture
def registry(fake: SageMaker) -> Iterator[SageMakerRegistry]:
    made = registry_of(fake)
    yield made
    made.close()


def read(registry: SageMakerRegistry, model: str = "fraud", version: str = "1") -> ForeignVersion:
    found = registry.read(model, version)
    assert isinstance(found, ForeignVersion), found
    return found


def decided(version: str, decision: str = "approved", mode: str = "status", **more: Any) -> WriteBack:
    said: dict[str, Any] = {"target": "production" if mode == "status" else "", "previous": None} | more
    return WriteBack(
        model="fraud", version=version, mode=mode, request="P-12", decision=decision,  # type: ignore[arg-type]
        decided_by="Bob, Carol “the” 2nd", decided_at=f"2026-11-23T10:0{version}:00+00:00", **said,
    )  # fmt: skip


# -- reading -------------------------------------------------------------------------------------------------------


def test_a_package_arrives_with_its_metrics_and_where_it_came_from(
    fake: SageMaker, registry: SageMakerRegistry
) -> None:
    for _ in range(5):
        fake.package("fraud", REPORT, CustomerMetadataProperties={"dataset_name": "oct", "dataset_digest": "sha256:1"})
    fake.package("churn")
    assert sorted(registry.models()) == ["churn", "fraud"]
    assert [each.number for each in registry.versions("fraud", 2)] == [3, 4, 5]
    assert len(list(registry.recent(LONG_AGO))) == 6
    assert list(registry.recent(datetime.now(UTC) + timedelta(hours=1))) == []
    found = read(registry)
    assert found.asks
    given = found.given
    assert [(each.name, each.value, each.dataset) for each in given.measurements] == [("auc", 0.95, "oct")]
    assert (given.lineage.trained_by, given.lineage.commit) == ("alice", "c0ffee")
    assert given.artifact_uri == "s3://models/fraud/1.tar.gz"
    assert given.digest.startswith("sha256:")
    assert given.digest != read(registry, version="2").given.digest
    assert "SageMaker gave no digest of the image or of the model data" in found.notes[0]


@pytest.mark.parametrize(
    ("report", "more", "values", "said"),
    [
        ({"g": {"auc": {"value": "NaN"}, "f1": {"value": 1e999}, "n": {"value": True}}}, {},
         {"auc": None, "f1": None, "n": None}, "auc is NaN, which is no number, so there is no data for it."),
        (b"<html>", {}, {}, "Its model quality report is no JSON that Baton reads"),
        (b"[" * 200_000, {}, {}, "Its model quality report is no JSON that Baton reads"),
        (b'{"a": "' + b"x" * 1_100_000 + b'"}', {}, {}, "Its model quality report is no JSON that Baton reads"),
        (None, {}, {}, "The package names no model quality report, so it has no metrics."),
        (REPORT, {"buckets": ["ours"]}, {},
         "Its metrics are in the bucket sagemaker-eu-central-1-123456789012, which the policy does not let Baton read."),
        ({"deep": {"er": {"auc": 0.9}}}, {"metrics": {"auc": "deep.er.auc", "f1": "deep.f1"}},
         {"auc": 0.9, "f1": None}, "f1 is nothing, which is no number, so there is no data for it."),
    ],
)  # fmt: skip
def test_no_data_is_said_and_never_a_number(
    fake: SageMaker, report: Any, more: Any, values: dict[str, float | None], said: str
) -> None:
    fake.package("fraud", report)
    registry = registry_of(fake, **more)
    found = read(registry)
    assert {each.name: each.value for each in found.given.measurements} == values
    assert said in " ".join(found.notes)
    registry.close()


def test_a_report_that_is_gone_leaves_a_sentence(fake: SageMaker, registry: SageMakerRegistry) -> None:
    fake.package("fraud", REPORT)
    fake.objects.clear()
    assert "The registry aws answered NoSuchKey to get_object" in " ".join(read(registry).notes)


def test_a_package_that_is_not_complete_waits_and_one_that_failed_is_left(
    fake: SageMaker, registry: SageMakerRegistry
) -> None:
    fake.package("fraud", ModelPackageStatus="InProgress")
    fake.package("fraud", ModelPackageStatus="Failed")
    assert registry.read("fraud", "1") == NotReady("The package fraud 1 is InProgress in aws.")
    assert registry.read("fraud", "2") == NotReady("The package fraud 2 is Failed in aws.", final=True)
    with pytest.raises(NotFound, match=r"The registry aws has no fraud 9 any more"):
        registry.read("fraud", "9")


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("ThrottlingException", Unavailable, "answered ThrottlingException to list_model_package_groups"),
        ("ServiceUnavailable", Unavailable, "answered ServiceUnavailable"),
        ("ExpiredTokenException", Unavailable, "Renew or widen the credentials that Baton runs with."),
        ("AccessDeniedException", Unavailable, "Renew or widen the credentials that Baton runs with."),
        ("ValidationException", Conflict, "answered ValidationException"),
    ],
)
def test_every_failure_is_one_sentence(
    fake: SageMaker, registry: SageMakerRegistry, code: str, kind: type[Exception], said: str
) -> None:
    fake.refuse["ListModelPackageGroups"] = code
    with pytest.raises(kind, match=r"The registry aws answered") as refused:
        list(registry.models())
    assert said in str(refused.value)


def test_pages_for_ever_and_nobody_there_are_sentences(fake: SageMaker, registry: SageMakerRegistry) -> None:
    fake.package("fraud")
    fake.for_ever = True
    with pytest.raises(Unavailable, match="goes on and on listing the same pages"):
        list(registry.models())
    nobody = SageMakerRegistry(
        "aws", Settings(type="sagemaker", region="eu-central-1", endpoint_url="http://127.0.0.1:9")
    )
    with pytest.raises(Unavailable, match="The registry aws was not reached"):
        list(nobody.models())


def test_without_boto3_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    registry = SageMakerRegistry("aws", Settings(type="sagemaker", region="eu-central-1"))
    with pytest.raises(Unavailable) as said:
        list(registry.models())
    assert str(said.value) == (
        "boto3 is not installed, which the registry aws needs; pip install 'baton[sagemaker]' brings it."
    )


# -- writing back --------------------------------------------------------------------------------------------------


def test_a_decision_is_written_once_whole_and_leaves_what_others_noted(
    fake: SageMaker, registry: SageMakerRegistry
) -> None:
    fake.package("fraud", CustomerMetadataProperties={"team": "risk"})
    assert registry.write_back(decided("1")).sentence == "fraud 1 is Approved in aws."
    row = fake.row("fraud", 1)
    assert row["ModelApprovalStatus"] == "Approved"
    assert row["ApprovalDescription"] == "Baton P-12: approved by Bob, Carol “the” 2nd"
    assert row["CustomerMetadataProperties"] == {
        "team": "risk", "baton_request": "P-12", "baton_decision": "approved", "baton_stage": "production",
        "baton_decided_by": "Bob  Carol  the  2nd", "baton_decided_at": "2026-11-23T10:01:00+00:00",
    }  # fmt: skip
    assert (row["ModelLifeCycle"]["Stage"], row["ModelLifeCycle"]["StageStatus"]) == ("production", "Approved")
    assert registry.write_back(decided("1")).state == "unchanged"
    assert [call for call, _ in fake.calls].count("UpdateModelPackage") == 1


def test_a_rejection_rejects_and_tags_only_leaves_the_status(fake: SageMaker, registry: SageMakerRegistry) -> None:
    fake.package("fraud")
    registry.write_back(decided("1", "rejected", "tags-only"))
    assert fake.row("fraud", 1)["ModelApprovalStatus"] == "PendingManualApproval"
    registry.write_back(decided("1", "rejected"))
    assert fake.row("fraud", 1)["ModelApprovalStatus"] == "Rejected"


def test_what_somebody_approved_past_baton_is_seen_and_not_overwritten(
    fake: SageMaker, registry: SageMakerRegistry
) -> None:
    for _ in range(4):
        fake.package("fraud")
    fake.row("fraud", 1)["ModelApprovalStatus"] = "Approved"  # before Baton came
    place = Place("fraud", "status", "production")
    assert registry.write_back(decided("2", previous="1")).state == "written"
    assert registry.held([place]) == {place: "2"}
    fake.row("fraud", 4)["ModelApprovalStatus"] = "Approved"
    assert registry.current("fraud", "status", "production") == "4"
    moved = registry.write_back(decided("3", previous="2"))
    assert (moved.state, fake.row("fraud", 3)["ModelApprovalStatus"]) == ("moved", "PendingManualApproval")
    assert moved.sentence == "In aws, 4 of fraud was approved in aws past Baton, so fraud 3 was left as it is."
    fake.row("fraud", 4)["ModelApprovalStatus"] = "Rejected"
    assert registry.write_back(decided("3", previous="2")).state == "written"
    assert registry.current("fraud", "status", "production") == "3"
    fake.row("fraud", 3)["ModelApprovalStatus"] = "Rejected"
    assert registry.current("fraud", "status", "production") == "2"


def test_what_is_sent_is_what_aws_takes() -> None:
    """Stubber checks every parameter against AWS's own description of the call."""
    import boto3
    from botocore.stub import Stubber

    client = boto3.client("sagemaker", region_name="eu-central-1")
    arn = "arn:aws:sagemaker:eu-central-1:123456789012:model-package/fraud/7"
    row = {
        "ModelPackageArn": arn, "ModelPackageStatus": "Completed", "CreationTime": LONG_AGO,
        "ModelPackageStatusDetails": {"ValidationStatuses": []}, "ModelPackageName": "fraud",
        "ModelApprovalStatus": "PendingManualApproval",
    }  # fmt: skip
    summary = {
        "ModelPackageGroupName": "fraud", "ModelPackageVersion": 7, "ModelPackageArn": arn, "CreationTime": LONG_AGO,
        "ModelPackageStatus": "Completed", "ModelApprovalStatus": "PendingManualApproval",
    }  # fmt: skip
    with Stubber(client) as stub:
        stub.add_response("list_model_packages", {"ModelPackageSummaryList": [summary]})
        stub.add_response("describe_model_package", row)
        stub.add_response("list_model_packages", {"ModelPackageSummaryList": []})
        stub.add_response("update_model_package", {"ModelPackageArn": arn})
        settings = Settings(type="sagemaker", region="eu-central-1")
        registry = SageMakerRegistry("aws", settings, {"sagemaker": client, "s3": client})
        written = registry.write_back(decided("7", target="Production / EU"))
        assert written.sentence == "fraud 7 is Approved in aws."
        stub.assert_no_pending_responses()
