"""What somebody moved in a registry past Baton: one open row and one message for each model and stage."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.domain.errors import NotFound
from core.domain.model import Actor
from core.store import audit
from core.store.messages import went_stale
from core.store.registry_tables import DriftRow, RegistryVersion, WriteBackRow
from core.store.tables import Champion, MessageRow, RegisteredModel, Version
from core.store.write_backs import MOVES

OPEN = ("open", "reverting")
BATON = Actor.system("registries")


@dataclass(frozen=True)
class Watched:
    """A place that Baton has written to, and the champion that should be there."""

    model: str
    stage: str
    expected: str


def watched(session: Session, name: str, model: str | None = None) -> list[Watched]:
    """Every model and stage whose champion a registry was told of at least once, with nothing still to be told."""
    told = select(WriteBackRow.id).where(
        WriteBackRow.model == RegisteredModel.name,
        WriteBackRow.stage == Champion.stage,
        WriteBackRow.decision.in_(MOVES),
        WriteBackRow.state.not_in(("pending", "nothing")),
    )
    waits = select(WriteBackRow.id).where(
        WriteBackRow.model == RegisteredModel.name,
        WriteBackRow.stage == Champion.stage,
        WriteBackRow.state == "pending",
    )
    query = (
        select(RegisteredModel.name, Champion.stage, Version.version)
        .select_from(Champion)
        .join(RegisteredModel, RegisteredModel.id == Champion.model_id)
        .join(Version, Version.id == Champion.version_id)
        .join(RegistryVersion, RegistryVersion.version_id == Champion.version_id)
        .where(Champion.until.is_(None), RegistryVersion.origin == name, told.exists(), ~waits.exists())
    )
    if model is not None:
        query = query.where(RegisteredModel.name == model)
    return [Watched(row.name, row.stage, row.version) for row in session.execute(query)]


def standing(session: Session, name: str) -> dict[tuple[str, str], str]:
    """What was found where something moved, by model and stage; only what is still open."""
    rows = session.execute(
        select(DriftRow.model, DriftRow.stage, DriftRow.found).where(DriftRow.origin == name, DriftRow.state == "open")
    )
    return {(row.model, row.stage): row.found for row in rows}


def open_count(session: Session) -> int:
    """How many are not settled."""
    return session.scalar(select(func.count()).select_from(DriftRow).where(DriftRow.state.in_(OPEN))) or 0


def find(session: Session, model: str, stage: str) -> DriftRow | None:
    """The open drift of a model and stage."""
    return session.scalar(
        select(DriftRow).where(DriftRow.model == model, DriftRow.stage == stage, DriftRow.state.in_(OPEN))
    )


def row(session: Session, drift_id: int, lock: bool = False) -> DriftRow:
    """One drift. Raises `NotFound`."""
    found = session.get(DriftRow, drift_id, with_for_update=lock or None)
    if found is None:
        raise NotFound("unknown-drift", "Baton knows nothing of this any more.")
    return found


def notice(session: Session, found: DriftRow, channel: str, at: datetime) -> None:
    """Something moved: keep it, write it down and show it."""
    session.add(found)
    session.flush()
    data = {"registry": found.origin, "place": found.place, "expected": found.expected, "found": found.found}
    audit.append(
        session, at, BATON, "drift_noticed", _subject(found), data | ({"said": found.said} if found.said else {})
    )
    message = MessageRow(
        key=f"drift:{found.id}", kind="drift", promotion_id=None, channel=channel, body={"drift": found.id}, due_at=at,
        created_at=at,
    )  # fmt: skip
    session.add(message)
    session.flush()
    went_stale(session, -message.id)


def changed(session: Session, found: DriftRow, at: datetime) -> None:
    """Show it as it is now."""
    session.flush()
    message = session.scalar(select(MessageRow).where(MessageRow.key == f"drift:{found.id}"))
    if message is not None:
        message.wanted, message.due_at, message.attempts = message.wanted + 1, at, 0
        session.flush()
        went_stale(session, -message.id)


def close(session: Session, found: DriftRow, state: str, actor: Actor, at: datetime) -> None:
    """It is settled: `adopted`, `reverted`, or `gone` by itself."""
    found.state, found.closed_at = state, at
    if actor.kind == "user":
        found.closed_by, found.closed_by_name = str(actor), actor.name
    data = {"registry": found.origin, "place": found.place, "expected": found.expected, "found": found.found}
    audit.append(session, at, actor, f"drift_{state}", _subject(found), data)
    changed(session, found, at)


def _subject(found: DriftRow) -> audit.Subject:
    return audit.Subject(found.model, found.expected, found.stage, None)
