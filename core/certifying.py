"""Champions past their review period: asked about once a period, and certified anew by whoever may approve there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.domain.errors import BadInput, Conflict, NotAllowed, NotFound
from core.domain.model import Actor, Measurement, Outcome, Verdict
from core.policy import gates, recertifying
from core.policy.approvals import is_trainer
from core.policy.durations import spoken
from core.promotions import Promotions
from core.registration import validate_measurements
from core.store import audit, registry, review_tables
from core.store.database import Database
from core.store.review_tables import CertificationRow
from core.store.tables import Champion
from core.store.transition import tell
from core.store.views import verdict_from_json, verdict_to_json

BATON = Actor.system("reviews")
_mine = CertificationRow.champion_id == Champion.id
#: Since when a champion serves on one word: when it was certified last, or else its start.
_since: ColumnElement[datetime] = func.coalesce(
    select(CertificationRow.closed_at)
    .where(_mine, CertificationRow.state == "certified")
    .order_by(CertificationRow.id.desc())
    .limit(1)
    .scalar_subquery(),
    Champion.since,
)
_asked = select(CertificationRow.id).where(_mine, CertificationRow.state == "open").exists()


@dataclass(frozen=True)
class Certification:
    """One champion that is to be re-certified, for showing. `late`: how long it has served on one word, for people."""

    id: int
    model: str
    version: str
    stage: str
    promotion: str
    state: str
    since: datetime
    late: str
    verdicts: tuple[Verdict, ...]
    closed_at: datetime | None = None
    closed_by: Actor | None = None

    @property
    def ready(self) -> bool:
        """Whether somebody's word is all that is missing."""
        return self.state == "open" and gates.overall(self.verdicts) is Outcome.PASSED


