"""What somebody moved in a registry past Baton: noticed, shown, and adopted or put back by whoever may."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from core import rolling
from core.domain.errors import Conflict, NotAllowed, Refused
from core.domain.lifecycle import Event
from core.domain.model import Actor, Kind, Person, State
from core.domain.views import PromotionView
from core.policy import approvals
from core.policy.origins import modes
from core.policy.schema import Stage
from core.ports import Place, Registry
from core.promotions import Promotions
from core.store import audit, drifts, registries, registry, write_backs
from core.store import promotions as store
from core.store.registry_tables import DriftRow, WriteBackRow
from core.store.tables import PromotionRow
from core.store.transition import transition

#: A promotion that has touched its target; whatever comes of it decides who serves.
UNDER_WAY = (State.APPROVED, State.DEPLOYING, State.VERIFYING, State.ROLLING_BACK)


@dataclass(frozen=True)
class Drift:
    """Something that moved, for showing. `adoptable`: what is there is a version that Baton knows."""

    id: int
    registry: str
    model: str
    stage: str
    place: str
    expected: str
    found: str
    said: str
    state: str
    opened_at: datetime
    adoptable: bool = False
    closed_at: datetime | None = None
    closed_by: Actor | None = None
    promotion_id: int | None = None


class Drifts:
    """Watches what Baton wrote, and carries out what people answer. Shares its collaborators with `Promotions`."""

    def __init__(self, promotions: Promotions) -> None:
        self.promotions = promotions
        self.policy = promotions.policy
        self.database = promotions.database
        self.mode_of = modes(promotions.policy)

    def place(self, registry: Registry, model: str, stage: str) -> Place | None:
        """What of a registry follows a stage's champion; None where only tags are written, or nothing."""
        mode, names = self.mode_of(model), self.policy.stage_names
        if mode is None or mode == "tags-only" or stage not in names:
            return None
        if mode == "status" and stage != names[-1]:  # a package has one status, whatever its stages
            return None
        if mode == "stage" and stage not in names[-2:]:  # it has two stages that serve; more of ours would share one
            return None
        return Place(model, mode, registry.target(mode, model, stage, stage == names[-1]))

    # -- noticing ------------------------------------------------------------------------------------------------

    def watch(self, registry: Registry, now: datetime, model: str | None = None) -> int:
        """Compare every champion that the registry was told of with what it holds; how many places were looked at.

        Raises `Unavailable`.
        """
        with self.database.read() as session:
            since = write_backs.last_id(session)
            watched = drifts.watched(session, registry.name, model)
            standing = drifts.standing(session, registry.name)
        places = {each: self.place(registry, each.model, each.stage) for each in watched}
        held = registry.held([place for place in places.values() if place is not None])
        for each, place in places.items():
            if place is None:
                continue
            there = _shown(held.get(place))
            if there != standing.get((each.model, each.stage), each.expected):
                self._compare(registry, each, place, since, now)
        return len(places)

    def _compare(self, registry: Registry, watched: drifts.Watched, place: Place, since: int, now: datetime) -> None:
        """Look at one place again and write down what is different, unless Baton decided something meanwhile."""
        said = ""
        try:
            there = _shown(registry.current(place.model, place.mode, place.target))
            if there != watched.expected:
                said = registry.moved_by(place, there, watched.expected)
        except Refused as no:  # renamed or deleted
            there, said = "", no.sentence
        with self.database.change() as session:
            if write_backs.touched(session, watched.model, watched.stage, since):
                return
            found = drifts.find(session, watched.model, watched.stage)
            if there == watched.expected:
                if found is not None and found.state == "open":
                    drifts.close(session, found, "gone", drifts.BATON, now)
            elif found is None:
                words = registry.named(place.mode, place.target)
                self._notice(session, registry.name, watched, words, there, said, now)
            elif found.state == "open" and (found.found, found.expected) != (there, watched.expected):
                found.found, found.expected, found.said = there, watched.expected, said
                drifts.changed(session, found, now)

    def noticed(self, session: Session, row: WriteBackRow, words: str, found: str, said: str, now: datetime) -> None:
        """A decision could not be written, since somebody else had moved what it moves; `said` is who."""
        there = drifts.find(session, row.model, row.stage)
        if there is not None:
            there.found, there.expected, there.said = found, row.version, said
            drifts.changed(session, there, now)
            return
        watched = drifts.Watched(row.model, row.stage, row.version)
        self._notice(session, row.origin, watched, words, found, said, now)

    def _notice(
        self, session: Session, name: str, watched: drifts.Watched, words: str, found: str, said: str, now: datetime
    ) -> None:
        row = DriftRow(
            origin=name, model=watched.model, stage=watched.stage, place=words, expected=watched.expected, found=found,
            said=said, opened_at=now,
        )  # fmt: skip
        drifts.notice(session, row, self.policy.channel(watched.model, watched.stage), now)

    def put_back(self, session: Session, row: WriteBackRow, found: str, now: datetime) -> None:
        """What came of putting Baton's champion back."""
        drift = drifts.row(session, row.drift_id or 0)
        if drift.state != "reverting":
            return
        if row.state in write_backs.SETTLED:
            drifts.close(session, drift, "reverted", Actor.parse(drift.closed_by, drift.closed_by_name), now)
            return
        drift.state, drift.said = "open", row.said
        drift.closed_by = drift.closed_by_name = ""
        drift.found = found if row.state == "moved" else drift.found
        drifts.changed(session, drift, now)

    # -- answering -----------------------------------------------------------------------------------------------

    def show(self, drift_id: int) -> Drift:
        """A drift as it stands now. Raises `NotFound`."""
        with self.database.read() as session:
            row = drifts.row(session, drift_id)
            adoptable = row.state == "open" and self._known(session, row)
        closed = Actor.parse(row.closed_by, row.closed_by_name) if row.closed_by else None
        return Drift(
            row.id, row.origin, row.model, row.stage, row.place, row.expected, row.found, row.said, row.state,
            row.opened_at, adoptable, row.closed_at, closed, row.promotion_id,
        )  # fmt: skip

    def revert(self, actor: Actor, drift_id: int, seen: str) -> None:
        """Have Baton's champion written back over what the person saw there. Raises `Refused`."""
        now = self._refuse(actor, drift_id)
        with self.database.change() as session:
            row = self._open(session, drift_id, seen)
            model = registry.model_row(session, row.model)
            serving = store.champion(session, model.id, row.stage)
            if serving is None or serving.version.version != row.expected:
                raise Conflict(
                    "champion-changed", f"{row.expected} serves {row.stage} no longer; wait for the next look."
                )
            row.state, row.said = "reverting", ""
            row.closed_by, row.closed_by_name = str(actor), actor.name
            write_backs.want_revert(session, row, serving.promotion_id, now)
            data = {"registry": row.origin, "place": row.place, "expected": row.expected, "found": row.found}
            subject = audit.Subject(row.model, row.expected, row.stage)
            audit.append(session, now, actor, "drift_revert_asked", subject, data)
            drifts.changed(session, row, now)

    def adopt(self, actor: Actor, drift_id: int, seen: str) -> PromotionView:
        """Make what somebody moved there Baton's champion, as a recorded promotion; nothing is deployed.

        Raises `Refused`: not theirs to adopt, vetoed, unknown here, or something is under way.
        """
        now = self._refuse(actor, drift_id)
        person = self.promotions.directory.person(actor.id) or Person(actor.id, actor.name, active=False)
        with self.database.change() as session:
            row = self._open(session, drift_id, seen)
            if not self._known(session, row):
                raise Conflict(
                    "not-adoptable", f"What {row.place} holds is no version that Baton took over from there."
                )
            found = self.promotions.judge.judgement(session, row.model, row.found, row.stage)
            self._refuse_own(found.stage, person, found.candidate.lineage.trained_by, f"{row.model} {row.found}")
            for blocker in self.promotions.judge.blockers(session, found, now, deliberate=True):
                if blocker.kind == "veto" and blocker.blocking:
                    raise Conflict("blocked-veto", f"{blocker.sentence} It can only be put back.")
            self._make_way(session, found.active, actor, now, f"{row.model} {row.found} was adopted instead")
            reason = f"adopted from {row.origin}, where somebody had moved {row.place}"
            promotion = self.promotions.evaluation.open(session, Kind.PROMOTION, found, actor, reason, now)
            _, facts = self.promotions.evaluation.measure(session, promotion, found)
            rolling.change_champion(session, promotion, promotion.version_id, now)
            transition(session, promotion, State.EVALUATING, Event.ADOPTED, actor, now, reason, facts)
            row.promotion_id = promotion.id
            drifts.close(session, row, "adopted", actor, now)
            return store.load(session, promotion.id)

    def _refuse(self, actor: Actor, drift_id: int) -> datetime:
        """The time of the act. Raises `NotAllowed` for whoever may neither roll back nor approve."""
        with self.database.read() as session:
            stage = drifts.row(session, drift_id).stage
        self.promotions.permissions.refuse_settle(actor, stage)
        return self.promotions.clock()

    def _open(self, session: Session, drift_id: int, seen: str) -> DriftRow:
        row = drifts.row(session, drift_id, lock=True)
        who = row.closed_by_name or "Somebody"
        if row.state != "open":
            said = {
                "reverting": f"{who} has it put back already.",
                "reverted": f"{who} had it put back already.",
                "adopted": f"{who} adopted it already (P-{row.promotion_id}).",
                "gone": f"It is as it should be again: {row.place} of {row.model} holds {row.expected}.",
            }[row.state]
            raise Conflict("drift-settled", said)
        if row.found != seen:
            raise Conflict(
                "moved-again", f"It was moved again, to {row.found or 'nothing'}; look at the message once more."
            )
        return row

    def _known(self, session: Session, row: DriftRow) -> bool:
        model = registry.find_model(session, row.model)
        version = registry.find_version(session, model.id, row.found) if model and row.found else None
        return version is not None and registries.origin(session, version.id) == row.origin

    def _refuse_own(self, stage: Stage, person: Person, trained_by: str, what: str) -> None:
        if person.id in approvals.barred(stage.approvals, [person], Actor.system("drift"), trained_by):
            raise NotAllowed("own-training", f"You trained {what}, so somebody else must adopt it.")

    def _make_way(self, session: Session, active: PromotionRow | None, actor: Actor, now: datetime, why: str) -> None:
        if active is not None and State(active.state) in UNDER_WAY:
            raise Conflict(
                "other-under-way",
                f"P-{active.id} is on its way to {active.stage}; once it has ended, look at this again.",
                promotion=active.id,
            )
        if active is not None:
            self.promotions.supersede(session, active, actor, now, why)


def _shown(there: str | None) -> str:
    """A version, or words that fit into a button; "" for nothing."""
    return (there or "")[:200]
