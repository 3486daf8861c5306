"""Who may decide, and whether those who did are enough. Pure: groups and people are facts that are passed in."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.domain.errors import NotAllowed
from core.domain.model import Actor, Decision, DecisionKind, Person, Seat, Tally
from core.policy import seats
from core.policy.stages import Approvals

#: How many people of a group a sentence names.
NAMED = 5
_SLACK_ID = re.compile(r"\s*[UW][A-Z0-9]+\s*")


def tally(rule: Approvals | None, decisions: Sequence[Decision]) -> Tally:
    """How far approvals have come.

    Only distinct people count, and only those who were in an approving group when they approved. One person fills one
    seat. A rejection, or a rule that names nobody, is never met.
    """
    if rule is not None and rule.automatic:
        return Tally(0, (), (), True, "Nobody needs to approve.")
    if rule is None or not rule.from_:
        return Tally(rule.quorum if rule else 1, (), (), False, "Nobody may approve: the policy names no approvers.")
    approved, groups = _approvers(rule, decisions)
    filled = seats.fill([(each.group, each.at_least) for each in rule.from_], groups)
    taken = tuple(
        Seat(each.group, each.at_least, tuple(approved[number] for number in numbers))
        for each, numbers in zip(rule.from_, filled, strict=True)
    )
    quorum = max(rule.quorum, sum(each.at_least for each in rule.from_))
    rejected = any(decision.kind is DecisionKind.REJECTION for decision in decisions)
    met = not rejected and len(approved) >= quorum and not any(seat.missing for seat in taken)
    return Tally(quorum, approved, taken, met, _progress(quorum, len(approved), taken))


def awaited(counted: Tally, members: Mapping[str, Sequence[Person]], without: Collection[str] = ()) -> str:
    """Who could still approve, by name: "Still needed: 1 from risk (Carol, Dave).". Empty when nobody is needed.

    `members` are the people of each group as far as known; those who approved already, inactive accounts and the ids in
    `without` (the requester, the trainer) are not named. Names are outside text: escape where shown.
    """
    done = {actor.id for actor in counted.approvals} | set(without)
    parts = []
    for number, groups in needed(counted.quorum, len(counted.approvals), counted.seats):
        people = {p.id: p for group in groups for p in members.get(group, ()) if p.active and p.id not in done}
        names = [person.name or f"@{person.handle or person.id}" for person in people.values()]
        if len(names) > NAMED:
            names = [*names[: NAMED - 1], f"{len(names) - NAMED + 1} more"]
        named = f" ({', '.join(names)})" if names else ""
        parts.append(f"{number} from {either(groups)}{named}")
    return f"Still needed: {_and(parts)}." if parts else ""


@dataclass(frozen=True)
class Approver:
    """Somebody who might decide, with those of the groups asked that hold them now."""

    person: Person
    groups: frozenset[str]


@dataclass(frozen=True)
class Asked:
    """What is to be decided on: "fraud-detector 7" for a stage, asked by whom, trained by whom."""

    subject: str
    stage: str
    requester: Actor
    trained_by: str
    kind: DecisionKind = DecisionKind.APPROVAL


def may_decide(
    rule: Approvals | None, approver: Approver, asked: Asked, delegators: Sequence[Approver] = ()
) -> Approver | None:
    """Return when this person may decide; raise `NotAllowed` with the one sentence that says why not.

    Returns None when they decide for themselves, else which of those who delegated to them they decide for: only
    somebody who could have decided, and only where the delegate is in no approving group.
    """
    if rule is not None and rule.automatic:
        raise NotAllowed(
            "automatic", f"Nobody is asked for {asked.stage}: with every gate passed it goes ahead by itself."
        )
    if rule is None or not rule.from_:
        raise NotAllowed(
            "no-approvers",
            f"The policy names nobody who may approve for {asked.stage}; its owner must add approvals.from.",
        )
    _refuse_stranger(approver.person)
    _refuse_requester(rule, approver.person, asked)
    principal = None
    if not _allowed(rule) & approver.groups:
        principal = _represented(rule, asked, delegators)
        if principal is None:
            raise NotAllowed(
                "not-a-member",
                f"You are not among those who may approve {asked.subject} for {asked.stage}: "
                f"that takes {either([each.group for each in rule.from_])}.",
            )
    _refuse_trainer(rule, approver.person, asked)
    return principal


def _represented(rule: Approvals, asked: Asked, delegators: Sequence[Approver]) -> Approver | None:
    """The first of them who could have decided; nobody's own request or training gets through by way of a delegate."""
    for each in delegators:
        try:
            _refuse_stranger(each.person)
            _refuse_requester(rule, each.person, asked)
            _refuse_trainer(rule, each.person, asked)
        except NotAllowed:
            continue
        if _allowed(rule) & each.groups:
            return each
    return None


def _allowed(rule: Approvals) -> frozenset[str]:
    return frozenset(each.group for each in rule.from_)


def _someone_else(asked: Asked) -> str:
    verb = "approve" if asked.kind is DecisionKind.APPROVAL else "decide on"
    return f"someone else must {verb} it"


