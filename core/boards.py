"""What people look at in the morning: a person's Home, a channel's digest, a person's own digest."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from core import preferences
from core.domain.errors import NotAllowed, Unavailable
from core.domain.model import Actor, Barrier, Person, State
from core.policy import approvals, windows
from core.policy.approvals import Approver
from core.policy.schema import DigestPlan, Policy, Stage
from core.policy.stages import Approvals
from core.policy.windows import Frozen
from core.promotions import Promotions
from core.store import audit, barriers, boards, delegations, messages
from core.store import promotions as store
from core.store.boards import NONE_AGED, NOTHING, UNDECIDED, UNDER_WAY, Ageing, Ask, Found, Part
from core.store.tables import MessageRow, PromotionRow

log = logging.getLogger(__name__)

#: Promotions that a digest names in each part, and a Home in all but the first; the rest is counted.
LISTED, BRIEF = 20, 6
#: When people have their own digest where the policy plans none for channels.
OWN = DigestPlan.model_validate({"at": "09:00"})
#: "Expiring soon", and "since yesterday".
DAY = timedelta(days=1)
#: Promotions on one page of a Home, and champions that it names.
PAGE, CHAMPIONS = 10, 30


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
    stops: tuple[Barrier, ...] = ()
    serving: int = 0  #: how many champions there are in all

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
    aged: Ageing = NONE_AGED
    person: str = ""
    head: tuple[int, str] | None = None  #: of the audit chain: its last event and that one's hash

    @property
    def nothing(self) -> bool:
        """True when there is nothing that anybody must know."""
        parts = (
            self.awaiting,
            self.rolling_out,
            self.held_up,
            self.rolled_back,
            self.unreviewed,
            self.asked,
            self.aged,
        )
        return not any(each.count for each in parts)


class Boards:
    """Reads boards. Shares its collaborators with `Promotions`."""

    def __init__(self, promotions: Promotions) -> None:
        self.promotions = promotions
        self.policy = promotions.policy
        self.database = promotions.database

    def home(self, user_id: str, page: int = 0) -> Dashboard:
        """One person's Home, with the given page of what waits on them. Raises `Unavailable`."""
        now = self.promotions.clock()
        asks = self._asks(user_id, now)
        with self.database.read() as session:
            waiting = boards.waiting_on(session, asks, limit=PAGE, offset=page * PAGE)
            if page and not waiting.ids:
                page = max(0, -(-waiting.count // PAGE) - 1)
                waiting = boards.waiting_on(session, asks, limit=PAGE, offset=page * PAGE)
            waits, asked, rolling_out, held_up, unreviewed = boards.load(
                session,
                waiting,
                self._asked_by(session, user_id, BRIEF),
                boards.promotions(session, _ROLLING_OUT, newest=True, limit=BRIEF),
                boards.promotions(session, _HELD_UP, limit=BRIEF),
                boards.promotions(session, boards.unreviewed(), limit=BRIEF),
            )
            return Dashboard(
                waiting=waits,
                page=page,
                asked=asked,
                rolling_out=rolling_out,
                held_up=held_up,
                frozen=self._frozen(now),
                unreviewed=unreviewed,
                champions=tuple(store.champions(session, limit=CHAMPIONS)),
                digest=preferences.wants_digest(self.database, user_id),
                stops=barriers.stops(session),
                serving=boards.serving(session),
            )

    def _asked_by(self, session: Session, user_id: str, listed: int) -> Found:
        mine = or_(PromotionRow.requester == f"user:{user_id}", PromotionRow.requester_owner == user_id)
        open_states = PromotionRow.state.in_((*UNDECIDED, *UNDER_WAY))
        return boards.promotions(session, mine, open_states, newest=True, limit=listed)

    def _asks(self, user_id: str, now: datetime) -> list[Ask]:
        """In which ways promotions that wait now ask for this person; judged once a rule and trainer, however many wait."""
        with self.database.read() as session:
            in_use, trainers = boards.rules_in_use(session), boards.trainers_awaited(session)
            delegators = [principal for principal, _ in delegations.delegators(session, user_id, now)]
        rules = [(stage, version, Stage.from_rules(each).approvals) for stage, version, each in in_use]
        asked = [each.group for _, _, rule in rules if rule for each in rule.from_]
        members = self.promotions.permissions.members(list(dict.fromkeys(asked)))
        me, *others = [self._approver(each, members) for each in (user_id, *delegators)]
        found: dict[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]], list[tuple[str, str]]] = {}
        out: dict[tuple[object, Approver | None], tuple[str, ...]] = {}
        for stage, version, rule in rules:
            for other in (None, *others):
                if rule is None or not _may(rule, me, other, ""):
                    continue
                if (rule.exclude, other) not in out:
                    barred = tuple(each for each in trainers if not _may(rule, me, other, each))
                    out[rule.exclude, other] = barred
                whose = tuple(f"user:{each.person.id}" for each in (me, other) if each)
                key = (whose, whose if "requester" in rule.exclude else (), out[rule.exclude, other])
                found.setdefault(key, []).append((stage, version))
        return [Ask(*key, tuple(asking)) for key, asking in found.items()]

    def _approver(self, user_id: str, members: dict[str, list[str]]) -> Approver:
        person = self.promotions.directory.person(user_id) or Person(user_id, user_id, active=False)
        return Approver(person, self.promotions.directory.groups_of(user_id, members))

    def _frozen(self, now: datetime) -> tuple[tuple[str, Frozen], ...]:
        found = ((stage.name, windows.frozen(stage.freeze, now)) for stage in self.policy.stages if stage.freeze)
        return tuple((name, closed) for name, closed in found if closed is not None)

    # -- digests -------------------------------------------------------------------------------------------------

    def channel_digest(self, channel: str, day: str, now: datetime) -> Digest:
        """One channel's digest as it is now."""
        with self.database.read() as session:

            def here(*where: ColumnElement[bool]) -> Found:
                return boards.in_channel(session, channel, *where, limit=LISTED)

            undecided = PromotionRow.state.in_(UNDECIDED)
            awaiting, expiring, rolling_out, held_up, rolled_back, unreviewed = boards.load(
                session,
                here(undecided),
                here(undecided, PromotionRow.expires_at <= now + DAY),
                here(_ROLLING_OUT),
                here(_HELD_UP),
                here(boards.undone_since(now - DAY)),
                here(boards.unreviewed()),
            )
            return Digest(
                channel, day, now, awaiting, expiring, rolling_out, held_up, rolled_back, unreviewed,
                aged=boards.ageing(session, channel, LISTED), head=audit.head(session),
            )  # fmt: skip

    def personal_digest(self, user_id: str, day: str, now: datetime, listed: int = LISTED) -> Digest:
        """One person's own digest as it is now. Raises `Unavailable`."""
        asks = self._asks(user_id, now)
        with self.database.read() as session:
            soon = PromotionRow.expires_at <= now + DAY
            awaiting, expiring, asked = boards.load(
                session,
                boards.waiting_on(session, asks, limit=listed),
                boards.waiting_on(session, asks, soon, limit=listed),
                self._asked_by(session, user_id, listed),
            )
            return Digest(user_id, day, now, awaiting, expiring, asked=asked, person=user_id)

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
        wanted = []
        if plan is not None and _is_due(plan, ZoneInfo(plan.timezone), now):
            wanted += self.want(self.channels(), local_day(self.policy, now), now)
        return wanted + self._due_people(now)

    def want(self, channels: Iterable[str], day: str, now: datetime) -> list[str]:
        """Want the digest of `day` in each channel, once however often and by whomever this is called."""
        plan = self.policy.slack.digest
        quiet = plan is not None and plan.when_nothing == "silent"
        with self.database.read() as session:
            done = messages.digests_of(session, day)
            busy = boards.busy_channels(session, DAY, now) if quiet else set()
        left = [channel for channel in channels if channel not in done]
        return self._want({channel: quiet and channel not in busy for channel in left}, {"day": day}, now)

    def _due_people(self, now: datetime) -> list[str]:
        """Personal digests, at the same hour of the clock that each person lives by. Nothing to say is not said."""
        wanted = []
        done: dict[str, set[str]] = {}
        for user_id in preferences.digest_readers(self.database):
            try:
                day = self._personal_day(user_id, now)
                if day and day not in done:
                    with self.database.read() as session:
                        done[day] = messages.digests_of(session, day)
                if day and user_id not in done[day]:
                    hush = self.personal_digest(user_id, day, now, listed=1).nothing
                    wanted += self._want({user_id: hush}, {"day": day, "person": True}, now)
            except Unavailable as error:  # the others still get theirs, and the next tick tries again
                log.warning("boards: the digest of %s has to wait: %s", user_id, error)
        return wanted

    def _personal_day(self, user_id: str, now: datetime) -> str:
        """Which day it is where this person lives, once the digest's hour has come there; "" before, and for nobody."""
        plan, person = self.policy.slack.digest or OWN, self.promotions.directory.person(user_id)
        if person is None or not person.active:
            return ""
        zone = _zone(person.timezone) or ZoneInfo(plan.timezone)
        return now.astimezone(zone).date().isoformat() if _is_due(plan, zone, now) else ""

    def _want(self, hushed: dict[str, bool], body: dict[str, Any], now: datetime) -> list[str]:
        """Want a digest in each of these, or only remember that its day is done where it is hushed."""
        if not hushed:
            return []
        day, wanted = str(body["day"]), []
        with self.database.change() as session:
            for channel, hush in hushed.items():
                if messages.want_digest(session, channel, day, body, now, shown=hush) and not hush:
                    audit.append(
                        session,
                        now,
                        Actor.system("digest"),
                        "digest",
                        audit.Subject(),
                        {"channel": channel, "day": day},
                    )
                    wanted.append(channel)
        return wanted


