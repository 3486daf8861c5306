"""What is remembered of other registries: when each is asked next, and which of its versions are known. Book-keeping."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from core.ports import Sighting
from core.store.registry_tables import (
    RegistryEvent,
    RegistryModel,
    RegistryRow,
    RegistryVersion,
    WriteBackRow,
)
from core.store.tables import PromotionRow

#: How long one process may be at work on one registry before another may take it over.
CLAIM = timedelta(seconds=90)
#: After an outage began it is asked again after so many minutes, the last one from then on.
PAUSES = (1, 2, 4, 5)
#: A webhook that is older is refused for its time, so its repetitions need not be known any longer.
HEARD = timedelta(minutes=15)
AT_ONCE = 500


@dataclass(frozen=True)
class Standing:
    """How a registry is doing."""

    name: str
    seen_at: datetime | None
    listed_at: datetime | None
    due_at: datetime
    failures: int
    failing_since: datetime | None
    last_error: str
    told: bool


@dataclass(frozen=True)
class Wanted:
    """A version that is to be read."""

    id: int
    model: str
    number: int
    seen_at: datetime


def pause(failures: int) -> timedelta:
    """How long to leave alone what has failed so many times running."""
    return timedelta(minutes=PAUSES[min(max(failures, 1), len(PAUSES)) - 1])


def claim(session: Session, name: str, now: datetime) -> Standing | None:
    """Take a registry to work on it; None while somebody else is at it, or nothing of it is due."""
    row = session.get(RegistryRow, name)
    if row is None:
        row = RegistryRow(name=name, due_at=now, failures=0, last_error="", told=False)
        session.add(row)
        session.flush()
    if not _due(session, row, now):
        return None
    taken = session.execute(
        update(RegistryRow)
        .where(RegistryRow.name == name, or_(RegistryRow.claimed_until.is_(None), RegistryRow.claimed_until < now))
        .values(claimed_until=now + CLAIM)
        .execution_options(synchronize_session=False)
    )
    if taken.rowcount != 1:  # type: ignore[attr-defined]
        return None
    return Standing(
        row.name, row.seen_at, row.listed_at, row.due_at, row.failures, row.failing_since, row.last_error, row.told
    )


def work_due(session: Session, name: str, now: datetime) -> bool:
    """Whether there is anything to do about a registry; asked often, so cheaply."""
    row = session.get(RegistryRow, name)
    return row is None or ((row.claimed_until is None or row.claimed_until < now) and _due(session, row, now))


def _due(session: Session, row: RegistryRow, now: datetime) -> bool:
    if row.due_at <= now:
        return True
    if row.failures:  # until it answers again, it is only asked whether it does
        return False
    return any(
        session.scalar(query.limit(1)) is not None
        for query in (
            select(WriteBackRow.id).where(*_pending(row.name), WriteBackRow.due_at <= now),
            select(RegistryModel.model).where(RegistryModel.origin == row.name, RegistryModel.due_at <= now),
            select(RegistryVersion.id).where(*_waiting(row.name), RegistryVersion.due_at <= now),
        )
    )


def _pending(name: str) -> tuple[ColumnElement[bool], ...]:
    return WriteBackRow.origin == name, WriteBackRow.state == "pending"


def _waiting(name: str) -> tuple[ColumnElement[bool], ...]:
    return RegistryVersion.origin == name, RegistryVersion.state == "waiting"


def release(session: Session, name: str) -> None:
    """Let somebody else have it."""
    session.execute(update(RegistryRow).where(RegistryRow.name == name).values(claimed_until=None))


def ask_again(session: Session, name: str, at: datetime) -> None:
    """Poll it at `at`, whenever its turn was."""
    session.execute(update(RegistryRow).where(RegistryRow.name == name).values(due_at=at))


def answered(
    session: Session, name: str, now: datetime, due_at: datetime, seen_at: datetime | None, listed: bool
) -> None:
    """A poll went well. What waited for the registry to come back waits no longer."""
    session.execute(update(WriteBackRow).where(*_pending(name), WriteBackRow.due_at > now).values(due_at=now))
    values = {
        "polled_at": now, "due_at": due_at, "seen_at": seen_at, "failures": 0, "failing_since": None, "last_error": "",
        "told": False,
    }  # fmt: skip
    if listed:
        values["listed_at"] = now
    session.execute(update(RegistryRow).where(RegistryRow.name == name).values(**values))


def failed(session: Session, standing: Standing, now: datetime, sentence: str, told: bool) -> None:
    """A poll did not go well: the next one comes later each time."""
    failures = standing.failures + 1
    session.execute(
        update(RegistryRow)
        .where(RegistryRow.name == standing.name)
        .values(
            failures=failures,
            failing_since=standing.failing_since or now,
            last_error=sentence,
            told=told,
            due_at=now + pause(failures),
        )
    )


# -- models ------------------------------------------------------------------------------------------------------


def know_models(session: Session, name: str, models: Iterable[str], due_at: datetime) -> int:
    """Remember models that are taken over; those that are new here are due. How many were new."""
    wanted = list(dict.fromkeys(models))
    if not wanted:
        return 0
    there = set(session.scalars(select(RegistryModel.model).where(RegistryModel.origin == name)))
    news = [{"origin": name, "model": each, "due_at": due_at, "said": ""} for each in wanted if each not in there]
    if news:
        session.execute(insert(RegistryModel), news)
    return len(news)


def said(session: Session, name: str, model: str) -> str:
    """Why a model is not taken over, as it was told last; "" where nothing was."""
    row = session.get(RegistryModel, (name, model))
    return row.said if row is not None else ""


def know_clash(session: Session, name: str, model: str, sentence: str) -> bool:
    """Remember that a model is not taken over, and why; True when that is news."""
    row = session.get(RegistryModel, (name, model))
    if row is None:
        row = RegistryModel(origin=name, model=model, said="")
        session.add(row)
    if row.said == sentence:
        return False
    row.said, row.due_at = sentence, None
    session.flush()
    return True


def wake(session: Session, name: str, model: str, now: datetime) -> None:
    """Look at a model's versions now, those that were not ready too."""
    row = session.get(RegistryModel, (name, model))
    if row is None:
        session.add(RegistryModel(origin=name, model=model, due_at=now, said=""))
    else:
        row.due_at = now
    session.execute(update(RegistryVersion).where(*_waiting(name), RegistryVersion.model == model).values(due_at=now))