def _refuse_stranger(person: Person) -> None:
    if not person.active:
        raise NotAllowed(
            "inactive", "Bots, guests, strangers and deactivated accounts may not decide; a full member must."
        )


def _refuse_requester(rule: Approvals, person: Person, asked: Asked) -> None:
    if "requester" in rule.exclude and asked.requester.person == person.id:
        who = "You" if asked.requester.kind == "user" else f"Your token {asked.requester.id}"
        raise NotAllowed("requester", f"{who} asked for this promotion, so {_someone_else(asked)}.")


def _refuse_trainer(rule: Approvals, person: Person, asked: Asked) -> None:
    if "trainer" not in rule.exclude:
        return
    if is_trainer(person, asked.trained_by):
        raise NotAllowed("trainer", f"You trained this version, so {_someone_else(asked)}.")
    if _is_unknown(person) and asked.trained_by.strip() and not _SLACK_ID.fullmatch(asked.trained_by):
        raise NotAllowed(
            "trainer-unknown",
            "Slack tells neither your e-mail address nor your handle, so you may have trained this version; "
            f"{_someone_else(asked)}.",
        )


def barred(rule: Approvals | None, people: Iterable[Person], requester: Actor, trained_by: str) -> set[str]:
    """Ids of those among `people` who may not approve although they are members: requester, trainer."""
    exclude = rule.exclude if rule else ()
    own = {requester.person} - {""} if "requester" in exclude else set()
    return own | {each.id for each in people if "trainer" in exclude and is_trainer(each, trained_by)}


def is_trainer(person: Person, trained_by: str) -> bool:
    """Whether the trainer as the lineage names them may be this person. In doubt, yes.

    Compared without case: Slack id, e-mail address, handle, name, and what stands before the @ of an address, because
    the training system's domain is rarely the workspace's. Several trainers may be named, separated by commas.
    """
    known = _names_of(person.id, person.email, person.handle, person.name)
    return any(known & _names_of(*_spellings(each)) for each in re.split(r"[,;\n&]|\sand\s", trained_by))


def _is_unknown(person: Person) -> bool:
    return not (person.email or person.handle)


def _spellings(text: str) -> list[str]:
    """`Bob Jones <bob@example.com>` as it stands, its parts, and without a kind (`user:`, `mailto:`)."""
    parts = [text, *re.findall(r"[<(]([^<>()]*)[>)]", text), re.sub(r"[<(].*", "", text)]
    return [re.sub(r"^\s*(user|mailto):", "", part, flags=re.IGNORECASE) for part in parts]


def _names_of(*texts: str) -> set[str]:
    names = set()
    for text in texts:
        plain = unicodedata.normalize("NFKC", text).strip().strip("<>").lstrip("@").strip().casefold()
        names |= {plain, plain.partition("@")[0].partition("+")[0]}
    return names - {""}


def _approvers(rule: Approvals, decisions: Sequence[Decision]) -> tuple[tuple[Actor, ...], list[frozenset[str]]]:
    """The distinct people who approved and may, in order, and the approving groups they were in."""
    allowed = {each.group for each in rule.from_}
    found: dict[str, tuple[Actor, frozenset[str]]] = {}
    for decision in decisions:
        groups = allowed & set(decision.groups)
        if decision.kind is DecisionKind.APPROVAL and decision.actor.kind == "user" and groups:
            found.setdefault(decision.actor.id, (decision.actor, frozenset(groups)))
    return tuple(actor for actor, _ in found.values()), [groups for _, groups in found.values()]


def needed(quorum: int, approved: int, taken: Sequence[Seat]) -> list[tuple[int, tuple[str, ...]]]:
    """(how many, from which groups) are still needed: empty seats first, then whoever may fill up the quorum."""
    wanted: list[tuple[int, tuple[str, ...]]] = [(seat.missing, (seat.group,)) for seat in taken if seat.missing]
    more = quorum - approved - sum(number for number, _ in wanted)
    if more <= 0 or not taken:
        return wanted
    anyone = tuple(seat.group for seat in taken)
    if [groups for _, groups in wanted] == [anyone]:
        return [(wanted[0][0] + more, anyone)]
    return [*wanted, (more, anyone)]


def _progress(quorum: int, approved: int, taken: Sequence[Seat]) -> str:
    open_seats = needed(quorum, approved, taken)
    # Two leads do not make up for the missing one from risk: then it is "2 of 3", not "2 of 2".
    total = max(quorum, approved + sum(number for number, _ in open_seats)) if open_seats else max(quorum, approved)
    said = f"{approved} of {total} approval{'' if total == 1 else 's'}"
    if not open_seats:
        return f"{said}."
    return f"{said}; still needed: {_and([f'{number} from {either(groups)}' for number, groups in open_seats])}."


def either(names: Sequence[str]) -> str:
    """`risk`, `ml-leads or risk`, `ml-leads, risk or on-call`."""
    return _joined(names, "or")


def _and(parts: Sequence[str]) -> str:
    return _joined(parts, "and")


def _joined(parts: Sequence[str], word: str) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {word} {parts[-1]}"
