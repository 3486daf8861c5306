"""What a policy would have made of a past promotion, by the facts as they were then. Pure: the facts are passed in.

The rules are those that every promotion is judged by (eligibility, gates, approvals, windows); here is only in which
order they are asked, at which moment, and how the answer compares with what happened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from core.domain.lifecycle import ENDS, Event
from core.domain.model import Actor, Barrier, Blocker, Decision, DecisionKind, ModelVersion, Person, State
from core.policy import approvals, bundles, eligibility, gates, occupancy
from core.policy.eligibility import stamp
from core.policy.features import Looked
from core.policy.occupancy import Stretch
from core.policy.schema import Policy, Stage
from core.policy.stages import Approvals

#: The audit event of an approved promotion that is held up; no arrow of the lifecycle.
WAITS = "waits"


class Fate(StrEnum):
    """What became of a promotion, or would have."""

    NO_STAGE = "no_stage"
    NOT_ELIGIBLE = "not_eligible"
    GATES_FAILED = "gates_failed"
    REJECTED = "rejected"
    NOT_APPROVED = "not_approved"
    WAITS = "waits"
    AHEAD = "ahead"


#: Stopped by rules, not wanted by people, held up, let go: another fate of the same kind is no difference.
_KINDS = {
    Fate.NO_STAGE: "no stage",
    Fate.NOT_ELIGIBLE: "stopped",
    Fate.GATES_FAILED: "stopped",
    Fate.REJECTED: "not wanted",
    Fate.NOT_APPROVED: "not wanted",
    Fate.WAITS: "held up",
    Fate.AHEAD: "let go",
}
#: Of a promotion that is over, and of one that still waits.
_THEN = {
    Fate.NOT_ELIGIBLE: "would not have been eligible",
    Fate.GATES_FAILED: "would have failed its gates",
    Fate.REJECTED: "would have been rejected",
    Fate.NOT_APPROVED: "would have needed",
    Fate.WAITS: "would have had to wait",
    Fate.AHEAD: "would have gone ahead",
}
_NOW = {
    Fate.NOT_ELIGIBLE: "would now not be eligible",
    Fate.GATES_FAILED: "would now fail its gates",
    Fate.REJECTED: "would now be rejected",
    Fate.NOT_APPROVED: "would now need",
    Fate.WAITS: "would now have to wait",
    Fate.AHEAD: "would now go ahead",
}


@dataclass(frozen=True)
class PastBarrier:
    """A stop, a hold or a veto, and until when it stood; None while it does."""

    barrier: Barrier
    until: datetime | None

    def stood(self, at: datetime) -> bool:
        """True at every moment from its placing until it was lifted."""
        return self.barrier.placed_at <= at and (self.until is None or at < self.until)


@dataclass(frozen=True)
class Reign:
    """One time of a model's version as champion of a stage; `until` is None while it is."""

    version: str
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True)
class Past:
    """A promotion as it was. `moments` says when which audit event last happened to it, since it was last judged.

    `champion` is whom it was judged against; `decisions` are those that count; `stretches` are the candidate's times as
    champion of any stage, in order of time. `members` are a bundle's, each with its own champion; `beside` says who else
    served the stage, by model.
    """

    id: int
    state: State
    stage: str
    requester: Actor
    asked_at: datetime
    candidate: ModelVersion
    champion: ModelVersion | None = None
    decisions: Sequence[Decision] = ()
    moments: Mapping[str, datetime] = field(default_factory=dict)
    held_up: bool = False
    glass: bool = False
    stretches: Sequence[Stretch] = ()
    barriers: Sequence[PastBarrier] = ()
    looks: Mapping[str, Looked] = field(default_factory=dict)  #: what feature stores said then
    members: Sequence[tuple[ModelVersion, ModelVersion | None]] = ()
    beside: Mapping[str, Sequence[Reign]] = field(default_factory=dict)

    @property
    def deployed_at(self) -> datetime | None:
        """When it began to be carried out."""
        return self.moments.get(Event.DEPLOYMENT_STARTED)

    @property
    def approved(self) -> bool:
        """True when enough people approved, or nobody was asked."""
        return Event.QUORUM_REACHED in self.moments or Event.AUTO_APPROVED in self.moments

    @property
    def waiting(self) -> bool:
        """True while it is neither over nor under way: what would become of it is about now."""
        return self.state not in ENDS and self.deployed_at is None


