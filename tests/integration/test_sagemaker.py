"""SageMaker's registry, asked by the real boto3 over HTTP: the contract, with moto and the fake, then everything that an
AWS can do wrong; and what it must be sent, held against AWS's own model.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from core.domain.errors import Conflict, NotFound, Unavailable
from core.policy.connections import SageMaker as Settings
from core.ports import NotReady
from core.registries.sagemaker import SageMakerRegistry
from tests.fakes.moto import Moto
from tests.fakes.sagemaker import ACCOUNT, SageMaker
from tests.fakes.sagemaker_contract import LONG_AGO, SageMakerContract, decided, registry_of


@pytest.fixture(scope="module")
def moto() -> Iterator[Moto]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ACCOUNT.items():
            patch.setenv(name, value)
        made = Moto()
    yield made
    made.close()


class TestMoto(SageMakerContract):
    @pytest.fixture
    def aws(self, moto: Moto) -> Moto:
        moto.empty()
        return moto


class TestFake(SageMakerContract):
    @pytest.fixture
    def aws(self) -> Iterator[SageMaker]:
        with SageMaker() as made:
            yield made


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's account."""
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def fake() -> Iterator[SageMaker]:
    with SageMaker() as made:
        yield made


@pytest.fixture
def registry(fake: SageMaker) -> Iterator[SageMakerRegistry]:
    made = registry_of(fake)
    yield made
    made.close()


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
    with pytest.raises(Unavailable) as endless:
        list(registry.models())
    assert endless.value.sentence == "The registry aws hands out page after page without end; it was left after 2."
    nobody = SageMakerRegistry(
        "aws", Settings(type="sagemaker", region="eu-central-1", endpoint_url="http://127.0.0.1:9")
    )
    with pytest.raises(Unavailable, match="The registry aws was not reached"):
        list(nobody.models())


def test_a_slow_aws_is_a_sentence(
    fake: SageMaker, registry: SageMakerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(registry.models())  # so that its clients are made, which takes a while
    monkeypatch.setattr("core.registries.sagemaker.TIMEOUT", 0.2)
    fake.delay = 1.0
    with pytest.raises(Unavailable) as slow:
        list(registry.models())
    assert slow.value.sentence == "The registry aws gave no answer within 0.2 s."


def test_without_boto3_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    registry = SageMakerRegistry("aws", Settings(type="sagemaker", region="eu-central-1"))
    with pytest.raises(Unavailable) as said:
        list(registry.models())
    assert str(said.value) == (
        "boto3 is not installed, which the registry aws needs; pip install 'baton[sagemaker]' brings it."
    )


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
