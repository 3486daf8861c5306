"""Taking over the versions of other registries, telling those what was decided, and watching what Baton wrote there.

Level-triggered, and all state is in the database: any process may run a sweep, twice or late, and a restart loses
nothing. Only what is outside is slow, and nothing outside is touched inside a transaction.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.domain.errors import NotFound, Refused, Unavailable
from core.domain.model import Actor, ModelVersion
from core.drifting import Drifts
from core.policy.origins import remembered
from core.ports import NotReady, Registry
from core.promotions import Promotions
from core.registration import Registration
from core.store import notices, registries, registry, write_backs
from core.store.registries import Standing, Wanted
from core.writing_back import WriteBacks

log = logging.getLogger(__name__)

#: How far behind the newest version one looks again: creations that overlapped may be seen in another order.
OVERLAP = timedelta(minutes=10)
#: How often all models are listed, and each one's versions: what `recent` cannot tell, such as a model that was renamed.
LISTING, LOOKING = timedelta(hours=1), timedelta(days=1)
#: When a model whose versions could not be listed is tried again.
LATER = timedelta(minutes=5)
#: How long one sweep works before it lets the next one begin, with what is most urgent.
BUDGET_SECONDS = 5.0
#: A version that is not ready is read again after a tenth of the time that it has waited, within these bounds.
SOONEST, RAREST = timedelta(seconds=30), timedelta(hours=1)
#: An outage that lasts so long is told to the owner.
PATIENCE = timedelta(minutes=10)
#: How many people one notice goes to, where the owner is a group.
TOLD = 10
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Registries:
    """The sweeps over every registry of the policy. Safe to share between threads."""

    def __init__(
        self, promotions: Promotions, registration: Registration, adapters: Mapping[str, Registry], public_url: str
    ) -> None:
        self.promotions = promotions
        self.policy = promotions.policy
        self.database = promotions.database
        self.clock = promotions.clock
        self.registration = registration
        self.adapters = adapters
        self.drifts = Drifts(promotions)
        self.write_backs = WriteBacks(self.drifts, public_url)
        self._owner_of = remembered(self.policy)

    def hear(self, name: str, delivery: str, model: str) -> bool:
        """A genuine webhook hints at a model: it is looked at soon. False for a repetition, and for no model of ours."""
        now = self.clock()
        try:
            with self.database.note() as session:
                news = registries.hear(session, name, delivery, now) and self._owner_of(model) == name
                if news:
                    registries.wake(session, name, model, now)
        except IntegrityError:  # its repetition was heard at the same moment
            return False
        return news

    def sweep(self, name: str) -> bool:
        """Do what is due about a registry, for a few seconds; False where nothing was, or somebody else is at it."""
        now = self.clock()
        with self.database.read() as session:
            if not registries.work_due(session, name, now):
                return False
        try:
            with self.database.note() as session:
                standing = registries.claim(session, name, now)
        except IntegrityError:  # another process met it first
            return False
        if standing is None:
            return False
        try:
            self._work(self.adapters[name], standing, now)
        finally:
            with self.database.note() as session:
                registries.release(session, name)
        return True

    def _work(self, there: Registry, standing: Standing, now: datetime) -> None:
        if standing.due_at <= now and not self._poll(there, standing, now):
            return
        until = time.monotonic() + BUDGET_SECONDS
        try:
            for step in self._steps(there, now):
                step()
                if time.monotonic() > until:
                    return
        except Unavailable as away:
            # Is it the registry, or only what was asked? The next sweep finds out by a poll before it asks for more.
            log.warning("%s", away.sentence)
            with self.database.note() as session:
                registries.ask_again(session, there.name, now)

    def _steps(self, there: Registry, now: datetime) -> Iterator[Callable[[], None]]:
        """One piece of work after another; decisions first, since somebody waits for those."""
        with self.database.read() as session:
            decisions = write_backs.due(session, there.name, now)
            models = registries.due_models(session, there.name, now)
            versions = registries.due_versions(session, there.name, now)
        for row in decisions:
            yield partial(self.write_backs.carry_out, there, row, now)
        for model in models:
            yield partial(self._look, there, model, now)
        for wanted in versions:
            yield partial(self._take_in, there, wanted, now)

    # -- asking whether there is news ----------------------------------------------------------------------------

    def _poll(self, there: Registry, standing: Standing, now: datetime) -> bool:
        """Learn of new versions of all models, and of what moved; False when it could not be found out."""
        listing = standing.listed_at is None or standing.listed_at + LISTING <= now or bool(standing.failures)
        try:
            seen_at = self._recent(there, standing, now)
            if listing:
                self._list(there, now)
            self.drifts.watch(there, now)
        except (Unavailable, Refused) as no:
            self._failed(standing, no.sentence, now)
            return False
        due_at = now + self.policy.registries[there.name].poll
        if standing.failing_since is None:
            with self.database.note() as session:
                registries.answered(session, there.name, now, due_at, seen_at, listing)
            return True
        log.warning("The registry %s answers again", there.name)
        with self.database.change() as session:  # with what its owners are told, or they would never hear of its end
            registries.answered(session, there.name, now, due_at, seen_at, listing)
            notices.over(session, there.name, standing.failing_since, now)
        return True

    def _recent(self, there: Registry, standing: Standing, now: datetime) -> datetime:
        """Take note of what is new; the time of the newest, by the registry's own clock."""
        if standing.seen_at is None:  # the first time: models are listed, and each one's versions
            return next((each.at for each in there.recent(BEGINNING)), BEGINNING)
        found = list(there.recent(standing.seen_at - min(OVERLAP, standing.seen_at - BEGINNING)))
        ours = [each for each in found if self._ours(there.name, each.model, now)]
        with self.database.note() as session:
            registries.sight(session, there.name, ours, now)
            registries.know_models(session, there.name, [each.model for each in ours], now + LOOKING)
        return max((each.at for each in found), default=standing.seen_at)

    def _list(self, there: Registry, now: datetime) -> None:
        """Take note of models that were not known; each one's versions are listed soon."""
        ours = [model for model in there.models() if self._ours(there.name, model, now)]
        with self.database.note() as session:
            registries.know_models(session, there.name, ours, now)

    def _ours(self, name: str, model: str, now: datetime) -> bool:
        """Whether the policy has the model taken over from here; says so where another registry has it too."""
        owner = self._owner_of(model)
        if owner is not None and owner != name:
            with self.database.read() as session:
                clash = registries.other_origin(session, name, model) == owner
                known = registries.said(session, name, model)
            if clash:
                sentence = (
                    f"The registry {name} has a model called {model} too. Baton takes {model} from {owner}, as the policy "
                    f"says, and nothing from {name}; rename one of them if they are not the same."
                )
                if sentence != known:
                    self._refuse_model(name, model, sentence, now)
        return owner == name

    def _failed(self, standing: Standing, sentence: str, now: datetime) -> None:
        since = standing.failing_since or now
        log.warning("%s It is asked again in %s.", sentence, registries.pause(standing.failures + 1))
        tell = not standing.told and now - since >= PATIENCE
        people = self._told(None, None) if tell else []
        with self.database.change() as session:
            registries.failed(session, standing, now, sentence, standing.told or tell)
            notices.outage(session, standing.name, people, since, sentence, now)
        if tell:
            log.error("%s has not answered since %s; told: %s", standing.name, since, ", ".join(people))

    # -- one model, one version ----------------------------------------------------------------------------------

    def _look(self, there: Registry, model: str, now: datetime) -> None:
        """Every version of a model that was not seen yet, and whether something of it moved."""
        found, again = [], now + LOOKING
        try:
            if self._owner_of(model) == there.name:
                with self.database.read() as session:
                    above = registries.highest(session, there.name, model)
                found = list(there.versions(model, above))
                self.drifts.watch(there, now, model)
        except Unavailable:
            again = now + LATER
            raise
        except Refused as no:  # its name cannot be asked for
            self._refuse_model(there.name, model, no.sentence, now)
        finally:
            with self.database.note() as session:
                registries.sight(session, there.name, found, now)
                registries.looked(session, there.name, model, again)

    def _take_in(self, there: Registry, wanted: Wanted, now: datetime) -> None:
        """Register a version that is ready; what is not is read again."""
        actor = Actor("registry", there.name, there.name)
        with self.database.read() as session:
            parent = registry.find_model(session, wanted.model)
            row = registry.find_version(session, parent.id, str(wanted.number)) if parent else None
            kept = registry.to_model_version(row) if row else None
        if kept is not None and kept.registered_by != str(actor):
            kept = None  # it must be the same; else registering it says what differs
        if kept is not None and self._asked_stage(there.name) is None:  # registered before a crash
            self._settle(wanted, "registered", version_id=kept.id)
            return
        try:
            found = there.read(wanted.model, str(wanted.number))
            if isinstance(found, NotReady):
                self._wait(wanted, found, now)
                return
            # What was registered before a crash may have other tags by now.
            version = kept or self.registration.register(actor, found.given)[0]
            refusal = self._ask(actor, there.name, version) if found.asks else ""
        except Unavailable as away:
            self._wait(wanted, NotReady(away.sentence), now)
            raise
        except NotFound as gone:
            self._settle(wanted, "left", gone.sentence)
        except Refused as no:
            self._refuse_version(there.name, wanted, no.sentence, now)
        else:
            self._settle(wanted, "registered", " ".join([*found.notes, refusal]).strip(), version.id)

    def _asked_stage(self, name: str) -> str | None:
        """The stage that is asked for where the registry waits for an approval."""
        return getattr(self.policy.registries[name], "request", None)

    def _ask(self, actor: Actor, name: str, version: ModelVersion) -> str:
        """What waits for approval in the registry is asked for here, once; "" or why it could not be."""
        stage = self._asked_stage(name)
        with self.database.read() as session:
            if stage is None or registries.ever_asked(session, version.id):  # before a crash, or by a person
                return ""
        try:
            self.promotions.request(actor, version.model, version.version, stage, f"it waits for approval in {name}")
        except Refused as no:
            sentence = f"{version.model} {version.version} waits for approval in {name}, and was not asked for here: "
            people = self._owners_of(version.model)
            with self.database.change() as session:
                self._tell_refused(session, name, people, sentence + no.sentence, self.clock())
            return sentence + no.sentence
        return ""

    def _wait(self, wanted: Wanted, found: NotReady, now: datetime) -> None:
        if found.final:
            self._settle(wanted, "left", found.sentence)
            return
        pause = min(max((now - wanted.seen_at) / 10, SOONEST), RAREST)
        with self.database.note() as session:
            registries.put_off(session, wanted.id, now + pause, found.sentence)

    def _settle(self, wanted: Wanted, state: str, sentence: str = "", version_id: int | None = None) -> None:
        with self.database.note() as session:
            registries.settle(session, wanted.id, state, sentence, version_id)

    # -- whom to tell --------------------------------------------------------------------------------------------

    def _refuse_model(self, name: str, model: str, sentence: str, now: datetime) -> None:
        """A model is not taken over; whoever owns it is told in the same transaction, once a sentence."""
        people = self._owners_of(model)
        with self.database.change() as session:
            if registries.know_clash(session, name, model, sentence):
                self._tell_refused(session, name, people, sentence, now)

    def _refuse_version(self, name: str, wanted: Wanted, sentence: str, now: datetime) -> None:
        """A version is not taken over; whoever owns the model is told in the same transaction."""
        people = self._owners_of(wanted.model)
        with self.database.change() as session:
            registries.settle(session, wanted.id, "refused", sentence)
            self._tell_refused(session, name, people, sentence, now)

    def _tell_refused(self, session: Session, name: str, people: list[str], sentence: str, now: datetime) -> None:
        log.warning("%s", sentence)
        notices.refused(session, name, people, sentence, now)

    def _owners_of(self, model: str) -> list[str]:
        override = self.policy.override(model)
        return self._told(override.owner, override.channel)

    def _told(self, owner: str | None, channel: str | None) -> list[str]:
        """Whom to tell: the owner, or the channel where there is none, or Slack knows nobody of that name."""
        slack = self.policy.slack
        owner = owner or slack.owner
        people = [who.id for who in self.promotions.directory.members([owner])] if owner else []
        return people[:TOLD] or [channel or slack.channel]
