"""Models that are promoted together: what the policy file says of them, and what may not stand beside what. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from core.domain.model import Barrier, Blocker
from core.policy import texts
from core.policy.fields import Name, Part, shown, wrong
from core.policy.ranges import Range, holds

#: So many rows a card still holds.
MOST_MEMBERS = 20


class BundleMember(Part):
    """A model of a bundle, and which of its versions may be in it."""

    model: Name
    versions: Range | None = None


class Conflict(Part):
    """A member's versions that may not be in a stage together with another model's; the other may be a member too."""

    member: Name
    versions: Range | None = None
    with_: Name = Field(alias="with")
    with_versions: Range | None = None


class Need(Part):
    """A member's versions that may only be in a stage together with some versions of another model."""

    member: Name
    versions: Range | None = None
    needs: Name
    needs_versions: Range | None = None


def _member(value: Any) -> Any:
    return {"model": value} if not isinstance(value, dict | BundleMember) else value


_MEMBER_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {"model": {"type": "string"}, "versions": {"type": "string"}},
            "required": ["model"],
            "additionalProperties": False,
        },
    ],
    "description": "A model, or a model and a range of its versions.",
}


class Bundle(Part):
    """Models that are promoted together: in which order, with which versions, and beside what not."""

    members: tuple[Annotated[BundleMember, BeforeValidator(_member), WithJsonSchema(_MEMBER_SCHEMA)], ...] = Field(
        min_length=1, max_length=MOST_MEMBERS
    )
    order: tuple[tuple[Name, ...], ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    requires: tuple[Need, ...] = ()
    members_alone: Literal["refuse", "wait"] = "refuse"

    @property
    def names(self) -> tuple[str, ...]:
        """Its members, as they are listed."""
        return tuple(each.model for each in self.members)

    @property
    def sequence(self) -> tuple[str, ...]:
        """Its members in the order of their deployment: by `order`, and as they are listed where it says nothing."""
        return tuple(_sorted(self.names, self.order))

    @model_validator(mode="after")
    def _is_about_its_members(self) -> Self:
        for number, each in enumerate(self.members):
            if each.model in self.names[:number]:
                raise wrong(f"{shown(each.model)} is a member already", "name each member once", "members", number)
        for number, chain in enumerate(self.order):
            for model in chain:
                if model not in self.names:
                    raise wrong(f"{shown(model)} is no member", "name it under members", "order", number)
        rules = [("conflicts", number, each.member, each.with_) for number, each in enumerate(self.conflicts)]
        rules += [("requires", number, each.member, each.needs) for number, each in enumerate(self.requires)]
        for key, number, member, other in rules:
            if member not in self.names:
                raise wrong(f"{shown(member)} is no member", "name it under members", key, number, "member")
            if other == member:
                raise wrong(f"sets {shown(other)} beside itself", "name another model", key, number)
        circle = _circle(self.names, self.order)
        if circle:
            raise wrong(f"goes in a circle: {' → '.join(circle)}", "leave one of them out", "order")
        return self


def _before(order: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """What must be deployed right before what."""
    found: dict[str, list[str]] = {}
    for chain in order:
        for first, second in pairwise(chain):
            found.setdefault(second, []).append(first)
    return found


def _sorted(names: Sequence[str], order: Sequence[Sequence[str]]) -> list[str]:
    """As listed, but for what must come later. What goes in a circle is left out."""
    before, done = _before(order), list[str]()
    while True:
        ready = [each for each in names if each not in done and set(before.get(each, ())) <= set(done)]
        if not ready:
            return done
        done.append(ready[0])


def _circle(names: Sequence[str], order: Sequence[Sequence[str]]) -> list[str]:
    """The way around, first to first; empty where there is none."""
    before, done = _before(order), _sorted(names, order)
    left = [each for each in names if each not in done]
    if not left:
        return []
    walk = [left[0]]
    while (earlier := next(each for each in before[walk[-1]] if each not in done)) not in walk:
        walk.append(earlier)
    return [earlier, *reversed(walk[walk.index(earlier) :])]


# -- what may not stand beside what ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Move:
    """What is to change in a stage: `bundle` (`search 3`, "" for a model alone) brings these versions by model.

    `serving` are the champions of every model that a rule may speak of.
    """

    stage: str
    changed: Mapping[str, str]
    serving: Mapping[str, str]
    bundle: str = ""

    def after(self, model: str) -> str | None:
        """The version that would serve; None where none does."""
        return self.changed.get(model, self.serving.get(model))

    def named(self, model: str) -> str:
        """`search 3 → ranker 4` for what comes, `ranker 4` for what is there."""
        path = f"{self.bundle} → " if self.bundle and model in self.changed else ""
        return f"{path}{model} {self.after(model)}"

    def where(self, model: str) -> str:
        """How a version comes to be there."""
        return "comes with it" if model in self.changed else f"serves {self.stage}"


def partners(bundles: Mapping[str, Bundle], models: Mapping[str, Any]) -> set[str]:
    """Every model that a rule sets beside one of these."""
    found: set[str] = set()
    for bundle in bundles.values():
        pairs = [(each.member, each.with_) for each in bundle.conflicts]
        pairs += [(each.member, each.needs) for each in bundle.requires]
        for pair in pairs:
            if set(pair) & set(models):
                found |= set(pair)
    return found - set(models)


def ill_matched(bundles: Mapping[str, Bundle], move: Move) -> Iterator[Blocker]:
    """Everything that could not be in the stage together if the move were made, each with its path."""
    for bundle in bundles.values():
        for rule in bundle.conflicts:
            if {rule.member, rule.with_} & set(move.changed):
                yield from _conflict(rule, move)
        for need in bundle.requires:
            if {need.member, need.needs} & set(move.changed):
                yield from _need(need, move)


def _conflict(rule: Conflict, move: Move) -> Iterator[Blocker]:
    mine, theirs = (rule.member, rule.versions), (rule.with_, rule.with_versions)
    if rule.member not in move.changed:
        mine, theirs = theirs, mine
    for model, versions in (mine, theirs):
        version = move.after(model)
        if version is None or holds(versions, version) is False:
            return
    other = theirs[0]
    sentence = f"{move.named(mine[0])} conflicts with {other} {move.after(other)}, which {move.where(other)}."
    yield Blocker("conflict", other, True, sentence, f"Choose another version of {mine[0]}, or of {other} first.")


def _need(rule: Need, move: Move) -> Iterator[Blocker]:
    mine, theirs = move.after(rule.member), move.after(rule.needs)
    if mine is None or holds(rule.versions, mine) is False:
        return
    if theirs is not None and holds(rule.needs_versions, theirs):
        return
    wanted = f"{rule.needs} {rule.needs_versions or ''}".strip()
    if rule.member in move.changed:
        there = f"{rule.needs} {theirs} {move.where(rule.needs)}" if theirs else f"none serves {move.stage}"
        sentence = f"{move.named(rule.member)} needs {wanted}, and {there}."
    else:
        sentence = f"{move.named(rule.needs)} does not do for {rule.member} {mine}, which serves {move.stage} and needs {wanted}."
    yield Blocker("conflict", rule.needs, True, sentence, f"Choose another version of {rule.member} or {rule.needs}.")


def ruled(bundles: Mapping[str, Bundle]) -> set[str]:
    """Every model that a rule speaks of."""
    rules = [{each.member, each.with_} for bundle in bundles.values() for each in bundle.conflicts]
    needs = [{each.member, each.needs} for bundle in bundles.values() for each in bundle.requires]
    return set().union(*rules, *needs)


@dataclass(frozen=True)
class Made:
    """A bundle's version, what it is made of, and the stage it is for, one of `stages`."""

    name: str
    version: str
    members: Mapping[str, str]
    stage: str
    stages: Sequence[str]


def barred(made: Made, standing: Callable[[str], Iterable[Barrier]], by_itself: bool = False) -> Iterator[Blocker]:
    """A member's veto bars its bundle, and a member's stop holds it up; one that was rolled back does not come back in
    its bundle where nobody is asked (`by_itself`). `standing` are a model's barriers.
    """
    for model, mine in made.members.items():
        path = f"{made.name} {made.version} → {model} {mine}"
        for each in standing(model):
            if each.kind == "veto" and each.version == mine and _reaches(each.stage, made):
                clears = f"Choose another version of {model}, or take it back with /promote unveto {model} {mine}."
                yield Blocker(
                    "veto", model, True, f"{path} was vetoed by {each.by}: {texts.ended(each.reason)}", clears
                )
            elif each.kind == "stop" and each.model == model:
                clears = f"Until /promote resume {model} is typed."
                yield Blocker(
                    "stop", model, True, f"{path} is stopped by {each.by}: {texts.ended(each.reason)}", clears, True
                )
            elif by_itself and each.kind == "hold" and each.stage == made.stage:
                sentence = f"{path}: {model} was rolled back in {made.stage} ({each.by}: {each.reason})"
                clears = (
                    f"A person may promote it deliberately in Slack, or lift it with "
                    f"/promote release {model} {made.stage}."
                )
                yield Blocker("hold", made.stage, True, f"{sentence}, which holds automatic promotions.", clears)


def _reaches(from_stage: str, made: Made) -> bool:
    names = made.stages
    return not (from_stage in names and made.stage in names and names.index(made.stage) < names.index(from_stage))


def unfit(name: str, version: str, bundle: Bundle | None, members: Mapping[str, str] | None) -> Iterator[Blocker]:
    """Why a bundle's version is not what the policy asks of the bundle. `members` is None for what is no bundle's."""
    who = f"{name} {version}"
    if bundle is None:
        if members is not None:
            sentence = f"{who} is a bundle's version, and the policy has no bundle {name} any more."
            yield Blocker("bundle", name, True, sentence, "The policy's owner must put it back under bundles.")
        return
    if members is None or set(members) != set(bundle.names):
        made = f"is made of {_and(list(members))}" if members else "names no members"
        sentence = f"{who} {made}, and the policy's bundle {name} has {_and(list(bundle.names))}."
        yield Blocker("bundle", name, True, sentence, "Register a version that names a version of every member.")
        return
    for each in bundle.members:
        mine = members[each.model]
        if holds(each.versions, mine) is not True:
            sentence = f"{who} → {each.model} {mine} is not among the versions that the policy allows: {each.versions}."
            yield Blocker("bundle", each.model, True, sentence, f"Choose a version of {each.model} that is.")


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
