"""What Home and digests show, held against the rules themselves, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select, update

from core import preferences
from core.boards import BRIEF, LISTED, PAGE, Boards
from core.decisions import Decisions
from core.delegating import Delegating
from core.domain.errors import Unavailable
from core.domain.model import Actor, Lineage, Measurement, ModelVersion, Person, State
from core.engine import Engine
from core.policy.load import load
from core.promotions import Promotions
from core.registration import Registration
from core.store import promotions as store
from core.store.database import Database
from core.store.tables import AuditEvent, MessageRow, PromotionRow, RegisteredModel

CAST = ("ALICE", "BOB", "CAROL", "DAVE", "ERIN", "MALLORY", "GONE")
ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, GONE = (f"U0{n}{name}" for n, name in enumerate(CAST, 1))
POLICY = """
version: 1
slack:
  channel: "#ml"
  digest: {at: "09:00", days: mon-fri, timezone: UTC, when_nothing: silent}
groups:
  leads: [U02BOB, U05ERIN, U07GONE]
  risk: [U03CAROL, U04DAVE, U02BOB]
stages:
  - {name: development}
  - {name: staging, approvals: {quorum: 2, from: [{group: leads}], exclude: []}}
  - name: production
    approvals: {quorum: 2, from: [{group: leads, at_least: 1}, {group: risk, at_least: 1}]}
models:
  elsewhere-*: {channel: "#elsewhere"}
