"""`kill -9` anywhere between the deciding click and the champion: nothing is lost, and nothing happens twice."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from bot.local_slack.person import shown_text
from core.domain.model import Actor
from core.store import messages
from core.store.audit import verify
from core.store.database import Database
from core.store.tables import Champion, DecisionRow, DeploymentRow, PromotionRow, Version
from core.tokens import Tokens
from tests.scenario.crash_child import Child
from tests.scenario.world import MODEL, POLICY, PROMO, Clock, Office, wait


class Lives(Office):
    """The office with Baton in a child process that dies and is started again."""

    def __init__(self, folder: Path, delivery: str, database_url: str, policy: str = POLICY) -> None:
        super().__init__(folder, delivery, policy, patience=1.5)
        self.database_url = database_url
        self.database = Database(database_url)
        self.child: Child | None = None

    def open(self) -> None:
        super().open()
        self.token = Tokens(self.database, Clock()).create(Actor.system("test"), "ci", ["admin"])[1]
        self.start()

    def start(self) -> None:
        self.child = Child(self.environment(self.database_url), str(self.folder / "baton.log"))
        wait(self._ready, "Baton to be ready")

    def _ready(self) -> bool:
        try:
            return self._http.get(f"{self.url}/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child = None

    def close(self) -> None:
        self.kill()
        super().close()
        self.database.dispose()

    def one_approval_before(self, version: str) -> int:
        """A promotion that one more approval decides; its id."""
        self.register(version)
        card = self.ask(version)
        self.approve(card, self.bob)
        self.card_of(version, "Approvals 1 of 2")
        return int(shown_text(card).partition("P-")[2].partition("\n")[0])

    def card_of(self, version: str, text: str) -> dict:
        return self.alice.wait_for_message(
            PROMO,
            lambda m: not m["ephemeral"] and f"{MODEL} {version} " in shown_text(m) and text in shown_text(m),
            30.0,
        )

    def champion_now(self) -> str | None:
        with self.database.read() as session:
            return session.scalar(
                select(Version.version)
                .join(Champion, Champion.version_id == Version.id)
                .where(Champion.until.is_(None), Champion.stage == "production")
            )

    def decided(self, promotion: int) -> list[str]:
        with self.database.read() as session:
            query = select(DecisionRow.actor).where(DecisionRow.promotion_id == promotion).order_by(DecisionRow.actor)
            return list(session.scalars(query))

    def all_said(self) -> bool:
        with self.database.read() as session:
            return messages.backlog(session, Clock()())[0] == 0


@pytest.fixture
def lives(tmp_path: Path, database_url: str) -> Iterator[Lives]:
    delivery = "http" if database_url.startswith("sqlite") else "socket"
    office = Lives(tmp_path, delivery, database_url)
    try:
        office.open()
        yield office
    finally:
        office.close()


def live_through(lives: Lives, version: str, left: int | None) -> bool:
    """One deciding click, a death at the `left`-th step after it, and a new life; True when it died before the champion."""
    promotion = lives.one_approval_before(version)
    assert lives.child is not None
    lives.child.arm(left)
    clicked = lives.carol.click(lives.card_of(version, "Approvals 1 of 2"), "Approve")
    wait(lambda: lives.child.died(0.005) or lives.champion_now() == version, "its death or the champion")
    early = lives.champion_now() != version
    if early:
        lives.child.died(5)
    lives.kill()

    lives.start()

    if clicked != {"ok": True} and "user:U03CAROL" not in lives.decided(promotion):
        lives.approve(lives.card_of(version, "Approvals 1 of 2"), lives.carol)  # Slack told her that it failed
    wait(lambda: lives.champion_now() == version, f"{version} to be champion")
    assert lives.decided(promotion) == ["user:U02BOB", "user:U03CAROL"]
    return early


def steps_to_the_champion(lives: Lives) -> int:
    """How many steps there are, measured once without dying."""
    lives.one_approval_before("0")
    assert lives.child is not None
    lives.child.arm(None)
    lives.approve(lives.card_of("0", "Approvals 1 of 2"), lives.carol)
    wait(lambda: lives.child.counted()[0], "the champion")
    return lives.child.counted()[0]


@pytest.mark.timeout(240)
def test_a_kill_at_any_step_between_click_and_champion_loses_and_doubles_nothing(
    lives: Lives, database_url: str
) -> None:
    deaths = 32 if database_url.startswith("sqlite") else 12
    steps = steps_to_the_champion(lives)
    assert steps > 20, steps
    points = [1 + number * (steps - 1) // (deaths - 1) for number in range(deaths)]

    early = [live_through(lives, f"{number}-{point}", point) for number, point in enumerate(points, 1)]
    extra = 0
    while sum(early) < (30 if database_url.startswith("sqlite") else 10):  # it got through before its death: once more
        extra += 1
        early.append(live_through(lives, f"extra-{extra}", max(1, extra * steps // 12)))

    wait(lives.all_said, "every message to be true", 60.0)
    with lives.database.read() as session:
        verification = verify(session)
        promotions = list(session.scalars(select(PromotionRow)))
        deployments = session.scalar(select(func.count()).select_from(DeploymentRow))
    assert verification.problem == ""
    assert {row.state for row in promotions} == {"succeeded"}
    assert deployments == len(promotions) == len(early) + 1
    ids = {}
    for hook in lives.receiver.hooks:
        ids.setdefault(hook.data["model"]["version"], set()).add(hook.id)
    assert {version: len(found) for version, found in ids.items()} == {row.version.version: 1 for row in promotions}
    assert not lives.receiver.problems
    assert Counter(_ref(card) for card in lives.cards()) == {f"P-{row.id}": 1 for row in promotions}
    assert all("is champion of production" in shown_text(card) for card in lives.cards())
    assert Counter(_ref(told) for told in lives.alice.dms()) == {f"P-{row.id}": 1 for row in promotions}
    for card in lives.cards():
        story = lives.story(card)
        assert [story.count(part) for part in ("<@U02BOB> approved", "<@U03CAROL> approved", "👑")] == [1, 1, 1], story
    assert lives.complaints() == []


def _ref(message: dict) -> str:
    found = re.search(r"P-\d+", shown_text({**message, "text": ""}))
    return found[0] if found else ""