class Certifying:
    """Shares its collaborators with `Promotions`."""

    def __init__(self, promotions: Promotions) -> None:
        self.promotions = promotions
        self.policy = promotions.policy
        self.database = promotions.database

    # -- the clock -----------------------------------------------------------------------------------------------

    def tick(self, now: datetime) -> list[int]:
        """Ask about every champion whose period is over; those that serve no longer are asked about no more."""
        asked = []
        self._drop(now)
        for stage in self.policy.stages:
            if stage.review is None:
                continue
            for champion_id in self._due(stage.name, now - stage.review.after):
                try:
                    asked += self._ask(stage.name, champion_id, stage.review.after, now)
                except IntegrityError:  # another process was quicker
                    continue
        return asked

    def _due(self, stage: str, before: datetime) -> list[int]:
        """Champions whose period began by then and that nobody is asked about yet: most ticks find none, and write nothing."""
        with self.database.read() as session:
            return list(
                session.scalars(
                    select(Champion.id)
                    .where(Champion.stage == stage, Champion.until.is_(None), _since <= before, ~_asked)
                    .order_by(Champion.id)
                )
            )

    def _ask(self, stage: str, champion_id: int, after: timedelta, now: datetime) -> list[int]:
        with self.database.change() as session:
            due = select(_since).where(
                Champion.id == champion_id, Champion.until.is_(None), _since <= now - after, ~_asked
            )
            since = session.scalar(due)
            if since is None:
                return []
            champion = session.get_one(Champion, champion_id)
            row = CertificationRow(champion_id=champion_id, since=since, asked_at=now, verdicts=[])
            session.add(row)
            session.flush()
            model, version = champion.version.model.name, champion.version.version
            review_tables.want_message(session, row.id, self.policy.channel(model, stage), now)
            said = f"version {version} was approved for {stage} {spoken(now - since)} ago"
            data = {"reason": said, "after_seconds": int(after.total_seconds())}
            tell(session, _subject(champion), "recertification_asked", BATON, now, data)
            return [row.id]

    def _drop(self, now: datetime) -> None:
        query = (
            select(CertificationRow.id)
            .join(Champion, Champion.id == CertificationRow.champion_id)
            .where(CertificationRow.state == "open", Champion.until.is_not(None))
        )
        with self.database.read() as session:
            gone = list(session.scalars(query))
        for certification_id in gone:
            with self.database.change() as session:
                row = session.get_one(CertificationRow, certification_id, with_for_update=True)
                if row.state == "open":
                    row.state, row.closed_at = "gone", now
                    review_tables.message_stale(session, row.id, now)

    # -- what people and programs do -----------------------------------------------------------------------------

    def certify(self, actor: Actor, certification_id: int) -> Certification:
        """Say that a champion may serve on for another period. Raises `Refused`."""
        shown = self.show(certification_id)
        self._refuse(actor, shown)
        now = self.promotions.clock()
        with self.database.change() as session:
            row = session.get_one(CertificationRow, certification_id, with_for_update=True)
            champion = session.get_one(Champion, row.champion_id)
            if row.state == "certified":
                raise Conflict("certified-already", f"{row.closed_by_name or 'Somebody'} has re-certified it already.")
            if row.state != "open" or champion.until is not None:
                raise Conflict("no-champion-now", f"{shown.model} {shown.version} serves {shown.stage} no longer.")
            verdicts = self._verdicts(session, champion, now)
            lacking = [each.sentence for each in verdicts if each.decides]
            if lacking:
                remedy = (
                    f"Measure it again and post that to /models/{shown.model}/versions/{shown.version}/measurements."
                )
                said = f"{shown.model} {shown.version} cannot be re-certified: {' '.join(lacking)} {remedy}"
                raise Conflict("not-certifiable", said)
            row.state, row.closed_at, row.closed_by, row.closed_by_name = "certified", now, str(actor), actor.name
            row.verdicts = [verdict_to_json(each) for each in verdicts]
            session.flush()
            review_tables.message_stale(session, row.id, now)
            sentences = " ".join(each.sentence for each in verdicts)
            data = {"reason": sentences, "verdicts": row.verdicts, "since": row.since.isoformat()}
            tell(session, _subject(champion), "recertified", actor, now, data)
        return self.show(certification_id)

    def show(self, certification_id: int) -> Certification:
        """A certification as it stands now. Raises `NotFound`."""
        now = self.promotions.clock()
        with self.database.read() as session:
            row = session.get(CertificationRow, certification_id)
            if row is None:
                raise NotFound("unknown-certification", "There is no such question any more.")
            champion = session.get_one(Champion, row.champion_id)
            verdicts = tuple(verdict_from_json(each) for each in row.verdicts)
            return Certification(
                id=row.id,
                model=champion.version.model.name,
                version=champion.version.version,
                stage=champion.stage,
                promotion=f"P-{champion.promotion_id}",
                state=row.state,
                since=row.since,
                late=spoken((row.closed_at or now) - row.since),
                verdicts=verdicts if row.state != "open" else self._verdicts(session, champion, now),
                closed_at=row.closed_at,
                closed_by=Actor.parse(row.closed_by, row.closed_by_name) if row.closed_by else None,
            )

    def _verdicts(self, session: Session, champion: Champion, now: datetime) -> tuple[Verdict, ...]:
        stage = self.policy.stage(champion.stage)
        if stage is None or stage.review is None:
            said = f"The policy has no review for {champion.stage} any more."
            return (Verdict("fresh measurements", Outcome.INCONCLUSIVE, said),)
        fresh = review_tables.measured(session, champion.version_id, now - stage.review.measured_within)
        version = registry.to_model_version(champion.version, texts=False)
        return recertifying.judge(stage, version, [each for _, each in fresh])

    def _refuse(self, actor: Actor, shown: Certification) -> None:
        self.promotions.permissions.refuse_certify(actor, shown.stage)
        stage = self.policy.stage(shown.stage)
        person = self.promotions.directory.person(actor.id)
        if stage is None or stage.approvals is None or person is None:
            raise NotAllowed("may-not-certify", f"You may not re-certify champions of {shown.stage}.")
        with self.database.read() as session:
            trained_by = registry.version(session, shown.model, shown.version).lineage.trained_by
        if "trainer" in stage.approvals.exclude and is_trainer(person, trained_by):
            raise NotAllowed("trainer", "You trained this version, so someone else must re-certify it.")


def measure(
    database: Database, now: datetime, actor: Actor, model: str, version: str, given: Sequence[Measurement]
) -> None:
    """Keep what was measured of a version after it was registered. Raises `Refused`."""
    validate_measurements(tuple(given))
    if not given:
        raise BadInput("metrics", "metrics is empty; write at least one measurement.")
    with database.change() as session:
        row = registry.version_row(session, model, version)
        review_tables.measure(session, row.id, given, actor, now)
        data = {"metrics": {f"{each.name}[{each.slice}]" if each.slice else each.name: each.value for each in given}}
        audit.append(session, now, actor, "version_measured", audit.Subject(model=model, version=version), data)
        waiting = session.scalars(
            select(CertificationRow.id)
            .join(Champion, Champion.id == CertificationRow.champion_id)
            .where(CertificationRow.state == "open", Champion.version_id == row.id)
        )
        for certification_id in list(waiting):
            review_tables.message_stale(session, certification_id, now)


def _subject(champion: Champion) -> audit.Subject:
    version = champion.version
    return audit.Subject(version.model.name, version.version, champion.stage, champion.promotion_id)
