"""The daily digest: one message a channel and day, whoever asks for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.local_slack.person import Json, shown_text
from core.store import messages
from tests.scenario.world import POLICY, Baton, wait

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
    baton.ask("8")
    tomorrow(baton)
    wait(lambda: baton.tick("digest") or digests(baton), "the digest")

    for _ in range(3):
        baton.tick("digest")
        assert baton.server.services.send_digest() == []

    shown = shown_text(digests(baton)[0])
    assert "1 promotion waiting for a decision." in shown
    assert "*Promote fraud-detector 8 to production?* (P-4)" in shown
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


def _shown(baton: Baton) -> bool:
    with baton.server.database.read() as session:
        return messages.backlog(session, baton.clock())[0] == 0