@dataclass(frozen=True)
class Judged:
    """A past promotion under a policy: two sentences' halves, and whether the outcome would be another one.

    `unjudged`: it went past the policy (broken glass, adoption), so no policy makes a difference.
    """

    promotion: str
    model: str
    version: str
    stage: str
    happened: str
    outcome: str
    would: str
    differs: bool
    unjudged: bool = False


def judge(policy: Policy, past: Past, now: datetime) -> Judged:
    """What `policy` would have made of it."""
    ref, version = f"P-{past.id}", past.candidate
    if past.glass or Event.ADOPTED in past.moments:
        said = "passed by glass" if past.glass else "was adopted from its registry"
        return Judged(ref, version.model, version.version, past.stage, said, "", "no policy judges that.", False, True)
    was, happened = _happened(past)
    fate, would = _would(policy, past, now)
    differs = _KINDS[was] != _KINDS[fate]
    return Judged(ref, version.model, version.version, past.stage, happened, fate.value, would, differs)


def _happened(past: Past) -> tuple[Fate, str]:
    state = past.state.value.replace("_", " ")
    if past.deployed_at is not None:
        return Fate.AHEAD, f"was deployed {past.deployed_at:%Y-%m-%d}"
    if Event.NO_LONGER_ELIGIBLE in past.moments:
        return Fate.NOT_ELIGIBLE, "was no longer eligible when it was to be deployed"
    if past.approved:
        how = Fate.WAITS if past.held_up else Fate.AHEAD
        if past.state is State.APPROVED:
            return how, "is approved and waits" if past.held_up else "is approved and about to be deployed"
        return how, f"was approved and then {state}"
    said = {
        State.FAILED: (Fate.GATES_FAILED, "was stopped by its gates"),
        State.REJECTED: (Fate.REJECTED, "was rejected"),
        State.EVALUATING: (Fate.NOT_APPROVED, "is being checked"),
        State.AWAITING_APPROVAL: (Fate.NOT_APPROVED, "still waits for approval"),
        State.EXPIRED: (Fate.NOT_APPROVED, "expired before it was approved"),
    }
    return said.get(past.state, (Fate.NOT_APPROVED, f"was {state} before it was approved"))


def _would(policy: Policy, past: Past, now: datetime) -> tuple[Fate, str]:
    stage = policy.stage(past.stage)
    if stage is None:
        return Fate.NO_STAGE, f"the policy has no stage {past.stage} any more."
    fate, why = _judge(policy, stage, past, now)
    words = (_NOW if past.waiting else _THEN)[fate]
    return fate, f"{words}{why}"


def _judge(policy: Policy, stage: Stage, past: Past, now: datetime) -> tuple[Fate, str]:
    """Its fate, and what follows the words for it."""
    unfrozen = stage.model_copy(update={"freeze": ()})  # a freeze refuses no request, and is costly to look up
    asked = eligibility.check(_facts(policy, unfrozen, past, past.asked_at, past.requester.kind == "user"))
    by_itself = stage.approvals is not None and stage.approvals.automatic and past.requester.kind != "user"
    asked += _of_bundles(policy, past, past.asked_at, by_itself)
    if refused := [each for each in asked if each.blocking and not each.waits]:
        return Fate.NOT_ELIGIBLE, _because(refused)
    verdicts = gates.evaluate(stage.gates, past.candidate, past.champion, past.looks)
    if past.members:
        verdicts = gates.evaluate_members(stage.gates, past.members, past.looks)
    if failing := [each.sentence for each in verdicts if each.decides]:
        return Fate.GATES_FAILED, f": {' '.join(failing)}"
    fate, why, approved_at = _decided(stage.approvals, past)
    if approved_at is None:
        return fate, why
    moment = past.deployed_at or past.moments.get(Event.NO_LONGER_ELIGIBLE) or (now if past.waiting else None)
    return _carried_out(policy, stage, past, moment or past.moments.get(WAITS) or approved_at)