def due_models(session: Session, name: str, now: datetime) -> list[str]:
    """Models whose versions are to be listed, those that have waited longest first."""
    query = select(RegistryModel.model).where(RegistryModel.origin == name, RegistryModel.due_at <= now)
    return list(session.scalars(query.order_by(RegistryModel.due_at, RegistryModel.model).limit(AT_ONCE)))


def looked(session: Session, name: str, model: str, due_at: datetime) -> None:
    """A model's versions were listed; they are again at `due_at`."""
    session.execute(
        update(RegistryModel).where(RegistryModel.origin == name, RegistryModel.model == model).values(due_at=due_at)
    )


def other_origin(session: Session, name: str, model: str) -> str:
    """Another registry whose versions of the model were taken over; "" where there is none."""
    query = select(RegistryVersion.origin).where(
        RegistryVersion.model == model, RegistryVersion.origin != name, RegistryVersion.state == "registered"
    )
    return session.scalar(query.limit(1)) or ""


# -- versions ----------------------------------------------------------------------------------------------------


def highest(session: Session, name: str, model: str) -> int:
    """The highest number of a model's versions that was seen; 0 for none."""
    query = select(func.max(RegistryVersion.number)).where(
        RegistryVersion.origin == name, RegistryVersion.model == model
    )
    return session.scalar(query) or 0


def sight(session: Session, name: str, sightings: Iterable[Sighting], now: datetime) -> int:
    """Remember versions until they are registered; how many were new."""
    wanted = {(each.model, each.number): each for each in sightings}
    if not wanted:
        return 0
    models = sorted({model for model, _ in wanted})
    there: set[tuple[str, int]] = set()
    for start in range(0, len(models), AT_ONCE):
        rows = session.execute(
            select(RegistryVersion.model, RegistryVersion.number).where(
                RegistryVersion.origin == name, RegistryVersion.model.in_(models[start : start + AT_ONCE])
            )
        )
        there |= {(row.model, row.number) for row in rows}
    news = [
        {"origin": name, "model": each.model, "number": each.number, "created_at": each.at, "seen_at": now,
         "state": "waiting", "due_at": now, "said": ""}
        for key, each in wanted.items()
        if key not in there
    ]  # fmt: skip
    if news:
        session.execute(insert(RegistryVersion), news)
    return len(news)


