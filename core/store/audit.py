"""The audit chain: append-only, each event's hash covering the event and the hash before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import case, func, insert, or_, select
from sqlalchemy.orm import Session

from core.domain.model import Actor
from core.store.tables import AuditEvent, PromotionRow

GENESIS = "0" * 64
#: Under this key a session keeps the chain's head: its transaction is the only one that writes.
HEAD = "baton.head"
#: Built once, and plain rows instead of objects: every click waits for these two.
_EVENTS = AuditEvent.__table__
_LAST = select(_EVENTS.c.seq, _EVENTS.c.hash).order_by(_EVENTS.c.seq.desc()).limit(1)
_ADD = insert(AuditEvent.__table__)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Subject:
    """What an event is about; empty where it is about nothing of the kind."""

    model: str = ""
    version: str = ""
    stage: str = ""
    promotion_id: int | None = None
    deployment_id: int | None = None

    @classmethod
    def of(cls, promotion: PromotionRow, deployment_id: int | None = None) -> Subject:
        """The subject of everything that happens to `promotion`."""
        return cls(promotion.model.name, promotion.version.version, promotion.stage, promotion.id, deployment_id)


def as_dict(event: AuditEvent) -> dict[str, Any]:
    """The event as it is hashed and exported; `promotion` and `deployment` are written P-n and D-n."""
    return {
        "seq": event.seq,
        "at": event.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": event.actor,
        "actor_name": event.actor_name,
        "kind": event.kind,
        "model": event.model,
        "version": event.version,
        "stage": event.stage,
        "promotion": f"P-{event.promotion_id}" if event.promotion_id else None,
        "deployment": f"D-{event.deployment_id}" if event.deployment_id else None,
        "data": event.data,
        "prev_hash": event.prev_hash,
        "hash": event.hash,
    }


def digest(event: AuditEvent) -> str:
    """SHA-256 over the canonical JSON (sorted keys, no spaces, UTF-8) of all fields but `hash` itself."""
    fields = as_dict(event)
    del fields["hash"]
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def append(
    session: Session, at: datetime, actor: Actor, kind: str, subject: Subject, data: dict[str, Any] | None = None
) -> AuditEvent:
    """Add one event to the chain. Only inside `Database.change()`, which lets one writer in at a time."""
    seq, before = session.info.get(HEAD) or head(session)
    event = AuditEvent(
        seq=seq + 1,
        at=at,
        actor=str(actor),
        actor_name=actor.name,
        kind=kind,
        model=subject.model,
        version=subject.version,
        stage=subject.stage,
        promotion_id=subject.promotion_id,
        deployment_id=subject.deployment_id,
        data=data or {},
        prev_hash=before,
        hash="",
    )
    event.hash = digest(event)
    session.execute(_ADD, {column.name: getattr(event, column.name) for column in _EVENTS.columns})
    session.info[HEAD] = event.seq, event.hash
    return event


def events(session: Session, after: int = 0, limit: int | None = None, **equals: str) -> Iterator[AuditEvent]:
    """Events with `seq` above `after` in order; `model=` narrows. Streams, so that a year fits."""
    query = select(AuditEvent).where(AuditEvent.seq > after).order_by(AuditEvent.seq)
    for column, value in equals.items():
        query = query.where(getattr(AuditEvent, column) == value)
    if limit is not None:
        query = query.limit(limit)
    with closing(session.scalars(query.execution_options(yield_per=1000))) as found:  # whoever stops half way
        yield from found


def happened(session: Session, promotion_id: int, kind: str, since: datetime) -> bool:
    """Whether something of this kind happened to a promotion since then."""
    found = select(_EVENTS.c.seq).where(
        _EVENTS.c.promotion_id == promotion_id, _EVENTS.c.kind == kind, _EVENTS.c.at >= since
    )
    return session.execute(found.limit(1)).first() is not None


@dataclass(frozen=True)
class Verification:
    """What `verify` found: how many events, the chain's head, and the first thing wrong ("" when nothing is)."""

    count: int
    head: str
    problem: str


def verify(session: Session) -> Verification:
    """Walk the whole chain; stop at the first event that does not fit."""
    count, head = 0, GENESIS
    for event in events(session):
        if event.seq != count + 1:
            return Verification(count, head, f"event {count + 1} is missing: event {event.seq} follows event {count}.")
        if event.prev_hash != head:
            return Verification(
                count, head, f"event {event.seq} does not follow on event {count}: its prev_hash differs."
            )
        if digest(event) != event.hash:
            return Verification(count, head, f"event {event.seq} was changed after it was written: its hash differs.")
        count, head = event.seq, event.hash
        session.expunge(event)
    return Verification(count, head, "")


def about(session: Session, promotion_id: int) -> list[AuditEvent]:
    """Everything that happened to a promotion, in order."""
    query = select(AuditEvent).where(AuditEvent.promotion_id == promotion_id).order_by(AuditEvent.seq)
    return list(session.scalars(query))


def head(session: Session) -> tuple[int, str]:
    """The number and the hash of the last event; 0 and zeros where there is none."""
    last = session.execute(_LAST).first()
    return (last.seq, last.hash) if last else (0, GENESIS)


def loose(session: Session, first: int) -> int | None:
    """The first event, from `first` to the head, that does not carry the hash of the one before it; None if all do.

    It reads no more of the events than their hashes, so it is quick, and sees no change that left those alone.
    """
    before = _EVENTS.alias()
    expected = case((_EVENTS.c.seq == 1, GENESIS), else_=before.c.hash)
    query = (
        select(func.min(_EVENTS.c.seq))
        .select_from(_EVENTS.outerjoin(before, before.c.seq == _EVENTS.c.seq - 1))
        .where(_EVENTS.c.seq >= first, or_(expected.is_(None), expected != _EVENTS.c.prev_hash))
    )
    found: int | None = session.execute(query).scalar()
    return found
