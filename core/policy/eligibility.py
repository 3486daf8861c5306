"""What stands in a promotion's way before any gate is asked. Pure: the facts are read elsewhere and passed in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.domain.model import Barrier, Blocker, State
from core.policy import texts, windows
from core.policy.durations import spoken
from core.policy.stages import Stage

#: Until then another version's request may take a promotion's place; afterwards it must end by itself.
SUPERSEDABLE = frozenset({State.EVALUATING, State.AWAITING_APPROVAL})


@dataclass(frozen=True)
class Served:
    """When a version last served a stage; `rolled_back_by` is the promotion (`P-9`) that took it out as bad.

    `longest` is its longest earlier stretch there that was not ended by a rollback.
    """

    since: datetime
    until: datetime | None = None
    rolled_back_by: str | None = None
    longest: timedelta = timedelta()


@dataclass(frozen=True)
class Facts:
    """What is known when somebody asks for a promotion.

    `stage` is None where the policy has none of that name. `served` says of this version which stages it served last
    when; `champion` is the version that serves the stage now; `active` is (reference, version, state) of the promotion
    that holds the stage now. `barriers` are all that stand for this model; `deliberate`: a person asks, no program.
    """

    model: str
    version: str
    stage: Stage | None
    stage_names: tuple[str, ...]
    first_stage: str
    version_known: bool = True
    served: Mapping[str, Served] = field(default_factory=dict)
    champion: str | None = None
    active: tuple[str, str, str] | None = None
    barriers: Sequence[Barrier] = ()
    registered_at: datetime | None = None
    deliberate: bool = False
    now: datetime | None = None

    @property
    def same_version_active(self) -> bool:
        """True when the active promotion is of this very version."""
        return self.active is not None and self.active[1] == self.version


def check(facts: Facts) -> list[Blocker]:
    """Everything there is to say, in the order in which it must be cleared; what is fine is there too, not blocking."""
    if not facts.version_known:
        sentence = f"{facts.model} {facts.version} is not registered."
        return [Blocker("version", facts.version, True, sentence, "Register it first, or choose a registered version.")]
    if facts.stage is None:
        names = ", ".join(facts.stage_names)
        return [Blocker("stage", "stage", True, "The policy has no such stage.", f"Choose one of {names}.")]
    if facts.stage.name == facts.first_stage:
        others = ", ".join(name for name in facts.stage_names if name != facts.first_stage)
        sentence = f"{facts.first_stage} is where versions arrive by being registered; nothing is promoted to it."
        clears = f"Choose one of {others}." if others else "The policy's owner must add a stage."
        return [Blocker("stage", facts.first_stage, True, sentence, clears)]
    stage = facts.stage
    return [
        *_requirements(facts, stage),
        *_vetoes(facts, stage),
        *_hold(facts, stage),
        *_champion(facts, stage),
        *_active(facts, stage),
        *waits(facts),
    ]


def waits(facts: Facts) -> list[Blocker]:
    """What refuses no request but holds a deployment up until it has passed: soak time, freeze, stop."""
    if facts.stage is None or facts.now is None:
        return []
    return [
        *_soak(facts, facts.stage, facts.now),
        *_freeze(facts.stage, facts.now),
        *_stops(facts),
    ]


def bars(facts: Facts) -> list[Blocker]:
    """What stands in the way of a promotion that was asked for already: why it may no longer be deployed."""
    if facts.stage is None:
        return check(facts)
    return [b for b in (*_requirements(facts, facts.stage), *_vetoes(facts, facts.stage)) if b.blocking]


def _requirements(facts: Facts, stage: Stage) -> Iterator[Blocker]:
    who = f"{facts.model} {facts.version}"
    for required in stage.requires:
        served = facts.served.get(required)
        if required == facts.first_stage:
            yield Blocker("requires", required, False, f"{who} is registered, and so has been in {required}.")
        elif served is None:
            sentence = f"{stage.name} requires {required}, which {who} has never served."
            yield Blocker("requires", required, True, sentence, f"Promote it to {required} first.")
        elif served.rolled_back_by is not None:
            sentence = (
                f"{stage.name} requires {required}, and {who} was rolled back from it by {served.rolled_back_by}."
            )
            clears = f"Promote it to {required} again, or promote a better version."
            yield Blocker("requires", required, True, sentence, clears)
        else:
            word = "serves" if served.until is None else "has served"
            yield Blocker("requires", required, False, f"{who} {word} {required}, which {stage.name} requires.")


def _soak(facts: Facts, stage: Stage, now: datetime) -> Iterator[Blocker]:
    """Continuous time in each required stage, counted from the success that brought it there (Kargo's soak time)."""
    if stage.soak is None:
        return
    wanted = spoken(stage.soak)
    for required in stage.requires:
        served = facts.served.get(required)
        if served is None and required == facts.first_stage and facts.registered_at is not None:
            served = Served(facts.registered_at)
        if served is None or served.rolled_back_by is not None:
            continue  # said by the requirement itself
        so_far = (served.until or now) - served.since
        who = f"{facts.model} {facts.version}"
        rule = f"{stage.name} wants {wanted} in {required} in one stretch"
        if max(so_far, served.longest) >= stage.soak:
            sentence = f"{rule}; {who} has served there for {spoken(max(so_far, served.longest))}."
            yield Blocker("soak", required, False, sentence)
        elif served.until is None:
            ready = served.since + stage.soak
            sentence = f"{rule}; {who} has served there since {stamp(served.since)}."
            yield Blocker("soak", required, True, sentence, f"It is long enough at {stamp(ready)}.", True, ready)
        else:
            sentence = f"{rule}; {who} served there for {spoken(so_far)} only."
            yield Blocker("soak", required, True, sentence, f"Promote it to {required} again.")


def _freeze(stage: Stage, now: datetime) -> Iterator[Blocker]:
    if not stage.freeze:
        return
    found = windows.frozen(stage.freeze, now)
    if found is None:
        yield Blocker("freeze", stage.name, False, f"{stage.name} is not frozen now.")
        return
    why = f" ({found.reason})" if found.reason else ""
    clears = f"It opens at {stamp(found.opens_at)}." if found.opens_at else "No opening is known; the policy says when."
    sentence = f"{stage.name} is frozen by “{found.window}”{why}."
    yield Blocker("freeze", found.window, True, sentence, clears, True, found.opens_at)


def _stops(facts: Facts) -> Iterator[Blocker]:
    for each in facts.barriers:
        if each.kind == "stop":
            what = f"Promotions of {each.model} are" if each.model else "All promotions are"
            resume = f"/promote resume {each.model}".strip()
            sentence = f"{what} stopped by {each.by}: {texts.ended(each.reason)}"
            yield Blocker("stop", each.model or "everything", True, sentence, f"Until {resume} is typed.", True)


def _hold(facts: Facts, stage: Stage) -> Iterator[Blocker]:
    automatic = stage.approvals is not None and stage.approvals.automatic
    for each in facts.barriers:
        if each.kind != "hold" or each.stage != stage.name:
            continue
        ref = f" by P-{each.promotion_id}" if each.promotion_id else ""
        sentence = f"{facts.model} was rolled back in {stage.name}{ref} ({each.by}: {each.reason})"
        if automatic and not facts.deliberate:
            clears = f"A person may promote it deliberately in Slack, or lift it with /promote release {facts.model} {stage.name}."
            yield Blocker("hold", stage.name, True, f"{sentence}, which holds automatic promotions.", clears)
        else:
            yield Blocker("hold", stage.name, False, f"{sentence}; a promotion that succeeds ends the hold.")


def _vetoes(facts: Facts, stage: Stage) -> Iterator[Blocker]:
    for each in facts.barriers:
        if (
            each.kind == "veto"
            and each.version == facts.version
            and _reaches(each.stage, stage.name, facts.stage_names)
        ):
            sentence = f"{facts.model} {facts.version} was vetoed by {each.by}: {texts.ended(each.reason)}"
            clears = f"Promote another version, or take it back with /promote unveto {facts.model} {facts.version}."
            yield Blocker("veto", facts.version, True, sentence, clears)


def _reaches(from_stage: str, stage: str, names: Sequence[str]) -> bool:
    """A veto bars the stage it names and every later one; one of a stage that the policy no longer has bars all."""
    if from_stage not in names:
        return True
    return stage in names and names.index(stage) >= names.index(from_stage)


def stamp(moment: datetime) -> str:
    """A moment as sentences say it, for every surface: `2026-11-30 00:00 UTC`."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _champion(facts: Facts, stage: Stage) -> Iterator[Blocker]:
    if facts.champion is not None and facts.champion == facts.version:
        sentence = f"{facts.model} {facts.version} is the champion of {stage.name} already."
        yield Blocker("champion", stage.name, True, sentence, "Nothing needs to be done.")


def _active(facts: Facts, stage: Stage) -> Iterator[Blocker]:
    if facts.active is None:
        return
    ref, version, state = facts.active
    words = state.replace("_", " ")
    if facts.same_version_active:
        sentence = f"{ref} asks to promote {facts.model} {version} to {stage.name} already; it is {words}."
        sentence = sentence.replace("it is awaiting approval", "it awaits approval")
        clears = f"Follow {ref}, or withdraw it and ask anew." if state in SUPERSEDABLE else f"Follow {ref}."
        yield Blocker("active", ref, True, sentence, clears)
    elif state in SUPERSEDABLE:
        sentence = f"{ref} asks to promote {facts.model} {version} to {stage.name}; a new request takes its place."
        yield Blocker("active", ref, False, sentence)
    else:
        sentence = f"{ref} has {facts.model} {version} on its way to {stage.name}: it is {words}."
        yield Blocker("active", ref, True, sentence, f"Wait until {ref} has ended, or stop it.")
