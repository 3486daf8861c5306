"""What every deploy target holds to, over real sockets: one act is begun once, and every answer is understood.

The servers are the fakes that other people's clients have checked (`test_fake_ci_servers`).
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from core.ports import Answer, Progress
from tests.fakes import serving
from tests.fakes.serving import Fault, Server, says
from tests.integration.target_rigs import KEY, OTHER_KEY, Rig, rigged

KINDS = ("webhook", "github_actions", "github_actions_old", "jenkins", "gitlab")
FOLLOWED = KINDS[1:]
PAGE = b"<!doctype html><title>Sign in</title>"


@pytest.fixture(params=KINDS)
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with rigged(request.param) as made:
        yield made


@pytest.fixture(params=FOLLOWED)
def followed(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with rigged(request.param) as made:
        yield made


# -- one act, one run ----------------------------------------------------------------------------------------------


def test_one_act_is_begun_once_however_often_it_is_sent(rig: Rig) -> None:
    answers = [rig.target.send(rig.act()) for _ in range(3)]
    assert [answer.state for answer in answers] == ["started"] * 3
    assert rig.begun == 1


def test_an_answer_that_was_lost_is_found_again_and_nothing_is_begun_twice(rig: Rig) -> None:
    rig.fake.misbehave(serving.loses_the_answer, rig.starts)
    lost = rig.target.send(rig.act())
    assert (lost.state, lost.message) == ("unclear", "it broke the connection off, or does not speak HTTP")
    assert rig.begun == 1
    assert rig.target.send(rig.act(tried=True)).state == "started"
    assert rig.begun == 1


def test_after_a_restart_the_run_is_taken_over(rig: Rig) -> None:
    rig.fake.misbehave(serving.loses_the_answer, rig.starts)
    rig.target.send(rig.act())
    rig.restart()
    assert rig.target.send(rig.act(tried=True)).state == "started"
    assert rig.begun == 1


def test_two_acts_are_two(rig: Rig) -> None:
    for key in (KEY, OTHER_KEY):
        assert rig.target.send(rig.act(key=key)).state == "started"
    assert rig.begun == 2


def test_an_order_that_was_never_carried_out_is_given_again(rig: Rig) -> None:
    rig.fake.misbehave(says(500, {"message": "boom"}), rig.starts)
    assert rig.target.send(rig.act()).state == "unclear"
    assert rig.begun == 0
    act = rig.act(tried=True)
    rig.clock.pass_(61)
    assert rig.target.send(act).state == "started"
    assert rig.begun == 1


def test_while_the_first_order_may_still_come_to_light_no_second_one_is_given(followed: Rig) -> None:
    followed.fake.misbehave(says(504), followed.starts)
    first = followed.target.send(followed.act())
    assert (first.state, first.message, first.retry_after) == ("unclear", "it answered 504", 60.0)
    act = followed.act(tried=True)
    followed.clock.pass_(20)
    again = followed.target.send(act)
    words = "its last answer was lost; it gets time to show its run before it is asked for another"
    assert again == Answer("unclear", words, retry_after=40.0)
    assert sum(followed.starts(each) for each in followed.fake.requests) == 1


def test_an_act_that_was_tried_is_not_given_up_because_the_server_will_not_tell(followed: Rig) -> None:
    followed.fake.misbehave(serving.loses_the_answer, followed.starts)
    followed.target.send(followed.act())
    act = followed.act(tried=True)
    followed.fake.misbehave(says(401), followed.asks)
    told = followed.target.send(act)
    assert told.state == "unclear"
    assert told.message.startswith("it answered 401; ")
    assert followed.target.send(act).state == "started"


# -- everything that can go wrong ----------------------------------------------------------------------------------

MENDS = {
    "webhook": {401: "", 403: "", 404: ""},
    "github_actions": {
        401: "; the token in GITHUB_TOKEN is wrong or has expired, put a new one there",
        403: "; the token in GITHUB_TOKEN needs the permission Actions: read and write",
        404: "; there is no acme/serving with the workflow deploy.yml, or the token in GITHUB_TOKEN may not see it",
    },
    "jenkins": {
        401: "; the API token in JENKINS_TOKEN is not one of the user baton, put a new one there",
        403: "; the user baton needs the permissions Job/Read, Job/Build and Job/Cancel, and an API token instead of a password",
        404: "; there is no job ml/deploy serving, or the user baton may not see it",
    },
    "gitlab": {
        401: "; the token in GITLAB_TOKEN is wrong or has expired, put a new one there",
        403: "; the token in GITLAB_TOKEN needs the scope api and the role Developer or above",
        404: "; there is no project acme/ml/serving, or the token in GITLAB_TOKEN may not see it",
    },
}  # fmt: skip
PHASES = [(kind, phase) for kind in KINDS for phase in ("start", "ask") if (kind, phase) != ("webhook", "ask")]


@pytest.fixture(params=PHASES, ids=lambda pair: f"{pair[0]}-{pair[1]}")
def troubled(request: pytest.FixtureRequest) -> Iterator[tuple[Rig, bool]]:
    """A target, and whether its server misbehaves as it is told to start, or before, when it is asked for a run."""
    with rigged(request.param[0]) as made:
        yield made, request.param[1] == "start"


def sent(troubled: tuple[Rig, bool], fault: Fault, timeout: float = 5.0) -> Answer:
    rig, at_start = troubled
    rig.fake.misbehave(fault, rig.starts if at_start else rig.asks)
    started = time.monotonic()
    answer: Answer = rig.target.send(rig.act(timeout))
    assert time.monotonic() - started < timeout + 2
    assert rig.secret not in answer.message
    assert "\n" not in answer.message
    assert not answer.message.endswith(".")
    return answer


def pause(troubled: tuple[Rig, bool], asked: float | None = None) -> float | None:
    """How long to leave the server alone: after an unclear start until its run would be seen."""
    rig, at_start = troubled
    return max(60.0, asked or 0.0) if rig.is_followed and at_start else asked


@pytest.mark.parametrize("fault", [serving.hangs, serving.drips])
def test_a_server_that_never_finishes_its_answer_is_left(troubled: tuple[Rig, bool], fault: Fault) -> None:
    answer = sent(troubled, fault, 0.5)
    assert answer == Answer("unclear", "no answer within 0.5 s", retry_after=pause(troubled))


def test_a_name_that_is_never_looked_up_holds_nobody_up_and_begins_nothing_later(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, look_up = threading.Event(), socket.getaddrinfo

    def hanging(*given: Any, **named: Any) -> Any:
        found.wait(30)
        return look_up(*given, **named)

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    started = time.monotonic()
    answer = rig.target.send(rig.act(0.5))
    assert (answer.state, answer.message) == ("unclear", "no answer within 0.5 s")
    assert time.monotonic() - started < 2.5
    left = [thread for thread in threading.enumerate() if thread.name == "within"]
    assert left
    found.set()
    for thread in left:
        thread.join(10)
        assert not thread.is_alive()
    assert rig.fake.requests == []
    assert rig.begun == 0


def test_an_answer_that_we_cut_off_is_not_believed(followed: Rig) -> None:
    followed.fake.misbehave(serving.never_closes, followed.asks)
    assert followed.target.send(followed.act(0.5)) == Answer("unclear", "no answer within 0.5 s")
    assert followed.begun == 0


def test_a_redirect_is_refused_and_not_followed(troubled: tuple[Rig, bool]) -> None:
    with Server() as elsewhere:
        answer = sent(troubled, says(307, location=f"{elsewhere.url}/x"))
        assert elsewhere.requests == []
    assert answer == Answer("refused", "it answered 307, a redirect, which is never followed; put the final URL in url")
    assert troubled[0].begun == 0


@pytest.mark.parametrize(
    "fault",
    [
        says(200, PAGE, content_type="text/html"),
        says(200, b"\xff\xfe\x00"),
        says(200, b"[" * 100_000),
        says(200, b'{"id": "x"}', content_encoding="gzip"),
        says(200, {"items": 1, "workflow_runs": {}, "id": None}),
        serving.pours,
    ],
    ids=["html", "no-text", "nested", "packed", "other", "huge"],
)
def test_200_with_nonsense_is_no_answer(troubled: tuple[Rig, bool], fault: Fault) -> None:
    rig, _ = troubled
    answer = sent(troubled, fault)
    if rig.kind == "webhook":  # whose every 2xx means started: the report decides
        assert answer == Answer("started")
        return
    assert answer.state == "unclear"
    assert answer.message in {
        f"it answered 200 with something that {rig.name} does not answer",
        *(f"it answered 200 with something that is not a list of {what} of {rig.name}" for what in ("runs", "items")),
    }
    assert answer.retry_after == pause(troubled)
    assert rig.begun == 0


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_a_person_must_mend_is_refused_with_what_to_mend(troubled: tuple[Rig, bool], status: int) -> None:
    rig, _ = troubled
    answer = sent(troubled, says(status, PAGE, content_type="text/html"))
    if rig.kind == "webhook":
        assert answer == Answer("refused", f"it answered {status}: <!doctype html><title>Sign in</title>")
    else:
        assert answer == Answer("refused", f"it answered {status}{MENDS[rig.kind.removesuffix('_old')][status]}")
    assert rig.begun == 0


def test_too_many_calls_wait_as_long_as_the_server_asks(troubled: tuple[Rig, bool]) -> None:
    answer = sent(troubled, says(429, {"message": "slow down"}, retry_after="7"))
    assert answer == Answer("unclear", "it answered 429: slow down", retry_after=7.0)


@pytest.mark.parametrize("asked", [9, 90])
def test_a_server_in_trouble_is_asked_again_later(troubled: tuple[Rig, bool], asked: int) -> None:
    answer = sent(troubled, says(503, {"message": "maintenance"}, retry_after=str(asked)))
    assert answer == Answer("unclear", "it answered 503: maintenance", retry_after=pause(troubled, float(asked)))
    assert troubled[0].begun == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_refuses_the_connection_is_unclear(kind: str) -> None:
    with rigged(kind) as rig:
        rig.restart()
        act = rig.act()
        rig.fake.stop()
        assert rig.target.send(act) == Answer("unclear", "connection refused")


def test_secrets_never_come_back_in_an_error(troubled: tuple[Rig, bool], caplog: pytest.LogCaptureFixture) -> None:
    rig, _ = troubled
    caplog.set_level(logging.DEBUG)
    answer = sent(troubled, serving.echoes)
    assert answer.state == "refused"
    assert answer.message.startswith("it answered 400: ")
    for header in ("authorization", "private-token"):
        for value in {each.headers.get(header, "") for each in rig.fake.requests} - {""}:
            assert value.split()[-1] not in answer.message + caplog.text
    assert rig.secret not in answer.message + caplog.text + repr(vars(rig.target))


# -- following and cancelling --------------------------------------------------------------------------------------


def started(followed: Rig) -> str:
    answer = followed.target.send(followed.act())
    assert answer.state == "started"
    return str(answer.run)


def test_a_run_is_followed_to_its_success(followed: Rig) -> None:
    act = followed.act()
    under_way = followed.target.follow(act, started(followed))
    assert under_way.state == "in_progress"
    assert under_way.run
    followed.end("success")
    ended = followed.target.follow(act, under_way.run)
    assert (ended.state, ended.message) == ("succeeded", "")
    assert ended.url.startswith("http")
    assert followed.target.follow(act, ended.run) == ended


@pytest.mark.parametrize("how", ["failure", "cancelled"])
def test_a_run_is_followed_to_its_failure(followed: Rig, how: str) -> None:
    run = started(followed)
    followed.end(how)
    ended = followed.target.follow(followed.act(), run)
    assert ended.state == "failed"
    words = {"failure": ("failure", "failed"), "cancelled": ("cancelled", "aborted")}[how]
    assert ended.message.removeprefix("the run ended: ") in words


def test_a_run_whose_name_was_lost_is_followed_all_the_same(followed: Rig) -> None:
    run = started(followed)
    seen = followed.target.follow(followed.act(), "")
    assert seen.state == "in_progress"
    assert run in (seen.run, "")


def test_a_run_that_is_not_there_is_unclear(followed: Rig) -> None:
    seen = followed.target.follow(followed.act(), "")
    assert seen.state == "unclear"
    assert seen.message.startswith(f"{followed.name} shows no run with the id {KEY}")


@pytest.mark.parametrize(
    "fault",
    [
        says(401, PAGE), says(404, PAGE), says(429, retry_after="7"), says(500), says(302, location="/"), says(200, PAGE),
        says(200, {"id": 1, "status": None}), says(200, {"id": 1, "status": "success"}), serving.hangs, serving.drips, serving.pours, serving.loses_the_answer, serving.never_closes,
    ],
    ids=["401", "404", "429", "500", "302", "html", "other", "another", "hangs", "drips", "pours", "lost", "open"],
)  # fmt: skip
def test_a_server_in_trouble_never_makes_a_run_a_failure(followed: Rig, fault: Fault) -> None:
    run = started(followed)
    seen = followed.target.follow(followed.act(), run)
    for _ in range(2):  # Jenkins is asked elsewhere when it has forgotten an order
        followed.fake.misbehave(fault)
    troubled = followed.target.follow(followed.act(0.5), seen.run)
    assert (troubled.state, troubled.run) == ("unclear", seen.run)
    assert troubled.message
    assert followed.secret not in troubled.message
    followed.fake.calm()
    assert followed.target.follow(followed.act(), seen.run) == seen


def test_a_run_is_cancelled_and_seen_to_end(followed: Rig) -> None:
    act = followed.act()
    run = started(followed)
    answer = followed.target.cancel(act, run)
    assert (answer.state, answer.message) == ("started", "the run was told to stop")
    ended: Progress = followed.target.follow(act, answer.run)
    assert ended.state == "failed"
    assert "cancelled" in ended.message
    again = followed.target.cancel(act, ended.run)
    assert (again.state, again.message) == ("succeeded", f"the run had ended: {ended.message}")


def test_a_run_that_only_the_server_knows_is_cancelled(followed: Rig) -> None:
    followed.fake.misbehave(serving.loses_the_answer, followed.starts)
    followed.target.send(followed.act())
    act = followed.act(tried=True)
    assert followed.target.cancel(act, "").state == "started"


def test_nothing_to_cancel_is_believed_only_once_it_is_sure(followed: Rig) -> None:
    act = followed.act(tried=True)
    followed.clock.pass_(59)
    assert (followed.target.cancel(act, "").state, followed.target.cancel(act, "").retry_after) == ("unclear", 1.0)
    followed.clock.pass_(1)
    assert followed.target.cancel(act, "").state == "succeeded"


def test_a_server_in_trouble_leaves_a_cancellation_unclear(followed: Rig) -> None:
    run = started(followed)
    followed.fake.misbehave(says(500))
    answer = followed.target.cancel(followed.act(), run)
    assert (answer.state, answer.message, answer.run) == ("unclear", "it answered 500", run)
