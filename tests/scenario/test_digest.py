"""The daily digest: one message a channel and day, whoever asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path

import pytest

from bot.local_slack.person import Json, shown_text
from bot.local_slack.workspace import Channel
from bot.slack import pacing
from core.store import messages
from tests.scenario.world import ALICE, POLICY, PROMO, Baton, wait

DAILY = POLICY.replace(
    'channel: "#ml-promotions"\n',
    'channel: "#ml-promotions"\n  digest: {at: "00:00", days: mon-sun, timezone: UTC}\n',
)


def digests(baton: Baton) -> list[Json]:
    return [m for m in baton.cards() if "waiting for a decision" in shown_text(m) or "Nothing waits" in shown_text(m)]


def tomorrow(baton: Baton) -> None:
    """Just after the next midnight, so that the day's digest is due for the first time."""
    now = datetime.now(UTC)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=30, microsecond=0)
    baton.clock.ahead = midnight - now


@pytest.mark.parametrize("policy", [DAILY], ids=["daily"])
def test_it_is_sent_once_a_day_and_names_what_waits(baton: Baton) -> None:
    baton.promoted("6")
    baton.promoted("7")
    offer = baton.command(baton.bob, "/rollback fraud-detector production because false alarms")
    baton.click(baton.bob, offer, "Roll back to 6")
    baton.card("Rolled back: fraud-detector 6 serves production again")
    baton.register("8")
    card = baton.ask("8")
    tomorrow(baton)
    wait(lambda: baton.tick("digest") or digests(baton), "the digest")

    for _ in range(3):
        baton.tick("digest")
        assert baton.server.services.send_digest() == []

    shown = shown_text(digests(baton)[0])
    assert "1 promotion waiting for a decision." in shown
    link = f"{baton.slack.url}/archives/{card['channel']}/p{card['ts'].replace('.', '')}"
    assert f"*Promote fraud-detector 8 to production?* (<{link}|P-4>), asked " in shown
    assert "Still needed: 1 from ml-leads (<@U02BOB>); 1 from risk (<@U03CAROL>, <@U04DAVE>)" in shown
    assert "*Oldest first (1)*" in shown
    assert "*Rolled back since yesterday (1)*" in shown
    assert [part for part in ("DECIDE", "REVIEW", "WATCH", "KNOW") if f"*{part}*" in shown] == ["DECIDE", "KNOW"]
    assert "false alarms" in shown
    assert len(digests(baton)) == 1

    tomorrow(baton)
    baton.clock.ahead += timedelta(days=1)
    wait(lambda: baton.tick("digest") or len(digests(baton)) == 2, "the next day's digest")


@pytest.mark.parametrize("policy", [DAILY], ids=["daily"])
def test_a_day_without_news_has_one_short_line(baton: Baton) -> None:
    tomorrow(baton)

    wait(lambda: baton.tick("digest") or digests(baton), "the digest")

    assert [shown_text(m).splitlines()[0] for m in digests(baton)] == ["☀️ Nothing waits for anybody."]


@pytest.mark.parametrize(
    "policy", [DAILY.replace("timezone: UTC}", "timezone: UTC, when_nothing: silent}")], ids=["silent"]
)
def test_a_day_without_news_may_be_silent(baton: Baton) -> None:
    baton.server.services.send_digest()

    wait(lambda: _shown(baton), "the day to be done")
    assert baton.cards() == []


def test_a_digest_whose_answer_was_lost_is_not_sent_twice(baton: Baton) -> None:
    baton.fault("chat.postMessage", status=500, after_effect=True)

    baton.server.services.send_digest()

    wait(lambda: baton.tick("messages") or _shown(baton), "the digest to be known as sent")
    assert len(digests(baton)) == 1


class TestManyChannels:
    ROOMS = tuple(f"room-{number}" for number in range(12))

    @pytest.fixture
    def policy(self) -> str:
        return DAILY + "models:\n" + "".join(f'  {room}: {{channel: "#{room}"}}\n' for room in self.ROOMS)

    @pytest.fixture
    def baton(self, tmp_path: Path, database_url: str, policy: str, posts_a_second: float) -> Iterator[Baton]:
        office = Baton(tmp_path, "http", policy, database_url, 15.0)
        for number, room in enumerate(self.ROOMS):
            seed = Channel(f"C1ROOM{number}", room, members={ALICE, "U0BATON"})
            office.slack.workspace.channels[seed.id] = seed
        try:
            office.open()
            yield office
            office.check_laws()
        finally:
            office.close()

    def test_each_has_one_however_many_want_it_at_once(self, baton: Baton) -> None:
        for room in self.ROOMS:
            asked_for(baton, room)
        with ThreadPoolExecutor(3) as pool:
            sent = list(pool.map(lambda _: baton.server.services.send_digest(), range(3)))

        assert sorted(channel for each in sent for channel in each) == sorted([PROMO, *(f"#{r}" for r in self.ROOMS)])
        wait(lambda: baton.tick("messages") or _shown(baton), "everything to be shown")
        for room in self.ROOMS:
            said = [shown_text(m) for m in baton.alice.messages(room)]
            assert [f"Promote {room} 7 to production?" in each for each in said if "DECIDE" in each] == [True]
        assert len(digests(baton)) == 1


class TestPace:
    @pytest.fixture
    def posts_a_second(self) -> float:
        return pacing.PER_SECOND

    @pytest.mark.parametrize("policy", [DAILY], ids=["daily"])
    def test_it_takes_its_turn_among_the_cards_of_its_channel(self, baton: Baton) -> None:
        for number in range(7):
            asked_for(baton, f"model-{number}")
        baton.server.services.send_digest()

        wait(lambda: digests(baton) and _shown(baton), "everything to be shown", 60.0)

        posts = sorted(call["at"] for call in baton.calls("chat.postMessage"))
        assert len(posts) > 2 * pacing.BURST
        for one, other in combinations(range(len(posts)), 2):
            allowed = pacing.BURST + (posts[other] - posts[one]) * pacing.PER_SECOND
            assert other - one + 1 <= allowed + 1  # one may have been on its way for a second


def asked_for(baton: Baton, model: str) -> None:
    baton.register("7", model)
    answer = baton.api("POST", "/promotions", model=model, version="7", stage="production", reason="it is better")
    assert answer.status_code == 201, answer.text


def _shown(baton: Baton) -> bool:
    with baton.server.database.read() as session:
        return messages.backlog(session, baton.clock())[0] == 0
