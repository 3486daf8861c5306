"""How a deployment ends: each end is one transaction over the deployment, the promotion and the champion."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session, joinedload

from core import rolling
from core.domain.errors import StaleState
from core.domain.lifecycle import Event
from core.domain.model import Actor, DeploymentState, State
from core.policy import texts
from core.ports import Clock, DeploymentQueue
from core.store.database import Database
from core.store.tables import DeploymentRow
from core.store.transition import transition

BATON = Actor.system("deployments")
D = DeploymentState
ENDED = frozenset({D.SUCCEEDED.value, D.FAILED.value, D.ERRORED.value, D.CANCELLED.value})

#: The target may or may not have done it.
UNCLEAR = ("unreachable", "broke")
#: A deployment is never looked at without it.
WITH_PROMOTION = (joinedload(DeploymentRow.promotion),)
UNDER_WAY = frozenset({State.APPROVED, State.DEPLOYING, State.ROLLING_BACK})


class Outcomes:
    """Writes the end of a deployment down, once; whoever comes second changes nothing."""

    def __init__(self, database: Database, queue: DeploymentQueue, clock: Clock) -> None:
        self.database = database
        self.queue = queue
        self.clock = clock

    def end(self, deployment_id: int, outcome: str, words: str) -> str:
        """End the deployment by `outcome`: succeeded, failed, refused, silent, unreachable, stopped or broke.

        `words` are what was heard last. Returns the deployment's state. Ends nothing that has ended.
        """
        now = self.clock()
        with self.database.change() as session:
            row = session.get_one(DeploymentRow, deployment_id, options=WITH_PROMOTION)
            if row.state in ENDED:
                return row.state
            if State(row.promotion.state) not in UNDER_WAY:
                _close(session, row, D.CANCELLED, "its promotion ended without it", now)
                return D.CANCELLED.value
            undoes = row.promotion.state == State.ROLLING_BACK
            if outcome == "stopped" and undoes:  # nobody can stop putting things back
                outcome = "broke"
            if outcome == "succeeded" and row.abort and not undoes and rolling.way_back(session, row.promotion):
                outcome, words = "stopped", row.abort  # whoever stopped it was told so before the target was done
            ends: dict[str, Callable[[Session, DeploymentRow, str, datetime], None]] = {
                "succeeded": self._put_back if undoes else self._succeed,
                "stopped": self._stop,
            }
            sentence = words if outcome in ends else _sentence(row, outcome, words)
            otherwise = self._give_up if undoes else self._withdraw(outcome) if row.step else _bad_end(outcome)
            act = ends.get(outcome) or otherwise
            act(session, row, sentence, now)
            return row.state

    def _succeed(self, session: Session, row: DeploymentRow, words: str, now: datetime) -> None:
        _close(session, row, D.SUCCEEDED, words, now)
        rolling.succeeded(session, row, self.queue, now)

    def _withdraw(self, outcome: str) -> Callable[[Session, DeploymentRow, str, datetime], None]:
        """A later step, or a later member, did not work: what has moved goes back."""

        def end(session: Session, row: DeploymentRow, sentence: str, now: datetime) -> None:
            unclear = row.promotion.members is not None and outcome in UNCLEAR
            _close(session, row, D.ERRORED if unclear else D.FAILED, sentence, now)
            why = f"{_of_bundle(row)}{sentence}"
            rolling.undo(session, row.promotion, self.queue, Event.TRAFFIC_WITHDRAWN, why, now)

        return end

    def _put_back(self, session: Session, row: DeploymentRow, words: str, now: datetime) -> None:
        _close(session, row, D.SUCCEEDED, words, now)
        if row.promotion.members is not None:
            self._go_on_back(session, row, now)
            return
        cause = texts.ended(row.promotion.end_reason)
        why = f"{cause} {row.promotion.version.version} was taken back; {row.version.version} serves again.".strip()
        facts = {"deployment": f"D-{row.id}", "url": row.url, "message": row.message}
        transition(session, row.promotion, State.ROLLING_BACK, Event.ROLLBACK_SUCCEEDED, BATON, now, why, facts)

    def _give_up(self, session: Session, row: DeploymentRow, sentence: str, now: datetime) -> None:
        sentence = f"Putting {row.version.version} back failed: {sentence} A person must look at what is served."
        _close(session, row, D.ERRORED, sentence, now)
        if row.promotion.members is not None:
            self._go_on_back(session, row, now)
            return
        cause = texts.ended(row.promotion.end_reason)
        transition(session, row.promotion, State.ROLLING_BACK, Event.BROKE, BATON, now, f"{cause} {sentence}".strip())

    def _go_on_back(self, session: Session, row: DeploymentRow, now: datetime) -> None:
        """The next member of a bundle goes back, also where one could not; then the promotion ends."""
        if not rolling.next_back(session, row.promotion, self.queue, now):
            rolling.back_again(session, row.promotion, now)

    def _stop(self, session: Session, row: DeploymentRow, reason: str, now: datetime) -> None:
        """Somebody wants it undone: the version that still is the champion is asked for again."""
        promotion = row.promotion
        if not row.attempts and not row.step:  # the target never heard of it
            _close(session, row, D.CANCELLED, reason, now)
            rolling.end(promotion)
            transition(session, promotion, State.DEPLOYING, Event.ROLLBACK_REQUESTED, BATON, now, reason)
            why = f"{texts.ended(reason)} The target had not been asked yet; nothing has changed."
            transition(session, promotion, State.ROLLING_BACK, Event.ROLLBACK_SUCCEEDED, BATON, now, why)
            return
        if not rolling.way_back(session, promotion):
            sentence = (
                f"{texts.ended(reason)} Nothing served {promotion.stage} before it, so there is nothing to put back; "
                f"{row.target} may hold a half-done deployment. A person must look."
            )
            _bad_end("refused")(session, row, sentence, now)
            return
        _close(session, row, D.CANCELLED, reason, now)
        rolling.undo(session, promotion, self.queue, Event.ROLLBACK_REQUESTED, reason, now)


def ended_sentence(row: DeploymentRow) -> str:
    """Why a report comes too late."""
    ended = {
        D.SUCCEEDED.value: "has succeeded already",
        D.FAILED.value: "has failed already",
        D.ERRORED.value: "has ended in an error already",
        D.CANCELLED.value: "was stopped",
    }[row.state]
    return f"D-{row.id} {ended}; the report changes nothing."


def span(seconds: int) -> str:
    """`15m`, as the policy file writes it."""
    for size, letter in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size}{letter}"
    return f"{seconds}s"


def _sentence(row: DeploymentRow, outcome: str, words: str) -> str:
    words = words.strip().rstrip(".")
    ending = f": {words}." if words else "."
    return {
        "failed": f"{row.target} reported that it failed{ending}",
        "refused": f"{row.target} refused it{ending}",
        "silent": f"{row.target} did not report within {span(row.timeout_seconds)}.",
        "unreachable": f"{row.target} could not be reached within {span(row.timeout_seconds)}{ending}",
        "broke": f"Baton could not carry it out ({words or 'unknown'}); {row.target or 'the stage'} may hold a half-done "
        "deployment. A person must look.",
    }[outcome]


def _of_bundle(row: DeploymentRow) -> str:
    """Which member a sentence is about."""
    return f"{row.version.model.name} {row.version.version}: " if row.promotion.members else ""


def _bad_end(outcome: str) -> Callable[[Session, DeploymentRow, str, datetime], None]:
    broke = outcome in UNCLEAR

    def end(session: Session, row: DeploymentRow, sentence: str, now: datetime) -> None:
        _close(session, row, D.ERRORED if broke else D.FAILED, sentence, now)
        rolling.end(row.promotion)
        sentence = f"{_of_bundle(row)}{sentence}"
        facts = {"deployment": f"D-{row.id}", "url": row.url}
        state = State(row.promotion.state)
        if state is State.APPROVED:  # it broke before it began
            transition(session, row.promotion, state, Event.NO_LONGER_ELIGIBLE, BATON, now, sentence, facts)
        else:
            event = Event.BROKE if broke else Event.DEPLOYMENT_FAILED
            transition(session, row.promotion, state, event, BATON, now, sentence, facts)

    return end


def _close(session: Session, row: DeploymentRow, state: D, message: str, now: datetime) -> None:
    """One conditional UPDATE: of two who end a deployment at once, one does."""
    changed = session.execute(
        update(DeploymentRow)
        .where(DeploymentRow.id == row.id, DeploymentRow.seq == row.seq, DeploymentRow.state == row.state)
        .values(state=state.value, message=message or row.message, finished_at=now)
    )
    if changed.rowcount != 1:  # type: ignore[attr-defined]
        raise StaleState