def _decided(rule: Approvals | None, past: Past) -> tuple[Fate, str, datetime | None]:
    """The first decision that settles it, and the moment where that is a yes; "who is lacking" where nothing does."""
    if rule is not None and rule.automatic:
        return Fate.AHEAD, ".", past.asked_at
    said: list[Decision] = []
    for each in _counting(rule, past):
        said.append(each)
        if each.kind is DecisionKind.REJECTION:
            return Fate.REJECTED, f" by {each.named}.", None
        if approvals.tally(rule, said).met:
            return Fate.AHEAD, ".", each.at
    counted = approvals.tally(rule, said)
    lacking = sum(number for number, _ in approvals.needed(counted.quorum, len(counted.approvals), counted.seats))
    more = f"{lacking} more approval{'' if lacking == 1 else 's'}" if lacking else "approvals that nobody could give"
    return Fate.NOT_APPROVED, f" {more}: {counted.sentence}", None


def _counting(rule: Approvals | None, past: Past) -> list[Decision]:
    """The decisions of those whom the rule asks, in their order.

    Who somebody is, is known by id and name only: a trainer who is named by another address is not found out.
    """
    asked = {each.group for each in rule.from_} if rule else set()
    seated = {each: {who.id: who for who in (each.actor, each.principal) if who} for each in past.decisions}
    people = {person: Person(person, who.name) for both in seated.values() for person, who in both.items()}
    barred = approvals.barred(rule, people.values(), past.requester, past.candidate.lineage.trained_by)
    return [each for each, both in seated.items() if asked & set(each.groups) and not barred & both.keys()]


def _carried_out(policy: Policy, stage: Stage, past: Past, at: datetime) -> tuple[Fate, str]:
    facts = _facts(policy, stage, past, at, deliberate=True)
    of_bundles = _of_bundles(policy, past, at)
    standing = [each for each in (*eligibility.bars(facts), *eligibility.waits(facts), *of_bundles) if each.blocking]
    if final := [each for each in standing if not each.waits]:
        return Fate.NOT_ELIGIBLE, _because(final)
    if not standing:
        return Fate.AHEAD, "."
    ends = [each.until for each in standing if each.until is not None]
    until = f" until {stamp(max(ends))}" if len(ends) == len(standing) else ""
    return Fate.WAITS, f"{until}{_because(standing)}"


def _of_bundles(policy: Policy, past: Past, at: datetime, by_itself: bool = False) -> list[Blocker]:
    """What the policy's bundles put in the way, by those who served then. Who else was on the way then is not asked."""
    model, version = past.candidate.model, past.candidate.version
    members = {each.model: each.version for each, _ in past.members}
    found = list(bundles.unfit(model, version, policy.bundles.get(model), members or None))
    if found:
        return found

    def standing(of: str) -> list[Barrier]:
        return [each.barrier for each in past.barriers if each.barrier.model == of and each.stood(at)]

    made = bundles.Made(model, version, members, past.stage, policy.stage_names)
    serving = {
        other: reign.version
        for other, reigns in past.beside.items()
        for reign in reigns
        if reign.since <= at and (reign.until is None or at < reign.until)
    }
    changed = members or {model: version}
    move = bundles.Move(past.stage, changed, serving, f"{model} {version}" if members else "")
    return [*bundles.barred(made, standing, by_itself), *bundles.ill_matched(policy.bundles, move)]


def _because(blockers: Sequence[Blocker]) -> str:
    return f": {' '.join(each.sentence for each in blockers)}"


def _facts(policy: Policy, stage: Stage, past: Past, at: datetime, deliberate: bool) -> eligibility.Facts:
    return eligibility.Facts(
        model=past.candidate.model,
        version=past.candidate.version,
        stage=stage,
        stage_names=policy.stage_names,
        first_stage=policy.first_stage.name,
        served=occupancy.served(past.stretches, at),
        barriers=[
            each.barrier
            for each in past.barriers
            if each.barrier.model in ("", past.candidate.model) and each.stood(at)
        ],
        registered_at=past.candidate.registered_at,
        deliberate=deliberate,
        now=at,
    )
