"""Whether the database answers, and the figures that are read off it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.exc import DatabaseError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.domain.model import DeploymentState
from core.store import messages, migrate
from core.store.database import Database
from core.store.tables import DecisionRow, DeploymentRow, PromotionRow

#: What the driver raises when the database is away or too busy: nobody's mistake, and worth another try.
AWAY: tuple[type[Exception], ...] = (OperationalError, InterfaceError, PoolTimeout)


def trouble(database: Database, seconds: float = 2.0) -> str:
    """Why the database cannot serve now, as one sentence; "" when it can. Answers within `seconds`, come what may."""
    found: list[str] = []

    def look() -> None:
        found.append(_look(database))

    asking = threading.Thread(target=look, name="readiness", daemon=True)
    asking.start()
    asking.join(seconds)
    return found[0] if found else f"The database does not answer within {seconds:g} s."


def _look(database: Database) -> str:
    try:
        with database.engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        there = migrate.current(database.engine)
    except (DatabaseError, InterfaceError, PoolTimeout):
        return "The database cannot be reached."
    if there != migrate.wanted():
        return "The database is not at this release's schema; run `baton migrate`."
    return ""


@dataclass(frozen=True)
class Figures:
    """What is counted in the database at one moment."""

    requests: dict[str, int]  #: by kind
    promotions: dict[str, int]  #: by state
    decisions: dict[str, int]  #: by kind
    stale_messages: int
    oldest_message: float
    pending_deployments: int
    oldest_deployment: float


_PENDING = select(func.count(), func.min(DeploymentRow.requested_at)).where(
    DeploymentRow.state == DeploymentState.PENDING
)


def figures(database: Database, now: datetime) -> Figures:
    """Count. Promotions and decisions are never deleted, so these only grow (but for the states and the queue)."""
    with database.read() as session:

        def by(column: object) -> dict[str, int]:
            rows = session.execute(select(column, func.count()).group_by(column))  # type: ignore[call-overload]
            return {str(name): int(count) for name, count in rows}

        depth, oldest = messages.backlog(session, now)
        pending, asked_at = session.execute(_PENDING).one()
        return Figures(
            requests=by(PromotionRow.kind),
            promotions=by(PromotionRow.state),
            decisions=by(DecisionRow.kind),
            stale_messages=depth,
            oldest_message=max(oldest, 0.0),
            pending_deployments=pending,
            oldest_deployment=max((now - asked_at).total_seconds(), 0.0) if asked_at else 0.0,
        )
