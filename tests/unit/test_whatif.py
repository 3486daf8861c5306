"""What a policy makes of one past promotion: in which order its rules are asked, at which moment, and what differs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.domain.lifecycle import ENDS
from core.domain.model import Actor, Barrier, Decision, DecisionKind, Lineage, Measurement, ModelVersion, State
from core.policy.load import load
from core.policy.occupancy import Stretch, served
from core.policy.schema import Policy
from core.policy.whatif import Judged, Past, PastBarrier, Reign, judge

ASKED = datetime(2026, 11, 2, 9, tzinfo=UTC)  # a Monday
HOUR = timedelta(hours=1)
NOW = ASKED + 500 * HOUR
ALICE, BOB, CAROL, DAVE = (Actor.user(f"U0{n}", name) for n, name in enumerate(("Alice", "Bob", "Carol", "Dave"), 1))
TEXT = """
version: 1
slack: {channel: "#ml"}
groups: {leads: [U02, U05], risk: [U03]}
stages:
  - name: development
  - name: staging
  - name: production
    requires: [staging]
    gates: [{metric: auc, at_least: 0.9}]
    approvals: {quorum: 2, from: [{group: leads}, {group: risk}]}
"""


def policy(*changes: tuple[str, str]) -> Policy:
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return load(text)


def version(auc: float = 0.95, **facts: Any) -> ModelVersion:
    return ModelVersion("fraud", "7", "s3://m", "sha256:7", measurements=(Measurement("auc", auc),), **facts)


def said(who: Actor, hours: int, group: str = "leads", no: bool = False, instead_of: Actor | None = None) -> Decision:
    kind = DecisionKind.REJECTION if no else DecisionKind.APPROVAL
    return Decision(who, kind, ASKED + hours * HOUR, (group,), principal=instead_of)


BOTH = (said(BOB, 1), said(CAROL, 2, "risk"))


def past(state: State = State.SUCCEEDED, at: dict[str, int] | None = None, **facts: Any) -> Past:
    """Asked for on Monday, long in staging. `at`: audit events and how many hours after the asking they were."""
    moments = {kind: ASKED + hours * HOUR for kind, hours in (at or {}).items()}
    known: dict[str, Any] = {"candidate": version(), "stretches": [Stretch("staging", ASKED - 99 * HOUR)]}
    return Past(12, state, "production", ALICE, ASKED, moments=moments, **(known | facts))


def deployed(**facts: Any) -> Past:
    at = {"quorum_reached": 2, "deployment_started": 3}
    return past(State.SUCCEEDED, at, **({"decisions": BOTH} | facts))


def judged(found: Past, *changes: tuple[str, str]) -> Judged:
    return judge(policy(*changes), found, NOW)


def test_what_went_well_and_would_again_does_not_differ() -> None:
    assert judged(deployed()) == Judged(
        "P-12", "fraud", "7", "production", "was deployed 2026-11-02", "ahead", "would have gone ahead.", False
    )


@pytest.mark.parametrize(
    ("found", "happened", "would"),
    [
        (past(State.FAILED, candidate=version(0.8)), "was stopped by its gates", "gates_failed"),
        (past(State.REJECTED, decisions=[said(BOB, 1, no=True)]), "was rejected", "rejected"),
        (past(State.EXPIRED, decisions=BOTH[:1]), "expired before it was approved", "not_approved"),
        (past(State.CANCELLED), "was cancelled before it was approved", "not_approved"),
        (past(State.SUPERSEDED), "was superseded before it was approved", "not_approved"),
        (past(State.EVALUATING), "is being checked", "not_approved"),
        (past(State.AWAITING_APPROVAL), "still waits for approval", "not_approved"),
        (
            past(State.APPROVED, {"quorum_reached": 2}, decisions=BOTH),
            "is approved and about to be deployed",
            "ahead",
        ),
        (past(State.CANCELLED, {"quorum_reached": 2}, decisions=BOTH), "was approved and then cancelled", "ahead"),
        (past(State.ROLLED_BACK, {"deployment_started": 3}, decisions=BOTH), "was deployed 2026-11-02", "ahead"),
        (
            past(
                State.FAILED,
                {"quorum_reached": 2, "no_longer_eligible": 30},
                decisions=BOTH,
                stretches=[Stretch("staging", ASKED - HOUR, ASKED + 20 * HOUR, "P-9")],
            ),
            "was no longer eligible when it was to be deployed",
            "not_eligible",
        ),
    ],
)
def test_each_end_is_told_in_its_words_and_the_same_policy_ends_it_so(found: Past, happened: str, would: str) -> None:
    made = judged(found)
    assert (made.happened, made.outcome, made.differs) == (happened, would, False)


def test_what_was_held_up_by_a_stop_still_is_while_it_stands() -> None:
    stop = Barrier("stop", "", "", "", "flood", BOB, ASKED)
    waiting = past(
        State.EXPIRED, {"quorum_reached": 2, "waits": 2}, decisions=BOTH, held_up=True,
        barriers=[PastBarrier(stop, ASKED + 9 * HOUR)],
    )  # fmt: skip
    made = judged(waiting)
    assert (made.happened, made.outcome, made.differs) == ("was approved and then expired", "waits", False)
    assert made.would == "would have had to wait: All promotions are stopped by Bob: flood."
    lifted = judged(deployed(barriers=[PastBarrier(stop, ASKED + 3 * HOUR)]))
    assert lifted.outcome == "ahead", "it was lifted the moment that the deployment began"


def test_a_hold_stopped_programs_then_and_not_people() -> None:
    hold = PastBarrier(Barrier("hold", "fraud", "", "production", "bad", BOB, ASKED - HOUR), None)
    automatic = ("{quorum: 2, from: [{group: leads}, {group: risk}]}", "{automatic: true}")
    assert judged(deployed(barriers=[hold]), automatic).outcome == "ahead"
    by_token = Past(
        12, State.SUCCEEDED, "production", Actor("token", "ci"), ASKED, version(),
        moments={"deployment_started": ASKED}, stretches=[Stretch("staging", ASKED)], barriers=[hold],
    )  # fmt: skip
    assert judged(by_token, automatic).would.startswith("would not have been eligible: fraud was rolled back in ")


def test_eligibility_comes_before_gates_and_gates_before_approvals() -> None:
    nothing = deployed(stretches=[], candidate=version(0.8), decisions=())
    assert judged(nothing).outcome == "not_eligible"
    assert judged(deployed(candidate=version(0.8), decisions=())).outcome == "gates_failed"
    assert judged(deployed(decisions=())).outcome == "not_approved"


def test_what_served_only_after_the_asking_was_not_eligible() -> None:
    made = judged(deployed(stretches=[Stretch("staging", ASKED + HOUR)]))
    assert made.would == "would not have been eligible: production requires staging, which fraud 7 has never served."
    assert judged(deployed(stretches=[Stretch("staging", ASKED)])).outcome == "ahead"


def test_a_rollback_that_was_still_to_come_does_not_count() -> None:
    later = [Stretch("staging", ASKED - HOUR, ASKED + 4 * HOUR, "P-9")]
    assert judged(deployed(stretches=later)).outcome == "ahead"
    between = [Stretch("staging", ASKED - HOUR, ASKED + 2 * HOUR, "P-9")]
    assert judged(deployed(stretches=between)).would == (
        "would not have been eligible: production requires staging, and fraud 7 was rolled back from it by P-9."
    )


def test_whichever_decision_settles_it_first_decides() -> None:
    """Under a quorum of one, Bob's yes comes before Carol's no; not the other way round."""
    one = ("quorum: 2", "quorum: 1")
    yes_then_no = past(State.REJECTED, decisions=[said(BOB, 1), said(CAROL, 2, "risk", no=True)])
    assert judged(yes_then_no, one).would == "would have gone ahead."
    no_then_yes = past(State.REJECTED, decisions=[said(CAROL, 1, "risk", no=True), said(BOB, 2)])
    assert judged(no_then_yes, one).would == "would have been rejected by Carol."
    assert judged(yes_then_no).differs is False


def test_the_no_of_somebody_who_is_no_longer_asked_does_not_count() -> None:
    made = judged(past(State.REJECTED, decisions=[said(CAROL, 1, "risk", no=True)]), (", {group: risk}", ""))
    assert made.would == "would have needed 2 more approvals: 0 of 2 approvals; still needed: 2 from leads."
    assert made.differs is False, "it came to nothing either way"


def test_a_delegate_sits_in_a_seat_that_neither_of_them_may_be_barred_from() -> None:
    for_carol = said(DAVE, 1, "risk", instead_of=CAROL)
    assert judged(deployed(decisions=[for_carol, said(BOB, 2)])).outcome == "ahead"
    trained = version(lineage=Lineage(trained_by="carol"))
    assert judged(deployed(decisions=[for_carol, said(BOB, 2)], candidate=trained)).would == (
        "would have needed 1 more approval: 1 of 2 approvals; still needed: 1 from leads or risk."
    )


def test_a_freeze_is_asked_for_at_the_deployment_or_where_there_was_none_at_the_yes() -> None:
    frozen = (
        "    requires:",
        "    freeze: [{name: noon, from: 2026-11-02T10:30:00Z, until: 2026-11-02T11:30:00Z}]\n    requires:",
    )
    never = past(State.EXPIRED, decisions=BOTH[:1])
    one = ("quorum: 2", "quorum: 1")
    assert judged(never, one, frozen).would == "would have gone ahead.", "Bob said yes at ten"
    late = past(State.EXPIRED, decisions=BOTH[1:])
    assert judged(late, one, frozen).would == (
        "would have had to wait until 2026-11-02 11:30 UTC: production is frozen by “noon”."
    )
    assert judged(deployed(), frozen).outcome == "ahead", "approved at eleven, deployed at noon"


def test_who_still_waits_is_judged_by_the_hour_it_is_now() -> None:
    frozen = ("    requires:", "    freeze: [{name: month, from: 2026-11-20, until: 2026-12-01}]\n    requires:")
    waiting = past(State.AWAITING_APPROVAL, decisions=BOTH[:1])
    one = ("quorum: 2", "quorum: 1")
    made = judged(waiting, one, frozen)
    assert made.would == "would now have to wait until 2026-12-01 00:00 UTC: production is frozen by “month”."
    assert made.differs
    under_way = past(State.DEPLOYING, {"deployment_started": 3}, decisions=BOTH)
    assert judged(under_way, frozen).would == "would have gone ahead.", "it no longer waits"


@pytest.mark.parametrize("state", sorted(State))
def test_a_stage_that_the_policy_has_no_more_is_a_difference_whatever_happened(state: State) -> None:
    made = judged(past(state), ("name: production", "name: live"))
    assert (made.would, made.differs) == ("the policy has no stage production any more.", True)
    assert past(state).waiting is (state not in ENDS)


def test_nothing_is_promoted_to_the_first_stage() -> None:
    first = (TEXT[TEXT.index("  - name: development") :], "  - name: production\n  - name: live\n")
    assert judged(deployed(), first).would.startswith(
        "would not have been eligible: production is where versions arrive by being registered"
    )


@pytest.mark.parametrize(
    ("found", "happened"),
    [
        (deployed(glass=True, candidate=version(0.1)), "passed by glass"),
        (past(State.SUCCEEDED, {"adopted": 0}, candidate=version(0.1)), "was adopted from its registry"),
    ],
)
def test_what_went_past_the_policy_never_differs(found: Past, happened: str) -> None:
    made = judged(found, ("name: production", "name: live"))
    assert (made.happened, made.would, made.differs, made.unjudged) == (
        happened, "no policy judges that.", False, True,
    )  # fmt: skip


def test_occupancy_as_it_was_known_at_any_moment() -> None:
    stretches = [
        Stretch("staging", ASKED, ASKED + 5 * HOUR),
        Stretch("staging", ASKED + 10 * HOUR, ASKED + 12 * HOUR, "P-3"),
        Stretch("staging", ASKED + 20 * HOUR),
    ]
    assert served(stretches, ASKED - HOUR) == {}
    at = {hours: served(stretches, ASKED + hours * HOUR)["staging"] for hours in (4, 5, 11, 12, 21)}
    assert (at[4].until, at[5].until) == (None, ASKED + 5 * HOUR)
    assert (at[11].since, at[11].rolled_back_by, at[11].longest) == (ASKED + 10 * HOUR, None, 5 * HOUR)
    assert (at[12].rolled_back_by, at[21].longest) == ("P-3", 5 * HOUR)
    assert served(stretches)["staging"] == at[21]


# -- bundles -----------------------------------------------------------------------------------------------------

SEARCH = "\nbundles: {search: {members: [embedder, ranker]}}\n"


def member(model: str, number: str, auc: float = 0.95) -> ModelVersion:
    return ModelVersion(model, number, "s3://m", f"sha256:{number}", measurements=(Measurement("auc", auc),))


def bundled(*barriers: PastBarrier, beside: dict[str, list[Reign]] | None = None, trained_by: str = "Erin") -> Past:
    search = ModelVersion("search", "2", "", "sha256:s", Lineage(trained_by=trained_by))
    members = [(member("embedder", "7"), None), (member("ranker", "4"), member("ranker", "3"))]
    return deployed(candidate=search, members=members, barriers=barriers, beside=beside or {})


def barrier(kind: str, model: str, number: str = "", hours: int = -1, until: int | None = None) -> PastBarrier:
    placed = Barrier(kind, model, number, "production", "it is wrong", BOB, ASKED + hours * HOUR)
    return PastBarrier(placed, None if until is None else ASKED + until * HOUR)


@pytest.mark.parametrize(
    ("found", "would"),
    [
        (bundled(), "would have gone ahead."),
        (
            bundled(barrier("veto", "ranker", "4")),
            "would not have been eligible: search 2 → ranker 4 was vetoed by Bob: it is wrong.",
        ),
        (bundled(barrier("veto", "ranker", "4", until=0)), "would have gone ahead."),  # lifted when it was asked for
        (bundled(barrier("veto", "ranker", "3")), "would have gone ahead."),
        (
            bundled(barrier("stop", "embedder")),
            "would have had to wait: search 2 → embedder 7 is stopped by Bob: it is wrong.",
        ),
        (bundled(barrier("stop", "embedder", hours=9)), "would have gone ahead."),
        (bundled(barrier("hold", "ranker")), "would have gone ahead."),  # a person asked
    ],
)
def test_what_stood_against_a_member_stood_against_its_bundle(found: Past, would: str) -> None:
    assert judge(load(TEXT + SEARCH), found, NOW).would == would


def test_a_trainer_of_a_member_does_not_count_for_the_bundle() -> None:
    found = judge(load(TEXT + SEARCH), bundled(trained_by="Erin, Bob"), NOW)
    assert found.would == "would have needed 1 more approval: 1 of 2 approvals; still needed: 1 from leads or risk."


def test_what_a_member_needs_is_looked_for_among_those_who_served_then() -> None:
    rule = SEARCH.replace("]}}", '], requires: [{member: ranker, needs: speller, needs_versions: ">=2"}]}}')
    during = {"speller": [Reign("1", ASKED - 9 * HOUR, ASKED - HOUR), Reign("2", ASKED - HOUR, ASKED + 9 * HOUR)]}
    assert judge(load(TEXT + rule), bundled(beside=during), NOW).would == "would have gone ahead."
    too_late = {"speller": [Reign("1", ASKED - 9 * HOUR, ASKED + HOUR), Reign("2", ASKED + HOUR)]}
    assert judge(load(TEXT + rule), bundled(beside=too_late), NOW).would == (
        "would not have been eligible: search 2 → ranker 4 needs speller >=2, and speller 1 serves production."
    )
