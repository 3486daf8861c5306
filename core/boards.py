"""What people look at in the morning: a person's Home, a channel's digest, a person's own digest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from core import preferences
from core.domain.model import Actor, Person, State
from core.policy import approvals, windows
from core.policy.schema import Policy, Stage
from core.policy.windows import Frozen
from core.promotions import Promotions
from core.store import audit, boards, messages
from core.store import promotions as store
from core.store.boards import NOTHING, UNDECIDED, UNDER_WAY, Part
from core.store.tables import MessageRow, PromotionRow

#: Promotions that a digest names in each part; the rest is counted.
LISTED = 20
#: "Expiring soon", and "since yesterday".
DAY = timedelta(days=1)
#: Promotions on one page of a Home.
PAGE = 10


@dataclass(frozen=True)
class Dashboard:
    """One person's Home."""

    waiting: Part = NOTHING
    page: int = 0
    asked: Part = NOTHING
    rolling_out: Part = NOTHING
    held_up: Part = NOTHING
    frozen: tuple[tuple[str, Frozen], ...] = ()
    unreviewed: Part = NOTHING
    champions: tuple[tuple[str, str, str], ...] = ()  #: (model, stage, version)
    digest: bool = False  #: whether this person gets a digest of their own

    @property
    def pages(self) -> int:
        """How many pages what waits on the person fills; at least one."""
        return max(1, -(-self.waiting.count // PAGE))


@dataclass(frozen=True)
class Digest:
    """What a digest says. `person` is whom a digest of their own is for; "" for a channel's."""

    channel: str
    day: str
    now: datetime
    awaiting: Part = NOTHING
    expiring: Part = NOTHING
    rolling_out: Part = NOTHING
    held_up: Part = NOTHING
    rolled_back: Part = NOTHING
    unreviewed: Part = NOTHING
    asked: Part = NOTHING
    person: str = ""
    head: tuple[int, str] | None = None  #: of the audit chain: its last event and that one's hash

    @property
    def nothing(self) -> bool:
        """True when there is nothing that anybody must know."""
        parts = (self.awaiting, self.rolling_out, self.held_up, self.rolled_back, self.unreviewed, self.asked)
        return not any(each.count for each in parts)


class Boards:
    """Reads boards. Shares its collaborators with `Promotions`."""

    def __init__(self, promotions: Promotions) -> None:
        self.promotions = promotions
        self.policy = promotions.policy
        self.database = promotions.database

    def home(self, user_id: str, page: int = 0) -> Dashboard:
        """One person's Home, with the given page of what waits on them. Raises `Unavailable`."""
        asks, trained = self._asked_of(user_id)
        now = self.promotions.clock()
        with self.database.read() as session:
            waiting = boards.waiting_on(session, user_id, asks, trained, page * PAGE, PAGE)
            if page and not waiting.shown:
                page = max(0, -(-waiting.count // PAGE) - 1)
                waiting = boards.waiting_on(session, user_id, asks, trained, page * PAGE, PAGE)
            under_way = PromotionRow.state.in_(UNDER_WAY)
            return Dashboard(
                waiting=waiting,
                page=page,
                asked=self._asked_by(session, user_id),
                rolling_out=boards.promotions(session, under_way, PromotionRow.waiting_for == "", newest=True),
                held_up=boards.promotions(session, _HELD_UP),
                frozen=self._frozen(now),
                unreviewed=boards.promotions(session, boards.unreviewed()),
                champions=tuple(store.champions(session, limit=30)),
                digest=preferences.wants_digest(self.database, user_id),
            )

    def _asked_by(self, session: Session, user_id: str) -> Part:
        mine = PromotionRow.requester == f"user:{user_id}"
        return boards.promotions(session, mine, PromotionRow.state.in_((*UNDECIDED, *UNDER_WAY)), newest=True)

    def _asked_of(self, user_id: str) -> tuple[list[tuple[str, str]], list[str]]:
        """Under which rules this person may decide, and by which names the lineage knows them as a trainer."""
        with self.database.read() as session:
            in_use, trainers = boards.rules_in_use(session), boards.trainers_awaited(session)
        person = self.promotions.directory.person(user_id) or Person(user_id, user_id, active=False)
        if not person.active:
            return [], []
        asked, trained = [], [each for each in trainers if approvals.is_trainer(person, each)]
        held: dict[str, bool] = {}
        for stage, version, rules in in_use:
            rule = Stage.from_rules(rules).approvals
            for each in rule.from_ if rule else ():
                if each.group not in held:
                    held[each.group] = self.promotions.permissions.holds(Actor.user(user_id), [each.group])
                if held[each.group]:
                    asked.append((stage, version))
                    break
        return asked, trained

    def _frozen(self, now: datetime) -> tuple[tuple[str, Frozen], ...]:
        found = ((stage.name, windows.frozen(stage.freeze, now)) for stage in self.policy.stages if stage.freeze)
        return tuple((name, closed) for name, closed in found if closed is not None)

    # -- digests -------------------------------------------------------------------------------------------------

    def channel_digest(self, channel: str, day: str, now: datetime) -> Digest:
        """One channel's digest as it is now."""
        with self.database.read() as session:

            def here(*where: ColumnElement[bool]) -> Part:
                return boards.in_channel(session, channel, *where, limit=LISTED)

            undecided = PromotionRow.state.in_(UNDECIDED)
            return Digest(
                channel=channel,
                day=day,
                now=now,
                awaiting=here(undecided),
                expiring=here(undecided, PromotionRow.expires_at <= now + DAY),
                rolling_out=here(PromotionRow.state.in_(UNDER_WAY), PromotionRow.waiting_for == ""),
                held_up=here(_HELD_UP),
                rolled_back=here(boards.undone_since(now - DAY)),
                unreviewed=here(boards.unreviewed()),
                head=audit.head(session),
            )

    def personal_digest(self, user_id: str, day: str, now: datetime) -> Digest:
        """One person's own digest as it is now. Raises `Unavailable`."""
        asks, trained = self._asked_of(user_id)
        with self.database.read() as session:
            waiting = boards.waiting_on(session, user_id, asks, trained, 0, LISTED)
            soon = tuple(each for each in waiting.shown if each.expires_at and each.expires_at <= now + DAY)
            return Digest(
                channel=user_id, day=day, now=now, person=user_id, awaiting=waiting,
                expiring=Part(soon, len(soon)), asked=self._asked_by(session, user_id),
            )  # fmt: skip

    def channels(self) -> list[str]:
        """Every channel that a digest goes to: those the policy names, and those of cards that still wait."""
        named = [
            self.policy.slack.channel,
            *(stage.channel for stage in self.policy.stages),
            *(each.channel for each in self.policy.models.values()),
        ]
        with self.database.read() as session:
            waiting = session.scalars(
                select(MessageRow.channel)
                .join(PromotionRow, PromotionRow.id == MessageRow.promotion_id)
                .where(MessageRow.kind == "card", PromotionRow.state.in_((*UNDECIDED, *UNDER_WAY)))
                .distinct()
            ).all()
        return list(dict.fromkeys(channel for channel in [*named, *waiting] if channel))

    def due(self, now: datetime) -> list[str]:
        """Want every digest whose hour has come; the channels and people that this call wanted it for."""
        plan = self.policy.slack.digest
        if plan is None:
            return []
        wanted = []
        if _is_due(self.policy, plan.timezone, now):
            wanted += self.want(self.channels(), local_day(self.policy, now), now)
        return wanted + self._due_people(now)

    def want(self, channels: Iterable[str], day: str, now: datetime) -> list[str]:
        """Want the digest of `day` in each channel, once however often and by whomever this is called."""
        plan = self.policy.slack.digest
        quiet = plan is not None and plan.when_nothing == "silent"
        with self.database.read() as session:
            done = messages.digests_of(session, day)
            busy = boards.busy_channels(session, DAY, now) if quiet else set()
        wanted = []
        for channel in channels:
            if channel not in done and self._want(channel, day, now, hush=quiet and channel not in busy, person=False):
                wanted.append(channel)
        return wanted

    def _due_people(self, now: datetime) -> list[str]:
        """Personal digests, at the same hour of the clock that each person lives by. Nothing to say is not said."""
        wanted = []
        for user_id in preferences.digest_readers(self.database):
            person = self.promotions.directory.person(user_id)
            zone = (person.timezone if person else "") or (self.policy.slack.digest or _NO_PLAN).timezone
            if person is None or not person.active or not _is_due(self.policy, zone, now):
                continue
            day = now.astimezone(_zone(zone)).date().isoformat()
            with self.database.read() as session:
                if user_id in messages.digests_of(session, day):
                    continue
            hush = self.personal_digest(user_id, day, now).nothing
            if self._want(user_id, day, now, hush=hush, person=True):
                wanted.append(user_id)
        return wanted

    def _want(self, channel: str, day: str, now: datetime, hush: bool, person: bool) -> bool:
        body = {"day": day} | ({"person": True} if person else {})
        with self.database.change() as session:
            if not messages.want_digest(session, channel, day, body, now, shown=hush):
                return False
            if not hush:
                who, data = Actor.system("digest"), {"channel": channel, "day": day}
                audit.append(session, now, who, "digest", audit.Subject(), data)
            return not hush


@dataclass(frozen=True)
class _Plan:
    timezone: str = "UTC"


_NO_PLAN = _Plan()
_HELD_UP = (PromotionRow.state == State.APPROVED.value) & (PromotionRow.waiting_for != "")


def local_day(policy: Policy, now: datetime) -> str:
    """Which day it is where the digest is read, as 2026-11-23."""
    zone = policy.slack.digest.timezone if policy.slack.digest else "UTC"
    return now.astimezone(ZoneInfo(zone)).date().isoformat()


def _is_due(policy: Policy, zone: str, now: datetime) -> bool:
    """Whether the digest's hour has come on the clock of a zone, on one of its days."""
    plan = policy.slack.digest
    local = now.astimezone(_zone(zone))
    return plan is not None and local.weekday() in plan.weekdays and local.time() >= plan.at


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")
