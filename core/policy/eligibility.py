"""What stands in a promotion's way before any gate is asked. Pure: the facts are read elsewhere and passed in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from core.domain.model import Blocker, State
from core.policy.stages import Stage

#: Until then another version's request may take a promotion's place; afterwards it must end by itself.
SUPERSEDABLE = frozenset({State.EVALUATING, State.AWAITING_APPROVAL})


@dataclass(frozen=True)
class Served:
    """When a version last served a stage; `rolled_back_by` is the promotion (`P-9`) that took it out as bad."""

    since: datetime
    until: datetime | None = None
    rolled_back_by: str | None = None


@dataclass(frozen=True)
class Facts:
    """What is known when somebody asks for a promotion.

    `stage` is None where the policy has none of that name. `served` says of this version which stages it served last
    when; `champion` is the version that serves the stage now; `active` is (reference, version, state) of the promotion
    that holds the stage now.
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
    return [*_requirements(facts, facts.stage), *_champion(facts, facts.stage), *_active(facts, facts.stage)]


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
