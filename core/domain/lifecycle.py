"""The life of a promotion: one table of (state, event) -> state, and what follows from it.

`core.store.transition` is the only place that carries an arrow out.
"""

from __future__ import annotations

from enum import StrEnum

from core.domain.model import State


class Event(StrEnum):
    """What may happen to a promotion, in the past tense; also the kinds of its audit events."""

    GATES_PASSED = "gates_passed"
    AUTO_APPROVED = "auto_approved"
    GATES_FAILED = "gates_failed"
    QUORUM_REACHED = "quorum_reached"
    REJECTED = "rejected"
    EVIDENCE_CHANGED = "evidence_changed"
    GLASS_BROKEN = "glass_broken"  #: somebody who may deployed it past its gates or its missing approvals
    DEPLOYMENT_STARTED = "deployment_started"
    NO_LONGER_ELIGIBLE = "no_longer_eligible"
    DEPLOYMENT_SUCCEEDED = "deployment_succeeded"
    DEPLOYMENT_FAILED = "deployment_failed"
    TRAFFIC_WITHDRAWN = "traffic_withdrawn"  #: the deployment failed after traffic had moved
    VERIFICATION_PASSED = "verification_passed"
    VERIFICATION_FAILED = "verification_failed"
    ROLLBACK_REQUESTED = "rollback_requested"
    ROLLBACK_SUCCEEDED = "rollback_succeeded"
    BROKE = "broke"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    ADOPTED = "adopted"  #: it was put to use past Baton, and somebody who may makes that the truth


S, E = State, Event

TRANSITIONS: dict[tuple[State, Event], State] = {
    (S.EVALUATING, E.GATES_PASSED): S.AWAITING_APPROVAL,
    (S.EVALUATING, E.AUTO_APPROVED): S.APPROVED,
    (S.EVALUATING, E.GATES_FAILED): S.FAILED,
    (S.EVALUATING, E.GLASS_BROKEN): S.APPROVED,
    (S.EVALUATING, E.CANCELLED): S.CANCELLED,
    (S.EVALUATING, E.SUPERSEDED): S.SUPERSEDED,
    (S.EVALUATING, E.EXPIRED): S.EXPIRED,
    (S.EVALUATING, E.ADOPTED): S.SUCCEEDED,
    (S.AWAITING_APPROVAL, E.QUORUM_REACHED): S.APPROVED,
    (S.AWAITING_APPROVAL, E.GLASS_BROKEN): S.APPROVED,
    (S.AWAITING_APPROVAL, E.REJECTED): S.REJECTED,
    (S.AWAITING_APPROVAL, E.CANCELLED): S.CANCELLED,
    (S.AWAITING_APPROVAL, E.SUPERSEDED): S.SUPERSEDED,
    (S.AWAITING_APPROVAL, E.EXPIRED): S.EXPIRED,
    (S.AWAITING_APPROVAL, E.EVIDENCE_CHANGED): S.EVALUATING,
    (S.APPROVED, E.DEPLOYMENT_STARTED): S.DEPLOYING,
    (S.APPROVED, E.EVIDENCE_CHANGED): S.EVALUATING,
    (S.APPROVED, E.NO_LONGER_ELIGIBLE): S.FAILED,
    (S.APPROVED, E.CANCELLED): S.CANCELLED,
    (S.APPROVED, E.SUPERSEDED): S.SUPERSEDED,  # by a rollback, which never waits for a promotion that has not begun
    (S.APPROVED, E.EXPIRED): S.EXPIRED,
    (S.DEPLOYING, E.DEPLOYMENT_SUCCEEDED): S.VERIFYING,
    (S.DEPLOYING, E.DEPLOYMENT_FAILED): S.FAILED,
    (S.DEPLOYING, E.TRAFFIC_WITHDRAWN): S.ROLLING_BACK,
    (S.DEPLOYING, E.ROLLBACK_REQUESTED): S.ROLLING_BACK,  # somebody stops it half way: the target must hear of it
    (S.DEPLOYING, E.BROKE): S.ERRORED,
    (S.VERIFYING, E.VERIFICATION_PASSED): S.SUCCEEDED,
    (S.VERIFYING, E.VERIFICATION_FAILED): S.ROLLING_BACK,
    (S.VERIFYING, E.ROLLBACK_REQUESTED): S.ROLLING_BACK,
    (S.ROLLING_BACK, E.ROLLBACK_SUCCEEDED): S.ROLLED_BACK,
    (S.ROLLING_BACK, E.BROKE): S.ERRORED,
}

#: States without an arrow out.
ENDS: frozenset[State] = frozenset(State) - {state for state, _ in TRANSITIONS}

#: States in which a promotion holds its model and stage; at most one such promotion exists for each.
ACTIVE: frozenset[State] = frozenset(State) - ENDS


def next_state(state: State, event: Event) -> State | None:
    """Where `event` leads from `state`; None when the table has no such arrow."""
    return TRANSITIONS.get((state, event))