def _may(rule: Approvals, me: Approver, other: Approver | None, trained_by: str) -> bool:
    """Whether `me` may decide in their own seat, or in that of `other`, on what somebody else asked for."""
    asked = approvals.Asked("", "", _NOBODY, trained_by)
    try:
        return approvals.may_decide(rule, me, asked, [other] if other else []) == other
    except NotAllowed:
        return False


_NOBODY = Actor.system("boards")
_ROLLING_OUT = PromotionRow.state.in_(UNDER_WAY) & (PromotionRow.waiting_for == "")
_HELD_UP = (PromotionRow.state == State.APPROVED.value) & (PromotionRow.waiting_for != "")


def local_day(policy: Policy, now: datetime) -> str:
    """Which day it is where the digest is read, as 2026-11-23."""
    zone = policy.slack.digest.timezone if policy.slack.digest else "UTC"
    return now.astimezone(ZoneInfo(zone)).date().isoformat()


def _is_due(plan: DigestPlan, zone: ZoneInfo, now: datetime) -> bool:
    """Whether the digest's hour has come on the clock of a zone, on one of its days."""
    local = now.astimezone(zone)
    return local.weekday() in plan.weekdays and local.time() >= plan.at


def _zone(name: str) -> ZoneInfo | None:
    """As Slack names it; None for what this machine does not know."""
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None
