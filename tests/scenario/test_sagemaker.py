"""A SageMaker registry beside Baton: what waits for approval there is asked for here, and the answer goes back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot import wiring_registries
from bot.local_slack.person import labels, shown_text
from tests.fakes.sagemaker import ACCOUNT, SageMaker
from tests.scenario.world import MODEL, POLICY, Baton, wait

REPORT = {
    "quality": {
        name: {"value": value, "standard_deviation": "NaN"}
        for name, value in {"auc": 0.95, "auc/country:DE": 0.93, "latency_p99_ms": 31.0, "fairness_gap": 0.05}.items()
    }
}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[SageMaker]:
    monkeypatch.setattr(wiring_registries, "SWEEP_SECONDS", 0.2)
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    with SageMaker() as made:
        yield made


@pytest.fixture
def policy(fake: SageMaker) -> str:
    asked = f'aws: {{type: sagemaker, region: eu-central-1, poll: 1s, request: production, endpoint_url: "{fake.url}"}}'
    return f'{POLICY}models:\n  "*": {{registry: aws, write_back: status}}\nregistries:\n  {asked}\n'


class TestItsOwnPipeline:
    """Where `Approved` starts a pipeline of the customer's own, Baton deploys nothing."""

    @pytest.fixture
    def policy(self, policy: str) -> str:
        return policy.replace("    deploy: {target: prod-hook, timeout: 5m}\n", "    deploy: none\n")

    def test_an_approval_is_all_that_it_takes(self, baton: Baton, fake: SageMaker) -> None:
        number = package(fake)
        baton.approve(baton.card(f"{MODEL} {number} "))
        baton.card(f"{MODEL} {number} is champion of production")
        wait(lambda: status(fake, number) == "Approved", "the approval to be written")
        assert baton.receiver.hooks == []


def package(fake: SageMaker) -> int:
    return fake.package(MODEL, REPORT, CustomerMetadataProperties={"dataset_name": "oct", "dataset_digest": "sha256:1"})


def status(fake: SageMaker, number: int) -> str:
    return str(fake.row(MODEL, number)["ModelApprovalStatus"])


def test_what_waits_there_is_asked_for_here_and_both_answers_go_back(baton: Baton, fake: SageMaker) -> None:
    number = package(fake)
    message = baton.card(f"{MODEL} {number} ")
    assert "it waits for approval in aws" in shown_text(message)
    baton.approve(message)
    baton.card(f"{MODEL} {number} is champion of production")
    wait(lambda: status(fake, number) == "Approved", "the approval to be written")
    assert fake.row(MODEL, number)["ApprovalDescription"] == "Baton P-1: approved by bob, carol"

    second = package(fake)
    other = baton.card(f"{MODEL} {second} ")
    baton.click(baton.carol, other, "Reject")
    form = baton.carol.wait_for_view()
    assert baton.carol.submit(form, {"Reason": "the latency is measured wrongly"}) == {"ok": True}
    wait(lambda: status(fake, second) == "Rejected", "the rejection to be written")
    assert baton.scalar("SELECT count(*) FROM promotions") == 2

    third = package(fake)
    baton.card(f"{MODEL} {third} ")
    fake.decide(MODEL, third, "Approved")
    moved = baton.card(f"Moved past Baton: {MODEL} in aws")
    assert f"{MODEL} {third} was last changed by mallory, " in shown_text(moved)
    assert "keeps no record" not in shown_text(moved)
    assert f"The approval status holds *{third}*, and *{number}* is Baton's champion of production." in shown_text(
        moved
    )
    assert labels(moved) == [f"Adopt {third}", f"Revert to {number}"]
    baton.click(baton.bob, moved, f"Revert to {number}")
    wait(lambda: status(fake, third) == "Rejected", "the other one to be put back")
    baton.card(f"Put back: {MODEL} in aws")
