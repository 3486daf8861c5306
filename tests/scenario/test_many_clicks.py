"""Two hundred clicks at once, by four people: each who may decides once, and the champion changes hands once."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from bot.local_slack.person import Json, find_control
from bot.slack import connection
from tests.scenario.world import ALICE, BOB, CAROL, MALLORY, PROMO, Baton

CLICKS = 200


@pytest.fixture(autouse=True)
def patient_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """No story here is about a socket that died, and a machine this busy answers no ping in time."""
    monkeypatch.setattr(connection, "PING_SECONDS", 40.0)
    monkeypatch.setattr(connection, "PONG_SECONDS", 4.0)


@pytest.mark.parametrize("patience", [60.0], ids=[""])
@pytest.mark.parametrize("delivery", ["socket", "http"])
def test_two_hundred_clicks_by_four_people_are_one_decision_each(baton: Baton) -> None:
    baton.register("7")
    card = baton.ask("7")

    with ThreadPoolExecutor(1) as beside:  # a browser's tests may have left a loop running in this thread
        answers = beside.submit(lambda: asyncio.run(_all_at_once(baton, card))).result()
    assert answers == {"{'ok': True}": CLICKS}
    baton.card("fraud-detector 7 is champion of production")
    assert sorted(baton.decisions()) == [("user:U02BOB", "approval"), ("user:U03CAROL", "approval")]
    assert baton.reigns() == [("7", True)]
    assert len(baton.receiver.hooks) == 1
    assert len(baton.cards()) == 1
    for person, first in ((baton.alice, 0), (baton.bob, 1), (baton.carol, 1), (baton.mallory, 0)):
        wanted = CLICKS // 4 - first  # each click that was not counted is answered
        notes = person.wait_for(
            lambda person=person, wanted=wanted: _notes(person, wanted), 30.0, f"{wanted} private answers"
        )
        assert len(notes) == wanted


async def _all_at_once(baton: Baton, card: Json) -> Counter[str]:
    """Two hundred clicks on Approve, sent before the first one is answered; what each was answered."""
    block_id, button = find_control(card, "Approve")
    pressed = {"channel": card["channel"], "ts": card["ts"], "block_id": block_id, "action_id": button["action_id"]}
    limits = httpx.Limits(max_connections=CLICKS)
    async with httpx.AsyncClient(
        base_url=baton.slack.url, timeout=60, limits=limits, trust_env=False, verify=False
    ) as hands:
        clicks = [
            hands.post("/_local/click", json={"user": (ALICE, BOB, CAROL, MALLORY)[number % 4], **pressed})
            for number in range(CLICKS)
        ]
        return Counter(str(answer.json()) for answer in await asyncio.gather(*clicks))


def _notes(person, wanted):
    found = [m for m in person.ephemerals(PROMO) if "P-1: *" not in m["text"]]
    return found if len(found) >= wanted else None


def test_two_last_approvals_at_once_deploy_once(baton: Baton) -> None:
    for number in range(5):
        version = f"v{number}"
        baton.register(version)
        card = baton.ask(version)
        with ThreadPoolExecutor(3) as hands:
            list(
                hands.map(lambda person, card=card: person.click(card, "Approve"), (baton.bob, baton.carol, baton.dave))
            )
        baton.card(f"fraud-detector {version} is champion of production")
    assert len(baton.receiver.hooks) == 5
    assert [version for version, _ in baton.reigns()] == [f"v{number}" for number in range(5)]
