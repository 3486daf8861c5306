"""Answers already given to requests that carry a key, so that asking twice does once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, delete, select, update
from sqlalchemy.exc import IntegrityError

from core.domain.errors import BadInput, Conflict
from core.store.database import Database
from core.store.report_tables import IdempotencyKey

KEPT = timedelta(hours=24)
#: After this long without an answer the first request is taken to have died with its process.
ABANDONED = timedelta(seconds=60)


#: Whose key it is: the id of an API token, or what a caller without one has proved to be, such as `target:prod-hook`.
Caller = int | str


@dataclass(frozen=True)
class Stored:
    """The first answer to a key."""

    status: int
    body: dict[str, Any]


def begin(database: Database, caller: Caller, key: str, request_hash: str, now: datetime) -> Stored | None:
    """Take the key for this request; None: go on and do it. The answer given before, if there is one.

    The key is written before anything is done. Raises `BadInput` for a key that was used for another request, and
    `Conflict` while the first request is at work.
    """
    try:
        with database.note() as session:
            row = session.scalar(select(IdempotencyKey).where(_of(caller), IdempotencyKey.key == key))
            if row is not None and row.created_at <= now - KEPT:
                session.delete(row)
                session.flush()
                row = None
            if row is None:
                token, other = (caller, None) if isinstance(caller, int) else (None, caller)
                row = IdempotencyKey(token_id=token, caller=other, key=key, request_hash=request_hash, created_at=now)
                session.add(row)
                session.flush()
                return None
            if row.request_hash != request_hash:
                raise BadInput(
                    "Idempotency-Key",
                    "This Idempotency-Key was used for another request in the last 24 hours; use a new key for a new "
                    "request.",
                )
            if row.status is not None:
                return Stored(row.status, row.body or {})
            took_over: CursorResult[Any] = session.execute(  # type: ignore[assignment]
                update(IdempotencyKey)
                .where(IdempotencyKey.id == row.id, IdempotencyKey.created_at <= now - ABANDONED)
                .values(created_at=now)
                .execution_options(synchronize_session=False)
            )
            if took_over.rowcount == 1:
                return None
    except IntegrityError:  # another request with this key was a moment quicker
        pass
    raise Conflict(
        "idempotency-in-progress",
        "The first request with this Idempotency-Key is still at work; ask again in a moment.",
    )


def finish(database: Database, caller: Caller, key: str, answer: Stored) -> None:
    """Keep the answer for whoever asks again."""
    with database.note() as session:
        session.execute(
            update(IdempotencyKey)
            .where(_of(caller), IdempotencyKey.key == key)
            .values(status=answer.status, body=answer.body)
        )


def release(database: Database, caller: Caller, key: str) -> None:
    """Nothing was done: the key may be used again, as if it never had been."""
    with database.note() as session:
        session.execute(
            delete(IdempotencyKey).where(_of(caller), IdempotencyKey.key == key, IdempotencyKey.status.is_(None))
        )


def _of(caller: Caller) -> ColumnElement[bool]:
    return IdempotencyKey.token_id == caller if isinstance(caller, int) else IdempotencyKey.caller == caller


def prune(database: Database, now: datetime) -> int:
    """Forget answers that are older than a day; how many."""
    with database.note() as session:
        gone: CursorResult[Any] = session.execute(  # type: ignore[assignment]
            delete(IdempotencyKey).where(IdempotencyKey.created_at <= now - KEPT)
        )
        return gone.rowcount
