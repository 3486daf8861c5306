"""What the core asks of the world. A port exists only where two real implementations (or time) do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.orm import Session

from core.domain.model import Person

#: Returns the time now, aware, in UTC. Read once a decision.
Clock = Callable[[], datetime]


class Directory(Protocol):
    """Who is who. Implementations cache, and fail closed."""

    def person(self, user_id: str) -> Person | None:
        """The person behind an id; None if unknown. Raises `Unavailable` when it could not be found out."""

    def groups_of(self, user_id: str, groups: dict[str, list[str]]) -> frozenset[str]:
        """The names of those `groups` (name -> members: ids, e-mail addresses, "@user-group") that hold the person.

        Raises `Unavailable` when membership could not be found out.
        """

    def members(self, members: list[str]) -> list[Person]:
        """The people behind a group's members, as far as known now, for showing; never raises."""


class DeploymentQueue(Protocol):
    """The durable engine, as the deciding transaction sees it."""

    def enqueue(self, session: Session, deployment_id: int, model: str) -> None:
        """Start the deployment's workflow if, and only if, the caller's transaction commits."""

    def wake(self, session: Session, deployment_id: int) -> None:
        """Have the deployment's workflow look at its row again, once the caller's transaction commits."""


@dataclass(frozen=True)
class Act:
    """One act asked of a deploy target. `key` stays the same over every retry of it."""

    key: str
    body: dict[str, Any]
    timeout: float = 15.0


@dataclass(frozen=True)
class Answer:
    """What a target said to an act.

    `state`: `succeeded` (done), `started` (a report will follow), `refused` (permanent), `unclear` (try again with the
    same key).
    """

    state: str
    message: str = ""
    url: str = ""
    retry_after: float | None = None


class DeployTarget(Protocol):
    """Something that can put a version into service."""

    def send(self, act: Act) -> Answer:
        """Ask for the act once. Never raises for what the other side does; says so in the answer."""
