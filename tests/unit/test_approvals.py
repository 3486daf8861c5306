"""Who may approve, and when there are enough of them."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.errors import NotAllowed
from core.domain.model import Actor, Decision, DecisionKind, Person
from core.policy.approvals import Approver, Asked, awaited, is_trainer, may_decide, tally
from core.policy.stages import Approvals

AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ALICE = Person("U01ALICE", "Alice", "alice@example.com", "alice")
BOB = Person("U02BOB", "Bob", "bob@example.com", "bob.b")
CAROL = Person("U03CAROL", "Carol", "carol@example.com", "carol")
DAVE = Person("U04DAVE", "Dave", "dave@example.com", "dave")
MALLORY = Person("U66MALLORY", "Mallory", "mallory@example.com", "mallory")

TWO_SEATS = [{"group": "ml-leads", "at_least": 1}, {"group": "risk", "at_least": 1}]


def rule(**keys: Any) -> Approvals:
    return Approvals.model_validate({"quorum": 2, "from": TWO_SEATS} | {k.rstrip("_"): v for k, v in keys.items()})


def yes(person: Person, *groups: str) -> Decision:
    return Decision(Actor.user(person.id, person.name), DecisionKind.APPROVAL, AT, groups)


def no(person: Person, *groups: str) -> Decision:
    return Decision(Actor.user(person.id, person.name), DecisionKind.REJECTION, AT, groups, "no")


# -- counting ----------------------------------------------------------------------------------------------------


def test_a_quorum_is_met_by_distinct_people_of_the_named_groups() -> None:
    counted = tally(rule(), [yes(BOB, "ml-leads"), yes(CAROL, "risk")])
    assert counted.met
    assert counted.sentence == "2 of 2 approvals."
    assert [seat.filled_by[0].name for seat in counted.seats] == ["Bob", "Carol"]


@pytest.mark.parametrize(
    ("decisions", "sentence"),
    [
        ([], "0 of 2 approvals; still needed: 1 from ml-leads and 1 from risk."),
        ([yes(BOB, "ml-leads")], "1 of 2 approvals; still needed: 1 from risk."),
        ([yes(BOB, "ml-leads"), yes(BOB, "risk")], "1 of 2 approvals; still needed: 1 from risk."),
        ([yes(BOB, "ml-leads", "risk")], "1 of 2 approvals; still needed: 1 from risk."),
        ([yes(BOB, "ml-leads"), yes(ALICE, "ml-leads")], "2 of 3 approvals; still needed: 1 from risk."),
        ([yes(MALLORY)], "0 of 2 approvals; still needed: 1 from ml-leads and 1 from risk."),
        ([yes(MALLORY, "sales")], "0 of 2 approvals; still needed: 1 from ml-leads and 1 from risk."),
    ],
)
def test_what_is_still_needed_is_said(decisions: list[Decision], sentence: str) -> None:
    counted = tally(rule(), decisions)
    assert (counted.met, counted.sentence) == (False, sentence)


def test_what_one_group_owes_is_said_as_one_number() -> None:
    alone = Approvals.model_validate({"quorum": 3, "from": [{"group": "ml-leads", "at_least": 1}]})
    assert tally(alone, []).sentence == "0 of 3 approvals; still needed: 3 from ml-leads."
    assert tally(alone, [yes(BOB, "ml-leads")]).sentence == "1 of 3 approvals; still needed: 2 from ml-leads."


def test_somebody_in_both_groups_moves_over_for_somebody_in_one() -> None:
    both, one = yes(BOB, "ml-leads", "risk"), yes(CAROL, "ml-leads")
    for decisions in ([both, one], [one, both]):
        counted = tally(rule(), decisions)
        assert counted.met
        assert [seat.filled_by[0].name for seat in counted.seats] == ["Carol", "Bob"]


def test_a_quorum_above_the_seats_takes_anybody_of_the_groups() -> None:
    counted = tally(rule(quorum=3), [yes(BOB, "ml-leads"), yes(CAROL, "risk")])
    assert counted.sentence == "2 of 3 approvals; still needed: 1 from ml-leads or risk."
    assert tally(rule(quorum=3), [yes(BOB, "ml-leads"), yes(CAROL, "risk"), yes(ALICE, "risk")]).met


def test_seats_above_the_quorum_all_count() -> None:
    counted = tally(rule(quorum=1), [yes(BOB, "ml-leads")])
    assert (counted.met, counted.quorum) == (False, 2)


def test_one_rejection_means_no_however_many_approve() -> None:
    assert not tally(rule(), [yes(BOB, "ml-leads"), yes(CAROL, "risk"), no(ALICE, "risk")]).met


def test_tokens_and_baton_itself_are_nobody() -> None:
    machine = Decision(Actor("token", "ci"), DecisionKind.APPROVAL, AT, ("ml-leads", "risk"))
    assert not tally(rule(quorum=1, from_=[{"group": "risk"}]), [machine]).met


def test_empty_rules_are_met_by_nobody() -> None:
    for empty in (None, rule(from_=[]), Approvals()):
        counted = tally(empty, [yes(BOB, "ml-leads"), yes(CAROL, "risk")])
        assert not counted.met
        assert counted.sentence == "Nobody may approve: the policy names no approvers."


def test_where_approval_is_automatic_nobody_is_needed() -> None:
    assert tally(Approvals(automatic=True), []).met


GROUPS = ["a", "b", "c"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=3),
    st.integers(1, 4),
    st.lists(st.sets(st.sampled_from(GROUPS)), max_size=5),
)
def test_a_tally_is_met_exactly_when_some_seating_of_the_people_fills_every_seat(
    at_least: list[int], quorum: int, people: list[set[str]]
) -> None:
    named = GROUPS[: len(at_least)]
    approvals = rule(quorum=quorum, from_=[{"group": g, "at_least": n} for g, n in zip(named, at_least, strict=True)])
    decisions = [yes(Person(f"U{number}", ""), *sorted(groups)) for number, groups in enumerate(people)]
    counted = tally(approvals, decisions)

    eligible = [groups & set(named) for groups in people if groups & set(named)]
    seats = [group for group, number in zip(named, at_least, strict=True) for _ in range(number)]
    seated = len(seats) <= len(eligible) and any(
        all(seat in groups for seat, groups in zip(seats, order, strict=True))
        for order in permutations(eligible, len(seats))
    )
    assert counted.met is (seated and len(eligible) >= quorum)
    assert counted.met is ("needed" not in counted.sentence)
    filled = [actor.id for seat in counted.seats for actor in seat.filled_by]
    assert len(filled) == len(set(filled))
    assert all(len(seat.filled_by) <= seat.at_least for seat in counted.seats)


# -- who is awaited ----------------------------------------------------------------------------------------------

MEMBERS = {"ml-leads": [ALICE, BOB], "risk": [CAROL, Person("U04DAVE", "", handle="dave")]}


def test_who_is_awaited_is_said_by_name() -> None:
    counted = tally(rule(), [yes(BOB, "ml-leads")])
    assert awaited(counted, MEMBERS) == "Still needed: 1 from risk (Carol, @dave)."
    assert awaited(counted, {}) == "Still needed: 1 from risk."
    assert awaited(counted, {"risk": [Person("U9", "Gone", active=False)]}) == "Still needed: 1 from risk."
    assert awaited(tally(rule(), []), MEMBERS, without={ALICE.id}) == (
        "Still needed: 1 from ml-leads (Bob) and 1 from risk (Carol, @dave)."
    )


def test_those_who_approved_are_not_awaited_and_long_lists_are_cut() -> None:
    counted = tally(rule(quorum=3), [yes(BOB, "ml-leads"), yes(CAROL, "risk")])
    assert awaited(counted, MEMBERS) == "Still needed: 1 from ml-leads or risk (Alice, @dave)."
    crowd = {"risk": [Person(f"U{n}", f"P{n}") for n in range(9)]}
    one = tally(rule(), [yes(BOB, "ml-leads")])
    assert awaited(one, crowd) == "Still needed: 1 from risk (P0, P1, P2, P3, 5 more)."


def test_nobody_is_awaited_once_it_is_met() -> None:
    assert awaited(tally(rule(), [yes(BOB, "ml-leads"), yes(CAROL, "risk")]), MEMBERS) == ""


# -- who may -----------------------------------------------------------------------------------------------------


def asked(requester: Person = ALICE, trained_by: str = "", kind: DecisionKind = DecisionKind.APPROVAL) -> Asked:
    return Asked("fraud-detector 7", "production", Actor.user(requester.id), trained_by, kind)


def refusal(
    approvals: Approvals | None, person: Person, groups: set[str], trained_by: str = "", requester: Person = ALICE
) -> tuple[str, str] | None:
    try:
        may_decide(approvals, Approver(person, frozenset(groups)), asked(requester, trained_by))
    except NotAllowed as no_:
        return no_.slug, no_.sentence
    return None


def test_a_member_of_an_approving_group_may() -> None:
    assert refusal(rule(), BOB, {"ml-leads"}, trained_by="alice@example.com") is None


def test_mallory_may_not() -> None:
    expected = (
        "not-a-member",
        "You are not among those who may approve fraud-detector 7 for production: that takes ml-leads or risk.",
    )
    assert refusal(rule(), MALLORY, set()) == expected
    assert refusal(rule(), MALLORY, {"on-call"}) == expected


def test_the_requester_cannot_approve_their_own_promotion() -> None:
    assert refusal(rule(), ALICE, {"ml-leads"}) == (
        "requester",
        "You asked for this promotion, so someone else must approve it.",
    )
    assert refusal(rule(exclude=["trainer"]), ALICE, {"ml-leads"}) is None


def test_the_trainer_cannot_approve_their_own_training_run() -> None:
    assert refusal(rule(), BOB, {"risk"}, trained_by="bob@example.com") == (
        "trainer",
        "You trained this version, so someone else must approve it.",
    )
    assert refusal(rule(exclude=["requester"]), BOB, {"risk"}, trained_by="bob@example.com") is None
    assert refusal(rule(exclude=[]), ALICE, {"risk"}, trained_by="alice") is None


def test_a_rejection_has_its_own_words() -> None:
    with pytest.raises(NotAllowed, match="so someone else must decide on it"):
        may_decide(rule(), Approver(ALICE, frozenset({"risk"})), asked(kind=DecisionKind.REJECTION))


def test_a_token_with_the_requesters_name_is_not_the_requester() -> None:
    by_token = Asked("m 1", "p", Actor("token", BOB.id), "")
    assert may_decide(rule(), Approver(BOB, frozenset({"risk"})), by_token) is None


class TestDelegates:
    """Mallory is in no group; others had her decide for them."""

    delegate = Approver(MALLORY, frozenset())
    absent = Approver(CAROL, frozenset({"risk"}))

    def test_a_delegate_decides_for_whoever_could_have(self) -> None:
        assert may_decide(rule(), self.delegate, asked(), [self.absent]) == self.absent

    def test_members_decide_for_themselves(self) -> None:
        assert may_decide(rule(), Approver(BOB, frozenset({"ml-leads"})), asked(), [self.absent]) is None

    @pytest.mark.parametrize(
        "absent",
        [
            Approver(CAROL, frozenset()),
            Approver(ALICE, frozenset({"risk"})),
            Approver(Person("U09GONE", "Gone", active=False), frozenset({"risk"})),
            Approver(DAVE, frozenset({"risk"})),
        ],
        ids=["in no group any more", "the requester", "deactivated", "the trainer"],
    )
    def test_nobody_gets_by_proxy_what_they_could_not_do_themselves(self, absent: Approver) -> None:
        with pytest.raises(NotAllowed, match="You are not among those who may approve"):
            may_decide(rule(), self.delegate, asked(trained_by="dave@example.com"), [absent])

    def test_the_second_of_two_who_delegated_may_be_the_one(self) -> None:
        absent = Approver(ALICE, frozenset({"risk"}))
        assert may_decide(rule(), self.delegate, asked(), [absent, self.absent]) == self.absent

    def test_a_delegate_who_trained_or_asked_may_not(self) -> None:
        with pytest.raises(NotAllowed, match="You trained this version"):
            may_decide(rule(), self.delegate, asked(trained_by="mallory"), [self.absent])
        with pytest.raises(NotAllowed, match="You asked for this promotion"):
            may_decide(rule(), self.delegate, asked(requester=MALLORY), [self.absent])


def test_inactive_accounts_may_not() -> None:
    gone = Person(BOB.id, BOB.name, BOB.email, active=False)
    assert refusal(rule(), gone, {"ml-leads"}) == (
        "inactive",
        "Bots, guests, strangers and deactivated accounts may not decide; a full member must.",
    )


def test_empty_rules_let_nobody_in() -> None:
    for empty in (None, rule(from_=[])):
        assert refusal(empty, BOB, {"ml-leads"}) == (
            "no-approvers",
            "The policy names nobody who may approve for production; its owner must add approvals.from.",
        )
    assert refusal(Approvals(automatic=True), BOB, {"ml-leads"}) == (
        "automatic",
        "Nobody is asked for production: with every gate passed it goes ahead by itself.",
    )


@pytest.mark.parametrize(
    "text",
    [
        "U02BOB",
        "u02bob",
        "user:U02BOB",
        "<@U02BOB>",
        "bob@example.com",
        "BOB@Example.com",
        "mailto:bob@example.com",
        "bob@corp.internal",
        "bob+train@example.com",
        "bob",
        "@bob.b",
        "Bob.B",
        " Bob ",
        "Bob Jones <bob@example.com>",
        "Bob Jones (bob)",
        "alice@example.com, bob@example.com",
        "Alice and Bob",
        "\uff42\uff4f\uff42",
    ],
)
def test_the_trainer_is_recognised_however_they_are_written(text: str) -> None:
    assert is_trainer(BOB, text)
    assert not is_trainer(CAROL, text)


@pytest.mark.parametrize("text", ["", "bobby", "carol@example.com", "@", "<>", "example.com", "airflow"])
def test_somebody_else_is_not_taken_for_the_trainer(text: str) -> None:
    assert not is_trainer(BOB, text)


def test_somebody_of_whom_nothing_is_known_may_be_the_trainer() -> None:
    unknown = Person("U02BOB", "Bob")
    slug, sentence = refusal(rule(), unknown, {"risk"}, trained_by="robert@example.com") or ("", "")
    assert slug == "trainer-unknown"
    assert sentence == (
        "Slack tells neither your e-mail address nor your handle, so you may have trained this version; "
        "someone else must approve it."
    )
    assert refusal(rule(), unknown, {"risk"}, trained_by="U03CAROL") is None
    assert refusal(rule(), unknown, {"risk"}) is None


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_no_text_in_the_lineage_breaks_the_question_or_lets_the_trainer_through(text: str) -> None:
    is_trainer(BOB, text)
    assert is_trainer(BOB, f"{text}, bob@example.com")
