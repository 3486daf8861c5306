"""What single people want of Baton."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from core.store.database import Database
from core.store.people_tables import PreferenceRow


def want_digest(database: Database, user_id: str, wanted: bool, now: datetime) -> None:
    """Whether this person gets a digest of their own by direct message."""
    with database.change() as session:  # one at a time: who clicks twice at once adds one row
        row = session.get(PreferenceRow, user_id)
        if row is None:
            session.add(PreferenceRow(user_id=user_id, digest=wanted, updated_at=now))
        else:
            row.digest, row.updated_at = wanted, now


def wants_digest(database: Database, user_id: str) -> bool:
    """Whether they do."""
    with database.read() as session:
        row = session.get(PreferenceRow, user_id)
        return row is not None and row.digest


def digest_readers(database: Database) -> list[str]:
    """Everybody who wants one, by Slack id."""
    with database.read() as session:
        return list(
            session.scalars(select(PreferenceRow.user_id).where(PreferenceRow.digest).order_by(PreferenceRow.user_id))
        )
