"""What Baton's SageMaker adapter does with an AWS that behaves: run against the fake and against moto, by the real boto3."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest

from core.domain.errors import NotFound
from core.policy.connections import SageMaker as Settings
from core.ports import ForeignVersion, Place, Registry, WriteBack
from core.registration import validate
from core.registries.sagemaker import SageMakerRegistry
from tests.fakes.sagemaker import ACCOUNT, BUCKET, Row

REPORT = {"binary_classification_metrics": {"auc": {"value": 0.95, "standard_deviation": 0.01}}}
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Aws(Protocol):
    """What the contract is held against. `forgets`: what it is told and does not keep. `mover`: who sets a status by hand."""

    url: str
    trainer: str
    mover: str
    forgets: frozenset[str]

    def package(self, group: str, report: Any = None, **more: Any) -> int: ...

    def row(self, group: str, number: int) -> Row: ...

    def decide(self, group: str, number: int, status: str) -> None: ...

    def lose_reports(self) -> None: ...


def registry_of(aws: Any, **more: Any) -> SageMakerRegistry:
    settings = {"type": "sagemaker", "region": "eu-central-1", "endpoint_url": aws.url} | more
    return SageMakerRegistry("aws", Settings.model_validate(settings))


def read(registry: SageMakerRegistry, model: str = "fraud", version: str = "1") -> ForeignVersion:
    found = registry.read(model, version)
    assert isinstance(found, ForeignVersion), found
    validate(found.given)
    return found


def decided(version: str, decision: str = "approved", mode: str = "status", **more: Any) -> WriteBack:
    said: dict[str, Any] = {"target": "production" if mode == "status" else "", "previous": None, "request": "P-12"}
    said |= {"decided_by": "Bob, Carol “the” 2nd", "decided_at": f"2026-11-23T10:0{version}:00+00:00"} | more
    return WriteBack(model="fraud", version=version, mode=mode, decision=decision, **said)  # type: ignore[arg-type]


class SageMakerContract:
    """Subclasses provide the fixture `aws`."""

    @pytest.fixture(autouse=True)
    def account(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody's account."""
        for name, value in ACCOUNT.items():
            monkeypatch.setenv(name, value)

    @pytest.fixture
    def registry(self, aws: Aws) -> Iterator[SageMakerRegistry]:
        made = registry_of(aws)
        _: Registry = made
        yield made
        made.close()

    # -- reading -----------------------------------------------------------------------------------------------------

    def test_a_package_arrives_with_its_metrics_and_where_it_came_from(
        self, aws: Aws, registry: SageMakerRegistry
    ) -> None:
        for _ in range(5):
            more = {"dataset_name": "oct", "dataset_digest": "sha256:1"}
            aws.package("fraud", REPORT, CustomerMetadataProperties=more)
        aws.package("churn")
        assert sorted(registry.models()) == ["churn", "fraud"]
        assert [each.number for each in registry.versions("fraud", 2)] == [3, 4, 5]
        assert len(list(registry.recent(LONG_AGO))) == 6
        assert list(registry.recent(datetime.now(UTC) + timedelta(hours=1))) == []
        found = read(registry)
        assert found.asks
        given = found.given
        assert [(each.name, each.value, each.dataset) for each in given.measurements] == [("auc", 0.95, "oct")]
        assert (given.lineage.trained_by, given.lineage.commit) == (aws.trainer, "c0ffee")
        assert given.artifact_uri == "s3://models/fraud/1.tar.gz"
        assert given.digest.startswith("sha256:")
        assert given.digest != read(registry, version="2").given.digest
        assert "SageMaker gave no digest of the image or of the model data" in found.notes[0]

    def test_pages_are_turned_to_the_last_one(
        self, aws: Aws, registry: SageMakerRegistry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("core.registries.sagemaker.PAGE", 2)
        for _ in range(5):
            aws.package("fraud")
        assert [each.number for each in registry.versions("fraud", 0)] == [1, 2, 3, 4, 5]
        assert read(registry, version="1").given.version == "1"

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
             f"Its metrics are in the bucket {BUCKET}, which the policy does not let Baton read."),
            ({"deep": {"er": {"auc": 0.9}}}, {"metrics": {"auc": "deep.er.auc", "f1": "deep.f1"}},
             {"auc": 0.9, "f1": None}, "f1 is nothing, which is no number, so there is no data for it."),
        ],
    )  # fmt: skip
    def test_no_data_is_said_and_never_a_number(
        self, aws: Aws, report: Any, more: Any, values: dict[str, float | None], said: str
    ) -> None:
        aws.package("fraud", report)
        registry = registry_of(aws, **more)
        found = read(registry)
        assert {each.name: each.value for each in found.given.measurements} == values
        assert said in " ".join(found.notes)
        registry.close()

    def test_a_report_that_is_gone_leaves_a_sentence(self, aws: Aws, registry: SageMakerRegistry) -> None:
        aws.package("fraud", REPORT)
        aws.lose_reports()
        assert "The registry aws answered NoSuchKey to get_object" in " ".join(read(registry).notes)

    def test_a_package_that_is_not_there_and_a_model_that_is_not_are_sentences(
        self, aws: Aws, registry: SageMakerRegistry
    ) -> None:
        aws.package("fraud")
        for model in ("fraud", "nobody"):
            with pytest.raises(NotFound) as gone:
                registry.read(model, "9")
            said = f"The registry aws has no {model} 9 any more: the package or its group was deleted."
            assert gone.value.sentence == said

    # -- writing back ------------------------------------------------------------------------------------------------

    def test_a_decision_is_written_whole_and_leaves_what_others_noted(
        self, aws: Aws, registry: SageMakerRegistry
    ) -> None:
        aws.package("fraud", CustomerMetadataProperties={"team": "risk"})
        assert registry.write_back(decided("1")).sentence == "fraud 1 is Approved in aws."
        row = aws.row("fraud", 1)
        assert row["ModelApprovalStatus"] == "Approved"
        assert row["ApprovalDescription"] == "Baton P-12: approved by Bob, Carol “the” 2nd"
        assert row["CustomerMetadataProperties"] == {
            "team": "risk", "baton_request": "P-12", "baton_decision": "approved", "baton_stage": "production",
            "baton_decided_by": "Bob  Carol  the  2nd", "baton_decided_at": "2026-11-23T10:01:00+00:00",
        }  # fmt: skip
        kept = "ModelLifeCycle" not in aws.forgets
        if kept:
            assert (row["ModelLifeCycle"]["Stage"], row["ModelLifeCycle"]["StageStatus"]) == ("production", "Approved")
        assert registry.write_back(decided("1")).state == ("unchanged" if kept else "written")
        again = aws.row("fraud", 1)
        for key in ("ModelApprovalStatus", "ApprovalDescription", "CustomerMetadataProperties"):
            assert again[key] == row[key]

    def test_a_rejection_rejects_and_tags_only_leaves_the_status(self, aws: Aws, registry: SageMakerRegistry) -> None:
        aws.package("fraud")
        noted = decided("1", "rejected", "tags-only")
        assert [registry.write_back(noted).state for _ in range(2)] == ["written", "unchanged"]
        assert aws.row("fraud", 1)["ModelApprovalStatus"] == "PendingManualApproval"
        registry.write_back(decided("1", "rejected"))
        assert aws.row("fraud", 1)["ModelApprovalStatus"] == "Rejected"

    def test_what_somebody_approved_past_baton_is_seen_and_not_overwritten(
        self, aws: Aws, registry: SageMakerRegistry
    ) -> None:
        for _ in range(4):
            aws.package("fraud")
        aws.decide("fraud", 1, "Approved")  # before Baton came
        place = Place("fraud", "status", "production")
        assert registry.write_back(decided("2", previous="1")).state == "written"
        assert registry.held([place]) == {place: "2"}
        aws.decide("fraud", 4, "Approved")
        assert registry.current("fraud", "status", "production") == "4"
        who = registry.moved_by(place, "4", "2")
        assert re.sub("[0-9-]{10} [0-9:]{5}", "then", who) == f"fraud 4 was last changed by {aws.mover}, then UTC."
        moved = registry.write_back(decided("3", previous="2"))
        assert (moved.state, aws.row("fraud", 3)["ModelApprovalStatus"]) == ("moved", "PendingManualApproval")
        assert moved.sentence == "In aws, 4 of fraud was approved in aws past Baton, so fraud 3 was left as it is."
        aws.decide("fraud", 4, "Rejected")
        assert registry.write_back(decided("3", previous="2")).state == "written"
        assert registry.current("fraud", "status", "production") == "3"
        aws.decide("fraud", 3, "Rejected")
        assert registry.current("fraud", "status", "production") == "2"

    def test_a_rollback_approves_the_old_one_and_rejects_what_it_took_out(
        self, aws: Aws, registry: SageMakerRegistry
    ) -> None:
        for _ in range(2):
            aws.package("fraud")
        registry.write_back(decided("1"))
        registry.write_back(decided("2", previous="1"))
        back = decided("1", previous="2", request="P-13", decided_at="2026-11-23T11:00:00+00:00", undoes=True)
        assert registry.write_back(back).state == "written"
        assert [aws.row("fraud", each)["ModelApprovalStatus"] for each in (1, 2)] == ["Approved", "Rejected"]
        assert registry.current("fraud", "status", "production") == "1"
