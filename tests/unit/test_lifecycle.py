"""The life of a promotion: the table of arrows, and what must follow from it."""

from __future__ import annotations

from core.domain.lifecycle import ACTIVE, ENDS, TRANSITIONS, Event, next_state
from core.domain.model import State


def reachable(start: State) -> set[State]:
    found, ahead = set(), {start}
    while ahead:
        found |= ahead
        ahead = {target for (state, _), target in TRANSITIONS.items() if state in ahead} - found
    return found


def test_every_state_is_reached_from_the_first() -> None:
    assert reachable(State.EVALUATING) == set(State)


def test_from_every_state_there_is_a_way_to_an_end() -> None:
    for state in State:
        assert reachable(state) & ENDS, state


def test_the_ends_are_those_that_the_contract_names() -> None:
    named = "succeeded rejected expired cancelled superseded failed errored rolled_back"
    assert {state.value for state in ENDS} == set(named.split())
    assert set(State) == ACTIVE | ENDS
    assert not ACTIVE & ENDS


def test_nothing_leaves_an_end() -> None:
    for state in ENDS:
        assert [event for event in Event if next_state(state, event)] == []


def test_nothing_deploys_that_was_not_approved() -> None:
    """The only arrow into `deploying` comes from `approved`, and those into it are a quorum, a policy that asks nobody, or break-glass."""
    into = {(state, event) for (state, event), target in TRANSITIONS.items() if target is State.DEPLOYING}
    assert into == {(State.APPROVED, Event.DEPLOYMENT_STARTED)}
    into = {(state, event) for (state, event), target in TRANSITIONS.items() if target is State.APPROVED}
    assert into == {
        (State.AWAITING_APPROVAL, Event.QUORUM_REACHED),
        (State.EVALUATING, Event.AUTO_APPROVED),
        (State.AWAITING_APPROVAL, Event.GLASS_BROKEN),
        (State.EVALUATING, Event.GLASS_BROKEN),
    }


def test_nothing_succeeds_unverified_but_what_serves_already_and_is_adopted() -> None:
    into = {(state, event) for (state, event), target in TRANSITIONS.items() if target is State.SUCCEEDED}
    assert into == {(State.VERIFYING, Event.VERIFICATION_PASSED), (State.EVALUATING, Event.ADOPTED)}


def test_whatever_touched_its_target_ends_only_by_what_the_target_did() -> None:
    for state in (State.DEPLOYING, State.VERIFYING, State.ROLLING_BACK):
        for event in (Event.EXPIRED, Event.SUPERSEDED, Event.CANCELLED, Event.REJECTED):
            assert next_state(state, event) is None


def test_every_event_is_in_the_table() -> None:
    assert {event for _, event in TRANSITIONS} == set(Event)


def test_an_unknown_arrow_leads_nowhere() -> None:
    assert next_state(State.AWAITING_APPROVAL, Event.DEPLOYMENT_SUCCEEDED) is None