"""
MONDAY = datetime(2026, 11, 23, 8, 59, tzinfo=UTC)


class Cast:
    """Everybody is who they are, in the zone they are in; Slack may not know."""

    def __init__(self) -> None:
        self.zones: dict[str, str] = {}
        self.unknown: set[str] = set()

    def person(self, user_id: str) -> Person | None:
        if user_id in self.unknown:
            raise Unavailable("Slack did not say who this person is.")
        name = user_id[3:].lower()
        zone = self.zones.get(user_id, "")
        return Person(user_id, name.title(), f"{name}@example.com", name, user_id != GONE, zone)

    def groups_of(self, user_id: str, groups: dict[str, list[str]]) -> frozenset[str]:
        return frozenset(name for name, members in groups.items() if user_id in members)

    def members(self, members: list[str]) -> list[Person]:
        return [Person(member, member) for member in members]


class World:
    def __init__(self, database: Database, policy: str = POLICY) -> None:
        self.database = database
        self.time = MONDAY
        self.cast = Cast()
        self.engine = Engine(database)
        self.promotions = Promotions(database, load(policy), self.cast, lambda: self.time, self.engine)
        self.decisions = Decisions(self.promotions)
        self.boards = Boards(self.promotions)

    def ask(self, model: str, stage: str = "production", who: str = ALICE, trainer: str = "") -> int:
        version = ModelVersion(
            model, "7", "s3://x", "sha256:0", Lineage(trained_by=trainer), (Measurement("auc", 0.9),)
        )
        registration = Registration(self.database, lambda: self.time)
        registration.register(Actor("token", "ci", "ci"), version)
        return self.promotions.request(Actor.user(who, who[3:].title()), model, "7", stage, "because").id

    def copies(self, of: int, count: int) -> None:
        """So many more that are alike, each of a model of its own."""
        with self.database.note() as session:
            row = dict(session.execute(select(PromotionRow.__table__).where(PromotionRow.id == of)).mappings().one())
            for number in range(count):
                model = {"name": f"copy-{of}-{number}", "created_at": self.time}
                made = session.execute(insert(RegisteredModel).returning(RegisteredModel.id), model).scalar_one()
                kept = {name: value for name, value in row.items() if name != "id"} | {"model_id": made}
                found = session.execute(insert(PromotionRow).returning(PromotionRow.id), kept).scalar_one()
                session.add(
                    MessageRow(key=f"card:{found}", kind="card", promotion_id=found, channel="#ml", body={}, due_at=self.time, created_at=self.time)
                )  # fmt: skip

    def awaited(self, user_id: str) -> set[int]:
        """By asking the rule itself about each."""
        with self.database.read() as session:
            found = store.page(session, state=State.AWAITING_APPROVAL.value, limit=1000)
        return {view.id for view in found if self.decisions.could_approve(view, user_id)}

    def shown(self, user_id: str) -> set[int]:
        home = self.boards.home(user_id)
        assert len(home.waiting.shown) == home.waiting.count
        return {view.id for view in home.waiting.shown}

    def wanted(self) -> list[str]:
        """Digests that are to be said, by channel or person."""
        with self.database.read() as session:
            said = select(MessageRow.channel).where(MessageRow.kind == "digest", MessageRow.shown == 0)
            return sorted(session.scalars(said))


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    made = World(database)
    yield made
    made.engine.stop()


class TestWhatWaits:
    def test_it_is_what_the_rules_let_a_person_decide_and_nothing_else(self, world: World) -> None:
        trainers = ("", "bob", "Carol <carol@example.com>", BOB, "erin@elsewhere.example, somebody")
        for number, trainer in enumerate(trainers):
            for who in (ALICE, BOB):
                world.ask(f"m{number}-{who[3:].lower()}", who=who, trainer=trainer)
        for stage, who in (("staging", BOB), ("staging", ALICE)):
            world.ask(f"s-{who[3:].lower()}", stage, who, "bob")
        world.decisions.approve(Actor.user(ERIN, "Erin"), 1)
        world.decisions.approve(Actor.user(CAROL, "Carol"), 2)
        delegating = Delegating(world.promotions)
        delegating.delegate(Actor.user(CAROL, "Carol"), MALLORY, world.time + timedelta(days=2))
        delegating.delegate(Actor.user(BOB, "Bob"), ALICE, world.time + timedelta(days=2))
        world.decisions.approve(Actor.user(MALLORY, "Mallory"), 3)
        world.decisions.approve(Actor.user(MALLORY, "Mallory"), 7)
        world.decisions.withdraw(Actor.user(MALLORY, "Mallory"), 7)

        found = {who: world.shown(who) for who in (ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, GONE)}

        assert found == {who: world.awaited(who) for who in found}
        assert found[GONE] == set()
        assert {3, 2} & found[MALLORY] == set()  # decided for Carol, and by Carol
        assert all(found[who] for who in (ALICE, BOB, CAROL, DAVE, ERIN, MALLORY))
        world.time += timedelta(days=3) - timedelta(hours=1)
        assert world.shown(MALLORY) == world.awaited(MALLORY) == set()

    def test_what_waits_under_an_older_policy_is_judged_by_the_rules_it_carries(self, world: World) -> None:
        world.ask("fraud")
        newer = World(
            world.database,
            POLICY.replace("- {group: leads, at_least: 1}, ", "").replace("{group: leads, at_least: 1}, ", ""),
        )
        newer.ask("churn")

        assert newer.shown(ERIN) == newer.awaited(ERIN) == {1}
        assert newer.shown(DAVE) == newer.awaited(DAVE) == {1, 2}
        newer.engine.stop()

    def test_the_page_asked_for_is_the_last_one_when_there_are_no_more(self, world: World) -> None:
        world.copies(world.ask("fraud"), 2 * PAGE + 3)

        first, last, beyond = (world.boards.home(DAVE, page) for page in (0, 2, 9))

        assert (first.waiting.count, first.pages, len(first.waiting.shown)) == (2 * PAGE + 4, 3, PAGE)
        assert len(last.waiting.shown) == 4
        assert (beyond.page, beyond.waiting) == (2, last.waiting)
        assert world.boards.home(GONE, 5).page == 0

    def test_what_expires_first_comes_first_and_what_never_does_last(self, world: World) -> None:
        world.copies(world.ask("fraud"), 3)
        with world.database.note() as session:
            for number, hours in ((1, 9), (2, None), (3, 2), (4, 5)):
                at = world.time + timedelta(hours=hours) if hours else None
                session.execute(update(PromotionRow).where(PromotionRow.id == number).values(expires_at=at))

        assert [view.id for view in world.boards.home(DAVE).waiting.shown] == [3, 4, 1, 2]

    def test_other_parts_are_counted_whole_and_shown_in_part(self, world: World) -> None:
        world.copies(world.ask("fraud"), BRIEF + 4)

        home = world.boards.home(ALICE)

        assert (home.asked.count, len(home.asked.shown)) == (BRIEF + 5, BRIEF)


class TestChannels:
    def test_however_many_want_it_at_once_each_channel_has_it_once(self, world: World) -> None:
        rooms = [f"#room-{number}" for number in range(25)]
        world.copies(world.ask("fraud"), len(rooms))
        with world.database.note() as session:
            for number, room in enumerate(rooms):
                session.execute(update(MessageRow).where(MessageRow.promotion_id == number + 2).values(channel=room))
        world.time += timedelta(minutes=2)

        with ThreadPoolExecutor(4) as pool:
            said = list(pool.map(lambda _: world.boards.due(world.time), range(4)))

        assert sorted(channel for each in said for channel in each) == sorted(["#ml", *rooms])
        assert world.wanted() == sorted(["#ml", *rooms])
        with world.database.read() as session:
            told = session.scalars(select(AuditEvent.data).where(AuditEvent.kind == "digest")).all()
        assert sorted(each["channel"] for each in told) == sorted(["#ml", *rooms])

    def test_it_counts_what_it_does_not_name(self, world: World) -> None:
        world.copies(world.ask("fraud"), LISTED + 14)
        soon = world.time + timedelta(hours=2)
        with world.database.note() as session:
            session.execute(update(PromotionRow).where(PromotionRow.id <= LISTED + 10).values(expires_at=soon))

        for found in (
            world.boards.channel_digest("#ml", "2026-11-23", world.time),
            world.boards.personal_digest(DAVE, "2026-11-23", world.time),
        ):
            assert (found.awaiting.count, len(found.awaiting.shown)) == (LISTED + 15, LISTED)
            assert (found.expiring.count, len(found.expiring.shown)) == (LISTED + 10, LISTED)

    def test_a_channel_with_no_news_is_left_alone_and_stays_so_that_day(self, world: World) -> None:
        world.ask("fraud")
        world.time += timedelta(minutes=2)

        assert world.boards.due(world.time) == ["#ml"]  # not #elsewhere, which nothing is in
        world.ask("elsewhere-1")
        assert world.boards.due(world.time) == []
        assert world.boards.due(world.time + timedelta(days=1)) == ["#ml", "#elsewhere"]

    @pytest.mark.parametrize(("later", "due"), [(0, False), (1, True), (60 * 24 * 5, False), (60 * 24 * 7 + 1, True)])
    def test_it_comes_at_its_hour_on_its_days(self, world: World, later: int, due: bool) -> None:
        world.time += timedelta(minutes=later)
        world.ask("fraud")

        assert bool(world.boards.due(world.time)) is due


class TestPeople:
    @pytest.fixture
    def readers(self, world: World) -> World:
        world.ask("fraud")
        for who in (BOB, DAVE, MALLORY, GONE):
            preferences.want_digest(world.database, who, True, world.time)
        return world

    def test_each_gets_it_at_that_hour_of_their_own_clock(self, readers: World) -> None:
        readers.cast.zones = {BOB: "America/New_York", DAVE: "Asia/Tokyo"}
        readers.time = datetime(2026, 11, 23, 0, 1, tzinfo=UTC)  # Monday, 09:01 in Tokyo
        assert readers.boards.due(readers.time) == [DAVE]
        readers.time = datetime(2026, 11, 23, 9, 1, tzinfo=UTC)
        assert readers.boards.due(readers.time) == ["#ml"]
        readers.time = datetime(2026, 11, 23, 14, 1, tzinfo=UTC)  # 09:01 in New York
        assert readers.boards.due(readers.time) == [BOB]
        assert readers.boards.due(readers.time) == []
        readers.time = datetime(2026, 11, 28, 1, tzinfo=UTC)  # Saturday in Tokyo, Friday evening in New York
        assert readers.boards.due(readers.time) == [BOB]

    @pytest.mark.parametrize("zone", ["", "Mars/Olympus"])
    def test_where_slack_names_no_zone_that_is_known_the_policys_counts(self, readers: World, zone: str) -> None:
        readers.cast.zones = {DAVE: zone}
        assert readers.boards.due(readers.time) == []
        readers.time += timedelta(minutes=1)
        assert readers.boards.due(readers.time) == ["#ml", BOB, DAVE]

    def test_nothing_to_say_is_not_said_and_nothing_comes_later_that_day(self, readers: World) -> None:
        readers.time += timedelta(minutes=1)
        assert {MALLORY, GONE}.isdisjoint(readers.boards.due(readers.time))
        Delegating(readers.promotions).delegate(Actor.user(BOB, "Bob"), MALLORY, readers.time + timedelta(days=3))
        assert readers.boards.due(readers.time) == []
        assert readers.boards.due(readers.time + timedelta(days=1)) == ["#ml", BOB, DAVE, MALLORY]

    def test_somebody_whom_slack_does_not_know_now_keeps_nobody_waiting(self, readers: World) -> None:
        readers.cast.unknown = {BOB}
        readers.time += timedelta(minutes=1)
        assert readers.boards.due(readers.time) == ["#ml", DAVE]
        readers.cast.unknown = set()
        assert readers.boards.due(readers.time) == [BOB]

    def test_it_says_what_waits_and_how_what_they_asked_for_stands(self, readers: World) -> None:
        mine = readers.ask("churn", who=BOB)
        found = readers.boards.personal_digest(BOB, "2026-11-23", readers.time)
        assert [view.id for view in found.awaiting.shown] == [1]
        assert [view.id for view in found.asked.shown] == [mine]
        assert not found.nothing
        assert replace(found, awaiting=found.rolled_back, asked=found.rolled_back).nothing

    def test_who_wants_it_no_more_gets_it_no_more(self, readers: World) -> None:
        preferences.want_digest(readers.database, DAVE, False, readers.time)
        readers.time += timedelta(minutes=1)
        assert readers.boards.due(readers.time) == ["#ml", BOB]

    def test_without_a_plan_of_the_policys_it_comes_at_nine_on_working_days(self, readers: World) -> None:
        plain = World(readers.database, POLICY.replace("  digest: {at", "  # {at"))
        plain.cast.zones = {DAVE: "Asia/Tokyo"}
        assert plain.boards.due(datetime(2026, 11, 22, 9, 1, tzinfo=UTC)) == []  # a Sunday
        assert plain.boards.due(datetime(2026, 11, 23, 0, 1, tzinfo=UTC)) == [DAVE]
        assert plain.boards.due(datetime(2026, 11, 23, 9, 1, tzinfo=UTC)) == [BOB]
        plain.engine.stop()