def due_versions(session: Session, name: str, now: datetime) -> list[Wanted]:
    """Versions that are to be read, the newest first: somebody waits for those."""
    query = select(RegistryVersion).where(*_waiting(name), RegistryVersion.due_at <= now)
    rows = session.scalars(query.order_by(RegistryVersion.created_at.desc(), RegistryVersion.id.desc()).limit(AT_ONCE))
    return [Wanted(row.id, row.model, row.number, row.seen_at) for row in rows]


def put_off(session: Session, version_id: int, until: datetime, sentence: str) -> None:
    """Not ready yet: read it again later."""
    session.execute(update(RegistryVersion).where(RegistryVersion.id == version_id).values(due_at=until, said=sentence))


def settle(session: Session, seen_id: int, state: str, sentence: str, version_id: int | None = None) -> None:
    """It is registered, left where it is, or refused."""
    session.execute(
        update(RegistryVersion)
        .where(RegistryVersion.id == seen_id)
        .values(state=state, said=sentence, version_id=version_id)
    )


def origin(session: Session, version_id: int) -> str:
    """The registry that a version came from; "" where it came from none."""
    query = select(RegistryVersion.origin).where(RegistryVersion.version_id == version_id)
    return session.scalar(query) or ""


def kept_back(session: Session, model: str, version: str) -> str:
    """Why a version that people may know from a registry is not here, as sentences that follow on others; "" if nobody
    knows.
    """
    number = int(version) if version.isascii() and version.isdecimal() and len(version) < 10 else 0
    seen = select(RegistryVersion).where(RegistryVersion.model == model, RegistryVersion.number == number)
    rows = session.scalars(seen.where(RegistryVersion.state != "registered").order_by(RegistryVersion.origin))
    said = [f" The registry {row.origin} has it: {row.said[:400] or 'it is about to be read.'}" for row in rows]
    if said:
        return "".join(said)
    homes = set(session.scalars(select(RegistryModel.origin).where(RegistryModel.model == model)))
    away = session.scalars(select(RegistryRow).where(RegistryRow.failures > 0).order_by(RegistryRow.name))
    return "".join(
        f" It may be in the registry {row.name}, which does not answer: {row.last_error[:400]}"
        for row in away
        if not homes or row.name in homes  # a model that nobody knows may be new there
    )


def notes(session: Session, version_id: int) -> tuple[str, str]:
    """The registry that a version came from ("" for none), and what was said of it there: what is no number and why."""
    query = select(RegistryVersion.origin, RegistryVersion.said).where(RegistryVersion.version_id == version_id)
    found = session.execute(query).first()
    return (found.origin, found.said) if found else ("", "")


# -- webhooks ----------------------------------------------------------------------------------------------------


def hear(session: Session, name: str, delivery: str, now: datetime) -> bool:
    """Remember a webhook; False for one that was heard before."""
    session.execute(delete(RegistryEvent).where(RegistryEvent.at < now - HEARD))
    if session.get(RegistryEvent, (name, delivery)) is not None:
        return False
    session.add(RegistryEvent(origin=name, delivery=delivery, at=now))
    session.flush()
    return True


# -- figures -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RegistryFigures:
    """One registry in numbers."""

    name: str
    trouble: str  #: "" while it answers
    polled_at: datetime | None
    waiting: int
    pending: int


def figures(session: Session) -> list[RegistryFigures]:
    """Every registry that was ever asked."""

    def by(column: object, state: object) -> dict[str, int]:
        rows = session.execute(select(column, func.count()).where(state).group_by(column))  # type: ignore[call-overload]
        return {str(name): int(count) for name, count in rows}

    waiting = by(RegistryVersion.origin, RegistryVersion.state == "waiting")
    pending = by(WriteBackRow.origin, WriteBackRow.state == "pending")
    return [
        RegistryFigures(row.name, row.last_error, row.polled_at, waiting.get(row.name, 0), pending.get(row.name, 0))
        for row in session.scalars(select(RegistryRow).order_by(RegistryRow.name))
    ]


def ever_asked(session: Session, version_id: int) -> bool:
    """Whether anybody ever asked for a version, for whichever stage."""
    return session.scalar(select(PromotionRow.id).where(PromotionRow.version_id == version_id).limit(1)) is not None
