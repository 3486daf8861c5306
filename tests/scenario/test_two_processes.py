"""Two processes on one PostgreSQL: one hook, one digest, every event told once; and one is killed for good."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import make_url

from bot.local_slack.person import shown_text
from core.store.audit import verify
from tests.conftest import _sql
from tests.integration.receiver import Hook
from tests.scenario.crash_child import Child
from tests.scenario.test_crash import Lives
from tests.scenario.world import POLICY, reserved_port, wait

DAILY = POLICY.replace(
    'channel: "#ml-promotions"\n',
    'channel: "#ml-promotions"\n  digest: {at: "00:00", days: mon-sun, timezone: UTC}\n',
)


class Pair(Lives):
    """The office with two Batons, both on Slack's sockets."""

    def __init__(self, folder: Path, database_url: str) -> None:
        super().__init__(folder, "socket", database_url, DAILY)
        self.second: Child | None = None
        self._second_held, self.second_port = reserved_port()

    def start(self) -> None:
        super().start()
        environment = self.environment(self.database_url) | {"BATON_PORT": str(self.second_port)}
        self.second = Child(environment, str(self.folder / "second.log"))
        wait(lambda: self._is_ready(self.second_port), "the second Baton to be ready")
        wait(lambda: len(self.slack.delivery.sockets) == 2, "both sockets")

    def _is_ready(self, port: int) -> bool:
        try:
            return self._http.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        if self.second is not None:
            self.second.kill()
        super().close()
        self._second_held.close()


@pytest.fixture
def pair(tmp_path: Path, new_database: Callable[[str, Path], str]) -> Iterator[Pair]:
    url = new_database("postgresql", tmp_path)
    office = Pair(tmp_path, url)
    try:
        office.open()
        yield office
    finally:
        office.close()
        parsed = make_url(url)
        _sql(parsed.set(database="postgres"), f"DROP DATABASE {parsed.database} WITH (FORCE)")
        shutil.rmtree(tmp_path, ignore_errors=True)


def check(pair: Pair, promotions: int) -> None:
    """What holds however many processes there were."""
    wait(pair.all_said, "every message to be true", 60.0)
    with pair.database.read() as session:
        assert verify(session).problem == ""
    assert len(pair.receiver.hooks) == promotions
    assert len(set(pair.receiver.ids)) == promotions
    cards = [card for card in pair.cards() if "is champion of production" in shown_text(card)]
    assert len(cards) == promotions
    for card in cards:
        story = pair.story(card)
        for part in ("asked for it", "<@U02BOB> approved", "<@U03CAROL> approved", "🚀", "📦", "👑"):
            assert story.count(part) == 1, story
    assert len(pair.alice.dms()) == promotions
    assert pair.complaints() == []


def test_two_processes_send_one_hook_and_one_digest_and_tell_each_event_once(pair: Pair) -> None:
    for version in ("5", "6", "7"):
        pair.one_approval_before(version)
        pair.approve(pair.card_of(version, "Approvals 1 of 2"), pair.carol)
        wait(lambda version=version: pair.champion_now() == version, "the champion")
    assert {each["error"] for each in pair.slack.delivery.log} == {None}  # both took clicks, as Slack dealt them out

    wait(lambda: _digests(pair), "the digest", 60.0)  # both look every 20 s; it is past midnight in UTC

    for _ in range(3):
        assert pair.api("POST", "/digest").status_code < 300
    check(pair, 3)
    assert len(_digests(pair)) == 1


def awaiting_its_report(pair: Pair) -> tuple[Hook, bool]:
    """A deployment under way, and whether the first of the two runs it."""
    pair.receiver.reply = lambda _hook: (202, {})
    pair.one_approval_before("7")
    pair.approve(pair.card_of("7", "Approvals 1 of 2"), pair.carol)
    [hook] = pair.receiver.await_hooks(1)
    pair.card_of("7", "Deploying")
    with pair.database.read() as session:
        owner = session.connection().exec_driver_sql("SELECT executor_id FROM dbos.workflow_status").scalar()
        entered = session.connection().exec_driver_sql("SELECT executor_id FROM processes ORDER BY started_at").all()
    pair.report(hook, "in_progress")
    return hook, owner == entered[0][0]


def report_to(pair: Pair, port: int, hook: Hook) -> None:
    """The deploy system's word reaches the process at `port`, as a load balancer would see to."""
    path = urlsplit(hook.data["callback_url"]).path
    hook.event["data"]["callback_url"] = f"http://127.0.0.1:{port}{path}"
    assert pair.report(hook, "succeeded").status_code == 200


def test_when_one_is_killed_for_good_the_other_carries_on(pair: Pair) -> None:
    hook, first = awaiting_its_report(pair)
    if first:
        pair.kill()
    else:
        assert pair.second is not None
        pair.second.kill()
        pair.second = None

    report_to(pair, pair.second_port if first else pair.port, hook)

    wait(lambda: pair.champion_now() == "7", "the other one to carry on", 30.0)
    pair.card_of("7", "is champion of production")
    assert len(pair.receiver.hooks) == 1
    wait(pair.all_said, "every message to be true", 60.0)
    assert len(pair.alice.dms()) == 1


def test_one_that_was_frozen_and_buried_wakes_up_and_doubles_nothing(pair: Pair) -> None:
    hook, first = awaiting_its_report(pair)
    frozen = pair.child if first else pair.second
    assert frozen is not None
    os.kill(frozen.process.pid, signal.SIGSTOP)
    try:
        report_to(pair, pair.second_port if first else pair.port, hook)
        wait(lambda: pair.champion_now() == "7", "the other one to carry on", 60.0)
    finally:
        os.kill(frozen.process.pid, signal.SIGCONT)

    wait(lambda: _living(pair) == 2, "it to say that it lives")
    check(pair, 1)


def _digests(pair: Pair) -> list[dict]:
    return [m for m in pair.cards() if "waiting for a decision" in shown_text(m) or "Nothing waits" in shown_text(m)]


def _living(pair: Pair) -> int:
    with pair.database.read() as session:
        living = "SELECT count(*) FROM processes WHERE beat_at > now() - interval '1 second'"
        return session.connection().exec_driver_sql(living).scalar() or 0
