"""A deployment from its enqueueing to the champion, through the real engine and a real hook."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from core.domain.errors import BadInput, NotFound
from core.store import audit
from core.store.database import Database
from tests.integration.receiver import Hook, Receiver
from tests.integration.staging import MODEL, PUBLIC, Staging, webhook


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as listening:
        yield listening


@pytest.fixture
def staging(database: Database, receiver: Receiver) -> Iterator[Staging]:
    with Staging(database, webhook(receiver.url)).running() as running:
        yield running


def test_success_by_answer_makes_the_champion(staging: Staging, receiver: Receiver) -> None:
    receiver.reply = lambda _hook: (200, {"state": "succeeded", "message": "rolled out", "url": "https://ci/1"})
    staging.serve("6")
    deployment = staging.approve("7")
    row = staging.await_end(deployment)
    assert (row.state, row.promotion.state, row.url, row.message) == (
        "succeeded", "succeeded", "https://ci/1", "rolled out",
    )  # fmt: skip
    assert staging.champions() == [("6", False), ("7", True)]
    assert staging.story(deployment) == ["deployment_started", "deployment_succeeded", "verification_passed"]
    (hook,) = receiver.hooks
    assert hook.data == {
        "promotion": f"P-{row.promotion_id}",
        "deployment": f"D-{deployment}",
        "action": "deploy",
        "stage": "production",
        "model": {"name": MODEL, "version": "7", "digest": f"sha256:{'7':0>64}"},
        "previous": {"version": "6"},
        "traffic_percent": 100,
        "approved_by": ["U02BOB"],
        "callback_url": f"{PUBLIC}/api/v1/deployments/D-{deployment}/status",
        "expires_at": hook.data["expires_at"],
        "keep_previous_until": hook.data["expires_at"],
        "seq": deployment * 1000,
    }
    assert hook.event["source"] == PUBLIC
    assert hook.event["subject"] == f"{MODEL}/7"
    assert [(target, outcome) for target, outcome, _ in staging.seen] == [("prod-hook", "succeeded")]


def test_success_by_report_makes_the_champion(staging: Staging, receiver: Receiver) -> None:
    deployment = staging.approve("7")
    receiver.await_hooks(1)
    staging.await_row(deployment, lambda row: row.sent_at is not None)
    assert staging.champions() == []
    progress = staging.deployments.report(deployment, "in_progress", "https://ci/2", "half way", "msg_1")
    assert progress.taken
    assert staging.deployments.report(deployment, "succeeded", message="done", report_id="msg_2").taken
    row = staging.await_end(deployment)
    assert (row.state, row.url, row.message) == ("succeeded", "https://ci/2", "done")
    assert staging.champions() == [("7", True)]
    assert staging.story(deployment) == [
        "deployment_started", "deployment_reported", "deployment_reported", "deployment_succeeded",
        "verification_passed",
    ]  # fmt: skip
    with staging.database.read() as session:
        assert audit.verify(session).problem == ""


def test_reported_failure_ends_it_with_the_targets_words(staging: Staging, receiver: Receiver) -> None:
    staging.serve("6")
    deployment = staging.approve("7")
    receiver.await_hooks(1)
    staging.deployments.report(deployment, "failed", message="image not found")
    row = staging.await_end(deployment)
    assert (row.state, row.promotion.state) == ("failed", "failed")
    assert row.promotion.end_reason == "prod-hook reported that it failed: image not found."
    assert staging.champions() == [("6", True)]


def test_refusal_ends_it_with_the_targets_words(staging: Staging, receiver: Receiver) -> None:
    receiver.reply = lambda _hook: (422, {"message": "no such stage"})
    row = staging.await_end(staging.approve("7"))
    assert (row.state, row.promotion.state) == ("failed", "failed")
    assert row.promotion.end_reason == "prod-hook refused it: it answered 422: no such stage."
    assert len(receiver.hooks) == 1


def test_retries_keep_the_webhook_id_and_the_body(staging: Staging, receiver: Receiver) -> None:
    def reply(_hook: Hook) -> tuple[int, dict[str, object]]:
        return (503, {}) if len(receiver.hooks) < 3 else (200, {"state": "succeeded"})

    receiver.reply = reply
    deployment = staging.approve("7")
    row = staging.await_end(deployment)
    assert row.promotion.state == "succeeded"
    assert row.attempts == 3
    assert len(set(receiver.ids)) == 1
    assert len({str(hook.event) for hook in receiver.hooks}) == 1
    assert receiver.hooks[1].at - receiver.hooks[0].at >= 0.5


def test_unreachable_target_is_an_error_at_the_deadline(staging: Staging) -> None:
    with Receiver() as gone:
        pass
    staging.targets |= webhook(gone.url)
    row = staging.await_end(staging.approve("7", timeout=2))
    assert (row.state, row.promotion.state) == ("errored", "errored")
    assert row.promotion.end_reason == "prod-hook could not be reached within 2s: connection refused."
    assert row.attempts >= 2
    assert staging.champions() == []


def test_silent_target_fails_at_the_deadline(staging: Staging) -> None:
    row = staging.await_end(staging.approve("7", timeout=3))
    assert (row.state, row.promotion.state) == ("failed", "failed")
    assert row.promotion.end_reason == "prod-hook did not report within 3s."


def test_stage_without_a_target_goes_straight_to_the_champion(staging: Staging, receiver: Receiver) -> None:
    row = staging.await_end(staging.approve("7", target=""))
    assert row.promotion.state == "succeeded"
    assert staging.champions() == [("7", True)]
    assert receiver.hooks == []


def test_rollback_asks_for_the_old_version(staging: Staging, receiver: Receiver) -> None:
    receiver.reply = lambda _hook: (200, {"state": "succeeded"})
    staging.serve("6")
    staging.serve("7")
    row = staging.await_end(staging.approve("6", kind="rollback"))
    assert row.promotion.state == "succeeded"
    assert staging.champions() == [("6", False), ("7", False), ("6", True)]
    (hook,) = receiver.hooks
    assert (hook.data["action"], hook.data["model"]["version"], hook.data["previous"]) == (
        "rollback", "6", {"version": "7"},
    )  # fmt: skip


def test_abort_puts_the_champion_back(staging: Staging, receiver: Receiver) -> None:
    receiver.reply = lambda hook: (202, {}) if hook.data["action"] == "deploy" else (200, {"state": "succeeded"})
    staging.serve("6")
    deployment = staging.approve("7")
    receiver.await_hooks(1)
    staging.abort(deployment, "wrong version")
    row = staging.await_end(deployment)
    assert (row.state, row.promotion.state) == ("cancelled", "rolled_back")
    first, second = receiver.hooks
    assert (second.data["action"], second.data["model"]["version"]) == ("rollback", "6")
    assert second.data["seq"] > first.data["seq"]
    assert second.id != first.id
    assert staging.champions() == [("6", True)]
    assert staging.story(deployment) == [
        "deployment_started", "rollback_requested", "rollback_started", "rollback_succeeded",
    ]  # fmt: skip


@pytest.mark.parametrize("by_report", [False, True], ids=["answer", "report"])
def test_a_target_that_is_done_a_moment_after_it_was_stopped_is_asked_for_the_champion(
    staging: Staging, receiver: Receiver, by_report: bool
) -> None:
    staging.serve("6")
    asked, go_on = threading.Event(), threading.Event()

    def reply(hook: Hook) -> tuple[int, dict[str, str]]:
        if hook.data["action"] == "deploy":
            asked.set()
            go_on.wait(10)
            return (202, {}) if by_report else (200, {"state": "succeeded"})
        return 200, {"state": "succeeded"}

    receiver.reply = reply
    deployment = staging.approve("7")
    assert asked.wait(10)
    staging.abort(deployment, "wrong version")
    if by_report:
        assert staging.deployments.report(deployment, "succeeded").taken
    go_on.set()
    row = staging.await_end(deployment)
    assert (row.state, row.promotion.state) == ("cancelled", "rolled_back")
    assert staging.champions() == [("6", True)]
    assert [hook.data["model"]["version"] for hook in receiver.hooks] == ["7", "6"]


def test_a_first_version_that_is_done_a_moment_after_it_was_stopped_serves(
    staging: Staging, receiver: Receiver
) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def reply(_hook: Hook) -> tuple[int, dict[str, str]]:
        asked.set()
        go_on.wait(10)
        return 200, {"state": "succeeded"}

    receiver.reply = reply
    deployment = staging.approve("7")
    assert asked.wait(10)
    staging.abort(deployment)
    go_on.set()
    assert staging.await_end(deployment).promotion.state == "succeeded"
    assert staging.champions() == [("7", True)], "it is what serves, and nothing could be put back"


def test_abort_between_attempts_does_not_wait_for_the_next(staging: Staging, receiver: Receiver) -> None:
    receiver.reply = lambda hook: (503, {"headers": {"retry-after": "3000"}})
    staging.serve("6")
    deployment = staging.approve("7", timeout=4000)
    receiver.await_hooks(1)
    receiver.reply = lambda _hook: (200, {"state": "succeeded"})
    staging.abort(deployment)
    assert staging.await_end(deployment, 10).promotion.state == "rolled_back"


def test_abort_with_nothing_to_go_back_to_says_so(staging: Staging, receiver: Receiver) -> None:
    deployment = staging.approve("7")
    receiver.await_hooks(1)
    staging.abort(deployment, "wrong version")
    row = staging.await_end(deployment)
    assert row.promotion.state == "failed"
    assert row.promotion.end_reason == (
        "wrong version. Nothing served production before it, so there is nothing to put back; "
        "prod-hook may hold a half-done deployment. A person must look."
    )


def test_abort_that_cannot_be_put_back_calls_for_a_person(staging: Staging, receiver: Receiver) -> None:
    receiver.reply = lambda hook: (202, {}) if hook.data["action"] == "deploy" else (403, {})
    staging.serve("6")
    deployment = staging.approve("7")
    receiver.await_hooks(1)
    staging.abort(deployment)
    row = staging.await_end(deployment)
    assert row.promotion.state == "errored"
    assert row.promotion.end_reason == (
        "wrong one. Putting 6 back failed: prod-hook refused it: it answered 403. A person must look at what is served."
    )


def test_abort_of_a_rollback_puts_the_champion_back(staging: Staging, receiver: Receiver) -> None:
    staging.serve("6")
    staging.serve("7")
    deployment = staging.approve("6", kind="rollback")
    receiver.await_hooks(1)
    receiver.reply = lambda _hook: (200, {"state": "succeeded"})
    staging.abort(deployment)
    assert staging.await_end(deployment).promotion.state == "rolled_back"
    assert [(h.data["action"], h.data["model"]["version"]) for h in receiver.hooks] == [
        ("rollback", "6"), ("deploy", "7"),
    ]  # fmt: skip
    assert staging.champions() == [("6", False), ("7", True)]


def test_one_model_deploys_one_at_a_time(staging: Staging, receiver: Receiver) -> None:
    first = staging.approve("7", timeout=60)
    receiver.await_hooks(1)
    other = staging.approve("1", model="churn")
    receiver.await_hooks(2)
    staging.deployments.report(other, "succeeded")
    assert staging.await_end(other).promotion.state == "succeeded"
    assert staging.deployment(first).state == "in_progress"


def test_reports_are_refused_or_ignored_with_a_sentence(staging: Staging, receiver: Receiver) -> None:
    deployments = staging.deployments
    deployment = staging.approve("7")
    receiver.await_hooks(1)
    with pytest.raises(BadInput, match=r"^state is “done”; write one of in_progress, succeeded, failed\.$"):
        deployments.report(deployment, "done")
    with pytest.raises(NotFound, match=r"^There is no deployment D-999\.$"):
        deployments.report(999, "succeeded")
    deployments.report(deployment, "failed", message="no")
    staging.await_end(deployment)
    story = staging.story(deployment)
    assert not deployments.report(deployment, "failed", message="no").taken
    for late in ("succeeded", "in_progress", "succeeded"):
        answered = deployments.report(deployment, late)
        assert (answered.taken, answered.conflict) == (False, "deployment-ended")
        assert answered.sentence == f"D-{deployment} has failed already; the report changes nothing."
    assert staging.story(deployment) == [*story, "report_contradicted"]
